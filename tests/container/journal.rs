//! Leaders that are cut off from their journal or their workers, and journals that fall apart.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use windrow_client::Client;
use windrow_model::{ErrorKind, JobId, JobSpec};

use crate::answers::answer_of;
use crate::fleet::{Fleet, WORKERS};
use crate::support::cluster::{TestCluster, spec};
use crate::support::cluster_processes::until;
use crate::support::jobs::{completed_twice, oracle_lines, script, tasks_done, wait_until};
use crate::support::tpch;

const ETCD: [&str; 3] = ["etcd-1", "etcd-2", "etcd-3"];
/// The leader's right lasts five seconds; a successor takes over within two more. The rest is for this machine.
const TAKE_OVER: Duration = Duration::from_secs(10);
/// How long a journal has no majority, and how often a job is submitted meanwhile.
const WITHOUT_MAJORITY: Duration = Duration::from_secs(20);
const SUBMISSION_PAUSE: Duration = Duration::from_millis(200);

/// Submits, as often as it takes: the loss of a journal's member may cost a leader its right, and the successor knows
/// by the token what was accepted.
async fn begin(fleet: &Fleet, sql: &str) -> JobId {
    static TOKENS: AtomicU32 = AtomicU32::new(0);
    let token = format!("token {}", TOKENS.fetch_add(1, Ordering::Relaxed));
    let job = until("the job to be accepted", || async {
        let spec = JobSpec { client_token: Some(token.clone()), ..spec(&script(sql)) };
        let submitted = async { Client::connect(&fleet.url()).await?.submit(spec).await };
        match submitted.await {
            Ok(accepted) => Some(accepted.job),
            Err(report) => {
                assert_eq!(report.kind, ErrorKind::Unavailable, "{report:?}");
                None
            }
        }
    })
    .await;
    wait_until(&fleet.url(), job, "some finished tasks", |job| tasks_done(job) >= 8).await;
    job
}

fn start_ended_again(fleet: &Fleet) {
    for coordinator in ["coordinator-1", "coordinator-2"] {
        if !fleet.is_running(coordinator) {
            fleet.start_again(coordinator);
        }
    }
}

fn other(coordinator: &str) -> &'static str {
    if coordinator == "coordinator-1" { "coordinator-2" } else { "coordinator-1" }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_cut_off_from_its_journal_makes_room() {
    let Some(fleet) = Fleet::start().await else { return };
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    let job = begin(&fleet, &sql).await;
    let old = fleet.leader().await;

    let began = Instant::now();
    fleet.cut(old, &ETCD);
    until("the cut-off leader to end", || async { (!fleet.is_running(old)).then_some(()) }).await;
    let successor = until("a successor", || async {
        let leader = fleet.leader().await;
        (leader != old).then_some(leader)
    })
    .await;

    assert!(began.elapsed() < TAKE_OVER, "it took {:?}", began.elapsed());
    assert_eq!(successor, other(old));
    assert_ne!(fleet.exit_code(old), "0", "a leader that lost its right ends with an error");
    let ended = answer_of(&fleet.url(), job, &wanted).await;
    assert_eq!(completed_twice(&ended), Vec::<String>::new(), "work was lost with a coordinator");
    fleet.start_again(old);
    fleet.wait_for_workers(WORKERS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_cut_off_from_its_workers_gets_them_back() {
    let Some(fleet) = Fleet::start().await else { return };
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    let job = begin(&fleet, &sql).await;
    let leader = fleet.leader().await;

    fleet.cut(leader, &["worker-1", "worker-2", "worker-3"]);
    until("the job to say that it waits for a worker", || async {
        let reasons = Client::connect(&fleet.url()).await.ok()?.why(job).await.ok()?;
        reasons.iter().any(|reason| reason.contains("no worker")).then_some(())
    })
    .await;
    fleet.heal();

    answer_of(&fleet.url(), job, &wanted).await;
    fleet.wait_for_workers(WORKERS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_loses_one_member_goes_on_and_one_that_loses_two_waits() {
    let Some(fleet) = Fleet::start().await else { return };
    let sql = tpch::query(9);
    let wanted = oracle_lines(&sql).await;
    fleet.cut("etcd-3", &["etcd-1", "etcd-2", "coordinator-1", "coordinator-2"]);
    let job = begin(&fleet, &sql).await;
    answer_of(&fleet.url(), job, &wanted).await;
    let job = begin(&fleet, &sql).await;

    // The leader may have stepped down while the others chose a leader of the journal.
    start_ended_again(&fleet);
    fleet.cut("etcd-2", &["etcd-1", "coordinator-1", "coordinator-2"]);
    let began = Instant::now();
    let (mut refused, mut acknowledged) = (0, Vec::new());
    while began.elapsed() < WITHOUT_MAJORITY {
        let submitted = async { TestCluster::of(Client::connect(&fleet.url()).await?).submit("SELECT 1").await };
        match tokio::time::timeout(Duration::from_secs(4), submitted).await {
            Ok(Ok(job)) => acknowledged.push(job),
            Ok(Err(_)) | Err(_) => refused += 1,
        }
        tokio::time::sleep(SUBMISSION_PAUSE).await;
    }
    fleet.heal();
    // Whoever led has stepped down: without a journal, nobody leads.
    start_ended_again(&fleet);

    assert!(refused > 3, "jobs were acknowledged without a journal: {acknowledged:?}");
    let ended = answer_of(&fleet.url(), job, &wanted).await;
    assert_eq!(completed_twice(&ended), Vec::<String>::new(), "work was lost with the journal");
    for job in acknowledged {
        answer_of(&fleet.url(), job, &["1".to_owned()]).await;
    }
}
