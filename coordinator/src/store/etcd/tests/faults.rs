//! Answers that get lost, requests that arrive late, members that die or stop.

use super::proxy::{Fault, Proxy};
use super::*;

/// Longest time in which a commit must have an outcome when etcd does not answer: the patience of one call, a
/// barrier's before it, and the margin of a busy machine.
const OUTCOME_DEADLINE: Duration = Duration::from_secs(30);

struct Behind {
    cluster: Cluster,
    proxy: Proxy,
    options: EtcdOptions,
}

/// One member, and options that reach it through a proxy.
async fn behind_a_proxy() -> Option<Behind> {
    let cluster = Cluster::start(1).await?;
    let proxy = Proxy::before(cluster.endpoints()[0].clone()).await;
    let mut options = options(vec![proxy.endpoint.clone()], "/w");
    // Longer than the test: what is tested here is not who leads.
    options.lease_ttl = Duration::from_secs(600);
    Some(Behind { cluster, proxy, options })
}

async fn head_bytes(client: &mut Client) -> Vec<u8> {
    client.get("/w/head", None).await.expect("readable").kvs().first().map(|kv| kv.value().to_vec()).unwrap_or_default()
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_made_once() {
    let Some(Behind { cluster, proxy, options }) = behind_a_proxy().await else { return };
    let mut client = cluster.client().await;
    let mut store = journal(&options).campaign().await.expect("leads");
    commit(&mut *store, &[job_submitted(1)]).await;
    let before = head_bytes(&mut client).await;
    proxy.set(Fault::LoseAnswers);
    let epoch = store.epoch();
    let second = [job_submitted(2)];
    let committing = store.commit(epoch, &second, &[]);
    let healing = async {
        eventually("the commit is applied", async || head_bytes(&mut client).await != before).await;
        proxy.set(Fault::None);
    };
    let (outcome, ()) = futures::join!(committing, healing);
    outcome.expect("acknowledged in the end");
    commit(&mut *store, &[job_submitted(3)]).await;
    assert_eq!(records(&mut *store).await, [job_submitted(1), job_submitted(2), job_submitted(3)]);
}

async fn unknown_commit(store: &mut dyn Store, records: &[Record], blobs: &[Blob]) {
    let epoch = store.epoch();
    let outcome = tokio::time::timeout(OUTCOME_DEADLINE, store.commit(epoch, records, blobs)).await;
    let error = outcome.expect("an outcome in bounded time").expect_err("nobody has acknowledged it");
    assert!(matches!(error, StoreError::Unknown(_)), "{error:?}");
    let error = store.commit(epoch, &[job_submitted(99)], &[]).await.expect_err("not before it is resolved");
    assert!(matches!(error, StoreError::Unknown(_)), "{error:?}");
}

#[tokio::test]
async fn a_commit_that_happened_without_an_answer_is_resolved_as_committed() {
    let Some(Behind { cluster: _cluster, proxy, options }) = behind_a_proxy().await else { return };
    let mut store = journal(&options).campaign().await.expect("leads");
    commit(&mut *store, &[job_submitted(1)]).await;
    proxy.set(Fault::LoseAnswers);
    unknown_commit(&mut *store, &[job_submitted(2)], &[]).await;
    proxy.set(Fault::None);
    assert_eq!(store.resolve().await.expect("resolved"), Resolution::Committed);
    commit(&mut *store, &[job_submitted(3)]).await;
    assert_eq!(records(&mut *store).await, [job_submitted(1), job_submitted(2), job_submitted(3)]);
}

/// Lets delayed requests go, and returns when etcd has answered them all.
async fn let_go(cluster: &Cluster, proxy: &Proxy) {
    let before = cluster.transactions_answered().await;
    let delayed = proxy.delayed();
    assert!(delayed > 0, "something was delayed");
    proxy.set(Fault::None);
    let arrived = async || cluster.transactions_answered().await >= before + delayed;
    eventually("the delayed transactions have arrived", arrived).await;
}

#[tokio::test]
async fn a_commit_that_arrives_after_a_new_leader_changes_nothing() {
    let Some(Behind { cluster, proxy, options }) = behind_a_proxy().await else { return };
    let mut client = cluster.client().await;
    let mut old = journal(&options).campaign().await.expect("leads");
    commit(&mut *old, &[job_submitted(1)]).await;
    proxy.set(Fault::DelayRequests);
    unknown_commit(&mut *old, &[job_submitted(2)], &[]).await;
    expire_lease(&mut client, "/w", old.epoch()).await;
    // The next leader has its own way to etcd, while the proxy still holds what the first one asked.
    let direct = EtcdOptions { endpoints: cluster.endpoints(), ..options };
    let mut new = journal(&direct).campaign().await.expect("leads");
    let_go(&cluster, &proxy).await;
    commit(&mut *new, &[job_submitted(3)]).await;
    assert_eq!(records(&mut *new).await, [job_submitted(1), job_submitted(3)]);
    assert!(matches!(old.resolve().await, Err(StoreError::Fenced(_))));
}

/// A leader goes on by another member (here: another proxy) after a commit whose requests arrive later still.
async fn late_requests_change_nothing(lost: &[Record]) {
    let Some(Behind { cluster, proxy, options }) = behind_a_proxy().await else { return };
    let other = Proxy::before(cluster.endpoints()[0].clone()).await;
    let both = EtcdOptions { endpoints: vec![proxy.endpoint.clone(), other.endpoint.clone()], ..options };
    let mut store = journal(&both).campaign().await.expect("leads");
    commit(&mut *store, &[job_submitted(1)]).await;
    proxy.set(Fault::DelayRequests);
    other.set(Fault::DelayRequests);
    unknown_commit(&mut *store, lost, &[]).await;
    other.set(Fault::None);
    let mut expected = vec![job_submitted(1)];
    if store.resolve().await.expect("resolved") == Resolution::Committed {
        expected.extend_from_slice(lost);
    }
    assert_eq!(records(&mut *store).await, expected);
    commit(&mut *store, &[task_finished(5, 0)]).await;
    let_go(&cluster, &proxy).await;
    commit(&mut *store, &[task_finished(5, 1)]).await;
    expected.extend([task_finished(5, 0), task_finished(5, 1)]);
    assert_eq!(records(&mut *store).await, expected);
}

#[tokio::test]
async fn a_commit_that_arrives_after_it_was_resolved_changes_nothing() {
    late_requests_change_nothing(&[job_submitted(2)]).await;
}

#[tokio::test]
async fn a_part_of_a_commit_that_arrives_after_it_was_resolved_changes_nothing() {
    // More jobs than a transaction has operations: what is lost is the first of several transactions.
    let lost: Vec<Record> = (100..400).map(job_submitted).collect();
    late_requests_change_nothing(&lost).await;
}

#[tokio::test]
async fn a_killed_member_costs_no_commit() {
    let Some(mut cluster) = Cluster::start(3).await else { return };
    let mut store = journal(&options(cluster.endpoints(), "/w")).campaign().await.expect("leads");
    let mut expected = Vec::new();
    for n in 0..90 {
        // Each member once, so that the one in use and etcd's own leader are among them.
        match n % 30 {
            10 => cluster.kill(n / 30),
            20 => cluster.restart(n / 30),
            _ => {}
        }
        commit(&mut *store, &[task_finished(1, n as u32)]).await;
        expected.push(task_finished(1, n as u32));
    }
    assert_eq!(records(&mut *store).await, expected);
}

#[tokio::test]
async fn without_a_majority_a_commit_fails_in_time_and_nothing_acknowledged_is_lost() {
    let Some(cluster) = Cluster::start(3).await else { return };
    let options = EtcdOptions { lease_ttl: Duration::from_secs(4), ..options(cluster.endpoints(), "/w") };
    let mut store = journal(&options).campaign().await.expect("leads");
    let epoch = store.epoch();
    let mut acknowledged = vec![job_submitted(1)];
    commit(&mut *store, &acknowledged).await;
    let leadership = store.leadership();
    (0..2).for_each(|member| cluster.stop(member));
    let outcome = tokio::time::timeout(OUTCOME_DEADLINE, store.commit(epoch, &[job_submitted(2)], &[])).await;
    let error = outcome.expect("an outcome in bounded time").expect_err("no majority");
    assert!(matches!(error, StoreError::Unknown(_) | StoreError::Unavailable(_)), "{error:?}");
    assert!(!leadership.is_leading(), "a leader that cannot renew has stepped down by now");
    (0..2).for_each(|member| cluster.resume(member));
    let resolution = match (error, store.resolve().await) {
        (StoreError::Unavailable(_), _) => Some(Resolution::NotCommitted),
        (_, Ok(resolution)) => Some(resolution),
        // The lease has ended meanwhile: whether it is there, the next leader sees.
        (_, Err(StoreError::Fenced(_))) => None,
        (_, Err(error)) => panic!("{error:?}"),
    };
    drop(store);
    let mut store = journal(&options).campaign().await.expect("leads");
    let found = records(&mut *store).await;
    if resolution == Some(Resolution::Committed) || (resolution.is_none() && found.len() > 1) {
        acknowledged.push(job_submitted(2));
    }
    assert_eq!(found, acknowledged);
}
