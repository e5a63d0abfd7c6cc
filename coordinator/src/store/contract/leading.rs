//! Rules about leaders: who may write, and what becomes of a commit that broke off.

use std::collections::BTreeSet;

use super::super::samples::{every_kind, job_submitted, task_finished};
use super::*;

pub(in super::super) async fn every_leader_has_a_higher_epoch(place: &mut impl Place) {
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

pub(in super::super) async fn an_old_leader_is_fenced_and_writes_nothing(place: &mut impl Place) {
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
    assert!(!old.leadership().is_leading());
    assert!(matches!(old.forget_job(JobId(1)).await, Err(StoreError::Fenced(_))));
    assert!(matches!(old.load().await, Err(StoreError::Fenced(_))));
    assert_eq!(load(&mut *new).await, before);
    assert_eq!(new.blob(large.key).await.expect("readable"), None);
    commit(&mut *new, &[job_submitted(2)]).await;
    assert_eq!(load(&mut *new).await.records, [job_submitted(1), job_submitted(2)]);
}

pub(in super::super) async fn a_state_of_another_epoch_is_refused(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    for epoch in [store.epoch() - 1, store.epoch() + 1] {
        let error = store.commit(epoch, &[job_submitted(1)], &[]).await.expect_err("another epoch");
        assert!(matches!(error, StoreError::Fenced(_)), "{error:?}");
    }
    assert_eq!(load(&mut *store).await.records, []);
}

/// What a commit writes that must be there whole or not at all: more than one transaction of etcd takes.
fn large_commit() -> (Vec<Record>, Vec<Blob>) {
    let records = (0..500).map(|n| task_finished(n + 1, 0)).collect();
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

pub(in super::super) async fn a_commit_that_breaks_off_is_all_or_nothing(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    commit(&mut *store, &[job_submitted(1)]).await;
    drop(journal);
    let mut expected = vec![job_submitted(1)];
    for patience_us in [0, 100, 1_000, 3_000, 6_000, 10_000, 15_000, 20_000] {
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

pub(in super::super) async fn a_dropped_commit_is_resolved_before_the_next(place: &mut impl Place) {
    let journal = place.open().await;
    let mut store = campaign(&*journal).await;
    let epoch = store.epoch();
    let mut expected = Vec::new();
    for patience_us in [0, 100, 1_000, 3_000, 6_000, 10_000, 15_000, 20_000] {
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

pub(in super::super) async fn many_campaigns_lose_no_acknowledged_commit(place: &mut impl Place) {
    let journal = place.open().await;
    let reigns = futures::future::join_all((0..4).map(|_| short_reign(&*journal, 10))).await;
    let acknowledged: BTreeSet<(u64, u32)> = reigns.into_iter().flatten().collect();
    let mut store = campaign(&*journal).await;
    let found: Vec<(u64, u32)> = load(&mut *store).await.records.iter().map(reign_of).collect();
    assert!(found.is_sorted_by(|a, b| a < b), "{found:?}");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), acknowledged);
}

pub(in super::super) async fn a_leader_that_resigns_makes_way_at_once(place: &mut impl Place) {
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
