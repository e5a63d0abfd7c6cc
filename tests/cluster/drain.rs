//! Workers that leave in order: what they hold moves to others, and nothing is computed again.

use crate::support::cluster::TestCluster;
use crate::support::cluster_processes::{Cluster, Setup, until};
use crate::support::jobs::{completed_twice, oracle_lines, script, tasks_done, wait_for_end, wait_until};
use crate::support::s3_server::{S3Server, weed};
use crate::support::{rows, tpch};
use windrow_client::Client;
use windrow_model::{AttemptState, JobState, WorkerId, WorkerState};
use windrow_proto::Job;

/// Waits until the worker has left.
async fn wait_until_gone(url: &str, worker: u64) {
    until("the worker to leave", || async {
        let workers = Client::connect(url).await.ok()?.workers().await.ok()?;
        let state = workers.iter().find(|found| found.id == worker).map(|found| found.state.clone());
        (state.as_deref() == Some(WorkerState::Gone.name())).then_some(())
    })
    .await
}

fn assert_nothing_ran_again(job: &Job) {
    assert_eq!(JobState::from_name(&job.state), Some(JobState::Succeeded), "{:?}", job.error);
    assert_eq!(completed_twice(job), Vec::<String>::new(), "a drain must not cost a task");
    for stage in &job.stages {
        assert_eq!(stage.reruns, 0, "stage {} ran again", stage.index);
        let ended = stage.attempts.iter().filter_map(|attempt| AttemptState::from_name(&attempt.state));
        let unlucky = ended.filter(|state| matches!(state, AttemptState::Failed | AttemptState::Lost)).count();
        assert_eq!(unlucky, 0, "stage {}: {:?}", stage.index, stage.attempts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_in_the_middle_of_a_job_recomputes_nothing() {
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    let cluster = Cluster::start(3).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let leaving = client.client().workers().await.expect("workers are listed")[0].id;
    let job = client.submit(&script(&sql)).await.expect("the job is accepted");
    wait_until(&cluster.url(), job, "some finished tasks", |job| tasks_done(job) >= 12).await;

    client.client().drain(WorkerId(leaving), None).await.expect("the worker is told");
    wait_until_gone(&cluster.url(), leaving).await;

    let ended = wait_for_end(&cluster.url(), job).await;
    assert_nothing_ran_again(&ended);
    assert_eq!(rows::sorted_lines(&client.result(&ended).await.expect("the rows are there")), wanted);
}

/// All workers leave in the middle of a job, and the coordinator dies; a new worker finds their outputs at `location`.
/// `stored` counts what is there.
async fn assert_all_may_leave(location: &str, env: Vec<(String, String)>, stored: impl Fn() -> usize) {
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    let mut setup = Setup { env, ..Setup::of(2) };
    setup.coordinator_words = vec!["--shuffle-store".to_owned(), location.to_owned()];
    let mut cluster = Cluster::set_up(setup).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let job = client.submit(&script(&sql)).await.expect("the job is accepted");
    wait_until(&cluster.url(), job, "some finished tasks", |job| tasks_done(job) >= 12).await;

    for worker in client.client().workers().await.expect("workers are listed") {
        client.client().drain(WorkerId(worker.id), None).await.expect("the worker is told");
        wait_until_gone(&cluster.url(), worker.id).await;
    }
    assert!(stored() > 0, "nobody was left to take the outputs, and they are not stored");
    cluster.kill_coordinator();
    cluster.start_coordinator().await;
    cluster.start_worker();

    let ended = wait_for_end(&cluster.url(), job).await;
    assert_nothing_ran_again(&ended);
    assert_eq!(rows::sorted_lines(&client.result(&ended).await.expect("the rows are there")), wanted);
    until("the outputs to be removed", || std::future::ready((stored() == 0).then_some(()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_of_all_workers_into_a_shared_folder_recomputes_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let location = format!("{}/", folder.path().display());
    let stored = || std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_all_may_leave(&location, Vec::new(), stored).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_of_all_workers_into_a_bucket_recomputes_nothing() {
    let Some(weed) = weed() else { return };
    let server = tokio::task::spawn_blocking(move || S3Server::start(&weed)).await.expect("a server");
    let env = server.env().map(|(name, value)| (name.to_owned(), value)).into();
    assert_all_may_leave("s3://lake/shuffle/", env, || server.count("shuffle/")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_an_ended_job_move_with_a_worker_that_is_told_to_stop() {
    // Wide rows, so that no part is small enough to ride in its completion.
    let sql = "SELECT * FROM lineitem";
    let wanted = oracle_lines(sql).await;
    let cluster = Cluster::start(2).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let job = client.submit(&script(sql)).await.expect("the job is accepted");
    wait_for_end(&cluster.url(), job).await;
    let pid = cluster.worker_pid(0);
    let workers = client.client().workers().await.expect("workers are listed");
    let leaving = workers.iter().find(|worker| worker.process_id == pid).expect("it is registered").id;

    cluster.signal_worker(0, rustix::process::Signal::TERM);
    wait_until_gone(&cluster.url(), leaving).await;

    let ended = client.client().job(job).await.expect("the job is kept");
    assert_eq!(rows::sorted_lines(&client.result(&ended).await.expect("the rows are there")), wanted);
    assert_nothing_ran_again(&client.client().job(job).await.expect("the job is kept"));
}
