//! `windrow generate`, and the `setup:` of a job.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::generate::{self, Generated, Progress};
use crate::job_file::Generator;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use windrow_model::{ErrorReport, format_bytes};

use super::signals::stop_requested;
use crate::program::cli::GenerateCommand;
use crate::program::outcome::Outcome;

/// Between two redraws of the progress bar.
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);

pub async fn run(command: GenerateCommand) -> Outcome {
    let (generator, dir) = match command {
        GenerateCommand::Tpch { scale, parts, dir } => (Generator::Tpch { scale, parts }, dir),
        GenerateCommand::AccessLog { rows, seed, parts, dir } => (Generator::AccessLog { rows, seed, parts }, dir),
    };
    generate(generator, &dir).await
}

/// Generates into `target` with a progress bar; Ctrl-C stops it and leaves nothing.
pub async fn generate(generator: Generator, target: &Path) -> Outcome {
    let stop = stop_requested()?;
    let progress = Arc::new(Progress::default());
    let work = {
        let (progress, target) = (progress.clone(), target.to_owned());
        tokio::task::spawn_blocking(move || generate::generate(&generator, &target, &progress))
    };
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} files  {msg}  {elapsed}") {
        bar.set_style(style.progress_chars("━╸ "));
    }
    let generated = watch(work, &progress, &bar, stop).await;
    bar.finish_and_clear();
    let Generated { rows, files, bytes } = generated?;
    eprintln!("generated `{}`: {} rows in {files} files, {}", target.display(), HumanCount(rows), format_bytes(bytes));
    Ok(())
}

async fn watch(
    mut work: tokio::task::JoinHandle<Outcome<Generated>>,
    progress: &Progress,
    bar: &ProgressBar,
    stop: impl Future<Output = ()>,
) -> Outcome<Generated> {
    tokio::pin!(stop);
    let mut redraw = tokio::time::interval(REDRAW_INTERVAL);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = &mut work => {
                return ended.unwrap_or_else(|error| {
                    Err(ErrorReport::internal("the generator ended").with_detail(error.to_string()))
                });
            }
            () = &mut stop, if !stopping => {
                stopping = true;
                progress.stop.store(true, Ordering::Relaxed);
            }
            _ = redraw.tick() => {
                bar.set_length(progress.files_total.load(Ordering::Relaxed));
                bar.set_position(progress.files.load(Ordering::Relaxed));
                bar.set_message(format!("{} rows", HumanCount(progress.rows.load(Ordering::Relaxed))));
            }
        }
    }
}
