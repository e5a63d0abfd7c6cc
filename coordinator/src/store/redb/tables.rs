//! The file's tables, and each operation as one transaction. Everything here blocks.

use ::redb::{Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use bytes::Bytes;
use windrow_model::{ErrorKind, ErrorReport, JobId, WorkerId};

use super::super::entry::{Entry, Packed, Scope};
use super::super::head::Head;
use super::super::{Blob, BlobKey, Resolution, StoreError, codec};
use super::JournalFile;

/// `epoch` (8 bytes, big endian) and `head` (as the codec frames it).
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// By scope and sequence number of the first record.
const ENTRIES: TableDefinition<(u8, u64, u64), &[u8]> = TableDefinition::new("entries");
/// By job and name.
const BLOBS: TableDefinition<(u64, &str), &[u8]> = TableDefinition::new("blobs");

const EPOCH: &str = "epoch";
const HEAD: &str = "head";

impl JournalFile {
    /// Takes the next epoch durably, and says where the journal ends.
    pub(super) fn next_epoch(&self) -> Result<(u64, Head), StoreError> {
        let write = self.write()?;
        let epoch = self.epoch(&write)? + 1;
        let head = self.head(&write)?;
        self.put_meta(&write, EPOCH, &epoch.to_be_bytes())?;
        write.open_table(ENTRIES).map_err(|error| self.not_written(error))?;
        write.open_table(BLOBS).map_err(|error| self.not_written(error))?;
        self.finish(write)?;
        Ok((epoch, head))
    }

    /// One commit.
    pub(super) fn append(&self, epoch: u64, expected: Head, packed: &Packed, blobs: &[Blob]) -> Result<(), StoreError> {
        let write = self.write()?;
        self.check(&write, epoch, expected)?;
        {
            let mut table = write.open_table(ENTRIES).map_err(|error| self.not_written(error))?;
            for entry in &packed.entries {
                let (kind, id) = scope_key(entry.scope);
                let inserted = table.insert((kind, id, entry.first), entry.bytes.as_ref());
                inserted.map_err(|error| self.not_written(error))?;
            }
            let mut table = write.open_table(BLOBS).map_err(|error| self.not_written(error))?;
            for blob in blobs {
                let framed = codec::frame(&blob.bytes);
                let inserted = table.insert((blob.key.job.0, blob.key.name.text().as_str()), framed.as_ref());
                inserted.map_err(|error| self.not_written(error))?;
            }
        }
        self.put_meta(&write, HEAD, &codec::encode_head(&packed.head))?;
        self.finish(write)
    }

    /// Decides how a commit ended that nobody heard of. `barrier` becomes the head if it did not happen, which
    /// stops it from happening later: its transaction may still be waiting for its turn.
    pub(super) fn settle(
        &self,
        epoch: u64,
        known: Head,
        pending: Head,
        barrier: Head,
    ) -> Result<(Head, Resolution), StoreError> {
        let write = self.write()?;
        if self.head(&write)? == pending {
            self.check(&write, epoch, pending)?;
            return Ok((pending, Resolution::Committed));
        }
        self.check(&write, epoch, known)?;
        self.put_meta(&write, HEAD, &codec::encode_head(&barrier))?;
        self.finish(write)?;
        Ok((barrier, Resolution::NotCommitted))
    }

    /// The head and all entries.
    pub(super) fn entries(&self, epoch: u64) -> Result<(Head, Vec<Entry>), StoreError> {
        let write = self.write()?;
        if self.epoch(&write)? != epoch {
            return Err(StoreError::fenced(epoch));
        }
        let head = self.head(&write)?;
        let table = write.open_table(ENTRIES).map_err(|error| self.unreadable(error))?;
        let mut entries = Vec::new();
        for row in table.iter().map_err(|error| self.unreadable(error))? {
            let (key, bytes) = row.map_err(|error| self.unreadable(error))?;
            let (kind, id, first) = key.value();
            let scope = key_scope(kind, id).ok_or_else(|| self.unreadable(format!("unknown kind of key {kind}")))?;
            entries.push(Entry { scope, first, bytes: Bytes::copy_from_slice(bytes.value()) });
        }
        Ok((head, entries))
    }

    pub(super) fn blob(&self, key: BlobKey) -> Result<Option<Bytes>, StoreError> {
        let read = self.database.begin_read().map_err(|error| self.unreadable(error))?;
        let table = read.open_table(BLOBS).map_err(|error| self.unreadable(error))?;
        let name = key.name.text();
        let found = table.get((key.job.0, name.as_str())).map_err(|error| self.unreadable(error))?;
        let Some(found) = found else { return Ok(None) };
        let what = format!("the blob {name} of {}", key.job);
        let bytes = codec::unframe(Bytes::copy_from_slice(found.value()), &what);
        bytes.map(Some).map_err(StoreError::Unreadable)
    }

    /// Removes the records of a scope and the blobs of a job.
    pub(super) fn remove(&self, epoch: u64, scope: Option<Scope>, blobs_of: Option<JobId>) -> Result<(), StoreError> {
        let write = self.write()?;
        if self.epoch(&write)? != epoch {
            return Err(StoreError::fenced(epoch));
        }
        if let Some((kind, id)) = scope.map(scope_key) {
            let mut table = write.open_table(ENTRIES).map_err(|error| self.not_written(error))?;
            let range = (kind, id, 0)..=(kind, id, u64::MAX);
            table.retain_in(range, |_, _| false).map_err(|error| self.not_written(error))?;
        }
        if let Some(JobId(job)) = blobs_of {
            let mut table = write.open_table(BLOBS).map_err(|error| self.not_written(error))?;
            // Names begin with a letter, so they lie between the empty name and `~`.
            table.retain_in((job, "")..(job, "~"), |_, _| false).map_err(|error| self.not_written(error))?;
        }
        self.finish(write)
    }

    /// Waits for a transaction that is under way.
    fn write(&self) -> Result<WriteTransaction, StoreError> {
        let mut write = self.database.begin_write().map_err(|error| self.not_written(error))?;
        // What is committed is on disk when `commit` returns; it is redb's default, and said here because S-1 needs it.
        write.set_durability(Durability::Immediate).map_err(|error| self.not_written(error))?;
        Ok(write)
    }

    fn finish(&self, write: WriteTransaction) -> Result<(), StoreError> {
        write.commit().map_err(|error| {
            StoreError::Unknown(
                ErrorReport::new(ErrorKind::Unavailable, format!("the journal `{}` failed", self.path.display()))
                    .with_detail(error.to_string())
                    .with_hint("look at the disk, then start the coordinator again"),
            )
        })
    }

    fn check(&self, write: &WriteTransaction, epoch: u64, expected: Head) -> Result<(), StoreError> {
        if self.epoch(write)? != epoch {
            return Err(StoreError::fenced(epoch));
        }
        let found = self.head(write)?;
        if found != expected {
            return Err(StoreError::conflict(format!("its end is {found:?} instead of {expected:?}")));
        }
        Ok(())
    }

    /// Zero before the first leader.
    fn epoch(&self, write: &WriteTransaction) -> Result<u64, StoreError> {
        let Some(bytes) = self.meta(write, EPOCH)? else { return Ok(0) };
        let bytes = bytes.as_ref().try_into().map_err(|_| self.unreadable("its epoch is no number"))?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn head(&self, write: &WriteTransaction) -> Result<Head, StoreError> {
        let Some(bytes) = self.meta(write, HEAD)? else { return Ok(Head::default()) };
        codec::decode_head(bytes).map_err(StoreError::Unreadable)
    }

    fn meta(&self, write: &WriteTransaction, key: &str) -> Result<Option<Bytes>, StoreError> {
        let table = write.open_table(META).map_err(|error| self.unreadable(error))?;
        let found = table.get(key).map_err(|error| self.unreadable(error))?;
        Ok(found.map(|bytes| Bytes::copy_from_slice(bytes.value())))
    }

    fn put_meta(&self, write: &WriteTransaction, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let mut table = write.open_table(META).map_err(|error| self.not_written(error))?;
        table.insert(key, value).map_err(|error| self.not_written(error))?;
        Ok(())
    }

    /// An error before the commit: the transaction is dropped, so nothing is written.
    fn not_written(&self, error: impl std::fmt::Display) -> StoreError {
        StoreError::Unavailable(
            ErrorReport::new(ErrorKind::Unavailable, format!("cannot write to the journal `{}`", self.path.display()))
                .with_detail(error.to_string())
                .with_hint("look at the disk's space and health, then start the coordinator again"),
        )
    }

    fn unreadable(&self, error: impl std::fmt::Display) -> StoreError {
        StoreError::Unreadable(codec::corrupt(&format!("the journal `{}`", self.path.display()), error))
    }
}

fn scope_key(scope: Scope) -> (u8, u64) {
    match scope {
        Scope::Cluster => (0, 0),
        Scope::Job(job) => (1, job.0),
        Scope::Worker(worker) => (2, worker.0),
    }
}

fn key_scope(kind: u8, id: u64) -> Option<Scope> {
    match kind {
        0 => Some(Scope::Cluster),
        1 => Some(Scope::Job(JobId(id))),
        2 => Some(Scope::Worker(WorkerId(id))),
        _ => None,
    }
}
