//! Plain DataFusion in a process of its own: one SQL file name a line in, one JSON line out.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use datafusion::prelude::ParquetReadOptions;
use serde::{Deserialize, Serialize};
use windrow_engine::oracle;

#[derive(Args)]
pub struct ServerArgs {
    /// Folder that holds one folder of Parquet files per table.
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    threads: usize,
}

/// What one query gave.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    pub seconds: f64,
    pub rows: usize,
    /// Hash of the rows in any order; `None` if only their number is known.
    #[serde(default)]
    pub digest: Option<u64>,
}

pub async fn serve(args: ServerArgs) -> anyhow::Result<()> {
    let context = oracle::oracle_context(args.threads);
    for entry in std::fs::read_dir(&args.data)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        context.register_parquet(&name, path.to_string_lossy(), ParquetReadOptions::default()).await?;
    }
    println!("{{\"processes\": []}}");
    for line in std::io::stdin().lock().lines() {
        let sql = std::fs::read_to_string(line?)?;
        let started = Instant::now();
        let batches = oracle::collect(&context, &sql).await?;
        let seconds = started.elapsed().as_secs_f64();
        let rows = batches.iter().map(|batch| batch.num_rows()).sum();
        let answer = Answer { seconds, rows, digest: Some(oracle::digest(&batches)?) };
        println!("{}", serde_json::to_string(&answer)?);
        std::io::stdout().flush()?;
    }
    Ok(())
}
