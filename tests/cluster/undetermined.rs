//! Stages whose tasks give other rows when they run again: a loss in between must not mix two runs.

use crate::answers::assert_answer;
use crate::support::cluster::TestCluster;
use crate::support::cluster_processes::Cluster;
use crate::support::jobs::{oracle_lines, script, tasks_done, wait_until};

/// Finished tasks after which a worker is killed, so that every stage is hit.
const MOMENTS: [u32; 5] = [3, 8, 16, 24, 30];

/// Runs `sql` once for every moment, and kills a worker then; its one row is `wanted` each time.
async fn survives(sql: &str, wanted: &[String]) {
    let mut cluster = Cluster::start(2).await;
    for moment in MOMENTS {
        let client = TestCluster::attached(&cluster.url()).await;
        let job = client.submit(&script(sql)).await.expect("the job is accepted");
        let ended = |job: &windrow_proto::Job| job.ended_us > 0;
        wait_until(&cluster.url(), job, "the moment", |job| tasks_done(job) >= moment || ended(job)).await;
        cluster.kill_worker(0);
        cluster.start_worker();
        assert_answer(&cluster, job, wanted).await;
        cluster.wait_for_workers(2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_without_an_order_gives_as_many_rows_and_each_once() {
    let wanted = vec!["50000|50000".to_owned()];
    let sql = "SELECT count(*), count(DISTINCT k) \
               FROM (SELECT l_orderkey * 10 + l_linenumber AS k FROM lineitem LIMIT 50000)";
    survives(sql, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_dealt_by_chance_arrive_once_each() {
    let wanted = oracle_lines("SELECT count(*), count(*) * 7 FROM lineitem").await;
    let sql = "SELECT sum(n), sum(m) FROM (SELECT b, count(*) AS n, sum(seven) AS m \
               FROM (SELECT CAST(floor(random() * 5000) AS BIGINT) AS b, 7 AS seven FROM lineitem) GROUP BY b)";
    survives(sql, &wanted).await;
}
