//! Clients that go away, and processes that are asked to.

use std::process::{Command, Stdio};

use rustix::process::Signal;
use windrow_client::Client;

use crate::answers::assert_answer;
use crate::support::cluster::TestCluster;
use crate::support::cluster_processes::{Cluster, until};
use crate::support::jobs::{completed_twice, oracle_lines, script, tasks_done, wait_until};
use crate::support::processes::windrow;
use crate::support::tpch;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_without_its_client_and_is_found_by_its_token() {
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    let cluster = Cluster::start(2).await;
    let url = cluster.url();
    let mut submitter = Command::new(windrow())
        .args(["submit", "--coordinator", &url, "--wait", "--client-token", "nightly", "-e", &script(&sql)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("windrow starts");
    let began = until("the job to begin", || async {
        let jobs = Client::connect(&url).await.ok()?.jobs(true).await.ok()?;
        jobs.first().filter(|job| job.started_us > 0).map(|job| windrow_model::JobId(job.id))
    })
    .await;

    submitter.kill().expect("the client can be killed");
    submitter.wait().expect("it ends");
    let again = Command::new(windrow())
        .args(["submit", "--coordinator", &url, "--client-token", "nightly", "-e", &script(&sql)])
        .output()
        .expect("windrow starts");

    assert_eq!(String::from_utf8_lossy(&again.stdout).trim(), began.to_string(), "{again:?}");
    assert_answer(&cluster, began, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_follows_the_next_leader() {
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    let mut cluster = Cluster::start(2).await;
    let url = cluster.url();
    let submitter = Command::new(windrow())
        .args(["submit", "--coordinator", &url, "--wait", "--output", "csv", "-e", &script(&sql)])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("windrow starts");
    until("the job to be in its middle", || async {
        let jobs = Client::connect(&url).await.ok()?.jobs(true).await.ok()?;
        jobs.first().filter(|job| tasks_done(job) >= 12).map(drop)
    })
    .await;

    cluster.kill_coordinator();
    cluster.start_coordinator().await;

    let output = submitter.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("waiting for the next coordinator"), "{said}");
    let rows = String::from_utf8_lossy(&output.stdout).lines().count() - 1;
    assert_eq!(rows, wanted.len(), "rows below the header");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_asked_to_stop_in_the_middle_of_a_job_goes_on_after_its_restart() {
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    let mut cluster = Cluster::start(2).await;
    let job = TestCluster::attached(&cluster.url()).await.submit(&script(&sql)).await.expect("the job is accepted");
    wait_until(&cluster.url(), job, "some finished tasks", |job| tasks_done(job) >= 12).await;

    cluster.signal_coordinator(0, Signal::TERM);
    let exit = cluster.coordinator_end(0).await;
    assert!(exit.success(), "it was asked to stop, and ended with {exit}");
    cluster.start_coordinator().await;

    let ended = assert_answer(&cluster, job, &wanted).await;
    assert_eq!(completed_twice(&ended), Vec::<String>::new(), "work was lost with the coordinator");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_asked_to_stop_ends_well_and_costs_no_task() {
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    let mut cluster = Cluster::start(3).await;
    let job = TestCluster::attached(&cluster.url()).await.submit(&script(&sql)).await.expect("the job is accepted");
    wait_until(&cluster.url(), job, "some finished tasks", |job| tasks_done(job) >= 12).await;

    cluster.signal_worker(0, Signal::TERM);
    let exit = cluster.worker_end(0).await;
    assert!(exit.success(), "it was asked to stop, and ended with {exit}");

    let ended = assert_answer(&cluster, job, &wanted).await;
    assert_eq!(completed_twice(&ended), Vec::<String>::new(), "a worker that leaves in order costs no task");
}
