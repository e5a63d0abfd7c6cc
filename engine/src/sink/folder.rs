//! The few storage operations a commit needs, on a local file system (durable) and on S3.

use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode};
use url::Url;
use windrow_model::{ErrorReport, WrittenFile};

use super::staging::{RACES_MAX, UploadMarker, below, named, part_ids, target_folder, target_folder_local};
use super::target::OutputTarget;
use crate::stores::{Stores, store_report};

/// Whether a create-if-absent made the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    Now,
    /// Somebody's (perhaps our own, from before a crash) is there: read it back.
    Before,
}

/// Whether a staged file is in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    Yes,
    /// Neither staged nor in place: it was published and removed again by a later commit, or lost.
    Gone,
}

/// A target's folder. Paths are relative to it and made of encoded names.
pub struct Folder {
    pub root: Path,
    location: Url,
    store: Arc<dyn ObjectStore>,
    local: Option<PathBuf>,
    s3: Option<Arc<AmazonS3>>,
}

type Result<T> = std::result::Result<T, ErrorReport>;

impl Folder {
    pub fn open(target: &OutputTarget, stores: &Stores) -> Result<Folder> {
        Ok(Folder {
            root: target_folder(target)?,
            location: target.location.clone(),
            store: stores.get(&target.location)?,
            local: target_folder_local(target),
            s3: stores.s3(&target.location)?,
        })
    }

    pub fn store(&self) -> &dyn ObjectStore {
        &*self.store
    }

    pub fn local(&self) -> Option<&FilePath> {
        self.local.as_deref()
    }

    pub fn report(&self, doing: &str, error: &object_store::Error) -> ErrorReport {
        store_report(error, doing, &self.location)
    }

    fn key(&self, path: &str) -> Result<Path> {
        below(&self.root, path).map_err(|error| self.report("name a file in", &error))
    }

    fn io(&self, doing: &str, path: &FilePath, error: io::Error) -> ErrorReport {
        ErrorReport::new(crate::stores::io_kind(&error), format!("could not {doing} `{}`", path.display()))
            .with_detail(error.to_string())
    }

    /// Everything below `path`, which may be empty for the whole folder.
    pub async fn list(&self, path: &str) -> Result<Vec<ObjectMeta>> {
        let below = if path.is_empty() { self.root.clone() } else { self.key(path)? };
        self.store.list(Some(&below)).try_collect().await.map_err(|error| self.report("list", &error))
    }

