//! Code that runs in the worker's own process: Rust that was linked into its binary, and what hosts WebAssembly.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;
use parking_lot::RwLock;
use tokio::sync::mpsc::{self, Receiver};
use tokio::sync::oneshot;
use windrow_model::{AttemptId, ErrorKind, ErrorReport, TaskId};

use super::PlacedCode;
use super::frames::typed;
use super::report::CodeReport;
use super::run::{CodeRun, Output, failed};
use crate::task::panic_message;

/// Batches that wait for code to take them.
const BATCHES_WAITING: usize = 2;

/// Linux keeps so much of a thread's name.
const THREAD_NAME_CHARS: usize = 15;

/// What code is started for.
#[derive(Debug)]
pub struct CodeStart<'a> {
    pub task: TaskId,
    pub attempt: AttemptId,
    /// Of the plan; the code is made once for each.
    pub partition: usize,
    /// What the job gives it.
    pub parameters: &'a BTreeMap<String, String>,
}

/// A mapper, combiner or reducer over Arrow batches, made anew for each partition of an attempt.
pub trait NativeCode: Send {
    /// Reads the rows of one partition and writes those that it makes. It has a thread of its own, which it may block, and
    /// may use others, for example with rayon.
    ///
    /// # Errors
    /// What is wrong; the attempt fails with it.
    fn run(&mut self, input: &mut CodeInput, output: &mut CodeOutput) -> Result<(), String>;
}

/// The rows that code reads, batch by batch.
pub struct CodeInput {
    first: Option<RecordBatch>,
    batches: Receiver<RecordBatch>,
    schema: SchemaRef,
    state: Arc<InputState>,
}

/// Takes the rows that code makes, its counters and its log.
pub struct CodeOutput {
    out: Output,
    schema: SchemaRef,
    report: Arc<CodeReport>,
    state: Arc<InputState>,
}

/// How the input has ended. What code makes of half an input must not be taken for the whole.
#[derive(Debug, Default)]
struct InputState {
    is_complete: AtomicBool,
    /// The code was told that there is no more, although there is.
    is_broken: AtomicBool,
}

/// Nobody reads the rows any more, or they cannot be read to their end: the attempt is over. Code that meets it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// A panic with this ends code as an error with its text does.
#[derive(Debug)]
pub struct CodeEnds(pub String);

impl CodeInput {
    /// Of the rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// To be asked when there are no more rows.
    ///
    /// # Errors
    /// There are, but the attempt is over.
    pub fn check(&self) -> Result<(), String> {
        if self.state.is_complete.load(Ordering::Acquire) { Ok(()) } else { Err(Stopped.to_string()) }
    }
}

impl Iterator for CodeInput {
    type Item = RecordBatch;

    fn next(&mut self) -> Option<RecordBatch> {
        let next = self.first.take().or_else(|| self.batches.blocking_recv());
        if next.is_none() && self.check().is_err() {
            self.state.is_broken.store(true, Ordering::Release);
        }
        next
    }
}

impl CodeOutput {
    /// The columns that the job says the code writes.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Waits while the reader is slow. Columns are cast to those that the job says.
    ///
    /// # Errors
    /// Those of the cast, or that the attempt is over.
    pub fn emit(&mut self, batch: &RecordBatch) -> Result<(), String> {
        if self.state.is_broken.load(Ordering::Acquire) {
            return Err(Stopped.to_string());
        }
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = typed(batch, &self.schema)?;
        self.out.blocking_send(Ok(batch)).map_err(|_| Stopped.to_string())
    }

    /// Adds to a counter of the job. Only those of successful attempts count.
    pub fn count(&mut self, name: &str, amount: i64) {
        self.report.count(name, amount);
    }

    /// Writes a line into the attempt's log.
    pub fn log(&mut self, line: &str) {
        self.report.line(line);
    }
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the attempt is over")
    }
}

