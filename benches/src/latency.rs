//! How long small things take: what a user feels who asks for little.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use windrow_model::format_bytes;

use crate::engines::{EngineArgs, Windrow};
use crate::report::{median, percentile};
use crate::tpch::DataArgs;

/// Jobs before those that count.
const WARM_UP: usize = 50;

/// When memory is read of processes that have done nothing yet: every page that start-up touches has been touched, and
/// idle workers have given back what they can.
const FRESH_SECONDS: [u64; 2] = [2, 35];

#[derive(Args)]
pub struct LatencyArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    engines: EngineArgs,
    /// Jobs of each kind that count.
    #[arg(long, default_value_t = 500)]
    jobs: usize,
    /// Cold starts.
    #[arg(long, default_value_t = 15)]
    starts: usize,
}

pub async fn run(args: LatencyArgs) -> anyhow::Result<()> {
    let binary = args.engines.binary()?;
    let data = args.data.folder(&binary)?;
    let mut windrow = args.engines.start_windrow(&data).await?;
    let began = tokio::time::Instant::now();
    println!("Resident memory before the first job:\n");
    for seconds in FRESH_SECONDS {
        tokio::time::sleep_until(began + Duration::from_secs(seconds)).await;
        let resident: Vec<String> = windrow.processes().rss_bytes()?.into_iter().map(format_bytes).collect();
        println!("- after {seconds} s: coordinator {}, workers {}", resident[0], resident[1..].join(", "));
    }
    println!();

    println!("| warm job, from its submission to its last row | p50 ms | p99 ms | CPU ms |");
    println!("|---|---:|---:|---:|");
    let two_stages = "SET windrow.small_job_bytes = '0';\n\
                      SELECT n_regionkey, count(*) FROM nation GROUP BY n_regionkey";
    let one_stage = "SELECT n_regionkey, count(*) FROM nation GROUP BY n_regionkey";
    for (label, sql) in [("two stages (`windrow.small_job_bytes` 0)", two_stages), ("whole on one worker", one_stage)] {
        let scratch = tempfile::NamedTempFile::new()?;
        std::fs::write(scratch.path(), sql)?;
        let (millis, cpu) = time_jobs(&mut windrow, scratch.path(), args.jobs).await?;
        println!("| {label} | {:.2} | {:.2} | {cpu:.2} |", percentile(&millis, 0.5), percentile(&millis, 0.99));
    }
    windrow.stop().await;

    let cold = cold_starts(&binary, &data.join("lineitem"), args.starts).await?;
    println!(
        "\n`windrow run` of `count(*)` on `lineitem`, from the process's launch to its end: median {:.0} ms, {:.0} to {:.0} ms.",
        median(&cold),
        percentile(&cold, 0.0),
        percentile(&cold, 1.0)
    );
    Ok(())
}

/// Milliseconds of each job, and CPU milliseconds of all processes for one.
async fn time_jobs(windrow: &mut Windrow, file: &Path, jobs: usize) -> anyhow::Result<(Vec<f64>, f64)> {
    for _ in 0..WARM_UP {
        windrow.query(file).await?;
    }
    let cpu_before = windrow.processes().cpu_seconds()?;
    let mut millis = Vec::with_capacity(jobs);
    for _ in 0..jobs {
        millis.push(windrow.query(file).await?.seconds * 1e3);
    }
    Ok((millis, (windrow.processes().cpu_seconds()? - cpu_before) / jobs as f64 * 1e3))
}

async fn cold_starts(binary: &Path, lineitem: &Path, starts: usize) -> anyhow::Result<Vec<f64>> {
    let location = lineitem.canonicalize()?;
    let sql = format!(
        "CREATE EXTERNAL TABLE lineitem STORED AS PARQUET LOCATION '{}/'; SELECT count(*) AS n FROM lineitem",
        location.display()
    );
    let mut millis = Vec::with_capacity(starts);
    for _ in 0..starts {
        let began = Instant::now();
        let mut command = tokio::process::Command::new(binary);
        let output = command
            .args(["run", "--output", "csv", "-e", &sql])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        millis.push(began.elapsed().as_secs_f64() * 1e3);
        if !output.status.success() || !output.stdout.starts_with(b"n\n") {
            bail!("`windrow run` failed: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    Ok(millis)
}
