//! One session with the coordinator: from `Welcome` until the stream ends. A new session starts with nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use windrow_engine::shuffle::{OutputAt, ShuffleSource, TaskInputs};
use windrow_engine::task::{TaskProgress, TaskRequest};
use windrow_model::{AttemptId, ErrorReport, Failure, JobId, MapOutputId, StageId, TaskId, WorkerId};
use windrow_proto::{InvalidMessage, RunTask, StageOutputs, fragment_hash_from_wire, required};

use crate::executor::Executor;
use crate::fetch::WorkerSource;
use crate::fragments::Fragments;
use crate::store::ShuffleStore;

/// What the coordinator's commands act on.
pub struct Session {
    fragments: Mutex<Fragments>,
    executor: Executor,
    store: Arc<ShuffleStore>,
    source: Arc<WorkerSource>,
}

/// Why a task was not started.
pub enum NotStarted {
    /// The message names no attempt, so that nobody can be told but the log.
    Unnamed(InvalidMessage),
    Named(AttemptId, Failure),
}

impl Session {
    pub fn new(executor: Executor, store: Arc<ShuffleStore>, source: WorkerSource) -> Self {
        Session { fragments: Mutex::default(), executor, store, source: Arc::new(source) }
    }

    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    pub fn accept(&self, blob: windrow_proto::Blob) -> Result<(), ErrorReport> {
        let hash = fragment_hash_from_wire(&blob.hash, "Blob.hash")?;
        self.fragments.lock().accept(hash, JobId(blob.job), &blob.piece, blob.last)
    }

    /// Starts an attempt.
    pub fn start(&self, run: RunTask) -> Result<(), NotStarted> {
        let attempt = AttemptId::from(required(run.attempt, "RunTask.attempt").map_err(NotStarted::Unnamed)?);
        let request =
            self.request(run, attempt).map_err(|report| NotStarted::Named(attempt, Failure::Internal(report)))?;
        self.executor.start(request);
        Ok(())
    }

    pub fn cancel(&self, attempt: AttemptId) {
        self.executor.cancel(attempt);
    }

    pub fn release_stages(&self, job: JobId, stages: &[u32]) {
        self.store.release_stages(job, stages);
    }

    pub fn release_job(&self, job: JobId) {
        self.executor.release_job(job);
        self.fragments.lock().release(job);
    }

    fn request(&self, run: RunTask, attempt: AttemptId) -> Result<TaskRequest, ErrorReport> {
        let task: TaskId = required(run.task, "RunTask.task")?.into();
        let fragment = self.blob(&run.fragment, "RunTask.fragment")?;
        let splits = match run.splits.is_empty() {
            true => None,
            false => Some(self.blob(&run.splits, "RunTask.splits")?),
        };
        let source = Arc::clone(&self.source) as Arc<dyn ShuffleSource>;
        let inputs = Arc::new(TaskInputs { source, stages: stages(task.stage.job, run.inputs)? });
        Ok(TaskRequest {
            task,
            attempt,
            try_number: run.try_number,
            fragment,
            splits,
            partitions: run.partitions,
            slots: run.slots,
            output_partitions: run.output_partitions,
            is_result: run.is_result,
            inputs,
            progress: Arc::new(TaskProgress::default()),
        })
    }

    fn blob(&self, hash: &[u8], name: &'static str) -> Result<bytes::Bytes, ErrorReport> {
        let hash = fragment_hash_from_wire(hash, name)?;
        let missing = || ErrorReport::internal(format!("the worker was told to run {hash}, which it was never sent"));
        self.fragments.lock().get(hash).ok_or_else(missing)
    }
}

impl Drop for Session {
    /// A coordinator that lost this worker counts on none of its outputs any more.
    fn drop(&mut self) {
        self.executor.cancel_all();
        self.store.clear();
    }
}

fn stages(job: JobId, inputs: Vec<StageOutputs>) -> Result<BTreeMap<u32, Vec<OutputAt>>, InvalidMessage> {
    inputs.into_iter().map(|input| Ok((input.stage, outputs(job, input)?))).collect()
}

fn outputs(job: JobId, input: StageOutputs) -> Result<Vec<OutputAt>, InvalidMessage> {
    let stage = StageId { job, index: input.stage };
    let output = |location: windrow_proto::OutputLocation| {
        let attempt = required(location.attempt, "OutputLocation.attempt")?.into();
        let output = MapOutputId { task: TaskId { stage, index: location.task }, attempt };
        Ok(OutputAt { output, worker: WorkerId(location.worker), address: location.address })
    };
    input.outputs.into_iter().map(output).collect()
}
