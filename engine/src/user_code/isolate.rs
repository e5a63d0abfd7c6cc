//! Finds the rows at which a mapper fails, by giving it fewer and fewer of them.
//!
//! It takes for granted that a mapper treats each row on its own; code that does not is not told apart.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::util::display::array_value_to_string;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{TryStreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use windrow_model::{ErrorReport, OnError};

use super::aside::Aside;
use super::origin::Origin;
use super::report::CodeReport;
use super::run::{CodeRun, Output, failed, failure, is_failure};

/// Counts records that were left out, whatever was done with them.
const SKIPPED: &str = "windrow.records_skipped";

/// Batches that code may have read from when it fails. Two wait for code of this process and one is handed over; a pipe and
/// a program's own buffer hold less than so many, even of short lines.
const RECENT_MAX: usize = 6;

/// Batches of a part that is tried.
const MADE_AHEAD: usize = 2;

/// How long a failed attempt may look for the row that was to blame.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of a record that are shown.
const RECORD_BYTES_SHOWN: usize = 300;

/// The last rows that a piece of code was given.
#[derive(Clone, Default)]
pub struct Recent(Arc<Mutex<Given>>);

#[derive(Default)]
struct Given {
    rows: u64,
    /// With the number of the first row, from 0.
    batches: VecDeque<(u64, RecordBatch)>,
}

