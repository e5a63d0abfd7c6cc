//! From DataFusion's errors to what a user reads and what the retry table matches on.
//!
//! Both start from the [`Cause`](cause::Cause), found below all wrappers, so that they cannot disagree.

mod cause;
mod failure;
mod nearest;
mod text;

#[cfg(test)]
mod tests;

use datafusion::error::DataFusionError;
use windrow_model::ErrorReport;

pub use failure::{failure, failure_reading};
pub use nearest::nearest;
pub(crate) use text::listed;

use cause::Cause;

/// What a user reads. `during` says where, for example `statement 2 of 3 (line 7)` or `reading table flights`.
pub fn report(error: DataFusionError, during: &str) -> ErrorReport {
    let report = text::describe(&cause::find(&error));
    if during.is_empty() || matches!(cause::find(&error), Cause::Reported(_)) {
        return report;
    }
    ErrorReport { what: format!("{during}: {}", report.what), ..report }
}

/// What an error of a store means for the task that read from it.
pub(crate) fn store_failure(error: &object_store::Error) -> ErrorReport {
    text::describe(&Cause::Store(error))
}

/// Whether arithmetic overflowed, below all wrappers.
pub(crate) fn is_overflow(error: &DataFusionError) -> bool {
    matches!(cause::find(error), Cause::Overflow(_))
}

/// The table that the planner did not find.
pub(crate) fn unknown_table(error: &DataFusionError) -> Option<String> {
    match cause::find(error) {
        Cause::Invalid(text) => text::unknown_table(&text).map(str::to_owned),
        _ => None,
    }
}

/// The column that the planner did not find.
pub(crate) fn unknown_column(error: &DataFusionError) -> Option<String> {
    match cause::find(error) {
        Cause::UnknownColumn { field, .. } => Some(field.name.clone()),
        _ => None,
    }
}
