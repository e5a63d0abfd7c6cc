//! Workers die at chosen moments, counted in finished tasks; the answer stays right and only lost work runs again.

use std::collections::BTreeMap;

use crate::answers::assert_succeeded;
use crate::support::cluster::TestCluster;
use crate::support::jobs::{oracle_lines, script, tasks_done};
use crate::support::processes::Up;
use crate::support::{rows, tpch};
use windrow_model::{AttemptState, StageState};
use windrow_proto::{Attempt, Job, Stage};

/// The worker's id in the coordinator's words.
async fn worker_id(cluster: &TestCluster, pid: u32) -> u64 {
    let workers = cluster.client().workers().await.expect("workers are listed");
    workers.iter().find(|worker| worker.process_id == pid).expect("the worker is registered").id
}

/// Submits, kills the second worker once `ripe`, and returns the job at its end.
async fn run_and_kill(up: &Up, cluster: &TestCluster, script: &str, ripe: impl Fn(&Job) -> bool) -> Job {
    let job = cluster.submit(script).await.expect("the job is accepted");
    let mut updates = cluster.client().watch(job).await.expect("the job can be watched");
    let mut killed = false;
    let mut last = None;
    while let Some(update) = updates.next().await.expect("the coordinator stays") {
        if !killed && ripe(&update) {
            up.kill_worker(1);
            killed = true;
        }
        last = Some(update);
    }
    assert!(killed, "the job ended before the moment to kill came: {last:?}");
    last.expect("a watched job has a final state")
}

/// Whether the outputs of `stage` had been dropped by then: all that read them had been read.
fn released(job: &Job, stage: u32, at_us: u64) -> bool {
    let done = |reader: &Stage, task| {
        reader.attempts.iter().any(|attempt| {
            let succeeded = AttemptState::from_name(&attempt.state) == Some(AttemptState::Succeeded);
            succeeded && attempt.task == task && attempt.ended_us <= at_us
        })
    };
    let mut readers = job.stages.iter().filter(|reader| reader.inputs.contains(&stage)).peekable();
    readers.peek().is_some() && readers.all(|reader| (0..reader.tasks).all(|task| done(reader, task)))
}

/// A task runs again only if its attempt did not succeed, or what it wrote was on the dead worker or was released.
fn check_only_lost_work_ran_again(job: &Job, dead: u64) -> u32 {
    let mut reruns = 0;
    for stage in &job.stages {
        let mut by_task: BTreeMap<u32, Vec<&Attempt>> = BTreeMap::new();
        for attempt in &stage.attempts {
            by_task.entry(attempt.task).or_default().push(attempt);
        }
        for (task, attempts) in by_task {
            for (attempt, next) in attempts.iter().zip(&attempts[1..]) {
                reruns += 1;
                let succeeded = AttemptState::from_name(&attempt.state) == Some(AttemptState::Succeeded);
                assert!(
                    !succeeded || attempt.worker == dead || released(job, stage.index, next.started_us),
                    "task {}.{task} ran again although its output is on a living worker: {attempts:?}",
                    stage.index
                );
            }
        }
    }
    reruns
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_the_middle_costs_only_its_own_work() {
    let wanted = oracle_lines(&tpch::query(9)).await;
    let up = Up::start(&["--workers", "2", "--small-job-bytes", "0"]).await;
    let cluster = TestCluster::attached(up.address()).await;
    let dead = worker_id(&cluster, up.workers()[1]).await;

    let job = run_and_kill(&up, &cluster, &script(&tpch::query(9)), |job| tasks_done(job) >= 12).await;

    assert_succeeded(&job);
    assert_eq!(rows::sorted_lines(&cluster.result(&job).await.expect("the result is there")), wanted);
    assert!(check_only_lost_work_ran_again(&job, dead) > 0, "nothing ran again");
    up.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_that_die_before_they_are_read_are_made_again() {
    let sql = "SELECT o_orderpriority, count(*) AS n, sum(l_quantity) AS q FROM orders JOIN lineitem \
               ON o_orderkey = l_orderkey GROUP BY o_orderpriority";
    let wanted = oracle_lines(sql).await;
    let up = Up::start(&["--workers", "2", "--small-job-bytes", "0"]).await;
    let cluster = TestCluster::attached(up.address()).await;
    let dead = worker_id(&cluster, up.workers()[1]).await;

    let map_done = |job: &Job| {
        job.stages.first().is_some_and(|stage| StageState::from_name(&stage.state) == Some(StageState::Done))
    };
    let job = run_and_kill(&up, &cluster, &script(sql), map_done).await;

    assert_succeeded(&job);
    assert_eq!(rows::sorted_lines(&cluster.result(&job).await.expect("the result is there")), wanted);
    check_only_lost_work_ran_again(&job, dead);
    let remade = job.stages[0].attempts.iter().filter(|attempt| attempt.worker == dead && attempt.state == "succeeded");
    assert!(remade.count() > 0, "the dead worker had no map output: {:?}", job.stages[0].attempts);
    assert!(job.stages[0].reruns > 0, "no map output was made again");
    up.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_outlives_the_worker_that_made_it() {
    // Wide rows, so that no part is small enough to ride in its completion.
    let sql = "SELECT * FROM lineitem";
    let wanted = oracle_lines(sql).await;
    let up = Up::start(&["--workers", "2", "--small-job-bytes", "0"]).await;
    let cluster = TestCluster::attached(up.address()).await;

    let id = cluster.submit(&script(sql)).await.expect("the job is accepted");
    let job = cluster.client().wait(id).await.expect("the job ends");
    assert_succeeded(&job);
    up.kill_worker(1);

    assert_eq!(rows::sorted_lines(&cluster.result(&job).await.expect("the result is made again")), wanted);
    up.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_any_worker_left_says_so() {
    let up = Up::start(&["--workers", "1", "--small-job-bytes", "0"]).await;
    let cluster = TestCluster::attached(up.address()).await;
    up.kill_worker(0);
    let id = cluster.submit(&script(&tpch::query(1))).await.expect("the job is accepted and kept");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let reasons = cluster.client().why(id).await.expect("the coordinator answers");
        if reasons.iter().any(|reason| reason.contains("no worker")) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{reasons:?}");
        tokio::task::yield_now().await;
    }
    cluster.client().cancel(id).await.expect("a waiting job can be cancelled");
    up.stop().await;
}
