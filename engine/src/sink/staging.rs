//! Files that are written but not yet published: under `_windrow/staging/` on file systems, open multipart uploads on S3.

use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;
use windrow_model::{ErrorReport, WrittenFile};

use super::manifest::{HOME, staging_folder};
use super::target::OutputTarget;
use crate::stores::{Stores, local_path, object_path};

/// Bytes collected before a write: S3's smallest part is 5 MiB, and one part a request keeps uploads short.
pub const PART_BYTES: usize = 8 << 20;

/// Times a folder may vanish while a file is put into it; each needs another commit that ends at that very moment.
pub const RACES_MAX: usize = 16;

/// Where the tasks of one commit leave their files.
#[derive(Clone, Debug)]
pub enum StagingArea {
    Local { folder: PathBuf, target: OutputTarget },
    S3 { store: Arc<AmazonS3>, folder: Path, target: OutputTarget },
}

/// An upload as its marker object tells it, so that an abort finds uploads whose attempt was lost.
#[derive(Debug, Serialize, Deserialize)]
pub struct UploadMarker {
    pub key: String,
    pub upload: String,
}

/// The folder that a target's relative paths start from: itself, or the parent of a single file.
pub fn target_folder(target: &OutputTarget) -> Result<Path, ErrorReport> {
    let path = object_path(&target.location)?;
    if !target.single_file {
        return Ok(path);
    }
    path.parent().ok_or_else(|| ErrorReport::invalid(format!("`{}` is not a file", target.location)))
}

/// The same as a local path.
pub fn target_folder_local(target: &OutputTarget) -> Option<PathBuf> {
    let path = local_path(&target.location)?;
    if target.single_file { path.parent().map(FilePath::to_path_buf) } else { Some(path) }
}

/// `folder/relative`, where `relative` is a path of already encoded names.
pub fn below(folder: &Path, relative: &str) -> Result<Path, object_store::Error> {
    let joined = if folder.is_root() { relative.to_owned() } else { format!("{folder}/{relative}") };
    Ok(Path::parse(joined)?)
}

impl StagingArea {
    pub fn open(target: &OutputTarget, stores: &Stores) -> Result<StagingArea, ErrorReport> {
        let target = target.clone();
        if let Some(folder) = target_folder_local(&target) {
            return Ok(StagingArea::Local { folder, target });
        }
        let Some(store) = stores.s3(&target.location)? else {
            return Err(ErrorReport::invalid(format!("`{}` cannot be written to", target.location)));
        };
        let folder = target_folder(&target)?;
        Ok(StagingArea::S3 { store, folder, target })
    }

    /// Begins a file that will be published as `path` (relative to the target); `name` is unique for ever.
    pub async fn create(&self, name: &str, path: &str) -> Result<StagedFile> {
        let file = WrittenFile { path: path.to_owned(), staged: String::new(), parts: Vec::new(), rows: 0, bytes: 0 };
        match self {
            StagingArea::Local { folder, target } => {
                let staged = format!("{}/{name}", staging_folder(target.commit_id));
                let at = folder.join(&staged);
                let handle = create_file(folder, target, &at)?;
                let place = StagedPlace::Local { at, folder: folder.clone(), commit_id: target.commit_id };
                Ok(StagedFile {
                    file: WrittenFile { staged, ..file },
                    pending: Vec::new(),
                    handle: Some(tokio::fs::File::from_std(handle)),
                    place: Some(place),
                })
            }
            StagingArea::S3 { store, folder, target } => {
                let key = below(folder, path)?;
                let upload = store.create_multipart(&key).await?;
                let marker = below(folder, &format!("{}/{name}.upload", staging_folder(target.commit_id)))?;
                let text = UploadMarker { key: key.to_string(), upload: upload.clone() };
                let text = serde_json::to_vec(&text).map_err(|error| DataFusionError::External(Box::new(error)))?;
                let file = WrittenFile { staged: upload.clone(), ..file };
                let place = StagedPlace::S3 { store: Arc::clone(store), key, upload, marker: marker.clone() };
                let created = StagedFile { file, pending: Vec::new(), handle: None, place: Some(place) };
                store.put(&marker, text.into()).await?;
                Ok(created)
            }
        }
    }
}

/// Creates a file in the staging folder, and remembers on disk if the target's own folder was not there before.
/// It does not wait: an attempt that was cancelled while it waited would leave a file that it does not know of.
fn create_file(folder: &FilePath, target: &OutputTarget, at: &FilePath) -> io::Result<std::fs::File> {
    let mut created = Err(io::ErrorKind::NotFound.into());
    for _ in 0..RACES_MAX {
        created = create_folder(folder, target).and_then(|()| std::fs::File::create_new(at));
        match &created {
            // Another attempt, or another commit, that ends removes Windrow's empty folders at any moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => break,
        }
    }
    created.map_err(|error| named(error, at))
}

fn create_folder(folder: &FilePath, target: &OutputTarget) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let ours = match std::fs::create_dir(folder) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(error),
    };
    std::fs::create_dir_all(folder.join(staging_folder(target.commit_id)))?;
    if ours {
        std::fs::write(created_marker(folder, target.commit_id), b"")?;
    }
    Ok(())
}

