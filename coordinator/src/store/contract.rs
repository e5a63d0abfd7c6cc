//! What every store must do. Each function is one rule; [`keeps_the_contract`] makes tests of them all for a store.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use windrow_model::{FragmentHash, JobId, WorkerId};
use windrow_scheduler::Record;

use super::limits::{BLOB_BYTES_MAX, COMMIT_BYTES_MAX};
use super::samples::{every_kind, job_submitted, output, task_finished};
use super::{Blob, BlobKey, BlobName, History, Journal, Resolution, Store, StoreError};

/// A place that is empty at first and outlives its journals.
#[async_trait]
pub(super) trait Place: Send {
    /// Opens the journal as a new process would; what was opened before has been dropped.
    async fn open(&mut self) -> Box<dyn Journal>;

    /// Ends the right of the leader with this epoch as time would, without telling it.
    async fn expire(&mut self, epoch: u64);
}

/// Makes one test of each rule. `$place` is an expression of a future of a [`Place`], or of `None` where the service
/// behind it is missing.
macro_rules! keeps_the_contract {
    ($place:expr) => {
        $crate::store::contract::keeps_the_contract! { $place =>
            what_was_committed_is_loaded_in_order
            every_leader_has_a_higher_epoch
            an_old_leader_is_fenced_and_writes_nothing
            a_state_of_another_epoch_is_refused
            a_forgotten_job_is_gone_and_everything_else_stays
            blobs_can_be_forgotten_before_their_job
            a_forgotten_worker_is_gone_and_its_id_stays_used
            outputs_of_several_jobs_are_forgotten_job_by_job
            blobs_come_back_whole
            a_plan_that_is_made_again_replaces_what_the_first_one_left
            a_large_record_comes_back
            a_large_commit_comes_back
            what_is_too_large_is_refused_and_leaves_nothing
            nothing_to_write_is_no_commit
            a_commit_that_breaks_off_is_all_or_nothing
            a_dropped_commit_is_resolved_before_the_next
            many_campaigns_lose_no_acknowledged_commit
            a_leader_that_resigns_makes_way_at_once
        }
    };
    ($place:expr => $($rule:ident)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            let Some(mut place) = $place.await else { return };
            $crate::store::contract::$rule(&mut place).await;
        })+
    };
}
pub(super) use keeps_the_contract;

/// Longest wait for a campaign; a lease in tests lasts a second or two.
const CAMPAIGN_DEADLINE: Duration = Duration::from_secs(30);

async fn campaign(journal: &dyn Journal) -> Box<dyn Store> {
    let campaign = tokio::time::timeout(CAMPAIGN_DEADLINE, journal.campaign());
    campaign.await.expect("a campaign is won in time").expect("a campaign without errors")
}

async fn commit(store: &mut dyn Store, records: &[Record]) {
    let epoch = store.epoch();
    store.commit(epoch, records, &[]).await.expect("committed");
}

async fn load(store: &mut dyn Store) -> History {
    store.load().await.expect("loaded")
}

/// What a new process finds, and the handle through which it was found.
async fn reopened(place: &mut impl Place, former: Box<dyn Store>) -> (Box<dyn Store>, History) {
    let epoch = former.epoch();
    drop(former);
    place.expire(epoch).await;
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    let history = load(&mut *store).await;
    (store, history)
}

fn blob(job: u64, name: u8, bytes: Vec<u8>) -> Blob {
    let name = BlobName::Content(FragmentHash([name; 16]));
    Blob { key: BlobKey { job: JobId(job), name }, bytes: bytes.into() }
}

/// Bytes in which a swapped or missing piece shows.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 997 + at % 251) as u8).collect()
}

pub(super) async fn what_was_committed_is_loaded_in_order(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    assert_eq!(load(&mut *store).await.records, []);
    let mut written = Vec::new();
    let batches = [
        every_kind(3),
        vec![job_submitted(5), task_finished(3, 2), task_finished(5, 0), task_finished(3, 1)],
        every_kind(4),
    ];
    for batch in batches {
        commit(&mut *store, &batch).await;
        written.extend(batch);
    }
    drop(journal);
    let (_, history) = reopened(place, store).await;
    assert_eq!(history, History { records: written, last_job: JobId(5), last_worker: WorkerId(12) });
}

pub(super) async fn every_leader_has_a_higher_epoch(place: &mut impl Place) {
    let mut epochs = vec![0];
    for _ in 0..3 {
        let journal = place.open().await;
        let store = campaign(&*journal).await;
        epochs.push(store.epoch());
        drop(store);
        place.expire(epochs[epochs.len() - 1]).await;
        let store = campaign(&*journal).await;
        epochs.push(store.epoch());
        place.expire(store.epoch()).await;
    }
    assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
}

