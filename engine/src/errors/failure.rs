//! Why an attempt failed, typed for the retry table.

use std::io;

use datafusion::error::DataFusionError;
use windrow_model::{ErrorKind, ErrorReport, Failure, MapOutputId, TaskId, WorkerId};

use super::cause::{self, Cause};
use super::text;
use crate::shuffle::FetchError;

/// What the retry table matches on. A failure is `Query` only if every other attempt would meet it too.
pub fn failure(error: DataFusionError, task: TaskId) -> Failure {
    let cause = cause::find(&error);
    match &cause {
        Cause::Fetch(FetchError::Lost { output, worker, detail }) => {
            return fetch_failed(output, worker, detail, false);
        }
        Cause::Fetch(FetchError::Unreached { output, worker, detail }) => {
            return fetch_failed(output, worker, detail, true);
        }
        Cause::Fetch(FetchError::Corrupt { output, worker, .. }) => {
            return Failure::Corrupt { output: *output, peer: *worker };
        }
        Cause::UserCode(report) => return of_user_code((*report).clone()),
        Cause::Io(io) if is_disk_full(io) => return Failure::DiskFull { path: path_of(io) },
        Cause::Reported(_)
        | Cause::OutOfMemory(_)
        | Cause::Store(_)
        | Cause::Io(_)
        | Cause::UnknownColumn { .. }
        | Cause::Schema(_)
        | Cause::Syntax(_)
        | Cause::Overflow(_)
        | Cause::DivideByZero
        | Cause::Cast(_)
        | Cause::Csv(_)
        | Cause::Json(_)
        | Cause::Parquet(_)
        | Cause::Invalid(_)
        | Cause::Unsupported(_)
        | Cause::Panicked(_)
        | Cause::Internal(_) => {}
    }
    let report = text::describe(&cause);
    let report = match &cause {
        Cause::Reported(_) => report,
        _ => ErrorReport { what: format!("task {task} failed: {}", report.what), ..report },
    };
    match &cause {
        Cause::OutOfMemory(_) => Failure::OutOfMemory(report),
        Cause::Panicked(_) => Failure::Panicked(report),
        // Inputs are read through object stores: this is the worker's own folder, and another worker has another one.
        Cause::Io(io) if matches!(io.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            Failure::Unavailable(ErrorReport { kind: ErrorKind::Unavailable, ..report })
        }
        _ => by_kind(report),
    }
}

fn fetch_failed(output: &MapOutputId, peer: &WorkerId, detail: &str, unreached: bool) -> Failure {
    Failure::FetchFailed { output: *output, peer: *peer, detail: detail.to_owned(), unreached }
}

/// Like [`failure`]. An error that bad input causes names the task's input files, because the decoders do not.
/// `trouble` is what a store has said before a Parquet file could not be decoded: then the file is not to blame.
pub fn failure_reading(
    error: DataFusionError,
    task: TaskId,
    trouble: Option<ErrorReport>,
    files: impl FnOnce() -> Vec<String>,
) -> Failure {
    if let (Cause::Parquet(_), Some(report)) = (cause::find(&error), trouble) {
        return by_kind(ErrorReport { what: format!("task {task} failed: {}", report.what), ..report });
    }
    let by_input = matches!(cause::find(&error), Cause::Csv(_) | Cause::Json(_) | Cause::Parquet(_) | Cause::Cast(_));
    match (failure(error, task), by_input) {
        (Failure::Query(report), true) => Failure::Query(naming_files(report, &files())),
        (failure, _) => failure,
    }
}

/// Files beyond these are only counted.
const FILES_NAMED_MAX: usize = 3;

fn naming_files(report: ErrorReport, files: &[String]) -> ErrorReport {
    let named = files.iter().take(FILES_NAMED_MAX).map(|file| format!("`{file}`")).collect::<Vec<_>>().join(", ");
    let detail = match (files.len(), report.detail.as_str()) {
        (0, _) => return report,
        (1, detail) => format!("{detail} (the task read {named})"),
        (2..=FILES_NAMED_MAX, detail) => format!("{detail} (the task read some of {named})"),
        (count, detail) => format!("{detail} (the task read some of {named} and {} more)", count - FILES_NAMED_MAX),
    };
    ErrorReport { detail: detail.trim_start().to_owned(), ..report }
}

fn by_kind(report: ErrorReport) -> Failure {
    match report.kind {
        ErrorKind::Unavailable => Failure::Unavailable(report),
        ErrorKind::Internal | ErrorKind::Fenced => Failure::Internal(report),
        ErrorKind::Invalid
        | ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::Conflict
        | ErrorKind::Exhausted
        | ErrorKind::Unauthenticated
        | ErrorKind::PermissionDenied
        | ErrorKind::Cancelled
        | ErrorKind::Corrupt
        | ErrorKind::Unsupported => Failure::Query(report),
    }
}

/// A program that cannot be started here may be there on another worker.
fn of_user_code(report: ErrorReport) -> Failure {
    match report.kind {
        ErrorKind::Unavailable => Failure::Unavailable(report),
        _ => Failure::UserCode(report),
    }
}

fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Errors of temporary files end in `… at path "…"`; others do not name their path.
fn path_of(error: &io::Error) -> String {
    let text = error.to_string();
    text.split('"').nth(1).unwrap_or("the worker's disk").to_owned()
}
