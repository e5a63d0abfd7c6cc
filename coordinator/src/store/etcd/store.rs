//! One leader's handle: its transactions, its doubts, and what it reads.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::TxnOp;
use windrow_model::{ErrorKind, ErrorReport, JobId, WorkerId};
use windrow_scheduler::Record;

use super::super::entry::{self, Packed, Scope};
use super::super::head::{CommitId, Head};
use super::super::{Blob, BlobKey, BlobName, History, Leadership, Resolution, Store, StoreError, codec};
use super::election::{Lease, Won};
use super::endpoints::Endpoints;
use super::keys::Keys;
use super::pieces::{self, Put};
use super::reading::{self, ReadError};
use super::transaction::{Guard, Known, Outcome, applied, delete_under, put_all, put_head};

/// Times that a read begins anew because its revision was compacted meanwhile. Compactions are minutes apart.
const READS_MAX: usize = 3;

/// A handle that a campaign has won.
pub(super) struct EtcdStore {
    endpoints: Arc<Endpoints>,
    keys: Arc<Keys>,
    epoch: u64,
    lease: Lease,
    /// As the last known transaction left it.
    known: Known,
    /// Of the last known transaction.
    revision: i64,
    /// Commits tried so far.
    commits: u64,
    /// Entries beyond the head may exist, of a former leader's commit that never ended.
    unclean: bool,
    /// A call went unanswered and may still have its effect, as long as the head stays where it is.
    in_doubt: bool,
    /// Heads that were written to settle doubts, with unknown outcome.
    barriers: Vec<Head>,
    pending: Option<Pending>,
    /// Blobs that are named by their content and known to be there.
    written: BTreeSet<BlobKey>,
}

/// A commit that has begun.
#[derive(Debug)]
struct Pending {
    /// The head that it writes.
    head: Head,
    /// Keys of its entries, which must go if it does not happen.
    keys: Vec<Vec<u8>>,
}

impl EtcdStore {
    /// The handle of a campaign's winner. Its epoch fences all others from here on.
    pub(super) async fn open(endpoints: Arc<Endpoints>, keys: Arc<Keys>, won: Won) -> Result<EtcdStore, StoreError> {
        let mut store = EtcdStore {
            endpoints,
            keys,
            epoch: won.epoch,
            lease: won.lease,
            known: Known::default(),
            revision: won.epoch as i64,
            commits: 0,
            unclean: true,
            in_doubt: false,
            barriers: Vec::new(),
            pending: None,
            written: BTreeSet::new(),
        };
        store.learn_head().await?;
        Ok(store)
    }

    /// A guarded transaction. Doubts about earlier ones are settled first.
    async fn transact(&mut self, operations: Vec<TxnOp>) -> Result<Outcome, StoreError> {
        if self.in_doubt && self.settle().await? == Resolution::Committed {
            // Only `resolve` may find this: after a commit in doubt nothing else comes here.
            return Err(StoreError::unresolved());
        }
        self.transact_in_doubt(operations).await
    }

    async fn transact_in_doubt(&mut self, operations: Vec<TxnOp>) -> Result<Outcome, StoreError> {
        // Also while this waits: a future that is dropped leaves a call without an answer.
        let before = std::mem::replace(&mut self.in_doubt, true);
        let guard = Guard { keys: &self.keys, epoch: self.epoch, known: &self.known };
        let answer = guard.transact(&self.endpoints, operations).await;
        match &answer {
            Ok(answer) => self.in_doubt = before || answer.in_doubt,
            Err(StoreError::Unknown(_)) => {}
            Err(StoreError::Fenced(_)) => self.lease.leadership().end("a newer leader has taken over"),
            Err(_) => self.in_doubt = before,
        }
        let outcome = answer?.value;
        if let Outcome::Applied { revision } = outcome {
            self.revision = revision;
        }
        Ok(outcome)
    }

    /// Moves the head, which ends all doubts: what was in flight compares the old one (E-2). `Committed` if the head
    /// was moved already, by the pending commit.
    async fn settle(&mut self) -> Result<Resolution, StoreError> {
        let barrier = self.known.head.next(self.next_commit());
        self.barriers.push(barrier);
        let outcome = self.transact_in_doubt(vec![put_head(&self.keys, &barrier)]).await?;
        let resolution = match outcome {
            Outcome::Applied { .. } => {
                self.known = Known::written(barrier);
                Resolution::NotCommitted
            }
            Outcome::OtherHead(found) if self.barriers.contains(&found.head) => {
                self.known = found;
                Resolution::NotCommitted
            }
            Outcome::OtherHead(found) if self.pending.as_ref().is_some_and(|pending| pending.head == found.head) => {
                self.known = found;
                Resolution::Committed
            }
            other @ Outcome::OtherHead(_) => {
                applied(other, &self.known)?;
                Resolution::NotCommitted
            }
        };
        self.barriers.clear();
        self.in_doubt = false;
        Ok(resolution)
    }

