//! The default journal: one file, `journal.redb`, in the data directory.
//!
//! redb locks the file for its process, so there is one leader at a time without an election, and a commit is one
//! write transaction that is on disk before it returns. The epoch and the head are checked in it all the same:
//! they make a commit that nobody waited for harmless, and a file that was swapped underneath an error.

mod tables;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::redb::{Database, DatabaseError};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use windrow_model::{ErrorKind, ErrorReport, JobId, WorkerId};
use windrow_scheduler::Record;

use super::entry::{self, Packed, Scope};
use super::head::{CommitId, Head};
use super::{Blob, BlobKey, History, Journal, Leadership, Resolution, Store, StoreError};

/// Pages of the file that redb keeps in memory, in bytes. Records are read once, at the start.
const CACHE_BYTES: usize = 32 << 20;

const FILE_NAME: &str = "journal.redb";

/// An open journal file. It stays locked until the last handle on it is gone.
#[derive(Clone, Debug)]
pub(crate) struct RedbJournal {
    file: Arc<JournalFile>,
}

#[derive(Debug)]
struct JournalFile {
    database: Database,
    path: PathBuf,
    /// Of the newest leader.
    leadership: Mutex<Option<Leadership>>,
}

/// One leader's handle on a [`RedbJournal`].
#[derive(Debug)]
struct RedbStore {
    file: Arc<JournalFile>,
    epoch: u64,
    /// As the last known commit left it.
    head: Head,
    /// Commits tried so far.
    commits: u64,
    /// What the head becomes by a commit whose outcome is not known.
    pending: Option<Head>,
    leadership: Leadership,
}

impl RedbJournal {
    /// Opens or creates the journal of a data directory, and repairs it after a crash. Errors name the file.
    pub(crate) async fn open(data_dir: &Path) -> Result<RedbJournal, ErrorReport> {
        let path = data_dir.join(FILE_NAME);
        let opened = tokio::task::spawn_blocking(move || JournalFile::open(path)).await;
        let file = opened.map_err(|error| broke_off("opening the journal", &error))??;
        Ok(RedbJournal { file: Arc::new(file) })
    }
}

impl JournalFile {
    fn open(path: PathBuf) -> Result<JournalFile, ErrorReport> {
        let dir = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(dir).map_err(|error| unusable(&path, error))?;
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(&path);
        let database = database.map_err(|error| cannot_open(&path, error))?;
        // A file whose name is not on disk is gone after a power cut, with all its commits.
        std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| unusable(&path, error))?;
        Ok(JournalFile { database, path, leadership: Mutex::new(None) })
    }

    /// Replaces the newest leader.
    fn lead(&self, leadership: Leadership) {
        if let Some(former) = self.leadership.lock().replace(leadership) {
            former.end("a newer leader has taken over");
        }
    }
}

fn cannot_open(path: &Path, error: DatabaseError) -> ErrorReport {
    match error {
        DatabaseError::DatabaseAlreadyOpen => ErrorReport::new(
            ErrorKind::AlreadyExists,
            format!("another coordinator uses the journal `{}`", path.display()),
        )
        .with_hint("stop it, or give another folder with --data-dir"),
        DatabaseError::UpgradeRequired(_) => {
            ErrorReport::new(ErrorKind::Unsupported, format!("cannot read the journal `{}`", path.display()))
                .with_detail(error.to_string())
                .with_hint("start the version of Windrow that wrote it")
        }
        error => unusable(path, error),
    }
}

fn unusable(path: &Path, error: impl std::fmt::Display) -> ErrorReport {
    ErrorReport::invalid(format!("cannot use the journal `{}`", path.display()))
        .with_detail(error.to_string())
        .with_hint("give another folder with --data-dir, or repair its permissions")
}

fn broke_off(what: &str, error: &tokio::task::JoinError) -> ErrorReport {
    ErrorReport::internal(format!("{what} broke off")).with_detail(error.to_string())
}