pub(super) async fn an_old_leader_is_fenced_and_writes_nothing(place: &mut impl Place) {
    let journal = place.open().await;
    let mut old = campaign(&*journal).await;
    commit(&mut *old, &[job_submitted(1)]).await;
    place.expire(old.epoch()).await;
    let mut new = campaign(&*journal).await;
    let before = load(&mut *new).await;
    let large = blob(1, 1, pattern(3 << 20));
    let epoch = old.epoch();
    for (records, blobs) in [(vec![job_submitted(2)], vec![]), (every_kind(1), vec![large.clone()])] {
        let error = old.commit(epoch, &records, &blobs).await.expect_err("fenced");
        assert!(matches!(error, StoreError::Fenced(_)), "{error:?}");
    }
    assert!(matches!(old.forget_job(JobId(1)).await, Err(StoreError::Fenced(_))));
    assert!(matches!(old.load().await, Err(StoreError::Fenced(_))));
    assert_eq!(load(&mut *new).await, before);
    assert_eq!(new.blob(large.key).await.expect("readable"), None);
    commit(&mut *new, &[job_submitted(2)]).await;
    assert_eq!(load(&mut *new).await.records, [job_submitted(1), job_submitted(2)]);
}

pub(super) async fn a_state_of_another_epoch_is_refused(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    for epoch in [store.epoch() - 1, store.epoch() + 1] {
        let error = store.commit(epoch, &[job_submitted(1)], &[]).await.expect_err("another epoch");
        assert!(matches!(error, StoreError::Fenced(_)), "{error:?}");
    }
    assert_eq!(load(&mut *store).await.records, []);
}

pub(super) async fn a_forgotten_job_is_gone_and_everything_else_stays(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    let epoch = store.epoch();
    let (kept, forgotten) = (blob(1, 1, vec![1]), blob(2, 1, vec![2]));
    let records = [job_submitted(1), job_submitted(2), task_finished(2, 0), task_finished(1, 0)];
    store.commit(epoch, &records, &[kept.clone(), forgotten.clone()]).await.expect("committed");
    for _ in 0..2 {
        store.forget_job(JobId(2)).await.expect("forgotten");
    }
    assert_eq!(store.blob(forgotten.key).await.expect("readable"), None);
    assert_eq!(store.blob(kept.key).await.expect("readable"), Some(kept.bytes));
    drop(journal);
    let (mut store, history) = reopened(place, store).await;
    assert_eq!(history.records, [job_submitted(1), task_finished(1, 0)]);
    assert_eq!(history.last_job, JobId(2));
    commit(&mut *store, &[task_finished(1, 1)]).await;
    assert_eq!(load(&mut *store).await.records, [job_submitted(1), task_finished(1, 0), task_finished(1, 1)]);
}

pub(super) async fn blobs_can_be_forgotten_before_their_job(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    let epoch = store.epoch();
    let forgotten = blob(1, 1, vec![1]);
    store.commit(epoch, &[job_submitted(1)], std::slice::from_ref(&forgotten)).await.expect("committed");
    store.forget_blobs(JobId(1)).await.expect("forgotten");
    assert_eq!(store.blob(forgotten.key).await.expect("readable"), None);
    assert_eq!(load(&mut *store).await.records, [job_submitted(1)]);
    // A blob that was written and forgotten is written again when it is needed again.
    store.commit(epoch, &[], std::slice::from_ref(&forgotten)).await.expect("committed");
    assert_eq!(store.blob(forgotten.key).await.expect("readable"), Some(forgotten.bytes));
}

pub(super) async fn a_forgotten_worker_is_gone_and_its_id_stays_used(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    let all = every_kind(1);
    commit(&mut *store, &all).await;
    store.forget_worker(WorkerId(12)).await.expect("forgotten");
    let history = load(&mut *store).await;
    let about_workers =
        |record: &&Record| matches!(record, Record::WorkerRegistered { .. } | Record::WorkerLeft { .. });
    assert_eq!(history.records.iter().filter(about_workers).count(), 0);
    assert_eq!(history.records.len(), all.len() - 2);
    assert_eq!(history.last_worker, WorkerId(12));
}