    /// Takes over where the former leader ended. Its late transactions change nothing any more (E-1).
    async fn learn_head(&mut self) -> Result<(), StoreError> {
        // The guess that there is no journal yet; the answer says what there is instead.
        if let Outcome::OtherHead(known) = self.fence().await? {
            self.known = known;
        }
        if self.known.head.commit.epoch >= self.epoch {
            let detail = format!(
                "its last commit has epoch {}, and etcd gave {} to this leader: etcd was restored from a backup",
                self.known.head.commit.epoch, self.epoch
            );
            return Err(StoreError::conflict(detail));
        }
        Ok(())
    }

    /// Writes something, so that its revision is not older than anything committed (E-4).
    async fn fence(&mut self) -> Result<Outcome, StoreError> {
        let fence = TxnOp::put(self.keys.fence(), self.epoch.to_string(), None);
        self.transact(vec![fence]).await
    }

    async fn must_fence(&mut self) -> Result<i64, StoreError> {
        let outcome = self.fence().await?;
        applied(outcome, &self.known)
    }

    fn next_commit(&mut self) -> CommitId {
        self.commits += 1;
        CommitId { epoch: self.epoch, count: self.commits }
    }

    /// Removes what a former leader's unfinished commit has left beyond the head, before it can come to lie within.
    async fn clean(&mut self) -> Result<(), StoreError> {
        if !self.unclean {
            return Ok(());
        }
        for _ in 0..READS_MAX {
            let revision = self.must_fence().await?;
            match reading::garbage(&self.endpoints, &self.keys, self.known.head, revision).await {
                Ok(garbage) => return self.remove_garbage(&garbage).await,
                Err(ReadError::Compacted) => {}
                Err(ReadError::Failed(error)) => return Err(error),
            }
        }
        Err(always_compacted())
    }

    async fn remove_garbage(&mut self, garbage: &[Vec<u8>]) -> Result<(), StoreError> {
        for keys in pieces::deletions(garbage) {
            let deletions = keys.iter().map(|key| TxnOp::delete(key.clone(), None)).collect();
            let outcome = self.transact(deletions).await?;
            applied(outcome, &self.known)?;
        }
        self.unclean = false;
        Ok(())
    }

    /// The transactions of a commit, in order; the last one is to write the head.
    fn transactions(&self, packed: &Packed, blobs: &[Blob]) -> Vec<Vec<Put>> {
        let commit = packed.head.commit;
        let mut puts = Vec::new();
        for blob in blobs.iter().filter(|blob| !self.written.contains(&blob.key)) {
            // Written again by another leader, the same content must be the same pieces: a half of them may be new.
            let commit = if is_content(&blob.key) { CommitId::default() } else { commit };
            puts.extend(pieces::split(&self.keys.blob(blob.key), commit, &codec::frame(&blob.bytes)));
        }
        for entry in &packed.entries {
            puts.extend(pieces::split(&self.keys.entry(entry), commit, &entry.bytes));
        }
        pieces::transactions(puts)
    }

    /// Writes a commit. `Unknown` leaves it pending.
    async fn write(&mut self, packed: &Packed, mut groups: Vec<Vec<Put>>) -> Result<(), StoreError> {
        let last = groups.pop().expect("there is always a last group");
        let entries = self.keys.entries();
        let own = groups.iter().flatten().chain(&last).filter(|put| put.key.starts_with(&entries));
        let keys = own.map(|put| put.key.clone().into_bytes()).collect();
        self.pending = Some(Pending { head: packed.head, keys });
        let mut begun = false;
        for group in groups {
            let outcome = self.transact(put_all(group)).await;
            let outcome = outcome.map_err(|error| if begun { in_doubt(error) } else { error })?;
            applied(outcome, &self.known)?;
            begun = true;
        }
        let mut operations = put_all(last);
        operations.push(put_head(&self.keys, &packed.head));
        let outcome = self.transact(operations).await;
        match outcome.map_err(|error| if begun { in_doubt(error) } else { error })? {
            Outcome::Applied { .. } => {}
            // An earlier call of the same transaction had its effect, and its answer was lost.
            Outcome::OtherHead(found) if found.head == packed.head => {}
            other @ Outcome::OtherHead(_) => {
                applied(other, &self.known)?;
            }
        }
        self.known = Known::written(packed.head);
        self.in_doubt = false;
        Ok(())
    }

    fn check_pending(&self) -> Result<(), StoreError> {
        if self.pending.is_some() { Err(StoreError::unresolved()) } else { Ok(()) }
    }

    async fn remove(&mut self, prefixes: Vec<String>) -> Result<(), StoreError> {
        self.check_pending()?;
        let outcome = self.transact(prefixes.into_iter().map(delete_under).collect()).await?;
        applied(outcome, &self.known).map(drop)
    }

