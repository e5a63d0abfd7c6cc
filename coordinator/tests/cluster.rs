//! The coordinator over real gRPC, with workers that speak the protocol and run nothing.

mod fake;

use fake::{BUILD, FakeWorker, client, coordinator, follow, options, select, soon};
use tonic::Code;
use windrow_coordinator::Coordinator;
use windrow_model::ErrorKind;
use windrow_proto as wire;
use windrow_proto::{report_from_status, to_worker};

#[tokio::test(flavor = "multi_thread")]
async fn a_select_is_planned_run_and_answered() {
    let handle = coordinator().await;
    let mut client = client(&handle).await;
    let mut worker = FakeWorker::attach(&handle, BUILD).await.expect("welcome");
    let job = client.submit(select("SELECT 1 AS n", None)).await.expect("accepted").into_inner().job;

    let run = worker.start_task().await;
    assert!(run.is_result);
    worker.finish(&run, b"rows").await;

    let (states, last) = follow(&mut client, job).await;
    assert_eq!(states.last().map(String::as_str), Some("succeeded"), "{states:?} {last:?}");
    assert_eq!(last.result_steps, [0]);
    assert_eq!(last.stages[0].operators[0].name, "Values");
    let work = &last.workers[0];
    assert_eq!((work.worker, work.attempts, work.rss_peak_bytes, work.cpu_us), (worker.id, 1, 77, 5));

    let result = client.get_result(wire::ResultRequest { job, step: 0 }).await.expect("rows").into_inner();
    assert!(!result.schema.is_empty());
    assert_eq!(result.parts[0].inline.as_deref(), Some(b"rows".as_slice()));
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_stream_loses_the_attempt_and_another_worker_runs_it_again() {
    let handle = coordinator().await;
    let mut client = client(&handle).await;
    let mut first = FakeWorker::attach(&handle, BUILD).await.expect("welcome");
    let job = client.submit(select("SELECT 1 AS n", None)).await.expect("accepted").into_inner().job;
    let lost = first.start_task().await;
    let first_id = first.id;
    drop(first);

    let mut second = FakeWorker::attach(&handle, BUILD).await.expect("welcome");
    assert_ne!(second.id, first_id);
    let run = second.start_task().await;
    assert_eq!(run.task, lost.task);
    assert_ne!(run.attempt, lost.attempt);
    second.finish(&run, b"rows").await;

    let (_, last) = follow(&mut client, job).await;
    assert_eq!(last.state, "succeeded");
    let attempts: Vec<(u64, &str)> =
        last.stages[0].attempts.iter().map(|attempt| (attempt.worker, attempt.state.as_str())).collect();
    assert_eq!(attempts, [(first_id, "lost"), (second.id, "succeeded")]);
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_failure_fails_the_job_with_its_report() {
    let handle = coordinator().await;
    let mut client = client(&handle).await;
    let mut worker = FakeWorker::attach(&handle, BUILD).await.expect("welcome");
    let job = client.submit(select("SELECT 1 AS n", None)).await.expect("accepted").into_inner().job;
    let run = worker.start_task().await;
    let report = wire::ErrorReport { kind: "invalid".to_owned(), what: "overflow".to_owned(), ..Default::default() };
    worker.fail(&run, wire::failure::Kind::Query(report)).await;

    let (_, last) = follow(&mut client, job).await;
    assert_eq!(last.state, "failed");
    let error = last.error.expect("a report");
    assert!(format!("{} {}", error.what, error.detail).contains("overflow"), "{error:?}");
    let refused = client.get_result(wire::ResultRequest { job, step: 0 }).await.expect_err("no rows");
    assert_ne!(refused.code(), Code::Ok);
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_token_twice_is_the_same_job() {
    let handle = coordinator().await;
    let mut client = client(&handle).await;
    let first = client.submit(select("SELECT 1 AS n", Some("t"))).await.expect("accepted").into_inner();
    let again = client.submit(select("SELECT 1 AS n", Some("t"))).await.expect("accepted").into_inner();
    assert_eq!((first.existing, again.existing), (false, true));
    assert_eq!(first.job, again.job);
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_came_late_gets_the_final_state_at_once() {
    let handle = coordinator().await;
    let mut client = client(&handle).await;
    let job = client.submit(select("SELECT 1 AS n", None)).await.expect("accepted").into_inner().job;
    let cancelled = client.cancel(wire::JobRequest { job }).await.expect("cancelled").into_inner();
    assert_eq!(cancelled.state, "cancelled");
    assert_eq!(follow(&mut client, job).await.0, ["cancelled"]);
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_another_build_is_refused() {
    let handle = coordinator().await;
    let status = FakeWorker::attach(&handle, "other-build").await.err().expect("refused");
    let report = report_from_status(&status);
    assert_eq!(report.kind, ErrorKind::Invalid);
    assert!(report.detail.contains("other-build") && report.detail.contains(BUILD), "{report:?}");
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_leaves_is_sent_away_when_it_is_idle() {
    let handle = coordinator().await;
    let mut client = client(&handle).await;
    let mut worker = FakeWorker::attach(&handle, BUILD).await.expect("welcome");
    worker.leave().await;
    assert!(matches!(worker.command().await, Some(to_worker::Kind::Shutdown(_))));
    assert!(worker.command().await.is_none(), "the stream ends in order");
    let workers = client.list_workers(wire::ListWorkersRequest {}).await.expect("a list").into_inner().workers;
    assert_eq!(workers[0].state, "gone");
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_job_is_not_found() {
    let handle = coordinator().await;
    let mut client = client(&handle).await;
    let missing = wire::JobRequest { job: 99 };
    assert_eq!(client.get(missing).await.expect_err("no job").code(), Code::NotFound);
    assert_eq!(client.why(missing).await.expect_err("no job").code(), Code::NotFound);
    assert_eq!(client.watch(missing).await.expect_err("no job").code(), Code::NotFound);
    let result = client.get_result(wire::ResultRequest { job: 99, step: 0 }).await;
    assert_eq!(result.expect_err("no job").code(), Code::NotFound);
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_workers_says_what_it_waits_for() {
    let handle = coordinator().await;
    let mut client = client(&handle).await;
    let job = client.submit(select("SELECT 1 AS n", None)).await.expect("accepted").into_inner().job;
    let reasons = client.why(wire::JobRequest { job }).await.expect("reasons").into_inner().reasons;
    assert!(!reasons.is_empty());
    let listed = client.list(wire::ListJobsRequest { all: false }).await.expect("a list").into_inner().jobs;
    assert_eq!(listed.len(), 1);
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_watches_and_frees_the_port() {
    let handle = coordinator().await;
    let mut client = client(&handle).await;
    let job = client.submit(select("SELECT 1 AS n", None)).await.expect("accepted").into_inner().job;
    let mut snapshots = client.watch(wire::JobRequest { job }).await.expect("a watch").into_inner();
    assert!(soon("a snapshot", snapshots.message()).await.expect("open").is_some());
    let address = handle.address();
    handle.shutdown().await;
    let ended = loop {
        match soon("the end", snapshots.message()).await {
            Ok(Some(_)) => continue,
            Ok(None) => panic!("the watch ended without the job's final state"),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), Code::Unavailable, "{ended:?}");
    Coordinator::start(options(address)).await.expect("the port is free").shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_reported() {
    let handle = coordinator().await;
    let report = Coordinator::start(options(handle.address())).await.expect_err("in use");
    assert_eq!(report.kind, ErrorKind::AlreadyExists);
    assert!(report.detail.contains(&handle.address().port().to_string()));
    handle.shutdown().await;
}
