//! The seam to what runs processes: the worker.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use windrow_model::{AttemptId, ErrorReport, TaskId};

use super::PlacedCode;
use super::report::CodeReport;

/// What a process is started for.
#[derive(Debug)]
pub struct ProcessStart<'a> {
    pub code: &'a PlacedCode,
    pub task: TaskId,
    pub attempt: AttemptId,
    /// 1 for the first attempt at the task.
    pub try_number: u32,
    /// Of the plan; one process runs for each.
    pub partition: usize,
    /// Takes the lines of standard error.
    pub report: Arc<CodeReport>,
}

/// A process that runs. Dropping it ends it, with everything that it has started.
pub struct HostedProcess {
    /// Dropping it tells the process that there is no more.
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    /// Waits for its end: what went wrong, if it did not succeed.
    pub ended: BoxFuture<'static, Result<(), ErrorReport>>,
    /// Bytes that were written to `input` and that nobody has read.
    pub unread: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Ends the process when it is dropped.
    pub guard: Box<dyn Send + Sync>,
}

/// Starts processes.
#[async_trait]
pub trait ProcessHost: Send + Sync + fmt::Debug {
    /// Errors if the program cannot be started.
    async fn start(&self, start: ProcessStart<'_>) -> Result<HostedProcess, ErrorReport>;
}

/// The host of a worker's attempts.
#[derive(Clone, Debug)]
pub struct UserCodeHost(pub Arc<dyn ProcessHost>);

/// The user's code has failed; travels as [`datafusion::error::DataFusionError::External`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCodeError(pub ErrorReport);

impl fmt::Display for UserCodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for UserCodeError {}
