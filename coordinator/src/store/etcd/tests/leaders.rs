//! Standbys, leases that end, and a leader that was stopped and does not know it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::Signal;
use tokio::io::AsyncBufReadExt;

use super::cluster::signal;
use super::*;

const TTL: Duration = Duration::from_secs(2);

/// A lease may run out later than its time: etcd looks twice a second, and the machine may be busy.
const TAKEOVER_DEADLINE: Duration = Duration::from_secs(30);

async fn short_lease() -> Option<(Cluster, EtcdOptions)> {
    let cluster = Cluster::start(1).await?;
    let options = EtcdOptions { lease_ttl: TTL, ..options(cluster.endpoints(), "/w") };
    Some((cluster, options))
}

#[tokio::test]
async fn a_standby_takes_over_when_the_lease_of_a_dead_leader_has_ended() {
    let Some((_cluster, options)) = short_lease().await else { return };
    let mut leader = journal(&options).campaign().await.expect("leads");
    commit(&mut *leader, &[job_submitted(1)]).await;
    let standby = tokio::spawn({
        let options = options.clone();
        async move { journal(&options).campaign().await }
    });
    // Several lives of a lease long, the leader keeps its right by renewing it.
    let renewed_until = Instant::now() + 2 * TTL;
    eventually("two lives of a lease", async || Instant::now() > renewed_until).await;
    assert!(!standby.is_finished() && leader.leadership().is_leading());
    let epoch = leader.epoch();
    drop(leader);
    let next = tokio::time::timeout(TAKEOVER_DEADLINE, standby).await.expect("in time").expect("no panic");
    let mut next = next.expect("leads");
    assert!(next.epoch() > epoch);
    assert_eq!(records(&mut *next).await, [job_submitted(1)]);
}

#[tokio::test]
async fn a_leader_whose_lease_was_revoked_learns_it() {
    let Some((cluster, options)) = short_lease().await else { return };
    let leader = journal(&options).campaign().await.expect("leads");
    let leadership = leader.leadership();
    expire_lease(&mut cluster.client().await, "/w", leader.epoch()).await;
    let why = tokio::time::timeout(TAKEOVER_DEADLINE, leadership.lost()).await.expect("in time");
    assert_eq!(why, "the lease has run out");
}

#[tokio::test]
async fn a_leader_that_cannot_reach_etcd_steps_down_at_half_its_lease() {
    let Some((cluster, options)) = short_lease().await else { return };
    let leader = journal(&options).campaign().await.expect("leads");
    let leadership = leader.leadership();
    cluster.stop(0);
    let stopped = Instant::now();
    leadership.lost().await;
    assert!(stopped.elapsed() < TTL, "it steps down before anyone else can lead");
    cluster.resume(0);
}

const CHILD_OPTIONS: &str = "WINDROW_TEST_ETCD_OF_CHILD";

fn path_of(test: &str) -> String {
    let (_crate, module) = module_path!().split_once("::").expect("a module within a crate");
    format!("{module}::{test}")
}

/// Not a test by itself: leads, then commits once for each line it reads, and says how each commit ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_leads_and_commits_when_told() {
    let Ok(endpoint) = std::env::var(CHILD_OPTIONS) else { return };
    let options = EtcdOptions { lease_ttl: TTL, ..options(vec![endpoint], "/w") };
    let mut store = journal(&options).campaign().await.expect("leads");
    let epoch = store.epoch();
    println!("child leads in {epoch}");
    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    for n in 0.. {
        if lines.next_line().await.expect("readable").is_none() {
            return;
        }
        let leading = store.leadership().is_leading();
        let outcome = store.commit(epoch, &[task_finished(1, n)], &[]).await;
        let outcome = outcome.map_or_else(|error| error.name(), |()| "committed");
        println!("child leading={leading} {outcome}");
    }
}

struct Leader {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Leader {
    fn start(endpoint: &str) -> Leader {
        let mut process = Command::new(std::env::current_exe().expect("this executable"))
            .args(["--exact", &path_of("child_leads_and_commits_when_told"), "--nocapture"])
            .env(CHILD_OPTIONS, endpoint)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        Leader { process, lines }
    }

    /// What the child says next. Blocks.
    fn next(&mut self) -> String {
        let said = self.lines.by_ref().map(|line| line.expect("a line"));
        said.filter_map(|line| line.split_once("child ").map(|(_, said)| said.to_owned())).next().expect("it speaks")
    }

    fn commit(&mut self) -> String {
        let input = self.process.stdin.as_mut().expect("piped");
        writeln!(input, "commit").expect("it reads");
        self.next()
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_stopped_past_its_lease_is_fenced() {
    let Some((cluster, options)) = short_lease().await else { return };
    let mut old = Leader::start(&cluster.endpoints()[0]);
    assert!(old.next().starts_with("leads in "));
    assert_eq!(old.commit(), "leading=true committed");
    signal(&old.process, Signal::STOP);
    let new = tokio::time::timeout(TAKEOVER_DEADLINE, async { journal(&options).campaign().await }).await;
    let mut new = new.expect("the lease ends in time").expect("leads");
    commit(&mut *new, &[job_submitted(2)]).await;
    signal(&old.process, Signal::CONT);
    assert_eq!(old.commit(), "leading=false fenced");
    assert_eq!(records(&mut *new).await, [task_finished(1, 0), job_submitted(2)]);
}
