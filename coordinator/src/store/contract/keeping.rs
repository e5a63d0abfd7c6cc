//! Rules about what is kept: all of it, in order, until it is forgotten.

use windrow_model::WorkerId;

use super::super::History;
use super::super::limits::{BLOB_BYTES_MAX, COMMIT_BYTES_MAX};
use super::super::samples::{every_kind, job_submitted, output, task_finished};
use super::*;

pub(in super::super) async fn what_was_committed_is_loaded_in_order(place: &mut impl Place) {
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

pub(in super::super) async fn a_forgotten_job_is_gone_and_everything_else_stays(place: &mut impl Place) {
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

pub(in super::super) async fn blobs_can_be_forgotten_before_their_job(place: &mut impl Place) {
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

pub(in super::super) async fn a_forgotten_worker_is_gone_and_its_id_stays_used(place: &mut impl Place) {
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

pub(in super::super) async fn outputs_of_several_jobs_are_forgotten_job_by_job(place: &mut impl Place) {
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

pub(in super::super) async fn blobs_come_back_whole(place: &mut impl Place) {
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

pub(in super::super) async fn a_plan_that_is_made_again_replaces_what_the_first_one_left(place: &mut impl Place) {
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

pub(in super::super) async fn a_large_record_comes_back(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    let records = [job_submitted(1), job_with_script(2, 10 << 20), job_submitted(3)];
    commit(&mut *store, &records).await;
    drop(journal);
    let (_, history) = reopened(place, store).await;
    assert_eq!(history.records, records);
}

pub(in super::super) async fn a_large_commit_comes_back(place: &mut impl Place) {
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

pub(in super::super) async fn what_is_too_large_is_refused_and_leaves_nothing(place: &mut impl Place) {
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

pub(in super::super) async fn nothing_to_write_is_no_commit(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    commit(&mut *store, &[]).await;
    assert_eq!(load(&mut *store).await.records, []);
}