/// Runs `work` where blocking is allowed. A panic or a shutdown of the runtime leaves the outcome open.
async fn blocking<T: Send + 'static>(
    file: &Arc<JournalFile>,
    work: impl FnOnce(&JournalFile) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let file = file.clone();
    let done = tokio::task::spawn_blocking(move || work(&file)).await;
    done.unwrap_or_else(|error| Err(StoreError::Unknown(broke_off("an operation of the journal", &error))))
}

#[async_trait]
impl Journal for RedbJournal {
    /// Takes over at once: the file's lock has kept other processes away.
    async fn campaign(&self) -> Result<Box<dyn Store>, StoreError> {
        let (epoch, head) = blocking(&self.file, JournalFile::next_epoch).await?;
        let leadership = Leadership::exclusive();
        self.file.lead(leadership.clone());
        Ok(Box::new(RedbStore { file: self.file.clone(), epoch, head, commits: 0, pending: None, leadership }))
    }
}

impl RedbStore {
    fn next_commit(&mut self) -> CommitId {
        self.commits += 1;
        CommitId { epoch: self.epoch, count: self.commits }
    }

    async fn write(&mut self, packed: Packed, blobs: Vec<Blob>) -> Result<(), StoreError> {
        let (epoch, expected, next) = (self.epoch, self.head, packed.head);
        self.pending = Some(next);
        let outcome = blocking(&self.file, move |file| file.append(epoch, expected, &packed, &blobs)).await;
        match &outcome {
            Ok(()) => self.head = next,
            Err(StoreError::Unknown(_)) => return outcome,
            Err(_) => {}
        }
        self.pending = None;
        outcome
    }

    async fn remove(&mut self, scope: Option<Scope>, blobs_of: Option<JobId>) -> Result<(), StoreError> {
        let epoch = self.epoch;
        blocking(&self.file, move |file| file.remove(epoch, scope, blobs_of)).await
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        self.leadership.end("the handle was dropped");
    }
}

#[async_trait]
impl Store for RedbStore {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    async fn load(&mut self) -> Result<History, StoreError> {
        let epoch = self.epoch;
        let (head, entries) = blocking(&self.file, move |file| file.entries(epoch)).await?;
        entry::unpack(head, entries)
    }

    async fn commit(&mut self, epoch: u64, records: &[Record], blobs: &[Blob]) -> Result<(), StoreError> {
        if records.is_empty() && blobs.is_empty() {
            return Ok(());
        }
        if epoch != self.epoch {
            return Err(StoreError::fenced(epoch));
        }
        if self.pending.is_some() {
            return Err(StoreError::unresolved());
        }
        let commit = self.next_commit();
        let packed = entry::pack(self.head, commit, records, blobs)?;
        self.write(packed, blobs.to_vec()).await
    }

    async fn resolve(&mut self) -> Result<Resolution, StoreError> {
        let Some(pending) = self.pending else { return Ok(Resolution::Committed) };
        let (epoch, known) = (self.epoch, self.head);
        let barrier = known.next(self.next_commit());
        let (head, resolution) = blocking(&self.file, move |file| file.settle(epoch, known, pending, barrier)).await?;
        self.head = head;
        self.pending = None;
        Ok(resolution)
    }

    async fn blob(&self, key: BlobKey) -> Result<Option<Bytes>, StoreError> {
        blocking(&self.file, move |file| file.blob(key)).await
    }

    async fn forget_job(&mut self, job: JobId) -> Result<(), StoreError> {
        self.remove(Some(Scope::Job(job)), Some(job)).await
    }

    async fn forget_blobs(&mut self, job: JobId) -> Result<(), StoreError> {
        self.remove(None, Some(job)).await
    }

    async fn forget_worker(&mut self, worker: WorkerId) -> Result<(), StoreError> {
        self.remove(Some(Scope::Worker(worker)), None).await
    }

    async fn resign(self: Box<Self>) {
        self.leadership.end("resigned");
    }
}
