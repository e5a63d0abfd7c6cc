//! Workers of one host map each other's outputs: when they cannot, and when they die at it.

use crate::answers::{assert_answer, failures};
use crate::support::cluster::TestCluster;
use crate::support::cluster_processes::{Cluster, Setup};
use crate::support::jobs::{oracle_lines, script};

const SQL: &str = "SELECT DISTINCT * FROM lineitem";

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_mapped_is_sent() {
    let wanted = oracle_lines(SQL).await;
    let cluster = Cluster::set_up(Setup::of(2).with_failpoints("shuffle.map=error@1+")).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let job = client.submit(&script(SQL)).await.expect("the job is accepted");
    let ended = assert_answer(&cluster, job, &wanted).await;
    assert_eq!(failures(&ended), Vec::<&str>::new(), "nobody is to blame");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_it_maps_what_another_shares_costs_only_its_own_work() {
    let wanted = oracle_lines(SQL).await;
    let mut setup = Setup::of(3);
    setup.workers[0].failpoints = "shuffle.map=kill@3".to_owned();
    let cluster = Cluster::set_up(setup).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let job = client.submit(&script(SQL)).await.expect("the job is accepted");
    assert_answer(&cluster, job, &wanted).await;
    // It was killed: outputs are mapped.
    cluster.wait_for_workers(2).await;
}