    async fn read_history(&mut self, revision: i64) -> Result<History, ReadError> {
        let head = self.known.head;
        let scan = reading::entries(&self.endpoints, &self.keys, head, revision).await?;
        let kept: BTreeSet<Scope> = scan.entries.iter().map(|entry| entry.scope).collect();
        let with_blobs = reading::jobs_with_blobs(&self.endpoints, &self.keys, revision).await?;
        self.remove_garbage(&scan.garbage).await?;
        for job in with_blobs.into_iter().filter(|job| !kept.contains(&Scope::Job(*job))) {
            self.forget_blobs(job).await?;
        }
        Ok(entry::unpack(head, scan.entries)?)
    }
}

/// Once a part of a commit is written, nothing but its resolution may follow, whatever the failure was.
fn in_doubt(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(report) => StoreError::Unknown(report),
        error => error,
    }
}

/// For what comes before a commit: nothing of the commit is written.
fn certain(error: StoreError) -> StoreError {
    match error {
        StoreError::Unknown(report) => StoreError::Unavailable(report),
        error => error,
    }
}

fn always_compacted() -> StoreError {
    StoreError::Unavailable(
        ErrorReport::new(ErrorKind::Unavailable, "the journal could not be read in one piece")
            .with_detail("etcd was compacted several times while it was read")
            .with_hint("compact etcd less often: minutes apart"),
    )
}

#[async_trait]
impl Store for EtcdStore {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn leadership(&self) -> Leadership {
        self.lease.leadership().clone()
    }

    async fn load(&mut self) -> Result<History, StoreError> {
        self.check_pending()?;
        for _ in 0..READS_MAX {
            let revision = self.must_fence().await?;
            match self.read_history(revision).await {
                Ok(history) => return Ok(history),
                Err(ReadError::Compacted) => {}
                Err(ReadError::Failed(error)) => return Err(error),
            }
        }
        Err(always_compacted())
    }

    async fn commit(&mut self, epoch: u64, records: &[Record], blobs: &[Blob]) -> Result<(), StoreError> {
        if records.is_empty() && blobs.is_empty() {
            return Ok(());
        }
        if epoch != self.epoch {
            return Err(StoreError::fenced(epoch));
        }
        self.check_pending()?;
        let commit = self.next_commit();
        let packed = entry::pack(self.known.head, commit, records, blobs)?;
        let groups = self.transactions(&packed, blobs);
        self.clean().await.map_err(certain)?;
        let written = self.write(&packed, groups).await;
        match &written {
            Ok(()) => self.written.extend(blobs.iter().map(|blob| blob.key).filter(is_content)),
            Err(StoreError::Unknown(_)) => return written,
            Err(_) => {}
        }
        self.pending = None;
        written
    }

    async fn resolve(&mut self) -> Result<Resolution, StoreError> {
        let Some(pending) = &self.pending else { return Ok(Resolution::Committed) };
        let keys = pending.keys.clone();
        let resolution = self.settle().await?;
        match resolution {
            Resolution::Committed => {}
            Resolution::NotCommitted => self.remove_garbage(&keys).await?,
        }
        self.pending = None;
        Ok(resolution)
    }

    async fn blob(&self, key: BlobKey) -> Result<Option<Bytes>, StoreError> {
        let base = self.keys.blob(key);
        let framed = match reading::value(&self.endpoints, base.clone(), self.revision).await {
            // Revision 0 stands for the newest; the last transaction is long past when its revision is compacted.
            Err(ReadError::Compacted) => reading::value(&self.endpoints, base, 0).await,
            answer => answer,
        };
        let framed = framed.map_err(|error| match error {
            ReadError::Compacted => always_compacted(),
            ReadError::Failed(error) => error,
        })?;
        let Some(framed) = framed else { return Ok(None) };
        let what = format!("the blob {} of {}", key.name.text(), key.job);
        codec::unframe(framed, &what).map(Some).map_err(StoreError::Unreadable)
    }

    async fn forget_job(&mut self, job: JobId) -> Result<(), StoreError> {
        self.written.retain(|key| key.job != job);
        self.remove(vec![self.keys.scope(Scope::Job(job)), self.keys.job_blobs(job)]).await
    }

    async fn forget_blobs(&mut self, job: JobId) -> Result<(), StoreError> {
        self.written.retain(|key| key.job != job);
        self.remove(vec![self.keys.job_blobs(job)]).await
    }

    async fn forget_worker(&mut self, worker: WorkerId) -> Result<(), StoreError> {
        self.remove(vec![self.keys.scope(Scope::Worker(worker))]).await
    }

    async fn resign(self: Box<Self>) {
        let EtcdStore { endpoints, lease, .. } = *self;
        lease.resign(&endpoints).await;
    }
}

fn is_content(key: &BlobKey) -> bool {
    match key.name {
        BlobName::Content(_) => true,
        BlobName::Step(_) => false,
    }
}
