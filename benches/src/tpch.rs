//! Statements over TPC-H's tables: its 22 queries, and workloads that stress one thing each.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, ValueEnum};

use crate::engines::EngineArgs;
use crate::output::Output;
use crate::rounds::{self, Case};

/// The tables.
#[derive(Args)]
pub struct DataArgs {
    /// TPC-H scale factor; 1 is about 1 GB of raw data.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Folder with one folder of Parquet files per table; made with `windrow generate tpch` if it is missing.
    #[arg(long)]
    data: Option<PathBuf>,
}

#[derive(Args)]
pub struct TpchArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub engines: EngineArgs,
    /// Queries by number.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22")]
    queries: Vec<u32>,
}

impl TpchArgs {
    /// The queries' numbers and files.
    pub fn files(&self) -> anyhow::Result<Vec<(u32, PathBuf)>> {
        let file = |number: &u32| {
            let file = sql(&format!("tpch/q{number:02}.sql"));
            if !file.exists() {
                bail!("there is no TPC-H query {number}");
            }
            Ok((*number, file))
        };
        self.queries.iter().map(file).collect()
    }
}

#[derive(Args)]
pub struct WorkloadArgs {
    /// Workloads to run; all of them if none is named.
    workloads: Vec<Workload>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    engines: EngineArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Workload {
    /// Nearly as many groups as rows, written as Parquet.
    GroupBy,
    /// The largest table in one order over all files, written as Parquet.
    Sort,
    /// The words of all comments, counted.
    WordCount,
}

pub async fn run(args: TpchArgs) -> anyhow::Result<()> {
    let cases = args.files()?.into_iter();
    let cases = cases.map(|(number, file)| Case { label: format!("q{number:02}"), file, output: None });
    let cases: Vec<Case> = cases.collect();
    let data = args.data.folder(&args.engines.binary()?)?;
    rounds::run(&args.engines, &data, &format!("TPC-H scale {}", args.data.scale), &cases).await
}

pub async fn run_workloads(args: WorkloadArgs) -> anyhow::Result<()> {
    let workloads = if args.workloads.is_empty() { Workload::value_variants() } else { &args.workloads };
    let cases: Vec<Case> = workloads.iter().map(|workload| workload.case()).collect();
    let data = args.data.folder(&args.engines.binary()?)?;
    rounds::run(&args.engines, &data, &format!("Workloads over TPC-H scale {}", args.data.scale), &cases).await
}

impl Workload {
    fn case(self) -> Case {
        let (label, output) = match self {
            Workload::GroupBy => {
                let sums = "SELECT count(*), sum(n), sum(l_orderkey), sum(quantity) FROM written";
                ("group-by", Some(Output { sums, ordered_by: &[] }))
            }
            Workload::Sort => {
                let sums =
                    "SELECT count(*), sum(l_orderkey), sum(l_extendedprice), sum(length(l_comment)) FROM written";
                ("sort", Some(Output { sums, ordered_by: &["l_extendedprice", "l_orderkey"] }))
            }
            Workload::WordCount => ("word-count", None),
        };
        Case { label: label.to_owned(), file: sql(&format!("workloads/{label}.sql")), output }
    }
}

fn sql(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

impl DataArgs {
    /// Makes the tables if they are not there.
    pub fn folder(&self, windrow: &Path) -> anyhow::Result<PathBuf> {
        let folder = match &self.data {
            Some(folder) => folder.clone(),
            None => windrow.with_file_name("bench-data").join(format!("tpch-{}", self.scale)),
        };
        if !folder.exists() {
            let scale = self.scale.to_string();
            let status = std::process::Command::new(windrow)
                .args(["generate", "tpch", "--scale", &scale, "--parts", "8"])
                .arg(&folder)
                .status()?;
            if !status.success() {
                bail!("`windrow generate tpch` failed with {status}");
            }
        }
        Ok(folder)
    }
}
