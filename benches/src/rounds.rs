//! The same cases on several engines, in alternating rounds, with their answers compared.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::engines::{Engine, EngineArgs};
use crate::output::Output;
use crate::plot;
use crate::report::{self, Figures};

/// A statement that every engine runs.
pub struct Case {
    pub label: String,
    /// Its SQL. Beside `NAME.sql` there may be a `NAME.ENGINE.sql` in an engine's own dialect.
    pub file: PathBuf,
    /// What it writes, instead of giving rows: `{out}` in the SQL is the folder.
    pub output: Option<Output>,
}

/// What one engine answered.
#[derive(Debug, PartialEq, Eq)]
struct Answered {
    engine: &'static str,
    digest: Option<u64>,
    rows: usize,
    /// About the files that were written.
    written: Option<String>,
}

/// Runs the cases on the tables in `data` and prints a table of medians.
pub async fn run(args: &EngineArgs, data: &Path, title: &str, cases: &[Case]) -> anyhow::Result<()> {
    read_once(data)?;
    let mut engines = args.start(data).await?;
    let scratch = tempfile::Builder::new().prefix("bench-").tempdir_in(data.parent().unwrap_or(data))?;
    let mut figures = vec![vec![Figures::default(); cases.len()]; engines.len()];
    for round in usize::from(args.cold)..=args.rounds {
        for (index, case) in cases.iter().enumerate() {
            let mut answers = Vec::new();
            for turn in 0..engines.len() {
                // Every other round starts with the other engine, so that neither always follows a busy machine.
                let at = if round % 2 == 0 { turn } else { engines.len() - 1 - turn };
                let engine = &mut engines[at];
                let (figure, answer) = ask(engine, case, scratch.path())
                    .await
                    .with_context(|| format!("{} on {}", case.label, engine.name()))?;
                answers.push(answer);
                if round > 0 {
                    figures[at][index].wall_seconds.push(figure.0);
                    figures[at][index].cpu_seconds.push(figure.1);
                }
            }
            check(&case.label, &answers)?;
        }
        eprintln!("round {round} of {} done{}", args.rounds, if round == 0 { " (warm-up, not counted)" } else { "" });
    }
    println!("{title}, {}.\n", args.describe());
    let names: Vec<&str> = engines.iter().map(Engine::name).collect();
    let labels: Vec<&str> = cases.iter().map(|case| case.label.as_str()).collect();
    report::print(&names, &labels, &figures);
    if let Some(path) = &args.plot {
        let walls =
            |of_engine: &Vec<Figures>| of_engine.iter().map(|case| report::median(&case.wall_seconds)).collect();
        let walls: Vec<Vec<f64>> = figures.iter().map(walls).collect();
        plot::bars(path, title, &names, &labels, &walls)?;
    }
    for engine in &engines {
        report::print_memory(engine.name(), engine.processes())?;
    }
    if let Some(idle) = args.idle {
        tokio::time::sleep(Duration::from_secs(idle)).await;
        for engine in &engines {
            report::print_resident(engine.name(), engine.processes(), idle)?;
        }
    }
    for engine in engines {
        engine.stop().await;
    }
    Ok(())
}

/// Wall and CPU seconds, and the answer.
async fn ask(engine: &mut Engine, case: &Case, scratch: &Path) -> anyhow::Result<((f64, f64), Answered)> {
    let out = scratch.join(format!("{}-{}", case.label, engine.name()));
    let own = case.file.with_extension(format!("{}.sql", engine.name()));
    let sql = std::fs::read_to_string(if own.exists() { &own } else { &case.file })?;
    let file = scratch.join(format!("{}.sql", case.label));
    std::fs::write(&file, sql.replace("{out}", &out.display().to_string()))?;
    if case.output.is_some() {
        std::fs::create_dir(&out)?;
    }
    let cpu_before = engine.processes().cpu_seconds()?;
    let answer = engine.query(&file).await?;
    let cpu = engine.processes().cpu_seconds()? - cpu_before;
    let mut answered = Answered { engine: engine.name(), digest: answer.digest, rows: answer.rows, written: None };
    if let Some(output) = &case.output {
        // Each engine answers a statement that writes in its own way.
        (answered.digest, answered.rows) = (None, 0);
        answered.written = Some(output.describe(&out).await?);
        std::fs::remove_dir_all(&out)?;
    }
    Ok(((answer.seconds, cpu), answered))
}

/// The values of another system are of other types: its rows are counted.
fn check(label: &str, answers: &[Answered]) -> anyhow::Result<()> {
    let first = &answers[0];
    let differs = |answer: &&Answered| match (answer.digest, first.digest) {
        (Some(one), Some(other)) => one != other,
        _ => (answer.rows, &answer.written) != (first.rows, &first.written),
    };
    match answers.iter().find(differs) {
        None => Ok(()),
        Some(other) => bail!("the answers to {label} differ: {first:?} and {other:?}"),
    }
}

/// Brings the files into the page cache, so that the first engine does not pay for the disk.
fn read_once(folder: &Path) -> anyhow::Result<()> {
    for table in std::fs::read_dir(folder)? {
        for file in std::fs::read_dir(table?.path())? {
            let file = file?;
            if file.file_type()?.is_file() {
                std::io::copy(&mut std::fs::File::open(file.path())?, &mut std::io::sink())?;
            }
        }
    }
    Ok(())
}
