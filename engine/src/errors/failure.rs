//! Why an attempt failed, typed for the retry table.

use std::io;

use datafusion::error::DataFusionError;
use windrow_model::{ErrorKind, ErrorReport, Failure, TaskId};

use super::cause::{self, Cause};
use super::text;
use crate::shuffle::FetchError;

/// What the retry table matches on. A failure is `Query` only if every other attempt would meet it too.
pub fn failure(error: DataFusionError, task: TaskId) -> Failure {
    let cause = cause::find(&error);
    match &cause {
        Cause::Fetch(FetchError::Lost { output, worker, detail }) => {
            return Failure::FetchFailed { output: *output, peer: *worker, detail: detail.clone() };
        }
        Cause::Fetch(FetchError::Corrupt { output, worker, .. }) => {
            return Failure::Corrupt { output: *output, peer: *worker };
        }
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
        _ => by_kind(report),
    }
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

fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Errors of temporary files end in `… at path "…"`; others do not name their path.
fn path_of(error: &io::Error) -> String {
    let text = error.to_string();
    text.split('"').nth(1).unwrap_or("the worker's disk").to_owned()
}
