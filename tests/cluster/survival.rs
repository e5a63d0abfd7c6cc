//! The 22 queries of TPC-H again and again, while workers and leaders are killed in the middle of them.
//!
//! Takes minutes, so it runs only when asked for: `just survive`. Its table is in `docs/TESTING.md`.

use std::time::Instant;

use windrow_client::Client;
use windrow_model::{AttemptState, JobId, JobState};
use windrow_proto::Job;

use crate::answers::{attempts, state_of};
use crate::support::cluster::TestCluster;
use crate::support::cluster_processes::{Cluster, DEADLINE, Etcd, Setup};
use crate::support::jobs::{completed_twice, tasks_done, wait_for_end};
use crate::support::{rows, tpch};

const SCALE: &str = "1";
const QUERIES: u32 = 22;
const WORKERS: usize = 4;
/// What must have landed in the middle of jobs before the loop ends.
const WORKER_KILLS: u32 = 30;
const LEADER_KILLS: u32 = 8;
/// The leader is killed in every so many jobs: in turn together with a worker, and alone.
const LEADER_EVERY: u32 = 3;
/// Rounds through the queries, at most.
const ROUNDS_MAX: u32 = 5;

/// When the kills of a job come, in percent of its tasks; chosen by its number, so that they wander.
fn moments(number: u32) -> (Option<u32>, Option<u32>) {
    let leader = number.is_multiple_of(LEADER_EVERY).then_some(5 + number * 53 % 85);
    let worker = (!number.is_multiple_of(2 * LEADER_EVERY)).then_some(5 + number * 37 % 85);
    (worker, leader)
}

/// What has happened so far.
#[derive(Default)]
struct Tally {
    jobs: u32,
    worker_kills: u32,
    leader_kills: u32,
    /// Attempts that ended with their worker.
    lost_attempts: usize,
    /// Completed tasks that ran again: their output was on a killed worker, or was needed again for what was on it.
    again: usize,
    seconds: f64,
}

/// Percent of the job's tasks that are done; `None` while it has no plan, or has ended.
fn percent_done(job: &Job) -> Option<u32> {
    let tasks: u32 = job.stages.iter().map(|stage| stage.tasks).sum();
    let running = JobState::from_name(&job.state) == Some(JobState::Running);
    (running && tasks > 0).then(|| tasks_done(job) * 100 / tasks)
}

struct Loop {
    cluster: Cluster,
    tally: Tally,
}

impl Loop {
    /// Kills one of the workers, and starts another.
    fn kill_worker(&mut self, number: u32) {
        self.cluster.kill_worker(number as usize % WORKERS);
        self.cluster.start_worker();
        self.tally.worker_kills += 1;
    }

    /// Runs one query, and kills as its number says. The line of the table.
    async fn run(&mut self, number: u32, query: u32, script: &str, wanted: &[String]) -> String {
        let (mut worker_at, mut leader_at) = moments(number);
        let began = Instant::now();
        let url = self.cluster.url();
        let id = submit(&url, script).await;
        let mut landed = Vec::new();
        loop {
            let found = async { Client::connect(&url).await?.job(id).await }.await;
            assert!(began.elapsed() < DEADLINE, "q{query:02} does not end: {found:?}");
            let Ok(job) = found else { continue };
            if job.ended_us > 0 {
                break;
            }
            let Some(done) = percent_done(&job) else { continue };
            if worker_at.is_some_and(|at| done >= at) {
                self.kill_worker(number);
                landed.push(format!("worker at {done} %"));
                worker_at = None;
            }
            if leader_at.is_some_and(|at| done >= at) {
                let leader = self.cluster.kill_leader().await;
                self.cluster.spawn_coordinator(leader);
                self.tally.leader_kills += 1;
                landed.push(format!("leader at {done} %"));
                leader_at = None;
            }
        }
        let job = wait_for_end(&url, id).await;
        assert_eq!(JobState::from_name(&job.state), Some(JobState::Succeeded), "q{query:02}: {:?}", job.error);
        let client = TestCluster::attached(&url).await;
        let got = rows::sorted_lines(&client.result(&job).await.expect("the rows are there"));
        assert_eq!(got, wanted, "q{query:02} gave other rows");
        let seconds = began.elapsed().as_secs_f64();
        let lost_attempts = attempts(&job).filter(|(_, attempt)| state_of(attempt) == AttemptState::Lost).count();
        let again = completed_twice(&job);
        if moments(number).0.is_none() {
            assert_eq!(again, Vec::<String>::new(), "q{query:02}: completed tasks ran again for a coordinator's death");
        }
        self.tally.jobs += 1;
        self.tally.lost_attempts += lost_attempts;
        self.tally.again += again.len();
        self.tally.seconds += seconds;
        self.cluster.wait_for_workers(WORKERS).await;
        let kills = if landed.is_empty() { "none landed".to_owned() } else { landed.join(", ") };
        let tasks: u32 = job.stages.iter().map(|stage| stage.tasks).sum();
        format!("| {number} | q{query:02} | {kills} | {tasks} | {lost_attempts} | {} | {seconds:.1} |", again.len())
    }
}

/// Submits to whoever leads.
async fn submit(url: &str, script: &str) -> JobId {
    let began = Instant::now();
    loop {
        let submitted = async { TestCluster::of(Client::connect(url).await?).submit(script).await };
        match submitted.await {
            Ok(job) => return job,
            Err(error) => assert!(began.elapsed() < DEADLINE, "nobody takes a job: {error}"),
        }
    }
}

async fn answers() -> Vec<Vec<String>> {
    let context = windrow_engine::oracle::oracle_context(2);
    tpch::register(&context, &tpch::generated(SCALE)).await;
    let mut answers = Vec::new();
    for query in 1..=QUERIES {
        let rows = windrow_engine::oracle::collect(&context, &tpch::query(query)).await;
        answers.push(rows::sorted_lines(&rows.expect("the oracle answers")));
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; `just survive` runs it"]
async fn tpch_survives_thirty_worker_kills_and_eight_leader_kills() {
    let Some(etcd) = Etcd::start() else { return };
    let wanted = answers().await;
    let store = Some(etcd.store("survival", "2s"));
    let cluster = Cluster::set_up(Setup { store, coordinators: 2, ..Setup::of(WORKERS) }).await;
    let mut survival = Loop { cluster, tally: Tally::default() };
    let settings = "SET windrow.partition_bytes = '4MiB';\n";
    println!("| job | query | killed | tasks | attempts lost | completed tasks run again | seconds |");
    println!("|---|---|---|---|---|---|---|");
    for number in 1..=ROUNDS_MAX * QUERIES {
        let query = (number - 1) % QUERIES + 1;
        let script = format!("{settings}{}{}", tpch::definitions(&tpch::generated(SCALE)), tpch::query(query));
        println!("{}", survival.run(number, query, &script, &wanted[query as usize - 1]).await);
        if survival.tally.worker_kills >= WORKER_KILLS && survival.tally.leader_kills >= LEADER_KILLS {
            break;
        }
    }
    let Tally { jobs, worker_kills, leader_kills, lost_attempts, again, seconds } = survival.tally;
    println!(
        "\n{jobs} jobs, {worker_kills} workers and {leader_kills} leaders killed in the middle of them, \
         {lost_attempts} attempts lost, {again} completed tasks run again for what was lost with a worker, none in a \
         job that lost only coordinators, {seconds:.0} s; every answer was that of single-process DataFusion"
    );
    assert!(worker_kills >= WORKER_KILLS && leader_kills >= LEADER_KILLS, "too few kills landed");
}
