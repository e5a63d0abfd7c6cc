//! A coordinator that dies and comes back on its journal: no acknowledged job is lost, and nothing that has completed
//! runs again.

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use support::cluster::TestCluster;
use support::cluster_processes::{Cluster, Etcd, until};
use support::{rows, tpch};
use windrow_client::Client;
use windrow_model::{AttemptState, JobId, JobState};
use windrow_proto::Job;

const SCALE: &str = "0.05";
/// Small partitions, so that a stage has many more tasks than the cluster has slots, and a moment to kill in.
const MANY_TASKS: &str = "SET windrow.partition_bytes = '256KiB';\n";

async fn oracle_lines(sql: &str) -> Vec<String> {
    let context = windrow_engine::oracle::oracle_context(2);
    tpch::register(&context, &tpch::generated(SCALE)).await;
    rows::sorted_lines(&windrow_engine::oracle::collect(&context, sql).await.expect("the oracle answers"))
}

fn script(sql: &str) -> String {
    format!("{MANY_TASKS}{}{sql}", tpch::definitions(&tpch::generated(SCALE)))
}

fn tasks_done(job: &Job) -> u32 {
    job.stages.iter().map(|stage| stage.tasks_done).sum()
}

/// Waits until `ripe`, looking at the job again and again.
async fn wait_until(url: &str, job: JobId, what: &str, ripe: impl Fn(&Job) -> bool) -> Job {
    until(what, || async {
        let found = Client::connect(url).await.ok()?.job(job).await.ok()?;
        ripe(&found).then_some(found)
    })
    .await
}

async fn wait_for_end(url: &str, job: JobId) -> Job {
    let ended = |job: &Job| JobState::from_name(&job.state).is_some_and(JobState::is_final);
    wait_until(url, job, "the end of the job", ended).await
}

