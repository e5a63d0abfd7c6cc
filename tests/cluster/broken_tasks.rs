//! Tasks that kill, hang, panic, dawdle or want too much.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use windrow_model::AttemptState;

use crate::answers::{assert_answer, attempts, failures, state_of, wait_for_failure};
use crate::support::cluster::TestCluster;
use crate::support::cluster_processes::{Cluster, Setup, WorkerSetup};
use crate::support::jobs::{oracle_lines, script, wait_for_end};
use crate::support::processes::signal;
use crate::support::tpch;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_kills_two_workers_fails_its_job_and_spares_the_others() {
    let poisoned = WorkerSetup { failpoints: "task.run.2.0=kill:50ms".to_owned(), ..WorkerSetup::default() };
    let cluster = Cluster::set_up(Setup { workers: vec![poisoned; 4], ..Setup::of(0) }).await;
    let client = TestCluster::attached(&cluster.url()).await;

    let job = client.submit(&script(&tpch::query(9))).await.expect("the job is accepted");

    let error = wait_for_failure(&cluster, job).await;
    assert!(error.contains("2.0"), "the error does not name the task: {error}");
    cluster.wait_for_workers(2).await;
    // Two stages: the deadly task is of the third.
    let sql = "SELECT l_returnflag, count(*) FROM lineitem GROUP BY l_returnflag";
    let next = client.submit(&script(sql)).await.expect("the job is accepted");
    assert_answer(&cluster, next, &oracle_lines(sql).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_straggler_is_overtaken_by_a_second_attempt() {
    let sql = tpch::query(1);
    let wanted = oracle_lines(&sql).await;
    let setup = Setup { limits: &["lease=2s", "speculation-after=500ms"], ..Setup::of(2) };
    let cluster = Cluster::set_up(setup.with_failpoints("task.run=sleep:80s@3")).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let began = Instant::now();

    let job = client.submit(&script(&sql)).await.expect("the job is accepted");

    let ended = assert_answer(&cluster, job, &wanted).await;
    assert!(began.elapsed() < Duration::from_secs(60), "the straggler was waited for");
    let overtaken = attempts(&ended).filter(|(_, attempt)| state_of(attempt) == AttemptState::Cancelled).count();
    assert!(overtaken >= 1, "no attempt was overtaken: {:?}", ended.stages);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_ten_times_slower_than_the_others_doubles_no_row() {
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    let setup = Setup { limits: &["lease=5s", "speculation-after=200ms"], ..Setup::of(3) };
    let cluster = Cluster::set_up(setup).await;
    let pid = cluster.worker_pid(0);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    // One tenth of the time it runs.
    let slowing = std::thread::spawn(move || {
        loop {
            signal(pid, Signal::STOP);
            let ended = stopped.recv_timeout(Duration::from_millis(90)).is_ok();
            signal(pid, Signal::CONT);
            if ended || stopped.recv_timeout(Duration::from_millis(10)).is_ok() {
                return;
            }
        }
    });
    let client = TestCluster::attached(&cluster.url()).await;

    let job = client.submit(&script(&sql)).await.expect("the job is accepted");
    let ended = wait_for_end(&cluster.url(), job).await;
    stop.send(()).expect("the thread waits");
    slowing.join().expect("the thread ends");

    assert_answer(&cluster, job, &wanted).await;
    assert_eq!(failures(&ended), Vec::<&str>::new(), "a slow worker is not a broken one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_task_is_noticed_and_tried_elsewhere() {
    let sql = tpch::query(1);
    let wanted = oracle_lines(&sql).await;
    let setup = Setup { limits: &["lease=2s", "hang-timeout=2s", "speculation=off"], ..Setup::of(2) };
    let cluster = Cluster::set_up(setup.with_failpoints("task.run=hang@3")).await;
    let client = TestCluster::attached(&cluster.url()).await;

    let job = client.submit(&script(&sql)).await.expect("the job is accepted");

    let ended = assert_answer(&cluster, job, &wanted).await;
    assert_eq!(failures(&ended), ["timed-out"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_an_operator_fails_the_attempt_and_not_the_worker() {
    let sql = tpch::query(1);
    let wanted = oracle_lines(&sql).await;
    let mut cluster = Cluster::set_up(Setup::of(2).with_failpoints("task.run=panic@3")).await;
    let client = TestCluster::attached(&cluster.url()).await;

    let job = client.submit(&script(&sql)).await.expect("the job is accepted");

    let ended = assert_answer(&cluster, job, &wanted).await;
    assert_eq!(failures(&ended), ["panicked"]);
    assert_eq!(cluster.worker_exit(0), None, "the worker died of a panic");
}

/// Wide rows, half of which have one key, so that one task gets them, however many tasks there are.
const HOT: &str = "(SELECT CASE l_returnflag WHEN 'N' THEN 0 ELSE l_orderkey END AS f, \
                   concat(l_comment, l_comment, l_comment, l_comment, l_comment) AS t FROM lineitem)";

#[tokio::test(flavor = "multi_thread")]
async fn a_build_side_that_does_not_fit_is_divided() {
    // No row of the other side has that key, but nobody knows.
    let sql = format!("SELECT count(a.t), count(b.t), sum(a.f) FROM {HOT} a LEFT JOIN {HOT} b ON a.f = b.f * 2 - 1");
    let wanted = oracle_lines(&sql).await;
    let small = WorkerSetup { memory: "32MiB", slots: 2, ..WorkerSetup::default() };
    let cluster = Cluster::set_up(Setup { workers: vec![small; 2], ..Setup::of(0) }).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let job = client.submit(&script(&sql)).await.expect("the job is accepted");

    let ended = assert_answer(&cluster, job, &wanted).await;

    assert_eq!(failures(&ended), Vec::<&str>::new());
    let operators = ended.stages.iter().flat_map(|stage| &stage.operators);
    let joins = operators.filter(|operator| operator.name == "HashJoinExec");
    assert!(joins.map(|join| join.spill_bytes).sum::<u64>() > 0, "no join was divided");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_without_enough_memory_is_tried_once_more_and_names_its_operator() {
    let small = WorkerSetup { memory: "32MiB", slots: 2, ..WorkerSetup::default() };
    let setup = Setup { workers: vec![small; 2], limits: &["speculation=off"], ..Setup::of(0) };
    let mut cluster = Cluster::set_up(setup).await;
    let client = TestCluster::attached(&cluster.url()).await;
    // Rows of one key cannot be divided, and a full join needs all of them at once.
    let sql = format!("SELECT count(a.t), count(b.t) FROM {HOT} a FULL JOIN {HOT} b ON a.f = b.f AND a.t > b.t");

    let job = client.submit(&script(&sql)).await.expect("the job is accepted");

    let error = wait_for_failure(&cluster, job).await;
    assert!(error.contains("HashJoin"), "the error does not name the operator: {error}");
    assert!(error.contains("MB") || error.contains("MiB"), "the error does not say how much it held: {error}");
    let ended = wait_for_end(&cluster.url(), job).await;
    assert_eq!(failures(&ended), ["out-of-memory", "out-of-memory"]);
    for worker in 0..2 {
        assert_eq!(cluster.worker_exit(worker), None, "a worker died of a task that wanted too much");
    }
}
