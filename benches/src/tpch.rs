//! TPC-H: Windrow's processes and single-process DataFusion in alternating rounds over the same files.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use crate::engines::{Engine, Server, Windrow};
use crate::report::{self, Figures};

#[derive(Args)]
pub struct TpchArgs {
    /// TPC-H scale factor; 1 is about 1 GB of raw data.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Folder with one folder of Parquet files per table; made with `windrow generate tpch` if it is missing.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Engines to run, in the order of their columns; ratios are the first over the second.
    #[arg(long, value_delimiter = ',', default_value = "windrow,datafusion")]
    engine: Vec<String>,
    /// Queries by number.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22")]
    queries: Vec<u32>,
    /// Counted rounds; one more round before them warms up and checks the answers.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Windrow's worker processes.
    #[arg(long, default_value_t = 2)]
    workers: u32,
    /// Slots of each worker.
    #[arg(long, default_value_t = 1)]
    slots: u32,
    /// Memory of each worker.
    #[arg(long, default_value = "6GiB")]
    memory: String,
    /// Threads of single-process DataFusion and DuckDB.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Settings of Windrow's jobs, for example `windrow.order_joins=false`; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Python with `duckdb` (PyPI), for the engine of that name.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// The `windrow` binary; by default the one beside this program.
    #[arg(long)]
    windrow: Option<PathBuf>,
}

pub async fn run(args: TpchArgs) -> anyhow::Result<()> {
    let windrow = args.windrow.clone().map_or_else(windrow_beside_this_program, Ok)?;
    let data = data_folder(&args, &windrow)?;
    read_once(&data)?;
    let queries: Vec<PathBuf> = args.queries.iter().map(|number| query_file(*number)).collect::<anyhow::Result<_>>()?;

    let mut engines: Vec<Engine> = Vec::new();
    for name in &args.engine {
        engines.push(match name.as_str() {
            "windrow" => Engine::Windrow(
                Windrow::start(&windrow, &data, args.workers, args.slots, &args.memory, &args.set).await?,
            ),
            "windrow-one-worker" => {
                let slots = args.workers * args.slots;
                Engine::OneWorker(Windrow::start(&windrow, &data, 1, slots, &args.memory, &args.set).await?)
            }
            "datafusion" => Engine::DataFusion(Server::datafusion(&data, args.threads).await?),
            "duckdb" => Engine::DuckDb(Server::duckdb(&args.python, &data, args.threads).await?),
            other => bail!("unknown engine `{other}`; there are windrow, windrow-one-worker, datafusion and duckdb"),
        });
    }

    let mut figures = vec![vec![Figures::default(); queries.len()]; engines.len()];
    for round in 0..=args.rounds {
        for (index, query) in queries.iter().enumerate() {
            let mut digests = Vec::new();
            for turn in 0..engines.len() {
                // Every other round starts with the other engine, so that neither always follows a busy machine.
                let at = if round % 2 == 0 { turn } else { engines.len() - 1 - turn };
                let engine = &mut engines[at];
                let cpu_before = engine.processes().cpu_seconds()?;
                let answer =
                    engine.query(query).await.with_context(|| format!("{} on {}", query.display(), engine.name()))?;
                let cpu = engine.processes().cpu_seconds()? - cpu_before;
                digests.push((answer.digest, answer.rows, engine.name()));
                if round > 0 {
                    figures[at][index].wall_seconds.push(answer.seconds);
                    figures[at][index].cpu_seconds.push(cpu);
                }
            }
            check_answers(query, &digests)?;
        }
        eprintln!("round {round} of {} done{}", args.rounds, if round == 0 { " (warm-up, not counted)" } else { "" });
    }

    let names: Vec<String> = engines.iter().map(|engine| engine.name().to_owned()).collect();
    let labels: Vec<String> = args.queries.iter().map(|number| format!("q{number:02}")).collect();
    let peaks: Vec<u64> =
        engines.iter().map(|engine| engine.processes().rss_peak_bytes()).collect::<anyhow::Result<_>>()?;
    println!(
        "TPC-H scale {}, medians of {} rounds; Windrow: {} workers of {} slot(s); DataFusion: {} threads.\n",
        args.scale, args.rounds, args.workers, args.slots, args.threads
    );
    report::print(&names, &labels, &figures, &peaks);
    for engine in engines {
        engine.stop().await;
    }
    Ok(())
}

/// The values of another system are of other types: its rows are counted.
fn check_answers(query: &Path, digests: &[(Option<u64>, usize, &str)]) -> anyhow::Result<()> {
    let differs = |answer: &&(Option<u64>, usize, &str)| match (answer.0, digests[0].0) {
        (Some(one), Some(other)) => one != other,
        _ => answer.1 != digests[0].1,
    };
    match digests.iter().find(differs) {
        None => Ok(()),
        Some(other) => bail!(
            "{}: {} gives {} rows and {} gives {} rows with other values",
            query.display(),
            digests[0].2,
            digests[0].1,
            other.2,
            other.1
        ),
    }
}

fn windrow_beside_this_program() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("windrow");
    if !path.exists() {
        bail!("`{}` is missing; build it first with `cargo build --release`", path.display());
    }
    Ok(path)
}

fn query_file(number: u32) -> anyhow::Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tpch/q{number:02}.sql"));
    if !path.exists() {
        bail!("there is no TPC-H query {number}");
    }
    Ok(path)
}

fn data_folder(args: &TpchArgs, windrow: &Path) -> anyhow::Result<PathBuf> {
    let folder = match &args.data {
        Some(folder) => folder.clone(),
        None => windrow.with_file_name("bench-data").join(format!("tpch-{}", args.scale)),
    };
    if !folder.exists() {
        let scale = args.scale.to_string();
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

/// Brings the files into the page cache, so that the first engine does not pay for the disk.
fn read_once(folder: &Path) -> anyhow::Result<()> {
    for table in std::fs::read_dir(folder)? {
        for file in std::fs::read_dir(table?.path())? {
            std::io::copy(&mut std::fs::File::open(file?.path())?, &mut std::io::sink())?;
        }
    }
    Ok(())
}
