//! Star and snowflake joins of up to ten tables, over skewed and correlated columns.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;

use crate::engines::EngineArgs;
use crate::rounds::{self, Case};

#[derive(Args)]
pub struct StarArgs {
    /// Rows of the larger fact table.
    #[arg(long, default_value_t = 20_000_000)]
    rows: u64,
    #[command(flatten)]
    engines: EngineArgs,
}

pub async fn run(args: StarArgs) -> anyhow::Result<()> {
    let data = data(&args.engines.binary()?, args.rows)?;
    let title = format!("Stars and snowflakes over {} facts", args.rows);
    rounds::run(&args.engines, &data, &title, &cases()?).await
}

fn sql() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("stars")
}

/// Every statement in the folder, by name.
fn cases() -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(sql())? {
        let file = entry?.path();
        let label = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if label != "data" {
            cases.push(Case { label, file, output: None });
        }
    }
    cases.sort_by(|a, b| a.label.cmp(&b.label));
    Ok(cases)
}

/// Makes the tables if they are not there.
fn data(windrow: &Path, rows: u64) -> anyhow::Result<PathBuf> {
    let folder = windrow.with_file_name("bench-data").join(format!("stars-{rows}"));
    if !folder.exists() {
        let parameters = [format!("rows={rows}"), format!("folder={}", folder.display())];
        let mut command = std::process::Command::new(windrow);
        command.arg("run").arg(sql().join("data.sql")).args(["--slots", "2", "--workers", "1"]);
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
