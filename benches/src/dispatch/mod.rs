//! How fast a coordinator hands out tasks: the real one, in a process of its own, and workers that speak the protocol
//! over gRPC and finish every task at once.

mod coordinator;
mod workers;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use windrow_client::Client;
use windrow_model::{JobSpec, JobState, format_bytes};

use crate::engines::spec;
use crate::process::Processes;

pub use coordinator::{ServeArgs, serve};

#[derive(Args)]
#[command(after_help = "Examples:
  windrow-benches dispatch
  windrow-benches dispatch --jobs 1000 --store memory --json")]
pub struct DispatchArgs {
    /// Tasks of all jobs together.
    #[arg(long, default_value_t = 1_000_000)]
    tasks: u32,
    /// Jobs that share them, all submitted at once; each has one stage.
    #[arg(long, default_value_t = 1)]
    jobs: u32,
    /// Simulated workers, each with a connection of its own.
    #[arg(long, default_value_t = 100)]
    workers: u32,
    /// Slots of each worker.
    #[arg(long, default_value_t = 4)]
    slots: u32,
    /// Where the journal is kept.
    #[arg(long, value_enum, default_value_t = StoreArg::Redb)]
    store: StoreArg,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StoreArg {
    /// A file, each commit of which is on disk before what follows from it is told.
    Redb,
    /// Nowhere.
    Memory,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    tasks: u32,
    jobs: u32,
    workers: u32,
    slots: u32,
    store: String,
    seconds: f64,
    tasks_per_second: f64,
    /// From a worker's report that a slot is free to the next task for it.
    dispatch_p50_ms: f64,
    dispatch_p99_ms: f64,
    coordinator_cpu_seconds: f64,
    workers_cpu_seconds: f64,
    /// Growth of the coordinator's peak resident memory.
    memory_bytes_per_task: f64,
    journal_bytes: u64,
    /// `windrow job` of the first job, when all has ended.
    job_answer_ms: f64,
    job_answer_bytes: usize,
    /// `windrow jobs --all`.
    jobs_answer_ms: f64,
}

pub async fn run(args: DispatchArgs) -> anyhow::Result<()> {
    if args.jobs == 0 || !args.tasks.is_multiple_of(args.jobs) {
        bail!("{} tasks cannot be shared by {} jobs; give a multiple", args.tasks, args.jobs);
    }
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["dispatch-coordinator", "--tasks", &(args.tasks / args.jobs).to_string()]);
    if args.store == StoreArg::Redb {
        command.arg("--data-dir").arg(folder.path());
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let stdout = child.stdout.take().context("stdout was piped")?;
    let url = BufReader::new(stdout).lines().next_line().await?.context("the coordinator did not start")?;
    let coordinator = Processes(vec![child.id().context("the coordinator has ended")?]);
    let ourselves = Processes(vec![std::process::id()]);

    let fleet = workers::attach(&url, args.workers, args.slots).await?;
    let client = Client::connect(&url).await.map_err(anyhow::Error::from)?;
    let (idle_bytes, idle_cpu) = (coordinator.rss_peak_bytes()?[0], coordinator.cpu_seconds()?);
    let (our_cpu, began) = (ourselves.cpu_seconds()?, Instant::now());
    let mut jobs = Vec::new();
    for _ in 0..args.jobs {
        jobs.push(client.submit(no_op()).await.map_err(anyhow::Error::from)?.job);
    }
    let latencies = fleet.finish(args.tasks).await?;
    wait_for_success(&client, args.jobs).await?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu = coordinator.cpu_seconds()? - idle_cpu;
    let our_cpu = ourselves.cpu_seconds()? - our_cpu;
    let peak = coordinator.rss_peak_bytes()?[0];

    let asked = Instant::now();
    let answer = client.job(jobs[0]).await.map_err(anyhow::Error::from)?;
    let (job_answer, job_answer_bytes) = (asked.elapsed(), prost::Message::encoded_len(&answer));
    let asked = Instant::now();
    client.jobs(true).await.map_err(anyhow::Error::from)?;
    let jobs_answer = asked.elapsed();
    let report = Report {
        tasks: args.tasks,
        jobs: args.jobs,
        workers: args.workers,
        slots: args.slots,
        store: format!("{:?}", args.store).to_lowercase(),
        seconds,
        tasks_per_second: f64::from(args.tasks) / seconds,
        dispatch_p50_ms: percentile(&latencies, 50),
        dispatch_p99_ms: percentile(&latencies, 99),
        coordinator_cpu_seconds: cpu,
        workers_cpu_seconds: our_cpu,
        memory_bytes_per_task: peak.saturating_sub(idle_bytes) as f64 / f64::from(args.tasks),
        journal_bytes: std::fs::metadata(folder.path().join("journal.redb")).map_or(0, |file| file.len()),
        job_answer_ms: job_answer.as_secs_f64() * 1e3,
        job_answer_bytes,
        jobs_answer_ms: jobs_answer.as_secs_f64() * 1e3,
    };
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print_report(&report);
    }
    child.kill().await?;
    Ok(())
}

/// A statement of one task without files; the coordinator's plan hook gives it as many as are wanted. Its rows go
/// nowhere.
fn no_op() -> JobSpec {
    spec("no-op", "EXPLAIN ANALYZE SELECT 1".to_owned(), BTreeMap::new())
}

/// All tasks have ended; their jobs end at once.
async fn wait_for_success(client: &Client, jobs: u32) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let listed = client.jobs(true).await.map_err(anyhow::Error::from)?;
        let states: Vec<JobState> = listed.iter().filter_map(|job| JobState::from_name(&job.state)).collect();
        let succeeded = states.iter().filter(|state| **state == JobState::Succeeded).count();
        if succeeded == jobs as usize {
            return Ok(());
        }
        if let Some(other) = states.iter().find(|state| state.is_final() && **state != JobState::Succeeded) {
            bail!("a job ended {}", other.name());
        }
        if Instant::now() > deadline {
            bail!("{succeeded} of {jobs} jobs have ended although all their tasks have");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Of microseconds in ascending order, in milliseconds.
fn percentile(latencies: &[u32], percent: usize) -> f64 {
    latencies.get(latencies.len() * percent / 100).map_or(f64::NAN, |micros| f64::from(*micros) / 1e3)
}

fn print_report(report: &Report) {
    let Report { tasks, jobs, workers, slots, store, seconds, .. } = report;
    println!("{tasks} tasks of {jobs} jobs on {workers} workers of {slots} slots, journal: {store}");
    println!("time              {seconds:.1} s");
    println!("throughput        {:.0} tasks/s", report.tasks_per_second);
    println!("dispatch latency  p50 {:.1} ms, p99 {:.1} ms", report.dispatch_p50_ms, report.dispatch_p99_ms);
    println!(
        "coordinator       {:.1} CPU s, {:.0} bytes a task",
        report.coordinator_cpu_seconds, report.memory_bytes_per_task
    );
    println!("workers           {:.1} CPU s", report.workers_cpu_seconds);
    println!("journal           {}", format_bytes(report.journal_bytes));
    println!(
        "questions         one job {:.1} ms, {}; all jobs {:.1} ms",
        report.job_answer_ms,
        format_bytes(report.job_answer_bytes as u64),
        report.jobs_answer_ms
    );
}
