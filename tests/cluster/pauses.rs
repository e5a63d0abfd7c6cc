//! Processes that stop for a while and go on as if nothing had happened.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use windrow_client::Client;
use windrow_model::AttemptState;
use windrow_proto::{Attempt, Stage};

use crate::answers::{assert_answer, assert_published, assert_succeeded, attempts, files_below, state_of};
use crate::cable::Cable;
use crate::support::cluster::TestCluster;
use crate::support::cluster_processes::{Cluster, Etcd, Setup, WorkerSetup, until};
use crate::support::jobs::{completed_twice, oracle_lines, script, tasks_done, wait_for_end, wait_until};
use crate::support::tpch;

/// What a zombie does, it does soon; this long nothing may change.
const AFTERWARDS: Duration = Duration::from_secs(30);
/// Longer than any lease, keep-alive and patience but the workers'.
const SILENCE: Duration = Duration::from_secs(60);
/// How often a fault that has to last is looked at: nothing is waited for, so that there is no predicate.
const LOOK: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_paused_beyond_its_lease_comes_back_and_changes_nothing() {
    let wanted = oracle_lines("SELECT * FROM lineitem").await;
    let cluster = Cluster::start(3).await;
    let folder = cluster.path().join("copy");
    let client = TestCluster::attached(&cluster.url()).await;
    let copy = format!("COPY lineitem TO '{}/' STORED AS PARQUET", folder.display());
    let job = client.submit(&script(&copy)).await.expect("the job is accepted");
    wait_until(&cluster.url(), job, "some finished tasks", |job| tasks_done(job) >= 4).await;

    cluster.signal_worker(0, Signal::STOP);
    let ended = wait_for_end(&cluster.url(), job).await;
    assert_succeeded(&ended);
    let published = files_below(&folder);
    cluster.signal_worker(0, Signal::CONT);

    cluster.wait_for_workers(3).await;
    let resumed = Instant::now();
    until("half a minute in which nothing changes", || {
        let now = files_below(&folder);
        let data = |files: &std::collections::BTreeMap<String, (u64, u32)>| {
            files.clone().into_iter().filter(|(name, _)| !name.starts_with("_windrow")).collect::<Vec<_>>()
        };
        assert_eq!(data(&now), data(&published), "a zombie changed the published files");
        let done = resumed.elapsed() > AFTERWARDS;
        async move {
            tokio::time::sleep(LOOK).await;
            done.then_some(())
        }
    })
    .await;
    assert_published(&folder, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_nobody_hears_writes_files_too_late_and_takes_them_away() {
    let wanted = oracle_lines("SELECT * FROM lineitem").await;
    let mut cluster = Cluster::start(1).await;
    let cable = Cable::to(&cluster.url()).await;
    let coordinator = Some(cable.url());
    // What it is given it writes after the job has ended without it.
    let failpoints = "task.run=sleep:10s".to_owned();
    cluster.start_worker_with(WorkerSetup { failpoints, coordinator, ..WorkerSetup::default() });
    let pid = cluster.worker_pid(1);
    let late =
        cluster.wait_for_workers(2).await.into_iter().find(|worker| worker.process_id == pid).expect("it is there");
    let folder = cluster.path().join("copy");
    let client = TestCluster::attached(&cluster.url()).await;
    // Two tasks, so that both have rows to write.
    let copy =
        format!("SET windrow.partition_bytes = '1GiB'; COPY lineitem TO '{}/' STORED AS PARQUET", folder.display());
    let job = client.submit(&script(&copy)).await.expect("the job is accepted");
    let is_late =
        |(_, attempt): (&Stage, &Attempt)| attempt.worker == late.id && state_of(attempt) == AttemptState::Running;
    wait_until(&cluster.url(), job, "a task of the late worker", |job| attempts(job).any(is_late)).await;

    cable.cut();
    assert_succeeded(&wait_for_end(&cluster.url(), job).await);
    let published = files_below(&folder);
    let staged = |name: &str| name.contains("staging") && name.ends_with(".parquet");
    assert!(!published.keys().any(|name| staged(name)), "the worker was not too late: {published:?}");
    until("a whole file that comes too late", || {
        let late = files_below(&folder).into_keys().find(|name| staged(name));
        let whole =
            late.and_then(|name| std::fs::read(folder.join(name)).ok()).is_some_and(|bytes| bytes.ends_with(b"PAR1"));
        std::future::ready(whole.then_some(()))
    })
    .await;
    cable.join();

    cluster.wait_for_workers(2).await;
    assert_published(&folder, &wanted).await;
    assert_eq!(files_below(&folder), published, "a worker that was too late changed what is published");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_paused_beyond_its_right_is_fenced_and_ends() {
    let Some(etcd) = Etcd::start() else { return };
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    let store = Some(etcd.store("paused", "2s"));
    let mut cluster = Cluster::set_up(Setup { store, coordinators: 2, ..Setup::of(2) }).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let job = client.submit(&script(&sql)).await.expect("the job is accepted");
    wait_until(&cluster.url(), job, "some finished tasks", |job| tasks_done(job) >= 8).await;

    let old = cluster.leader().await;
    cluster.signal_coordinator(old, Signal::STOP);
    let standby = cluster.address_of(1 - old);
    until("the standby to lead", || async { Client::connect(&standby).await.ok()?.workers().await.ok() }).await;
    cluster.signal_coordinator(old, Signal::CONT);

    let exit = cluster.coordinator_end(old).await;
    assert!(!exit.success(), "a fenced coordinator ends with an error, not {exit}");
    let ended = assert_answer(&cluster, job, &wanted).await;
    assert_eq!(completed_twice(&ended), Vec::<String>::new(), "work was lost with a coordinator");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_etcd_stops_submissions_and_loses_nothing() {
    let Some(etcd) = Etcd::start() else { return };
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    let store = Some(etcd.store("silent", "4s"));
    let mut setup = Setup { store, coordinators: 2, ..Setup::of(2) };
    // A task that runs while nobody leads.
    setup.workers[0].failpoints = "task.run=sleep:20s@5".to_owned();
    let cluster = Cluster::set_up(setup).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let job = client.submit(&script(&sql)).await.expect("the job is accepted");
    wait_until(&cluster.url(), job, "some finished tasks", |job| tasks_done(job) >= 8).await;

    etcd.signal(Signal::STOP);
    let (url, began) = (cluster.url(), Instant::now());
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    while began.elapsed() < SILENCE {
        let submitted = async {
            let client = Client::connect(&url).await?;
            TestCluster::of(client).submit("SELECT 1").await
        };
        match tokio::time::timeout(Duration::from_secs(5), submitted).await {
            Ok(Ok(job)) => acknowledged.push(job),
            Ok(Err(_)) | Err(_) => refused += 1,
        }
        tokio::time::sleep(LOOK).await;
    }
    etcd.signal(Signal::CONT);

    assert!(refused > 5, "a cluster without its journal has acknowledged jobs: {acknowledged:?}");
    let ended = assert_answer(&cluster, job, &wanted).await;
    assert_eq!(completed_twice(&ended), Vec::<String>::new(), "work was lost with the journal's silence");
    for job in acknowledged {
        assert_succeeded(&wait_for_end(&cluster.url(), job).await);
    }
}