/// Says that this commit made the target's folder, so that its abort may remove it.
pub fn created_marker(folder: &FilePath, commit_id: Uuid) -> PathBuf {
    folder.join(HOME).join("staging").join(format!("{commit_id}.created"))
}

/// An input or output error that names its file, which the operating system's text does not.
pub fn named(error: io::Error, path: &FilePath) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}

/// Where a file is staged. Its name was never given before and is not given again, so that removing it hits no other.
#[derive(Clone, Debug)]
pub enum StagedPlace {
    /// `folder` is the target's.
    Local {
        at: PathBuf,
        folder: PathBuf,
        commit_id: Uuid,
    },
    S3 {
        store: Arc<AmazonS3>,
        key: Path,
        upload: String,
        marker: Path,
    },
}

impl StagedPlace {
    /// Best effort: the end of a commit removes everything that was staged for it before. This is for what comes late.
    pub fn remove(self) {
        match self {
            StagedPlace::Local { at, folder, commit_id } => {
                // It may be gone, with its folder, and others may have files in the folder: neither is a failure.
                let _ = std::fs::remove_file(at);
                drop(remove_empty(&folder, commit_id));
            }
            StagedPlace::S3 { store, key, upload, marker } => {
                let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
                runtime.spawn(async move {
                    let aborted = store.abort_multipart(&key, &upload).await;
                    match store.delete(&marker).await.and(aborted) {
                        // The commit has ended the upload, and perhaps removed the marker too.
                        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                        Err(error) => tracing::warn!(%key, upload, %error, "a staged file was not removed"),
                    }
                });
            }
        }
    }
}

/// Removes the folders that a commit's staged files have made, if this one was the last.
fn remove_empty(folder: &FilePath, commit_id: Uuid) -> io::Result<()> {
    std::fs::remove_dir(folder.join(staging_folder(commit_id)))?;
    let ours = std::fs::remove_file(created_marker(folder, commit_id)).is_ok();
    std::fs::remove_dir(folder.join(HOME).join("staging"))?;
    std::fs::remove_dir(folder.join(HOME))?;
    if ours { std::fs::remove_dir(folder) } else { Ok(()) }
}

/// One file being written. Dropped before [`StagedFile::finish`], it removes what it has written.
pub struct StagedFile {
    file: WrittenFile,
    pending: Vec<u8>,
    /// Of a local file.
    handle: Option<tokio::fs::File>,
    /// `None` once the file is finished.
    place: Option<StagedPlace>,
}

impl StagedFile {
    /// Bytes given so far.
    pub fn bytes(&self) -> u64 {
        self.file.bytes
    }

    pub fn pending_bytes(&self) -> usize {
        self.pending.capacity()
    }

    pub async fn write(&mut self, bytes: Vec<u8>) -> Result<()> {
        self.file.bytes += bytes.len() as u64;
        if self.pending.is_empty() {
            self.pending = bytes;
        } else {
            self.pending.extend_from_slice(&bytes);
        }
        if self.pending.len() >= PART_BYTES {
            self.send().await?;
        }
        Ok(())
    }

    /// Hands pending bytes on where the store takes pieces of any size.
    pub async fn send_pending(&mut self) -> Result<()> {
        if self.handle.is_some() { self.send().await } else { Ok(()) }
    }

    async fn send(&mut self) -> Result<()> {
        let chunk = Bytes::from(std::mem::take(&mut self.pending));
        match (&self.place, &mut self.handle) {
            (Some(StagedPlace::Local { at, .. }), Some(handle)) => {
                handle.write_all(&chunk).await.map_err(|error| named(error, at))?;
            }
            (Some(StagedPlace::S3 { store, key, upload, .. }), _) => {
                let index = self.file.parts.len();
                let part = store.put_part(key, upload, index, PutPayload::from(chunk)).await?;
                self.file.parts.push(part.content_id);
            }
            _ => return Err(DataFusionError::Internal("a finished file is written to".into())),
        }
        Ok(())
    }

    /// Makes the file durable; it stays invisible until the commit.
    pub async fn finish(mut self, rows: u64) -> Result<(WrittenFile, StagedPlace)> {
        // An upload has at least one part, even of no bytes.
        let is_upload = self.handle.is_none();
        if !self.pending.is_empty() || (is_upload && self.file.parts.is_empty()) {
            self.send().await?;
        }
        if let (Some(StagedPlace::Local { at, .. }), Some(handle)) = (&self.place, &mut self.handle) {
            handle.flush().await.map_err(|error| named(error, at))?;
            handle.sync_all().await.map_err(|error| named(error, at))?;
            let folder = at.parent().unwrap_or(at).to_path_buf();
            sync_folder(folder).await?;
        }
        let place = self.place.take().ok_or_else(|| DataFusionError::Internal("a file is finished twice".into()))?;
        self.file.rows = rows;
        Ok((self.file.clone(), place))
    }
}

/// Makes the names in a folder durable.
pub async fn sync_folder(folder: PathBuf) -> Result<()> {
    let handle = tokio::fs::File::open(&folder).await.map_err(|error| named(error, &folder))?;
    Ok(handle.sync_all().await.map_err(|error| named(error, &folder))?)
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            place.remove();
        }
    }
}

/// Part ids as the store wants them back.
pub fn part_ids(file: &WrittenFile) -> Vec<PartId> {
    file.parts.iter().map(|content_id| PartId { content_id: content_id.clone() }).collect()
}
