//! One session with the coordinator: from `Welcome` until the stream ends. What the worker runs and keeps outlives it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use windrow_engine::shuffle::{OutputAt, ShuffleSource, StageSize, TaskInputs};
use windrow_engine::task::{TaskProgress, TaskRequest};
use windrow_model::{AttemptId, ErrorReport, Failure, JobId, MapOutputId, StageId, TaskId, TaskOutput, WorkerId};
use windrow_proto::{
    CopyOutputs, FromWorker, InvalidMessage, OutputsCopied, RunTask, StageOutputs, StoreOutputs,
    fragment_hash_from_wire, from_worker, required,
};

use crate::copying::{NotCopied, copy_output};
use crate::executor::Executor;
use crate::fetch::WorkerSource;
use crate::fragments::Fragments;

/// Outputs that are written to an object store at once: enough to hide its latency.
const STORED_AT_ONCE: usize = 8;

/// What the coordinator's commands act on.
pub struct Session {
    fragments: Arc<Mutex<Fragments>>,
    executor: Arc<Executor>,
    source: Arc<WorkerSource>,
}

/// Why a task was not started.
pub enum NotStarted {
    /// The message names no attempt, so that nobody can be told but the log.
    Unnamed(InvalidMessage),
    Named(AttemptId, Failure),
}

impl Session {
    pub fn new(executor: Arc<Executor>, fragments: Arc<Mutex<Fragments>>, source: WorkerSource) -> Self {
        Session { fragments, executor, source: Arc::new(source) }
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
        self.executor.release_stages(job, stages);
    }

    /// These outputs are read at another place from now on.
    pub fn repoint(&self, repoint: windrow_proto::RepointInputs) {
        for stage in repoint.inputs {
            let Some(job) = repoint.job.map(JobId) else { continue };
            match outputs(job, stage) {
                Ok(places) => places.into_iter().for_each(|at| self.source.moved().note(at)),
                Err(error) => tracing::error!(%error, "the coordinator named a new place that cannot be read"),
            }
        }
    }

    /// Takes outputs over from a peer, then says which it has.
    pub fn copy(&self, copy: CopyOutputs, reports: mpsc::Sender<FromWorker>) {
        let (executor, source) = (Arc::clone(&self.executor), Arc::clone(&self.source));
        self.source.network().spawn(async move {
            let from = WorkerId(copy.from);
            let copied = copy_each(copy, &executor, &source).await;
            if let Some(detail) = &copied.detail {
                tracing::warn!(peer = %from, detail, outputs = copied.missing.len(), "map outputs could not be taken over");
            }
            copied.report(from, false, &reports).await;
        });
    }

    /// Writes outputs to an object store, then says which are there.
    pub fn store(&self, store: StoreOutputs, reports: mpsc::Sender<FromWorker>) {
        let source = Arc::clone(&self.source);
        self.source.network().spawn(async move {
            let location = store.location.clone();
            let stored = store_each(store, &source).await;
            if let Some(detail) = &stored.detail {
                tracing::warn!(location, detail, outputs = stored.missing.len(), "map outputs could not be stored");
            }
            stored.report(source.me(), true, &reports).await;
        });
    }

    pub fn release_job(&self, job: JobId) {
        self.source.moved().release(job);
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
        let size = |input: &StageOutputs| (input.stage, StageSize { rows: input.rows, bytes: input.bytes });
        let sizes = run.inputs.iter().map(size).collect();
        let mut inputs = TaskInputs { source, stages: stages(task.stage.job, run.inputs)?, sizes };
        if let Some(share) = run.share {
            inputs.keep(share.into());
        }
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
            inputs: Arc::new(inputs),
            progress: Arc::new(TaskProgress::default()),
        })
    }

    fn blob(&self, hash: &[u8], name: &'static str) -> Result<bytes::Bytes, ErrorReport> {
        let hash = fragment_hash_from_wire(hash, name)?;
        let missing = || ErrorReport::internal(format!("the worker was told to run {hash}, which it was never sent"));
        self.fragments.lock().get(hash).ok_or_else(missing)
    }
}

