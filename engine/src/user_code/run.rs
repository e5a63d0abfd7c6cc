//! Runs a piece of code over the rows of one partition, by whatever hosts it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

use arrow::array::RecordBatch;
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};
use datafusion::execution::SendableRecordBatchStream;
use tokio::sync::mpsc::Sender;
use windrow_model::{AttemptId, ErrorKind, ErrorReport, OnError, Runs, TaskId};

use super::host::{ProcessStart, UserCodeError, UserCodeHost};
use super::isolate::{self, Recent};
use super::origin::Origin;
use super::report::CodeReport;
use super::{PlacedCode, Role, native, process, wasm};
use crate::sink::WriteLog;
use crate::stores::Stores;

/// Where an attempt's code runs, and whom it tells; an extension of the attempt's session configuration.
#[derive(Clone, Debug)]
pub(crate) struct CodeContext {
    pub task: TaskId,
    pub attempt: AttemptId,
    pub try_number: u32,
    pub report: Arc<CodeReport>,
    /// What starts processes; `None`: nothing does.
    pub host: Option<UserCodeHost>,
    /// Takes the files that it writes aside.
    pub log: Arc<WriteLog>,
    pub stores: Arc<Stores>,
    pub bad: Arc<BadRecords>,
}

/// Bad records of an attempt, over all of its partitions.
#[derive(Debug, Default)]
pub(crate) struct BadRecords {
    pub left_out: AtomicU64,
    /// Files that they were written to.
    pub files: AtomicU32,
}

/// One partition of an attempt.
pub(super) struct CodeRun {
    pub code: Arc<PlacedCode>,
    pub context: CodeContext,
    pub partition: usize,
}

/// Takes the rows that the code makes.
pub(super) type Output = Sender<Result<RecordBatch>>;

impl CodeRun {
    /// `origin` says where a row of `input` comes from.
    pub async fn run(&self, input: SendableRecordBatchStream, out: Output, origin: Origin) -> Result<()> {
        if self.code.role != Role::Map {
            return self.once(input, &out, &self.context.report).await.map_err(|error| self.certain(error));
        }
        // The first try is at full speed; only rows that are known to hold a bad one are taken apart.
        if self.code.code.on_error != OnError::Fail && self.context.try_number > 1 {
            return isolate::run(self, input, &out, &origin).await;
        }
        let recent = Recent::default();
        let ended = self.once(recent.watch(input), &out, &self.context.report).await;
        match ended {
            Err(error) if is_failure(&error) => Err(isolate::explain(self, error, &recent, &origin).await),
            ended => ended,
        }
        .map_err(|error| self.certain(error))
    }

    /// A module without a clock fails at the same rows wherever it runs: the job need not try it again.
    fn certain(&self, error: DataFusionError) -> DataFusionError {
        let ends = self.code.code.on_error == OnError::Fail && matches!(self.code.code.runs, Runs::Wasm { .. });
        match failure(&error) {
            Some(report) if ends => DataFusionError::External(Box::new(report.clone())),
            _ => error,
        }
    }

    /// Without a look at what is wrong with which row.
    pub async fn once(&self, input: SendableRecordBatchStream, out: &Output, report: &Arc<CodeReport>) -> Result<()> {
        match &self.code.code.runs {
            Runs::Process { framing, .. } => {
                let CodeContext { task, attempt, try_number, host, .. } = &self.context;
                let missing = || internal_datafusion_err!("{} runs where no process can be started", self.code.table);
                let host = host.as_ref().ok_or_else(missing)?;
                let (code, partition, report) = (self.code.as_ref(), self.partition, Arc::clone(report));
                let (task, attempt, try_number) = (*task, *attempt, *try_number);
                let start = ProcessStart { code, task, attempt, try_number, partition, report };
                let process = host.0.start(start).await.map_err(|report| failed(code.failure(report)))?;
                process::run(code, *framing, process, input, out).await
            }
            Runs::Wasm { module, function } => {
                let rows = wasm::rows(module, function, self.code.code.limits);
                native::run(&self.code, rows, input, out, report).await
            }
            Runs::Native { name } => {
                let code = native::make(name, self).map_err(|report| failed(self.code.failure(report)))?;
                native::run(&self.code, code, input, out, report).await
            }
        }
    }
}

/// An error of the user's code.
pub(super) fn failed(report: ErrorReport) -> DataFusionError {
    DataFusionError::External(Box::new(UserCodeError(report)))
}

/// Whether it is the user's code that has failed at what it was given, and not its input, its reader, or whatever was to
/// start it.
pub(super) fn is_failure(error: &DataFusionError) -> bool {
    failure(error).is_some_and(|report| matches!(report.kind, ErrorKind::Invalid | ErrorKind::Exhausted))
}

pub(super) fn failure(error: &DataFusionError) -> Option<&ErrorReport> {
    let DataFusionError::External(error) = error.find_root() else { return None };
    error.downcast_ref::<UserCodeError>().map(|UserCodeError(report)| report)
}