pub(super) async fn outputs_of_several_jobs_are_forgotten_job_by_job(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    let outputs = vec![output(2, 0), output(1, 0), output(2, 1)];
    let records = [
        Record::OutputsLost { outputs: outputs.clone() },
        Record::OutputsMoved { outputs, to: WorkerId(4) },
        Record::OutputsLost { outputs: vec![] },
    ];
    commit(&mut *store, &records).await;
    store.forget_job(JobId(1)).await.expect("forgotten");
    let kept = vec![output(2, 0), output(2, 1)];
    let expected = [
        Record::OutputsLost { outputs: kept.clone() },
        Record::OutputsMoved { outputs: kept, to: WorkerId(4) },
        Record::OutputsLost { outputs: vec![] },
    ];
    assert_eq!(load(&mut *store).await.records, expected);
}

pub(super) async fn blobs_come_back_whole(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    let sizes = [0, 1, 512 << 10, (512 << 10) + 1, 5 << 20];
    let blobs: Vec<Blob> = sizes.iter().enumerate().map(|(name, len)| blob(1, name as u8, pattern(*len))).collect();
    let epoch = store.epoch();
    store.commit(epoch, &[job_submitted(1)], &blobs).await.expect("committed");
    drop(journal);
    let (store, _) = reopened(place, store).await;
    for blob in blobs {
        assert_eq!(store.blob(blob.key).await.expect("readable"), Some(blob.bytes));
    }
    let unknown = BlobKey { job: JobId(1), name: BlobName::Step(0) };
    assert_eq!(store.blob(unknown).await.expect("readable"), None);
}

pub(super) async fn a_plan_that_is_made_again_replaces_what_the_first_one_left(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    let key = BlobKey { job: JobId(1), name: BlobName::Step(0) };
    let epoch = store.epoch();
    for bytes in [pattern(2 << 20), pattern(600 << 10), pattern(1 << 20), vec![]] {
        let bytes = Bytes::from(bytes);
        store.commit(epoch, &[job_submitted(1)], &[Blob { key, bytes: bytes.clone() }]).await.expect("committed");
        assert_eq!(store.blob(key).await.expect("readable"), Some(bytes));
    }
}

/// A job whose script has `len` bytes.
fn job_with_script(job: u64, len: usize) -> Record {
    let mut record = job_submitted(job);
    if let Record::JobSubmitted { spec, .. } = &mut record {
        let windrow_model::Program::Sql { script, .. } = &mut spec.program;
        *script = "x".repeat(len);
    }
    record
}

pub(super) async fn a_large_record_comes_back(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    let records = [job_submitted(1), job_with_script(2, 10 << 20), job_submitted(3)];
    commit(&mut *store, &records).await;
    drop(journal);
    let (_, history) = reopened(place, store).await;
    assert_eq!(history.records, records);
}

pub(super) async fn a_large_commit_comes_back(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    // More jobs than a transaction of etcd has operations.
    let records: Vec<Record> =
        (0..2_000).map(|n| if n < 400 { job_submitted(n + 1) } else { task_finished(n % 400 + 1, n as u32) }).collect();
    commit(&mut *store, &records).await;
    drop(journal);
    let (_, history) = reopened(place, store).await;
    assert_eq!(history.records, records);
}

pub(super) async fn what_is_too_large_is_refused_and_leaves_nothing(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    let epoch = store.epoch();
    let bytes = Bytes::from(vec![0; BLOB_BYTES_MAX as usize + 1]);
    let name = |n| BlobName::Content(FragmentHash([n; 16]));
    let large = Blob { key: BlobKey { job: JobId(1), name: name(0) }, bytes: bytes.clone() };
    let many = (0..5).map(|n| Blob { key: BlobKey { job: JobId(1), name: name(n) }, bytes: bytes.slice(1..) });
    for (blobs, most) in [(vec![large], BLOB_BYTES_MAX), (many.collect(), COMMIT_BYTES_MAX)] {
        let error = store.commit(epoch, &[job_submitted(1)], &blobs).await.expect_err("too large");
        let StoreError::TooLarge { bytes, max, .. } = error else { panic!("{error:?}") };
        assert!(bytes > max && max == most, "{bytes} {max}");
    }
    assert_eq!(load(&mut *store).await.records, []);
    commit(&mut *store, &[job_submitted(1)]).await;
}

pub(super) async fn nothing_to_write_is_no_commit(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    commit(&mut *store, &[]).await;
    assert_eq!(load(&mut *store).await.records, []);
}

/// What a commit writes that must be there whole or not at all: more than one transaction of etcd takes.
fn large_commit() -> (Vec<Record>, Vec<Blob>) {
    let records = (0..200).map(|n| task_finished(n + 1, 0)).collect();
    (records, vec![blob(1, 1, pattern(3 << 20)), blob(2, 1, pattern(10))])
}

