//! A coordinator that dies and comes back on its journal: no acknowledged job is lost, and nothing that has completed
//! runs again.

use crate::answers::assert_answer;
use crate::support::cluster::TestCluster;
use crate::support::cluster_processes::{Cluster, Etcd};
use crate::support::jobs::{completed_twice, oracle_lines, script, tasks_done, wait_for_end, wait_until};
use crate::support::{rows, tpch};

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_killed_in_the_middle_of_a_job_goes_on_after_its_restart() {
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    let mut cluster = Cluster::start(2).await;
    let job = TestCluster::attached(&cluster.url()).await.submit(&script(&sql)).await.expect("the job is accepted");
    wait_until(&cluster.url(), job, "some finished tasks", |job| tasks_done(job) >= 12).await;

    cluster.kill_coordinator();
    cluster.start_coordinator().await;

    let ended = assert_answer(&cluster, job, &wanted).await;
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
        assert_answer(&cluster, job, &wanted).await;
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

    assert_answer(&cluster, job, &wanted).await;
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

    let ended = assert_answer(&cluster, job, &wanted).await;
    assert_eq!(completed_twice(&ended), Vec::<String>::new(), "work was lost with a coordinator");
}
