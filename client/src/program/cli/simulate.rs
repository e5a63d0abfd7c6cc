//! Flags of `windrow simulate`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::{TextOutput, duration};

/// Say how a cluster would do with these jobs on a bad day, in virtual time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windrow simulate --workers 1000 --tasks 100000
  windrow simulate --workers 20 --jobs day.jobs --chaos bad-day.chaos
  windrow simulate --workers 600 --jobs trace.tsv --within 2h --seed 7 --json

A jobs file (.jobs) has a job a line, a chaos file (.chaos) what breaks and when:
  0s  scan=100x2s  join=20x5s<scan -> files   # 20 tasks that read those of the scan
  10s crash worker 3 for 30s                  # its process ends, and starts again
docs/SIMULATE.md describes both and the traces that can be read; examples/simulate/ has one of each.
The scheduler is the real one, the rest is a model: the same flags give the same report.")]
pub struct SimulateArgs {
    /// Workers of the cluster.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub workers: u32,
    /// Slots of each worker.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub slots: u32,
    /// Coordinators, one of which leads.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=9))]
    pub coordinators: u32,
    /// A .jobs file, a .tsv file in the format of the SWIM traces, or `synthetic`: jobs of mixed sizes within five
    /// minutes.
    #[arg(long, default_value = "synthetic", value_name = "FILE|synthetic")]
    pub jobs: Jobs,
    /// Tasks of synthetic jobs.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub tasks: u64,
    /// Jobs of a SWIM trace that are submitted later are left out.
    #[arg(long, value_parser = duration, default_value = "1h", value_name = "SPAN")]
    pub within: Duration,
    /// What breaks: a .chaos file, or a .json file with a trace of spot availability.
    #[arg(long, value_name = "FILE")]
    pub chaos: Option<PathBuf>,
    /// Workers that a spot trace takes away and gives back together [default: half of them].
    #[arg(long, value_name = "N")]
    pub spot_workers: Option<u32>,
    /// Chooses the synthetic jobs, the lengths of tasks, and the delays of messages.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Changes a limit, for example `lease=5s`; may be repeated. `windrow coordinator --help` lists them.
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub limits: Vec<String>,
    /// How the report is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: TextOutput,
    /// The same as `--output json`.
    #[arg(long)]
    pub json: bool,
}

/// Which jobs a simulated cluster is given.
#[derive(Clone, Debug)]
pub enum Jobs {
    Synthetic,
    File(PathBuf),
}

impl FromStr for Jobs {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Jobs, Self::Err> {
        Ok(if text == "synthetic" { Jobs::Synthetic } else { Jobs::File(text.into()) })
    }
}

impl SimulateArgs {
    pub fn prints_json(&self) -> bool {
        self.json || self.output == TextOutput::Json
    }
}
