//! Where the journal is kept, behind two traits. The core knows neither.
//!
//! A [`Journal`] is a place: a file, an etcd prefix, or nothing but memory. Whoever wins its campaign gets a
//! [`Store`], the one leader's handle, with an epoch above all earlier ones. Every store keeps these rules, and
//! `contract` holds each of them to all:
//!
//! - S-1: A commit is all or nothing, and what was acknowledged is there, in order, after any crash.
//! - S-2: After a newer leader exists, an older handle writes nothing: its commits are `Fenced`.
//!   The epoch is checked inside each transaction, so no clock, lease or watch is trusted for it.
//! - S-3: An outcome that is not known is reported as `Unknown`, and until [`Store::resolve`] knows it,
//!   nothing else is written.
//! - S-4: All records have one order, whatever job, worker or transaction they belong to.
//! - S-5: Forgetting a job rewrites nothing else, and no id of a forgotten job or worker is given out again.

mod blob;
mod codec;
mod entry;
mod error;
#[cfg(feature = "etcd")]
mod etcd;
mod head;
mod leadership;
mod limits;
mod memory;
mod open;
mod redb;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod figures;
#[cfg(test)]
mod samples;

use async_trait::async_trait;
use bytes::Bytes;
use windrow_model::{JobId, WorkerId};
use windrow_scheduler::Record;

pub(crate) use blob::{Blob, BlobKey, BlobName};
pub(crate) use error::StoreError;
#[cfg(feature = "etcd")]
pub(crate) use etcd::{EtcdJournal, EtcdOptions};
pub(crate) use leadership::Leadership;
pub(crate) use memory::MemoryJournal;
pub use open::StoreOptions;
pub(crate) use open::open;
pub(crate) use redb::RedbJournal;

/// A place where a journal is kept.
#[async_trait]
pub(crate) trait Journal: Send + Sync {
    /// Waits until no other process leads, then takes the next epoch durably.
    /// Dropping the future gives up the campaign.
    async fn campaign(&self) -> Result<Box<dyn Store>, StoreError>;
}

/// One leader's handle on a journal. Dropping it is a crash: nothing is lost, and the next leader waits until the
/// right of this one has run out.
#[async_trait]
pub(crate) trait Store: Send + Sync {
    /// Greater than the epoch of every earlier handle on this journal.
    fn epoch(&self) -> u64;

    /// Whether this handle may still act as the leader's. Advice for the shell, which should stop when it is lost;
    /// S-2 holds without it.
    fn leadership(&self) -> Leadership;

    /// Everything that is committed. May be called at any time; one call after the campaign is the rule.
    async fn load(&mut self) -> Result<History, StoreError>;

    /// Makes `blobs` and `records` durable, in order and all or nothing, if `epoch` is this handle's and still the
    /// newest. Nothing to write returns at once and proves nothing.
    ///
    /// After `Unavailable` or `TooLarge` nothing was written, and another commit may be tried.
    /// After `Unknown`, [`Store::resolve`] must answer first. After anything else this handle is of no more use.
    /// Not to be dropped half-way, which is an `Unknown` that nobody was told about.
    async fn commit(&mut self, epoch: u64, records: &[Record], blobs: &[Blob]) -> Result<(), StoreError>;

    /// Finds out how the commit ended that returned `Unknown`, and makes sure that it stays so. It may be repeated when
    /// it fails; a shell may as well stop leading then, because the next leader reads what there is.
    async fn resolve(&mut self) -> Result<Resolution, StoreError>;

    /// A blob's bytes; `None` if no commit has written it, or its job was forgotten.
    async fn blob(&self, key: BlobKey) -> Result<Option<Bytes>, StoreError>;

    /// Removes a job's records and blobs. Repeating it is harmless, also after `Unknown`.
    async fn forget_job(&mut self, job: JobId) -> Result<(), StoreError>;

    /// Removes a job's blobs and keeps its records: nothing of it will be dispatched again.
    async fn forget_blobs(&mut self, job: JobId) -> Result<(), StoreError>;

    /// Removes the records of a worker that has left and that no kept job mentions.
    async fn forget_worker(&mut self, worker: WorkerId) -> Result<(), StoreError>;

    /// Gives up leading, so that a standby need not wait for the right of this handle to run out.
    async fn resign(self: Box<Self>);
}

/// What a journal holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct History {
    /// In the order in which they were committed. A record about outputs of several jobs comes back as one record
    /// for each of them.
    pub(crate) records: Vec<Record>,
    /// Highest job id ever committed, 0 for none; a new job's id must be above it.
    pub(crate) last_job: JobId,
    /// Highest worker id ever committed, 0 for none.
    pub(crate) last_worker: WorkerId,
}

/// How a commit of unknown outcome has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// It is in the journal, whole.
    Committed,
    /// Nothing of it is in the journal, and nothing ever will be.
    NotCommitted,
}