/// Tasks with more than one successful attempt.
fn completed_twice(job: &Job) -> Vec<String> {
    let mut twice = Vec::new();
    for stage in &job.stages {
        let mut successes: BTreeMap<u32, u32> = BTreeMap::new();
        for attempt in &stage.attempts {
            let succeeded = AttemptState::from_name(&attempt.state) == Some(AttemptState::Succeeded);
            *successes.entry(attempt.task).or_default() += u32::from(succeeded);
        }
        let again = successes.into_iter().filter(|(_, count)| *count > 1);
        twice.extend(again.map(|(task, count)| format!("{}.{task} succeeded {count} times", stage.index)));
    }
    twice
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_killed_in_the_middle_of_a_job_goes_on_after_its_restart() {
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    let mut cluster = Cluster::start(2).await;
    let job = TestCluster::attached(&cluster.url()).await.submit(&script(&sql)).await.expect("the job is accepted");
    wait_until(&cluster.url(), job, "some finished tasks", |job| tasks_done(job) >= 12).await;

    cluster.kill_coordinator();
    cluster.start_coordinator().await;

    let ended = wait_for_end(&cluster.url(), job).await;
    assert_eq!(JobState::from_name(&ended.state), Some(JobState::Succeeded), "{:?}", ended.error);
    let client = TestCluster::attached(&cluster.url()).await;
    assert_eq!(rows::sorted_lines(&client.result(&ended).await.expect("the rows are there")), wanted);
    assert_eq!(completed_twice(&ended), Vec::<String>::new(), "work was lost with the coordinator");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_acknowledged_just_before_the_kill_is_not_lost() {
    let sql = "SELECT l_returnflag, count(*) FROM lineitem GROUP BY l_returnflag";
    let wanted = oracle_lines(sql).await;
    let mut cluster = Cluster::start(1).await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        let client = TestCluster::attached(&cluster.url()).await;
        jobs.push(client.submit(&script(sql)).await.expect("the job is accepted"));
        cluster.kill_coordinator();
        cluster.start_coordinator().await;
    }
    for job in jobs {
        let ended = wait_for_end(&cluster.url(), job).await;
        assert_eq!(JobState::from_name(&ended.state), Some(JobState::Succeeded), "{:?}", ended.error);
        let client = TestCluster::attached(&cluster.url()).await;
        assert_eq!(rows::sorted_lines(&client.result(&ended).await.expect("the rows are there")), wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_goes_on_with_the_tables_views_and_settings_of_its_first_half() {
    let sql = "SELECT count(*), sum(q) FROM big WHERE q > 10";
    let wanted = oracle_lines("SELECT count(*), sum(l_quantity) FROM lineitem WHERE l_quantity > 10").await;
    let mut cluster = Cluster::start(2).await;
    let copy = cluster.path().join("copy");
    let text = format!(
        "CREATE VIEW quantities AS SELECT l_orderkey AS k, l_quantity AS q FROM lineitem;
         CREATE TABLE big AS SELECT * FROM quantities;
         COPY big TO '{}/' STORED AS PARQUET;
         {sql}",
        copy.display()
    );
    let job = TestCluster::attached(&cluster.url()).await.submit(&script(&text)).await.expect("the job is accepted");
    wait_until(&cluster.url(), job, "the second half", |job| tasks_done(job) >= 4).await;

    cluster.kill_coordinator();
    cluster.start_coordinator().await;

    let ended = wait_for_end(&cluster.url(), job).await;
    assert_eq!(JobState::from_name(&ended.state), Some(JobState::Succeeded), "{:?}", ended.error);
    let client = TestCluster::attached(&cluster.url()).await;
    assert_eq!(rows::sorted_lines(&client.result(&ended).await.expect("the rows are there")), wanted);
    let context = windrow_engine::oracle::oracle_context(2);
    let options = datafusion::prelude::ParquetReadOptions::default();
    context.register_parquet("copied", copy.to_string_lossy(), options).await.expect("the copy is there");
    let copied = windrow_engine::oracle::collect(&context, "SELECT count(*), sum(q) FROM copied WHERE q > 10").await;
    assert_eq!(rows::sorted_lines(&copied.expect("the copy can be read")), wanted, "rows were lost or doubled");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_an_ended_job_can_be_read_after_a_restart() {
    // Wide rows, so that no part is small enough to ride in its completion.
    let sql = "SELECT * FROM lineitem";
    let wanted = oracle_lines(sql).await;
    let mut cluster = Cluster::start(2).await;
    let job = TestCluster::attached(&cluster.url()).await.submit(&script(sql)).await.expect("the job is accepted");
    let before = wait_for_end(&cluster.url(), job).await;

    cluster.kill_coordinator();
    cluster.start_coordinator().await;
    cluster.wait_for_workers(2).await;

    let client = TestCluster::attached(&cluster.url()).await;
    assert_eq!(rows::sorted_lines(&client.result(&before).await.expect("the rows are there")), wanted);
    let after = wait_for_end(&cluster.url(), job).await;
    assert_eq!(completed_twice(&after), Vec::<String>::new());
    assert_eq!((after.submitted_us, after.ended_us), (before.submitted_us, before.ended_us));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_result_can_be_read_after_a_restart_without_any_worker() {
    let sql = "SELECT l_returnflag, count(*) FROM lineitem GROUP BY l_returnflag";
    let wanted = oracle_lines(sql).await;
    let mut cluster = Cluster::start(1).await;
    let job = TestCluster::attached(&cluster.url()).await.submit(&script(sql)).await.expect("the job is accepted");
    let ended = wait_for_end(&cluster.url(), job).await;

    cluster.kill_worker(0);
    cluster.kill_coordinator();
    cluster.start_coordinator().await;

    let client = TestCluster::attached(&cluster.url()).await;
    assert_eq!(rows::sorted_lines(&client.result(&ended).await.expect("the rows are there")), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_when_the_leader_is_killed_again_and_again() {
    let Some(etcd) = Etcd::start() else { return };
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    let mut cluster = Cluster::start_on(Some(etcd.store("failover", "2s")), 2, 2).await;
    let job = TestCluster::attached(&cluster.url()).await.submit(&script(&sql)).await.expect("the job is accepted");
    for finished in [4, 12] {
        wait_until(&cluster.url(), job, "some finished tasks", |job| tasks_done(job) >= finished).await;
        let killed = cluster.kill_leader().await;
        // It stands by for the one that takes over.
        cluster.spawn_coordinator(killed);
    }

    let ended = wait_for_end(&cluster.url(), job).await;
    assert_eq!(JobState::from_name(&ended.state), Some(JobState::Succeeded), "{:?}", ended.error);
    let client = TestCluster::attached(&cluster.url()).await;
    assert_eq!(rows::sorted_lines(&client.result(&ended).await.expect("the rows are there")), wanted);
    assert_eq!(completed_twice(&ended), Vec::<String>::new(), "work was lost with a coordinator");
}
