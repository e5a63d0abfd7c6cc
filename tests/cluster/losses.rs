//! Workers die, alone and together, at the worst moments.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use windrow_client::Client;
use windrow_model::AttemptState;

use crate::answers::{
    assert_answer, assert_published, assert_succeeded, attempts, first_stage_is_done, state_of, wait_for_failure,
};
use crate::support::cluster::TestCluster;
use crate::support::cluster_processes::{Cluster, Setup, WorkerSetup, until};
use crate::support::jobs::{oracle_lines, script, tasks_done, wait_for_end, wait_until};
use crate::support::tpch;

/// Writes a table into `folder`.
fn copy_script(folder: &Path) -> String {
    script(&format!("COPY lineitem TO '{}/' STORED AS PARQUET", folder.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_between_its_files_and_its_report_leaves_neither_rows_nor_litter() {
    let wanted = oracle_lines("SELECT * FROM lineitem").await;
    let mut cluster = Cluster::set_up(Setup::of(2).with_failpoints("task.report=kill@2")).await;
    let folder = cluster.path().join("copy");
    let client = TestCluster::attached(&cluster.url()).await;

    let job = client.submit(&copy_script(&folder)).await.expect("the job is accepted");
    let ended = wait_for_end(&cluster.url(), job).await;

    assert_succeeded(&ended);
    assert!(cluster.worker_exit(0).is_some(), "the worker lives: nothing was tested");
    assert_published(&folder, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_serving_a_reader_is_replaced_by_running_its_tasks_again() {
    let sql = "SELECT l_orderkey, l_linenumber, l_comment FROM lineitem ORDER BY l_orderkey, l_linenumber";
    let wanted = oracle_lines(sql).await;
    let mut cluster = Cluster::set_up(Setup::of(2).with_failpoints("shuffle.serve=kill@5")).await;
    let client = TestCluster::attached(&cluster.url()).await;

    let job = client.submit(&script(sql)).await.expect("the job is accepted");

    assert_answer(&cluster, job, &wanted).await;
    assert!(cluster.worker_exit(0).is_some(), "the worker lives: nothing was tested");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_the_workers_die_at_once() {
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    let mut cluster = Cluster::start(4).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let job = client.submit(&script(&sql)).await.expect("the job is accepted");
    wait_until(&cluster.url(), job, "some finished tasks", |job| tasks_done(job) >= 16).await;

    cluster.kill_worker(0);
    cluster.kill_worker(0);

    assert_answer(&cluster, job, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_workers_all_died_fails_after_the_grace_and_says_why() {
    let setup = Setup { limits: &["lease=2s", "no-worker-grace=3s"], ..Setup::of(2) };
    let mut cluster = Cluster::set_up(setup).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let job = client.submit(&script(&tpch::query(9))).await.expect("the job is accepted");
    wait_until(&cluster.url(), job, "some finished tasks", |job| tasks_done(job) >= 4).await;

    cluster.kill_worker(0);
    cluster.kill_worker(0);
    let killed = Instant::now();

    let error = wait_for_failure(&cluster, job).await;
    assert!(error.contains("no worker"), "{error}");
    assert!(killed.elapsed() < Duration::from_secs(30), "it took {:?}", killed.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_workers_all_died_goes_on_when_one_comes() {
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    let mut cluster = Cluster::start(2).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let job = client.submit(&script(&sql)).await.expect("the job is accepted");
    wait_until(&cluster.url(), job, "some finished tasks", |job| tasks_done(job) >= 4).await;

    cluster.kill_worker(0);
    cluster.kill_worker(0);
    let url = cluster.url();
    until("the job to say that it waits for a worker", || async {
        let reasons = Client::connect(&url).await.ok()?.why(job).await.ok()?;
        reasons.iter().any(|reason| reason.contains("no worker")).then_some(())
    })
    .await;
    cluster.start_worker();

    assert_answer(&cluster, job, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_again_and_again_is_left_out_and_taken_back() {
    let limits = &["lease=2s", "worker-deaths=50", "exclusion-losses=3", "exclusion=4s", "attempts=50"];
    let mut cluster = Cluster::set_up(Setup { limits, ..Setup::of(1) }).await;
    let sql = tpch::query(1);
    let wanted = oracle_lines(&sql).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let place = cluster.path().join("crashing");
    let crashing = |failpoints: &str| WorkerSetup {
        failpoints: failpoints.to_owned(),
        work_dir: Some(place.clone()),
        ..WorkerSetup::default()
    };

    // Three lives in one place, each ended by its first task.
    for _ in 0..3 {
        cluster.start_worker_with(crashing("task.run=kill"));
        cluster.wait_for_workers(2).await;
        let job = client.submit(&script(&sql)).await.expect("the job is accepted");
        cluster.worker_end(1).await;
        cluster.kill_worker(1);
        assert_answer(&cluster, job, &wanted).await;
    }

    // The fourth is well, but nobody can know: it has to wait, and then it works.
    cluster.start_worker_with(crashing(""));
    let pid = cluster.worker_pid(1);
    let url = cluster.url();
    let state = |wanted: &'static str| {
        let url = url.clone();
        move || {
            let url = url.clone();
            async move {
                let workers = Client::connect(&url).await.ok()?.workers().await.ok()?;
                let found = workers.iter().rfind(|worker| worker.process_id == pid)?;
                let excluded = found.reason.contains("gets no tasks");
                (excluded == (wanted == "excluded")).then_some(found.id)
            }
        }
    };
    until("the exclusion of the place", state("excluded")).await;
    let back = until("the end of the exclusion", state("taken back")).await;
    let job = client.submit(&script(&tpch::query(9))).await.expect("the job is accepted");
    let ended = wait_for_end(&cluster.url(), job).await;
    assert_succeeded(&ended);
    assert!(attempts(&ended).any(|(_, attempt)| attempt.worker == back), "it got no task after its exclusion");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_dead_source_of_500_readers_costs_one_rerun() {
    // Of the readers that the survivor runs, four at a time, only the first four may find the source gone.
    let waits = || WorkerSetup { failpoints: "task.run.1=sleep:1s@1".to_owned(), slots: 4, ..WorkerSetup::default() };
    let failed = lose_the_source_of_many_readers([waits(), waits()]).await;
    assert!(failed <= 4, "{failed} readers ran into the loss, and only four could be there");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_dead_source_of_500_readers_at_once_costs_one_rerun() {
    // All readers but two are in one process, have started, and begin to fetch after the source is dead.
    let waits = |slots| WorkerSetup { failpoints: "task.run.1=sleep:2s".to_owned(), slots, ..WorkerSetup::default() };
    let failed = lose_the_source_of_many_readers([waits(2), waits(512)]).await;
    assert!(failed > 256, "only {failed} readers ran into the loss, and more than half should be at it at once");
}

/// Kills the first of two workers when both have map outputs that all of 500 readers need. Returns how many attempts
/// have failed.
async fn lose_the_source_of_many_readers(workers: [WorkerSetup; 2]) -> usize {
    let sql = "SELECT l_orderkey, count(*) FROM lineitem GROUP BY l_orderkey";
    let wanted = oracle_lines(sql).await;
    let mut cluster = Cluster::set_up(Setup { workers: workers.to_vec(), ..Setup::of(0) }).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let text = script(sql).replace("'256KiB'", "'4KiB'").replace("'64KiB'", "'0'");
    let job = client.submit(&format!("SET windrow.partitions_max = 512;\n{text}")).await.expect("the job is accepted");
    wait_until(&cluster.url(), job, "the map outputs", first_stage_is_done).await;

    cluster.kill_worker(0);

    let ended = assert_answer(&cluster, job, &wanted).await;
    assert!(ended.stages[1].tasks >= 500, "only {} readers", ended.stages[1].tasks);
    let mut made: BTreeMap<u32, u32> = BTreeMap::new();
    for attempt in &ended.stages[0].attempts {
        *made.entry(attempt.task).or_default() += u32::from(state_of(attempt) == AttemptState::Succeeded);
    }
    assert!(made.values().all(|times| *times <= 2), "an output was made again more than once: {made:?}");
    let again = made.values().filter(|times| **times == 2).count();
    assert!(again > 0, "the dead worker had no map output");
    assert_eq!(ended.stages[0].reruns as usize, again, "the losses were counted once for each output");
    attempts(&ended).filter(|(_, attempt)| state_of(attempt) == AttemptState::Failed).count()
}
