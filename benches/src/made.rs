//! Statements over tables that are made for them: stars, skew, records.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;

use crate::engines::EngineArgs;
use crate::output::Output;
use crate::rounds::{self, Case};

#[derive(Args)]
pub struct StarArgs {
    /// Rows of the larger fact table.
    #[arg(long, default_value_t = 20_000_000)]
    rows: u64,
    #[command(flatten)]
    engines: EngineArgs,
}

#[derive(Args)]
pub struct SkewArgs {
    /// Rows of each fact table; there are a tenth as many keys.
    #[arg(long, default_value_t = 40_000_000)]
    rows: u64,
    #[command(flatten)]
    engines: EngineArgs,
}

#[derive(Args)]
pub struct RecordArgs {
    /// Records of 100 bytes.
    #[arg(long, default_value_t = 100_000_000)]
    rows: u64,
    #[command(flatten)]
    engines: EngineArgs,
}

pub async fn stars(args: StarArgs) -> anyhow::Result<()> {
    run("stars", args.rows, &args.engines, &format!("Stars and snowflakes over {} facts", args.rows)).await
}

pub async fn skew(args: SkewArgs) -> anyhow::Result<()> {
    run("skew", args.rows, &args.engines, &format!("A join of {} rows without and with a hot key", args.rows)).await
}

pub async fn records(args: RecordArgs) -> anyhow::Result<()> {
    run("records", args.rows, &args.engines, &format!("{} records of 100 bytes", args.rows)).await
}

async fn run(name: &str, rows: u64, engines: &EngineArgs, title: &str) -> anyhow::Result<()> {
    let data = data(&engines.binary()?, name, rows)?;
    rounds::run(engines, &data, title, &cases(name)?).await
}

fn sql(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Every statement in the folder but those in one engine's dialect, by name.
fn cases(name: &str) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(sql(name))? {
        let file = entry?.path();
        let label = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if label != "data" && !label.contains('.') {
            let writes = std::fs::read_to_string(&file)?.contains("{out}");
            cases.push(Case { label, file, output: writes.then(sorted_records) });
        }
    }
    cases.sort_by(|a, b| a.label.cmp(&b.label));
    Ok(cases)
}

/// Every record is there, with its own key, and in order.
fn sorted_records() -> Output {
    let sums = "SELECT count(*), sum(i), sum(CASE WHEN key = decode(substr(md5(CAST(i AS VARCHAR)), 1, 20), 'hex') \
                THEN 1 ELSE 0 END) FROM (SELECT key, CAST(substr(value, 1, 12) AS BIGINT) AS i FROM written)";
    Output { sums, ordered_by: &["key"] }
}

/// Makes the tables if they are not there.
fn data(windrow: &Path, name: &str, rows: u64) -> anyhow::Result<PathBuf> {
    let folder = windrow.with_file_name("bench-data").join(format!("{name}-{rows}"));
    if !folder.exists() {
        let parameters = [format!("rows={rows}"), format!("folder={}", folder.display())];
        let mut command = std::process::Command::new(windrow);
        command.arg("run").arg(sql(name).join("data.sql")).args(["--slots", "2", "--workers", "1"]);
        for parameter in &parameters {
            command.args(["--param", parameter]);
        }
        let status = command.status()?;
        if !status.success() {
            bail!("the tables were not made: {status}");
        }
    }
    Ok(folder)
}
