//! A coordinator that is killed at every boundary there is: before and after each commit to its journal, and between
//! all actions that publish a table's files.

use windrow_client::Client;
use windrow_model::JobId;

use crate::answers::{assert_published, assert_succeeded};
use crate::support::cluster::{TestCluster, spec};
use crate::support::cluster_processes::Cluster;
use crate::support::jobs::{oracle_lines, script, wait_for_end};
use crate::support::rows;

/// A run of the job has fewer boundaries of each kind.
const ARRIVALS_MAX: u32 = 60;

/// Starts the coordinator again, well, if it has died. Whether it had.
async fn revive(cluster: &mut Cluster) -> bool {
    if cluster.coordinator_exit(0).is_none() {
        return false;
    }
    cluster.start_coordinator().await;
    true
}

/// Submits until somebody acknowledges it; one token, so that it is one job.
async fn submit(cluster: &mut Cluster, script: &str, token: &str) -> (JobId, bool) {
    let mut died = false;
    for _ in 0..1_000 {
        let url = cluster.url();
        let submitted = async {
            let mut spec = spec(script);
            spec.client_token = Some(token.to_owned());
            Client::connect(&url).await?.submit(spec).await
        };
        match submitted.await {
            Ok(submitted) => return (submitted.job, died),
            Err(_) => died |= revive(cluster).await,
        }
    }
    panic!("nobody acknowledges {token}");
}

/// Kills the coordinator at each arrival at `point`, in turn, until a job has too few of them to be hit.
async fn kill_at_each(point: &str) {
    let copied = oracle_lines("SELECT l_orderkey, l_linenumber FROM lineitem WHERE l_quantity > 45").await;
    let selected = oracle_lines("SELECT l_returnflag, count(*) FROM lineitem WHERE l_quantity > 45 GROUP BY 1").await;
    let mut cluster = Cluster::start(1).await;
    for arrival in 1..ARRIVALS_MAX {
        cluster.kill_coordinator();
        cluster.start_coordinator_with(&format!("{point}=kill@{arrival}")).await;
        let folder = cluster.path().join(format!("copy-{arrival}"));
        let text = format!(
            "CREATE TABLE big AS SELECT * FROM lineitem WHERE l_quantity > 45;
             COPY (SELECT l_orderkey, l_linenumber FROM big) TO '{}/' STORED AS PARQUET;
             SELECT l_returnflag, count(*) FROM big GROUP BY l_returnflag",
            folder.display()
        );
        let token = format!("{point}-{arrival}");
        let (job, mut died) = submit(&mut cluster, &script(&text).replace("256KiB", "4MiB"), &token).await;
        while !has_ended(&cluster, job).await {
            died |= revive(&mut cluster).await;
        }
        let ended = wait_for_end(&cluster.url(), job).await;
        assert_succeeded(&ended);
        assert_published(&folder, &copied).await;
        let client = TestCluster::attached(&cluster.url()).await;
        let rows = client.result(&ended).await.expect("the rows are there");
        assert_eq!(rows::sorted_lines(&rows), selected, "{point} {arrival}");
        if !died && !revive(&mut cluster).await {
            assert!(arrival > 3, "the coordinator got to {point} only {arrival} times");
            return;
        }
    }
    panic!("a job gets to {point} more than {ARRIVALS_MAX} times");
}

async fn has_ended(cluster: &Cluster, job: JobId) -> bool {
    let Ok(client) = Client::connect(&cluster.url()).await else { return false };
    let Ok(job) = client.job(job).await else { return false };
    windrow_model::JobState::from_name(&job.state).is_some_and(windrow_model::JobState::is_final)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_killed_before_each_commit_to_its_journal() {
    kill_at_each("journal.before").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_killed_after_each_commit_to_its_journal() {
    kill_at_each("journal.after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_killed_at_each_step_of_a_publication() {
    kill_at_each("commit.step").await;
}