    pub async fn get(&self, path: &str) -> Result<Option<Bytes>> {
        let key = self.key(path)?;
        let got = async { self.store.get(&key).await?.bytes().await }.await;
        match got {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.report("read from", &error)),
        }
    }

    pub async fn exists(&self, path: &str) -> Result<bool> {
        match self.store.head(&self.key(path)?).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.report("read from", &error)),
        }
    }

    /// Creates or replaces, durably.
    pub async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        if let Some(at) = self.local_path(path) {
            let written = blocking(move || write_durably(&at, &bytes, |from, to| std::fs::rename(from, to))).await;
            return written.map_err(|error| self.io("write to", &self.shown(path), error));
        }
        let put = self.store.put(&self.key(path)?, bytes.into()).await;
        put.map(drop).map_err(|error| self.report("write to", &error))
    }

    /// Creates whole and durably, or leaves what is there.
    pub async fn create(&self, path: &str, bytes: Vec<u8>) -> Result<Created> {
        if let Some(at) = self.local_path(path) {
            return match blocking(move || write_durably(&at, &bytes, link_new)).await {
                Ok(()) => Ok(Created::Now),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Created::Before),
                Err(error) => Err(self.io("write to", &self.shown(path), error)),
            };
        }
        match self.store.put_opts(&self.key(path)?, bytes.into(), PutMode::Create.into()).await {
            Ok(_) => Ok(Created::Now),
            // A conflict with a create under way is reported the same; reading back tells.
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(Created::Before)
            }
            Err(error) => Err(self.report("write to", &error)),
        }
    }

    /// Removes a file; one that is not there is fine. Folders that are empty then go too, up to the target's own.
    pub async fn remove(&self, path: &str) -> Result<()> {
        if let (Some(at), Some(root)) = (self.local_path(path), self.local.clone()) {
            let removed = blocking(move || remove_with_empty_parents(&at, &root)).await;
            return removed.map_err(|error| self.io("remove", &self.shown(path), error));
        }
        match self.store.delete(&self.key(path)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.report("remove from", &error)),
        }
    }

    /// Removes everything below `path`.
    pub async fn remove_tree(&self, path: &str) -> Result<()> {
        if let (Some(at), Some(root)) = (self.local_path(path), self.local.clone()) {
            let removed = blocking(move || {
                ignore_missing(std::fs::remove_dir_all(&at))?;
                remove_with_empty_parents(&at, &root)
            });
            return removed.await.map_err(|error| self.io("remove", &self.shown(path), error));
        }
        let key = self.key(path)?;
        let keys = self.store.list(Some(&key)).map_ok(|object| object.location).boxed();
        let removed: std::result::Result<Vec<Path>, _> = self.store.delete_stream(keys).try_collect().await;
        removed.map(drop).map_err(|error| self.report("remove from", &error))
    }

    /// Moves staged files to their places and makes them durable. Repeating it is harmless.
    pub async fn publish(&self, file: &WrittenFile) -> Result<Placed> {
        match (self.local_path(&file.staged), self.local_path(&file.path), &self.s3) {
            (Some(from), Some(to), _) => {
                let moved = blocking(move || move_into_place(&from, &to)).await;
                moved.map_err(|error| self.io("publish", &self.shown(&file.path), error))
            }
            (_, _, Some(s3)) => self.complete(s3, file).await,
            _ => Err(ErrorReport::internal(format!("`{}` is on no store that can be committed to", self.location))),
        }
    }

    /// Like [`Folder::publish`] under a name that others use too: an object of that name proves nothing, unless the
    /// upload is gone and the object has its size.
    pub async fn publish_over(&self, file: &WrittenFile) -> Result<Placed> {
        let Some(s3) = &self.s3 else { return self.publish(file).await };
        let key = self.key(&file.path)?;
        match s3.complete_multipart(&key, &file.staged, part_ids(file)).await {
            Ok(_) => Ok(Placed::Yes),
            Err(object_store::Error::NotFound { .. }) => match self.store.head(&key).await {
                Ok(object) if object.size == file.bytes => Ok(Placed::Yes),
                Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(Placed::Gone),
                Err(error) => Err(self.report("look at a file in", &error)),
            },
            Err(error) => Err(self.report("publish a file in", &error)),
        }
    }

    async fn complete(&self, s3: &AmazonS3, file: &WrittenFile) -> Result<Placed> {
        let key = self.key(&file.path)?;
        match s3.complete_multipart(&key, &file.staged, part_ids(file)).await {
            Ok(_) => Ok(Placed::Yes),
            // A completed upload is forgotten by its server: the object itself tells what happened.
            Err(error) => match self.exists(&file.path).await {
                Ok(true) => Ok(Placed::Yes),
                Ok(false) if matches!(error, object_store::Error::NotFound { .. }) => Ok(Placed::Gone),
                Ok(false) | Err(_) => Err(self.report("publish a file in", &error)),
            },
        }
    }

    /// Gives up an upload; one that is completed or given up already is fine.
    pub async fn abort_upload(&self, marker: &UploadMarker) -> Result<()> {
        let Some(s3) = &self.s3 else { return Ok(()) };
        let key = Path::parse(&marker.key).map_err(|error| self.report("abort an upload to", &error.into()))?;
        match s3.abort_multipart(&key, &marker.upload).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.report("abort an upload to", &error)),
        }
    }

    fn local_path(&self, path: &str) -> Option<PathBuf> {
        self.local.as_ref().map(|root| root.join(path))
    }

    fn shown(&self, path: &str) -> PathBuf {
        self.local_path(path).unwrap_or_else(|| PathBuf::from(path))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Writes beside the place, syncs, and puts it there whole with `place`.
fn write_durably(
    at: &FilePath,
    bytes: &[u8],
    place: impl Fn(&FilePath, &FilePath) -> io::Result<()>,
) -> io::Result<()> {
    use std::io::Write;
    let folder = at.parent().unwrap_or(at);
    let beside = folder.join(format!(".{}.tmp", uuid::Uuid::new_v4()));
    let written = (|| {
        let mut file = create_in(folder, &beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        place(&beside, at)?;
        sync(folder)
    })();
    // After a rename it is gone; after a link, or a failure, it is litter.
    ignore_missing(std::fs::remove_file(&beside))?;
    written
}

/// The folder may be removed as empty by another commit before the file is in it.
fn create_in(folder: &FilePath, at: &FilePath) -> io::Result<std::fs::File> {
    let mut created = Err(io::ErrorKind::NotFound.into());
    for _ in 0..RACES_MAX {
        created = std::fs::create_dir_all(folder).and_then(|()| std::fs::File::create_new(at));
        match &created {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => break,
        }
    }
    created
}

/// Puts a file in place unless one is there: the atomic create of file systems.
pub fn link_new(from: &FilePath, to: &FilePath) -> io::Result<()> {
    std::fs::hard_link(from, to)
}

fn move_into_place(from: &FilePath, to: &FilePath) -> io::Result<Placed> {
    let folder = to.parent().unwrap_or(to);
    for _ in 0..RACES_MAX {
        std::fs::create_dir_all(folder)?;
        match std::fs::rename(from, to) {
            Ok(()) => {
                sync(folder)?;
                if let Some(above) = folder.parent() {
                    sync(above)?;
                }
                return Ok(Placed::Yes);
            }
            // Another commit may have removed the folder, empty as it still was, in between.
            Err(error) if error.kind() == io::ErrorKind::NotFound && from.try_exists()? => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(if to.try_exists()? { Placed::Yes } else { Placed::Gone });
            }
            Err(error) => return Err(named(error, to)),
        }
    }
    Err(io::Error::other(format!("the folder of `{}` is removed again and again", to.display())))
}

fn sync(folder: &FilePath) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

fn remove_with_empty_parents(at: &FilePath, root: &FilePath) -> io::Result<()> {
    if !at.is_dir() {
        ignore_missing(std::fs::remove_file(at))?;
    }
    let mut folder = at.parent();
    while let Some(empty) = folder.filter(|folder| folder.starts_with(root) && *folder != root) {
        // A folder that is not empty, or not there, ends the walk; neither is a failure.
        if std::fs::remove_dir(empty).is_err() {
            break;
        }
        folder = empty.parent();
    }
    Ok(())
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