impl Recent {
    /// Remembers what passes.
    pub fn watch(&self, input: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let (schema, given) = (input.schema(), Arc::clone(&self.0));
        let watched = input.inspect_ok(move |batch| {
            if batch.num_rows() == 0 {
                return;
            }
            let mut given = given.lock();
            let first = given.rows;
            given.rows += batch.num_rows() as u64;
            given.batches.push_back((first, batch.clone()));
            if given.batches.len() > RECENT_MAX {
                given.batches.pop_front();
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, watched))
    }
}

/// Adds to `error`, with which `run` has failed, which row it was; or how far it had come, if it fails at none alone.
pub async fn explain(run: &CodeRun, error: DataFusionError, recent: &Recent, origin: &Origin) -> DataFusionError {
    let Some(report) = failure(&error).cloned() else { return error };
    let batches = recent.0.lock().batches.clone();
    let find = async {
        for (first, batch) in &batches {
            if let Some((row, report)) = bad_row(run, batch).await? {
                return Ok(Some((first + row as u64, shown(&batch.slice(row, 1)), report)));
            }
        }
        Ok::<_, DataFusionError>(None)
    };
    let found = tokio::time::timeout(PATIENCE, find).await.unwrap_or(Ok(None)).unwrap_or(None);
    let detail = |place: String, detail: &str| format!("{place}{}{detail}", if detail.is_empty() { "" } else { "\n" });
    let explained = match found {
        Some((row, record, alone)) => {
            let place = format!("at {}: {record}", origin.of(row).await);
            alone.clone().with_detail(detail(place, &alone.detail))
        }
        None => {
            let given = recent.0.lock().rows;
            let place = match given {
                0 => "it had been given no row".to_owned(),
                rows => format!("it had been given the rows up to {}", origin.of(rows - 1).await),
            };
            report.clone().with_detail(detail(place, &report.detail))
        }
    };
    failed(explained)
}

/// The first row of a batch at which the code fails on its own, and how.
async fn bad_row(run: &CodeRun, batch: &RecordBatch) -> Result<Option<(usize, ErrorReport)>> {
    let (mut start, mut rows) = (0, batch.num_rows());
    let mut report = match apart(run, batch.clone()).await {
        Ok(_) => return Ok(None),
        Err(error) => of_code(error)?,
    };
    while rows > 1 {
        let half = rows / 2;
        match apart(run, batch.slice(start, half)).await {
            Err(error) => (rows, report) = (half, of_code(error)?),
            Ok(_) => match apart(run, batch.slice(start + half, rows - half)).await {
                Err(error) => (start, rows, report) = (start + half, rows - half, of_code(error)?),
                // It takes rows of both halves.
                Ok(_) => return Ok(None),
            },
        }
    }
    Ok(Some((start, report)))
}

/// Runs the code over the rows of `input`, and leaves out those at which it fails.
pub async fn run(run: &CodeRun, mut input: SendableRecordBatchStream, out: &Output, origin: &Origin) -> Result<()> {
    // What fails at nothing fails at no row.
    apart(run, RecordBatch::new_empty(input.schema())).await?;
    let (mut first, mut aside) = (0, Aside::default());
    while let Some(batch) = input.try_next().await? {
        if batch.num_rows() == 0 {
            continue;
        }
        let mut todo = vec![(0, batch.num_rows())];
        while let Some((start, rows)) = todo.pop() {
            match tried(run, batch.slice(start, rows)).await {
                Ok(made) => give(made, out).await?,
                Err(error) if rows == 1 && is_failure(&error) => {
                    let (row, report) = (first + start as u64, of_code(error)?);
                    let bad = Bad { place: origin.of(row).await, record: batch.slice(start, 1), report };
                    leave_out(run, bad, &mut aside).await?;
                }
                Err(error) if is_failure(&error) => {
                    let half = rows / 2;
                    todo.extend([(start + half, rows - half), (start, half)]);
                }
                Err(error) => return Err(error),
            }
        }
        first += batch.num_rows() as u64;
    }
    aside.finish(&run.context).await
}

/// A row at which the code fails.
pub(super) struct Bad {
    /// Where it is.
    pub place: String,
    pub record: RecordBatch,
    pub report: ErrorReport,
}

async fn leave_out(run: &CodeRun, bad: Bad, aside: &mut Aside) -> Result<()> {
    let Bad { place, record, report } = &bad;
    let left_out = run.context.bad.left_out.fetch_add(1, Ordering::Relaxed) + 1;
    run.context.report.count(SKIPPED, 1);
    run.context.report.line(&format!("left out {place}: {}: {}", shown(record), report.what));
    match &run.code.code.on_error {
        OnError::Skip { records_max } if left_out > *records_max => {
            let what = format!("it has failed at more than {records_max} records of a task");
            let detail = format!("at {place}: {}\n{}", shown(record), report.detail);
            Err(failed(run.code.failure(ErrorReport { what, ..report.clone() }.with_detail(detail))))
        }
        OnError::Skip { .. } => Ok(()),
        OnError::Quarantine { .. } => aside.add(run, &bad).await,
        OnError::Fail => internal_err!("code that may not fail has left out a record"),
    }
}

async fn give(made: Vec<RecordBatch>, out: &Output) -> Result<()> {
    for batch in made {
        if out.send(Ok(batch)).await.is_err() {
            return internal_err!("nobody reads the rows any more");
        }
    }
    Ok(())
}

/// What the code makes of these rows alone. What it said counts only if it succeeds.
async fn tried(run: &CodeRun, rows: RecordBatch) -> Result<Vec<RecordBatch>> {
    let (made, said) = apart(run, rows).await?;
    run.context.report.merge(&said);
    Ok(made)
}

async fn apart(run: &CodeRun, rows: RecordBatch) -> Result<(Vec<RecordBatch>, Arc<CodeReport>)> {
    let report = Arc::new(CodeReport::default());
    let (schema, batches) = (rows.schema(), (rows.num_rows() > 0).then_some(Ok(rows)));
    let input = RecordBatchStreamAdapter::new(schema, stream::iter(batches));
    let (out, mut made) = mpsc::channel(MADE_AHEAD);
    let running = async {
        let (out, report) = (out, &report);
        run.once(Box::pin(input), &out, report).await
    };
    let collecting = async {
        let mut batches = Vec::new();
        while let Some(batch) = made.recv().await {
            batches.push(batch);
        }
        batches.into_iter().collect::<Result<Vec<_>>>()
    };
    let (ended, batches) = futures::join!(running, collecting);
    ended?;
    Ok((batches?, report))
}

fn of_code(error: DataFusionError) -> Result<ErrorReport> {
    failure(&error).filter(|_| is_failure(&error)).cloned().ok_or(error)
}

/// The one row of `batch`, as people read it.
fn shown(batch: &RecordBatch) -> String {
    let value = |column: &ArrayRef| array_value_to_string(column, 0).unwrap_or_else(|error| format!("({error})"));
    let mut text = batch.columns().iter().map(value).collect::<Vec<_>>().join(", ");
    if text.len() > RECORD_BYTES_SHOWN {
        text.truncate(text.floor_char_boundary(RECORD_BYTES_SHOWN));
        text.push('…');
    }
    format!("`{text}`")
}
