//! Finds the row that makes a function fail.

use arrow::array::RecordBatch;

use crate::error::CallError;
use crate::limits::{ISOLATE_CALLS_MAX, Limits};
use crate::module::Module;

/// The first row of `rows` for which `function` fails on a fresh instance, alone, with the error.
///
/// Rows are halved: as long as rows do not depend on each other, a part that succeeds has no such row. `None` if there is no
/// such row: a failure may come of what earlier calls have left, or of rows together. A call that fails by its budget takes
/// all of it, so that finding a row among n that loops costs about twice the budget of n rows.
pub fn isolate(module: &Module, limits: Limits, function: &str, rows: &RecordBatch) -> Option<(usize, CallError)> {
    Search { module, limits, function, rows, calls_left: ISOLATE_CALLS_MAX }.within(0, rows.num_rows())
}

struct Search<'a> {
    module: &'a Module,
    limits: Limits,
    function: &'a str,
    rows: &'a RecordBatch,
    calls_left: usize,
}

impl Search<'_> {
    fn within(&mut self, start: usize, length: usize) -> Option<(usize, CallError)> {
        let error = self.failure_of(start, length)?;
        if length == 1 {
            return Some((start, error));
        }
        let half = length / 2;
        self.within(start, half).or_else(|| self.within(start + half, length - half))
    }

    fn failure_of(&mut self, start: usize, length: usize) -> Option<CallError> {
        self.calls_left = self.calls_left.checked_sub(1).filter(|_| length > 0)?;
        let mut instance = self.module.start(self.limits).ok()?;
        let error = instance.call(self.function, &self.rows.slice(start, length)).err();
        // A machine at its end says nothing about a row.
        error.filter(|error| !matches!(error, CallError::Host { .. }))
    }
}
