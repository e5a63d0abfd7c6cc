//! Workers that are cut off from those who lead them, and from each other.

use std::time::{Duration, Instant};

use windrow_client::Client;
use windrow_model::{AttemptState, JobId};

use crate::answers::{answer_of, assert_published, assert_succeeded, attempts, failures, files_below, state_of};
use crate::fleet::{Fleet, WORKERS};
use crate::support::cluster::TestCluster;
use crate::support::jobs::{oracle_lines, script, tasks_done, wait_for_end, wait_until};
use crate::support::tpch;

/// Nobody waits longer than this for a cut to be got over: leases, keep-alives, time-outs, one more run.
const BOUND: Duration = Duration::from_secs(60);

async fn submit(fleet: &Fleet, sql: &str) -> JobId {
    let client = TestCluster::attached(&fleet.url()).await;
    client.submit(&script(sql)).await.expect("the job is accepted")
}

async fn in_the_middle(fleet: &Fleet, job: JobId) {
    wait_until(&fleet.url(), job, "some finished tasks", |job| tasks_done(job) >= 8).await;
}

/// A copy of a table is under way when `cut` happens; it ends well, and stays as it is when all is healed.
async fn a_copy_survives(cut: impl FnOnce(&Fleet)) {
    let Some(fleet) = Fleet::start_with_lease("2s").await else { return };
    let wanted = oracle_lines("SELECT * FROM lineitem").await;
    let folder = fleet.out().join("copy");
    let job = submit(&fleet, &format!("COPY lineitem TO '{}/' STORED AS PARQUET", folder.display())).await;
    in_the_middle(&fleet, job).await;

    let began = Instant::now();
    cut(&fleet);
    let ended = wait_for_end(&fleet.url(), job).await;

    assert_succeeded(&ended);
    assert!(began.elapsed() < BOUND, "it took {:?}", began.elapsed());
    let published = files_below(&folder);
    let data = |files: std::collections::BTreeMap<String, (u64, u32)>| {
        files.into_iter().filter(|(name, _)| !name.starts_with("_windrow")).collect::<Vec<_>>()
    };
    fleet.heal();
    fleet.wait_for_workers(WORKERS).await;
    assert_published(&folder, &wanted).await;
    assert_eq!(data(files_below(&folder)), data(published), "a zombie changed what was published");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_cut_off_from_the_coordinators() {
    a_copy_survives(|fleet| fleet.cut("worker-1", &["coordinator-1", "coordinator-2"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whom_the_coordinators_do_not_hear() {
    a_copy_survives(|fleet| {
        fleet.deafen("coordinator-1", "worker-1");
        fleet.deafen("coordinator-2", "worker-1");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_does_not_hear_the_coordinators() {
    a_copy_survives(|fleet| {
        fleet.deafen("worker-1", "coordinator-1");
        fleet.deafen("worker-1", "coordinator-2");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_cut_off_from_its_peers() {
    let Some(fleet) = Fleet::start_with_lease("5s").await else { return };
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    let job = submit(&fleet, &sql).await;
    in_the_middle(&fleet, job).await;

    let began = Instant::now();
    fleet.cut("worker-1", &["worker-2", "worker-3"]);

    answer_of(&fleet.url(), job, &wanted).await;
    assert!(began.elapsed() < BOUND, "it took {:?}", began.elapsed());
    let workers = Client::connect(&fleet.url()).await.expect("a leader").workers().await.expect("workers are listed");
    let lost: Vec<_> = workers.iter().filter(|worker| worker.state == "lost").collect();
    assert!(lost.is_empty(), "a worker that the coordinator hears was declared dead: {lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_and_lossy_link_is_waited_for_and_nobody_is_blamed() {
    let Some(fleet) = Fleet::start().await else { return };
    let sql = tpch::query(3);
    let wanted = oracle_lines(&sql).await;
    fleet.slow_down("worker-1", 8_000);

    let job = submit(&fleet, &sql).await;

    let ended = answer_of(&fleet.url(), job, &wanted).await;
    assert_eq!(failures(&ended), Vec::<&str>::new(), "somebody was blamed");
    assert!(ended.stages.iter().all(|stage| stage.reruns == 0), "outputs were given up: {:?}", ended.stages);
    let lost = attempts(&ended).filter(|(_, attempt)| state_of(attempt) == AttemptState::Lost).count();
    assert_eq!(lost, 0, "a slow worker was declared dead");
    fleet.wait_for_workers(WORKERS).await;
}
