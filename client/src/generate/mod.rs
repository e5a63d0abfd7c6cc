//! Generates data sets as Parquet folders, the same bytes for the same arguments.
//!
//! Everything is written to a folder aside that takes its final name as the last act, so that a generator that is
//! stopped leaves nothing that looks like data.

mod access_log;
mod rows;
mod staged;
mod tpch;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use arrow::record_batch::RecordBatch;
use windrow_model::{ErrorKind, ErrorReport};

use crate::job_file::Generator;
use rows::write_file;
use staged::StagedFolder;

/// Files of one table beyond this number serve nobody.
const PARTS_MAX: u32 = 10_000;

/// What a generator has done so far; shared with whoever shows it. Setting `stop` ends the generator soon.
#[derive(Debug, Default)]
pub struct Progress {
    pub rows: AtomicU64,
    pub files: AtomicU64,
    pub files_total: AtomicU64,
    pub stop: AtomicBool,
}

/// What a generator left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generated {
    pub rows: u64,
    pub files: u64,
    pub bytes: u64,
}

/// One file to be written: its path below the target, and its rows.
struct PlannedFile {
    path: String,
    rows: Box<dyn FnOnce() -> Box<dyn Iterator<Item = RecordBatch>> + Send>,
}

/// Generates into `target`, with a thread per processor. Blocks until done.
///
/// # Errors
/// `AlreadyExists` if the target holds anything, `Invalid` for arguments out of range, `Cancelled` once stopped.
pub fn generate(generator: &Generator, target: &Path, progress: &Progress) -> Result<Generated, ErrorReport> {
    let files = match *generator {
        Generator::Tpch { scale, parts } => tpch::plan(checked_scale(scale)?, checked_parts(parts)?),
        Generator::AccessLog { rows, seed, parts } => access_log::plan(rows, seed, checked_parts(parts)?),
    };
    progress.files_total.store(files.len() as u64, Ordering::Relaxed);
    let staged = StagedFolder::create(target)?;
    let bytes = write_all(files, staged.path(), progress)?;
    staged.publish()?;
    Ok(Generated { rows: progress.rows.load(Ordering::Relaxed), files: progress.files.load(Ordering::Relaxed), bytes })
}

fn checked_scale(scale: f64) -> Result<f64, ErrorReport> {
    if scale > 0.0 && scale <= 100_000.0 {
        return Ok(scale);
    }
    Err(ErrorReport::invalid(format!("the scale {scale} is not between 0 and 100000"))
        .with_hint("scale 1 is about 1 GB of text, or 350 MB of Parquet"))
}

fn checked_parts(parts: u32) -> Result<u32, ErrorReport> {
    if (1..=PARTS_MAX).contains(&parts) {
        return Ok(parts);
    }
    Err(ErrorReport::invalid(format!("a table has 1 to {PARTS_MAX} files, not {parts}")))
}

fn write_all(files: Vec<PlannedFile>, folder: &Path, progress: &Progress) -> Result<u64, ErrorReport> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(files.len());
    let queue = Mutex::new(files.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || -> Result<u64, ErrorReport> {
        let mut bytes = 0;
        while let Some(file) = next() {
            bytes += write_one(file, folder, progress)?;
        }
        Ok(bytes)
    };
    let outcomes: Vec<Result<u64, ErrorReport>> = thread::scope(|scope| {
        let writers: Vec<_> = (0..threads).map(|_| scope.spawn(|| stop_on_error(work(), progress))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap_or_else(|_| Err(panicked()))).collect()
    });
    // A writer that was only told to stop says less than the one that made it stop.
    let worst = outcomes.iter().find(|o| matches!(o, Err(report) if report.kind != ErrorKind::Cancelled));
    if let Some(Err(report)) = worst {
        return Err(report.clone());
    }
    outcomes.into_iter().sum()
}

fn stop_on_error<T>(outcome: Result<T, ErrorReport>, progress: &Progress) -> Result<T, ErrorReport> {
    if outcome.is_err() {
        progress.stop.store(true, Ordering::Relaxed);
    }
    outcome
}

fn panicked() -> ErrorReport {
    ErrorReport::internal("a generator thread panicked")
}

fn write_one(file: PlannedFile, folder: &Path, progress: &Progress) -> Result<u64, ErrorReport> {
    let bytes = write_file(&folder.join(&file.path), (file.rows)(), progress)?;
    progress.files.fetch_add(1, Ordering::Relaxed);
    Ok(bytes)
}

#[cfg(test)]
mod tests;
