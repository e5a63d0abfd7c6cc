//! A journal that ends with its process.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use windrow_model::{JobId, WorkerId};
use windrow_scheduler::Record;

use super::entry::{self, Entry, Scope};
use super::head::{CommitId, Head};
use super::{Blob, BlobKey, History, Journal, Leadership, Resolution, Store, StoreError};

/// Keeps what every store keeps, in the same bytes, for as long as one of its clones lives.
#[derive(Clone, Debug)]
pub(crate) struct MemoryJournal {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    epoch: u64,
    head: Head,
    entries: BTreeMap<(Scope, u64), Bytes>,
    blobs: BTreeMap<BlobKey, Bytes>,
    /// Of the newest leader.
    leadership: Option<Leadership>,
}

/// One leader's handle on a [`MemoryJournal`].
#[derive(Debug)]
struct MemoryStore {
    kept: Arc<Mutex<Kept>>,
    epoch: u64,
    commits: u64,
    leadership: Leadership,
}

impl MemoryJournal {
    /// An empty journal whose first leader has the epoch after `epoch`. A process that has nowhere to count passes
    /// something that grows from life to life, such as seconds since 1970.
    pub(crate) fn after(epoch: u64) -> MemoryJournal {
        MemoryJournal { kept: Arc::new(Mutex::new(Kept { epoch, ..Kept::default() })) }
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    /// Takes over at once: there is no other process that could lead.
    async fn campaign(&self) -> Result<Box<dyn Store>, StoreError> {
        let leadership = Leadership::exclusive();
        let mut kept = self.kept.lock();
        kept.epoch += 1;
        if let Some(former) = kept.leadership.replace(leadership.clone()) {
            former.end("a newer leader has taken over");
        }
        Ok(Box::new(MemoryStore { kept: self.kept.clone(), epoch: kept.epoch, commits: 0, leadership }))
    }
}

impl Kept {
    fn check(&self, epoch: u64) -> Result<(), StoreError> {
        if self.epoch == epoch { Ok(()) } else { Err(StoreError::fenced(epoch)) }
    }
}

impl MemoryStore {
    fn change(&self, change: impl FnOnce(&mut Kept)) -> Result<(), StoreError> {
        let mut kept = self.kept.lock();
        kept.check(self.epoch)?;
        change(&mut kept);
        Ok(())
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.leadership.end("the handle was dropped");
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    async fn load(&mut self) -> Result<History, StoreError> {
        let kept = self.kept.lock();
        kept.check(self.epoch)?;
        let entries = kept.entries.iter().map(|((scope, first), bytes)| Entry {
            scope: *scope,
            first: *first,
            bytes: bytes.clone(),
        });
        entry::unpack(kept.head, entries)
    }

    async fn commit(&mut self, epoch: u64, records: &[Record], blobs: &[Blob]) -> Result<(), StoreError> {
        if records.is_empty() && blobs.is_empty() {
            return Ok(());
        }
        let mut kept = self.kept.lock();
        kept.check(epoch)?;
        kept.check(self.epoch)?;
        self.commits += 1;
        let commit = CommitId { epoch, count: self.commits };
        let packed = entry::pack(kept.head, commit, records, blobs)?;
        kept.head = packed.head;
        kept.entries.extend(packed.entries.into_iter().map(|entry| ((entry.scope, entry.first), entry.bytes)));
        kept.blobs.extend(blobs.iter().map(|blob| (blob.key, blob.bytes.clone())));
        Ok(())
    }

    /// Every outcome here is known.
    async fn resolve(&mut self) -> Result<Resolution, StoreError> {
        self.kept.lock().check(self.epoch)?;
        Ok(Resolution::Committed)
    }

    async fn blob(&self, key: BlobKey) -> Result<Option<Bytes>, StoreError> {
        Ok(self.kept.lock().blobs.get(&key).cloned())
    }

    async fn forget_job(&mut self, job: JobId) -> Result<(), StoreError> {
        self.change(|kept| {
            kept.entries.retain(|(scope, _), _| *scope != Scope::Job(job));
            kept.blobs.retain(|key, _| key.job != job);
        })
    }

    async fn forget_blobs(&mut self, job: JobId) -> Result<(), StoreError> {
        self.change(|kept| kept.blobs.retain(|key, _| key.job != job))
    }

    async fn forget_worker(&mut self, worker: WorkerId) -> Result<(), StoreError> {
        self.change(|kept| kept.entries.retain(|(scope, _), _| *scope != Scope::Worker(worker)))
    }

    async fn resign(self: Box<Self>) {
        self.leadership.end("resigned");
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract::{self, Place};
    use super::*;

    /// Memory survives a handle, not a process; the contract's crash is the end of a handle here.
    struct InMemory(MemoryJournal);

    #[async_trait]
    impl Place for InMemory {
        async fn open(&mut self) -> Box<dyn Journal> {
            Box::new(self.0.clone())
        }

        /// A campaign takes over by itself.
        async fn expire(&mut self, _epoch: u64) {}
    }

    async fn in_memory() -> Option<InMemory> {
        Some(InMemory(MemoryJournal::after(7)))
    }

    contract::keeps_the_contract! { in_memory() }
}