/// What became of outputs that were to be taken over.
#[derive(Default)]
struct TakenOver {
    there: Vec<windrow_proto::MapOutputId>,
    missing: Vec<windrow_proto::MapOutputId>,
    /// Why the last one is missing.
    detail: Option<String>,
}

impl TakenOver {
    fn note(&mut self, output: windrow_proto::MapOutputId, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.there.push(output),
            Err(detail) => {
                self.missing.push(output);
                self.detail = Some(detail);
            }
        }
    }

    /// Without a stream nobody waits for the answer: the inventory tells what was copied, and what was stored is here.
    async fn report(self, from: WorkerId, stored: bool, reports: &mpsc::Sender<FromWorker>) {
        for (outputs, failure) in [(self.there, None), (self.missing, self.detail)] {
            if !outputs.is_empty() {
                let answer = OutputsCopied { from: from.0, outputs, failure, stored };
                let _ = reports.send(FromWorker { kind: Some(from_worker::Kind::OutputsCopied(answer)) }).await;
            }
        }
    }
}

/// One after the other, until the peer does not answer.
async fn copy_each(copy: CopyOutputs, executor: &Executor, source: &WorkerSource) -> TakenOver {
    let from = WorkerId(copy.from);
    let (mut taken, mut silent) = (TakenOver::default(), None);
    for kept in copy.outputs {
        let id = kept.attempt.and_then(|attempt| {
            Some(windrow_proto::MapOutputId { task: Some(attempt.task?), attempt: Some(attempt.attempt?) })
        });
        let Some(output) = id else {
            tracing::error!(?kept, "the coordinator named an output without an id");
            continue;
        };
        let copied = match &silent {
            Some(detail) => Err(NotCopied::from(String::clone(detail))),
            None => copy_one(from, &copy.address, output, kept.output, executor, source).await,
        };
        if let Err(NotCopied { detail, peer_is_silent: true }) = &copied {
            silent = Some(detail.clone());
        }
        taken.note(output, copied.map_err(|error| error.detail));
    }
    taken
}

async fn copy_one(
    from: WorkerId,
    address: &str,
    output: windrow_proto::MapOutputId,
    figures: Option<windrow_proto::TaskOutput>,
    executor: &Executor,
    source: &WorkerSource,
) -> Result<(), NotCopied> {
    let described = |error: InvalidMessage| error.to_string();
    let output = MapOutputId::try_from(output).map_err(described)?;
    let figures = TaskOutput::from(required(figures, "KeptOutput.output").map_err(described)?);
    let at = OutputAt { output, worker: from, address: address.to_owned() };
    let (peers, store) = (Arc::clone(source.peers()), source.store());
    let partitions = figures.partition_bytes.len() as u32;
    let stored = copy_output(peers, at, partitions, store.memory(), store.new_path(output)).await?;
    executor.adopt(output, figures, stored);
    Ok(())
}

async fn store_each(wanted: StoreOutputs, source: &WorkerSource) -> TakenOver {
    let mut taken = TakenOver::default();
    let objects = source.peers().objects(&wanted.location);
    let puts = stream::iter(wanted.outputs).map(|output| {
        let objects = &objects;
        async move {
            let stored = async {
                let objects = objects.as_ref().map_err(ErrorReport::to_string)?;
                let id = MapOutputId::try_from(output).map_err(|error| error.to_string())?;
                let kept = source.store().get(id).ok_or_else(|| format!("the {id} is not here any more"))?;
                objects.put(id, kept).await.map_err(|report| report.to_string())
            };
            (output, stored.await)
        }
    });
    let mut puts = puts.buffer_unordered(STORED_AT_ONCE);
    while let Some((output, stored)) = puts.next().await {
        taken.note(output, stored);
    }
    taken
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
