//! Where the time of each TPC-H query goes, as Windrow itself counts it.

use std::collections::BTreeMap;
use std::path::Path;

use windrow_proto::Job;

use crate::engines::Windrow;
use crate::tpch::TpchArgs;

/// Columns of operators, and the names of those that each has.
const KINDS: [(&str, &[&str]); 6] = [
    ("scan", &["DataSourceExec"]),
    ("decode", &["ShuffleReadExec"]),
    ("join", &["HashJoinExec", "NestedLoopJoinExec", "CrossJoinExec", "SortMergeJoinExec"]),
    ("group", &["AggregateExec"]),
    ("key filters", &["KeyFilterExec", "KeyProbeExec"]),
    ("filter", &["FilterExec", "ProjectionExec"]),
];

/// CPU seconds unless said otherwise.
#[derive(Default)]
struct Profile {
    wall: f64,
    /// Wall seconds from the job's start to its first attempt's.
    planning: f64,
    coordinator: f64,
    workers: f64,
    /// Of `workers`, what attempts have counted.
    attempts: f64,
    operators: BTreeMap<&'static str, f64>,
    tasks: u32,
    exchanged: u64,
}

pub async fn run(args: TpchArgs) -> anyhow::Result<()> {
    let data = args.data.folder(&args.engines.binary()?)?;
    let mut windrow = args.engines.start_windrow(&data).await?;
    print!("| query | wall s | plan s | coordinator | workers |");
    KINDS.iter().for_each(|(kind, _)| print!(" {kind} |"));
    println!(" other operators | encode | rest | tasks | exchanged MB |");
    println!("|---|{}", "---:|".repeat(KINDS.len() + 9));
    let mut sum = Profile::default();
    for (number, file) in args.files()? {
        windrow.query(&file).await?;
        let profile = profile(&mut windrow, &file).await?;
        profile.print(&format!("q{number:02}"));
        sum.add(&profile);
    }
    sum.print("**sum**");
    windrow.stop().await;
    Ok(())
}

async fn profile(windrow: &mut Windrow, file: &Path) -> anyhow::Result<Profile> {
    let cpu_before = windrow.processes().each_cpu_seconds()?;
    let answer = windrow.query(file).await?;
    let cpu = windrow.processes().each_cpu_seconds()?;
    let cpu: Vec<f64> = cpu.iter().zip(cpu_before).map(|(after, before)| after - before).collect();
    let job = windrow.last_job().await?;
    let mut profile = Profile { wall: answer.seconds, coordinator: cpu[0], workers: cpu[1..].iter().sum(), ..of(&job) };
    profile.operators.retain(|_, seconds| *seconds > 0.0);
    Ok(profile)
}

fn of(job: &Job) -> Profile {
    let mut profile = Profile::default();
    let first = job.stages.iter().flat_map(|stage| &stage.attempts).map(|attempt| attempt.started_us).min();
    profile.planning = first.map_or(0.0, |first| first.saturating_sub(job.started_us) as f64 / 1e6);
    profile.attempts = job.workers.iter().map(|worker| worker.cpu_us as f64 / 1e6).sum();
    for stage in &job.stages {
        profile.tasks += stage.tasks;
        profile.exchanged += stage.bytes;
        for operator in &stage.operators {
            let kind = KINDS.iter().find(|(_, names)| names.contains(&operator.name.as_str()));
            let kind = kind.map_or("other", |(kind, _)| kind);
            *profile.operators.entry(kind).or_default() += operator.elapsed_ns as f64 / 1e9;
        }
    }
    profile
}

impl Profile {
    fn print(&self, name: &str) {
        print!("| {name} | {:.2} | {:.3} | {:.2} | {:.2} |", self.wall, self.planning, self.coordinator, self.workers);
        let of = |kind: &&str| self.operators.get(kind).copied().unwrap_or(0.0);
        KINDS.iter().for_each(|(kind, _)| print!(" {:.2} |", of(kind)));
        let encode = self.attempts - self.operators.values().sum::<f64>();
        let rest = self.workers - self.attempts;
        let megabytes = self.exchanged as f64 / 1e6;
        println!(" {:.2} | {encode:.2} | {rest:.2} | {} | {megabytes:.0} |", of(&"other"), self.tasks);
    }

    fn add(&mut self, other: &Profile) {
        self.wall += other.wall;
        self.planning += other.planning;
        self.coordinator += other.coordinator;
        self.workers += other.workers;
        self.attempts += other.attempts;
        self.tasks += other.tasks;
        self.exchanged += other.exchanged;
        other.operators.iter().for_each(|(kind, seconds)| *self.operators.entry(kind).or_default() += seconds);
    }
}