/// Commits and stops waiting for it after `patience`. True if it was acknowledged.
async fn impatient_commit(store: &mut dyn Store, patience: Duration) -> bool {
    let (records, blobs) = large_commit();
    let epoch = store.epoch();
    match tokio::time::timeout(patience, store.commit(epoch, &records, &blobs)).await {
        Ok(outcome) => {
            outcome.expect("committed");
            true
        }
        Err(_) => false,
    }
}

pub(super) async fn a_commit_that_breaks_off_is_all_or_nothing(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    commit(&mut *store, &[job_submitted(1)]).await;
    drop(journal);
    let mut expected = vec![job_submitted(1)];
    for patience_us in [0, 100, 1_000, 3_000, 10_000, 20_000] {
        let acknowledged = impatient_commit(&mut *store, Duration::from_micros(patience_us)).await;
        let (next, history) = reopened(place, store).await;
        store = next;
        if acknowledged || history.records.len() > expected.len() {
            expected.extend(large_commit().0);
        }
        assert_eq!(history.records, expected, "after {patience_us} µs");
        let after = [job_submitted(900)];
        commit(&mut *store, &after).await;
        expected.extend(after);
    }
}

pub(super) async fn a_dropped_commit_is_resolved_before_the_next(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    let epoch = store.epoch();
    let mut expected = Vec::new();
    for patience_us in [0, 100, 1_000, 5_000, 20_000] {
        let acknowledged = impatient_commit(&mut *store, Duration::from_micros(patience_us)).await;
        let committed = match store.commit(epoch, &[job_submitted(900)], &[]).await {
            // The dropped one had not begun, or had ended.
            Ok(()) => {
                let before = load(&mut *store).await.records.len() - 1;
                expected.extend(if before > expected.len() { large_commit().0 } else { vec![] });
                expected.push(job_submitted(900));
                continue;
            }
            Err(StoreError::Unknown(_)) => store.resolve().await.expect("resolved") == Resolution::Committed,
            Err(error) => panic!("{error:?}"),
        };
        assert!(!acknowledged, "an acknowledged commit needs no resolution");
        expected.extend(if committed { large_commit().0 } else { vec![] });
        assert_eq!(load(&mut *store).await.records, expected);
        commit(&mut *store, &[job_submitted(901)]).await;
        expected.push(job_submitted(901));
    }
    drop(journal);
    let (_, history) = reopened(place, store).await;
    assert_eq!(history.records, expected);
}

/// Commits `count` records, numbered by the epoch, until it is fenced. Returns those that were acknowledged.
async fn short_reign(journal: &dyn Journal, count: u32) -> Vec<(u64, u32)> {
    let mut store = campaign(journal).await;
    let epoch = store.epoch();
    let mut acknowledged = Vec::new();
    for n in 0..count {
        match store.commit(epoch, &[task_finished(epoch, n)], &[]).await {
            Ok(()) => acknowledged.push((epoch, n)),
            Err(StoreError::Fenced(_)) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
    store.resign().await;
    acknowledged
}

fn reign_of(record: &Record) -> (u64, u32) {
    let Record::TaskFinished { task, .. } = record else { panic!("{record:?}") };
    (task.stage.job.0, task.index)
}

pub(super) async fn many_campaigns_lose_no_acknowledged_commit(place: &mut impl Place) {
    let journal = place.open().await;
    let reigns = futures::future::join_all((0..4).map(|_| short_reign(&*journal, 10))).await;
    let acknowledged: BTreeSet<(u64, u32)> = reigns.into_iter().flatten().collect();
    let mut store = campaign(&*journal).await;
    let found: Vec<(u64, u32)> = load(&mut *store).await.records.iter().map(reign_of).collect();
    assert!(found.is_sorted_by(|a, b| a < b), "{found:?}");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), acknowledged);
}

pub(super) async fn a_leader_that_resigns_makes_way_at_once(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    commit(&mut *store, &[job_submitted(1)]).await;
    let leadership = store.leadership();
    assert!(leadership.is_leading());
    store.resign().await;
    assert!(!leadership.is_leading());
    assert_eq!(leadership.lost().await, "resigned");
    let mut store = campaign(&*journal).await;
    let leadership = store.leadership();
    assert!(leadership.is_leading());
    assert_eq!(load(&mut *store).await.records, [job_submitted(1)]);
    drop(store);
    assert!(!leadership.is_leading());
}