type Make = Arc<dyn Fn(&CodeStart<'_>) -> Box<dyn NativeCode> + Send + Sync>;

/// Code is part of a program, so that what there is is the same everywhere in it.
static REGISTERED: LazyLock<RwLock<HashMap<String, Make>>> = LazyLock::new(RwLock::default);

/// Makes code known to this process's workers under a name that jobs use. The last one of a name counts.
pub fn register(name: &str, make: impl Fn(&CodeStart<'_>) -> Box<dyn NativeCode> + Send + Sync + 'static) {
    REGISTERED.write().insert(name.to_owned(), Arc::new(make));
}

/// Starts a piece of code, on the thread that it runs on.
pub(super) type Start = Box<dyn FnOnce() -> Result<Box<dyn NativeCode>, ErrorReport> + Send>;

/// Errors if the worker's binary has no such code.
pub(super) fn make(name: &str, run: &CodeRun) -> Result<Start, ErrorReport> {
    let found = REGISTERED.read().get(name).cloned();
    let make = found.ok_or_else(|| {
        ErrorReport::new(ErrorKind::NotFound, format!("this worker's program has no code named `{name}`"))
            .with_hint("run workers from the program that the code is part of")
    })?;
    let (code, partition) = (Arc::clone(&run.code), run.partition);
    let (task, attempt) = (run.context.task, run.context.attempt);
    Ok(Box::new(move || Ok(make(&CodeStart { task, attempt, partition, parameters: &code.code.env }))))
}

/// Runs the code on a thread of its own, from the moment that there are rows.
pub(super) async fn run(
    placed: &PlacedCode,
    start: Start,
    mut input: SendableRecordBatchStream,
    out: &Output,
    report: &Arc<CodeReport>,
) -> Result<()> {
    let (given, batches) = mpsc::channel(BATCHES_WAITING);
    let (schema, state) = (input.schema(), Arc::new(InputState::default()));
    let first = input.try_next().await?;
    state.is_complete.store(first.is_none(), Ordering::Release);
    let code_input = CodeInput { first, batches, schema, state: Arc::clone(&state) };
    let code_output = CodeOutput {
        out: out.clone(),
        schema: Arc::clone(&placed.schema),
        report: Arc::clone(report),
        state: Arc::clone(&state),
    };
    let running = on_a_thread(placed.program(), start, code_input, code_output)?;
    let mut is_taken = !state.is_complete.load(Ordering::Acquire);
    while is_taken {
        match input.try_next().await? {
            // Code may end before its input does.
            Some(batch) => is_taken = given.send(batch).await.is_ok(),
            None => {
                state.is_complete.store(true, Ordering::Release);
                is_taken = false;
            }
        }
    }
    drop(given);
    let ended = running.await.map_err(|error| DataFusionError::External(Box::new(error)))?;
    ended.map_err(|ended| failed(placed.failure(ended.with_detail(report.last_lines()))))
}

/// Gives how the code has ended.
fn on_a_thread(
    name: &str,
    start: Start,
    mut input: CodeInput,
    mut output: CodeOutput,
) -> Result<oneshot::Receiver<Result<(), ErrorReport>>> {
    let (ended, running) = oneshot::channel();
    let work = move || {
        let run = || start()?.run(&mut input, &mut output).map_err(ErrorReport::invalid);
        let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(of_panic(panic)));
        // Its rows end here, whoever waits for the outcome.
        drop((input, output));
        let _ = ended.send(outcome);
    };
    std::thread::Builder::new().name(name.chars().take(THREAD_NAME_CHARS).collect()).spawn(work)?;
    Ok(running)
}

fn of_panic(panic: Box<dyn std::any::Any + Send>) -> ErrorReport {
    match panic.downcast::<CodeEnds>() {
        Ok(ends) => ErrorReport::invalid(ends.0),
        Err(panic) => ErrorReport::invalid(format!("it panicked: {}", panic_message(panic.as_ref()))),
    }
}
