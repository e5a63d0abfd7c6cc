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
                create_folder(folder, target).await?;
                let at = folder.join(&staged);
                let handle = tokio::fs::File::create_new(&at).await.map_err(|error| named(error, &at))?;
                Ok(StagedFile {
                    file: WrittenFile { staged, ..file },
                    pending: Vec::new(),
                    to: Some(To::Local { handle, at }),
                })
            }
            StagingArea::S3 { store, folder, target } => {
                let key = below(folder, path)?;
                let upload = store.create_multipart(&key).await?;
                let staged = upload.clone();
                let to = To::S3 { store: Arc::clone(store), key: key.clone(), upload };
                let created = StagedFile { file: WrittenFile { staged, ..file }, pending: Vec::new(), to: Some(to) };
                let marker = UploadMarker { key: key.to_string(), upload: created.file.staged.clone() };
                let text = serde_json::to_vec(&marker).map_err(|error| DataFusionError::External(Box::new(error)))?;
                let at = below(folder, &format!("{}/{name}.upload", staging_folder(target.commit_id)))?;
                store.put(&at, text.into()).await?;
                Ok(created)
            }
        }
    }
}

/// Makes the staging folder, and remembers on disk if the target's own folder was not there before.
async fn create_folder(folder: &FilePath, target: &OutputTarget) -> Result<()> {
    let staging = folder.join(staging_folder(target.commit_id));
    if let Some(parent) = folder.parent() {
        tokio::fs::create_dir_all(parent).await.map_err(|error| named(error, parent))?;
    }
    let ours = match tokio::fs::create_dir(folder).await {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(named(error, folder).into()),
    };
    make_folder(&staging).await.map_err(|error| named(error, &staging))?;
    if ours {
        let marker = created_marker(folder, target.commit_id);
        tokio::fs::write(&marker, b"").await.map_err(|error| named(error, &marker))?;
    }
    Ok(())
}

/// Another commit that ends removes Windrow's empty folders at any moment, also between two steps of this one.
async fn make_folder(folder: &FilePath) -> io::Result<()> {
    let mut made = Ok(());
    for _ in 0..RACES_MAX {
        made = tokio::fs::create_dir_all(folder).await;
        match &made {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => break,
        }
    }
    made
}

/// Says that this commit made the target's folder, so that its abort may remove it.
pub fn created_marker(folder: &FilePath, commit_id: Uuid) -> PathBuf {
    folder.join(HOME).join("staging").join(format!("{commit_id}.created"))
}

/// An input or output error that names its file, which the operating system's text does not.
pub fn named(error: io::Error, path: &FilePath) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}

/// One file being written. Dropped before [`StagedFile::finish`], it removes what it has written.
pub struct StagedFile {
    file: WrittenFile,
    pending: Vec<u8>,
    /// `None` once the file is finished or removed.
    to: Option<To>,
}

enum To {
    Local { handle: tokio::fs::File, at: PathBuf },
    S3 { store: Arc<AmazonS3>, key: Path, upload: String },
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
        if matches!(self.to, Some(To::Local { .. })) { self.send().await } else { Ok(()) }
    }

    async fn send(&mut self) -> Result<()> {
        let chunk = Bytes::from(std::mem::take(&mut self.pending));
        match self.to.as_mut() {
            Some(To::Local { handle, at }) => handle.write_all(&chunk).await.map_err(|error| named(error, at))?,
            Some(To::S3 { store, key, upload }) => {
                let index = self.file.parts.len();
                let part = store.put_part(key, upload, index, PutPayload::from(chunk)).await?;
                self.file.parts.push(part.content_id);
            }
            None => return Err(DataFusionError::Internal("a finished file is written to".into())),
        }
        Ok(())
    }

    /// Makes the file durable; it stays invisible until the commit.
    pub async fn finish(mut self, rows: u64) -> Result<WrittenFile> {
        // An upload has at least one part, even of no bytes.
        let is_upload = matches!(self.to, Some(To::S3 { .. }));
        if !self.pending.is_empty() || (is_upload && self.file.parts.is_empty()) {
            self.send().await?;
        }
        if let Some(To::Local { handle, at }) = self.to.as_mut() {
            handle.flush().await.map_err(|error| named(error, at))?;
            handle.sync_all().await.map_err(|error| named(error, at))?;
            let folder = at.parent().unwrap_or(at).to_path_buf();
            sync_folder(folder).await?;
        }
        self.to = None;
        self.file.rows = rows;
        Ok(self.file.clone())
    }
}

/// Makes the names in a folder durable.
pub async fn sync_folder(folder: PathBuf) -> Result<()> {
    let handle = tokio::fs::File::open(&folder).await.map_err(|error| named(error, &folder))?;
    Ok(handle.sync_all().await.map_err(|error| named(error, &folder))?)
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        match self.to.take() {
            None => {}
            Some(To::Local { at, .. }) => drop(std::fs::remove_file(at)),
            Some(To::S3 { store, key, upload }) => {
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    // Best effort: an upload that stays open is found by its marker when the commit ends.
                    runtime.spawn(async move { store.abort_multipart(&key, &upload).await });
                }
            }
        }
    }
}

/// Part ids as the store wants them back.
pub fn part_ids(file: &WrittenFile) -> Vec<PartId> {
    file.parts.iter().map(|content_id| PartId { content_id: content_id.clone() }).collect()
}
