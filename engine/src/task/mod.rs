//! Runs one attempt at a task: a fresh plan, its rows into one map output or into files, its metrics, or a typed failure.

mod feedback;
mod metrics;
mod pool;
mod rows;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use tokio::task::{JoinError, JoinSet};
use windrow_model::{AttemptId, ErrorKind, ErrorReport, Failure, MapOutputId, TaskId, TaskOutput, WrittenFile};

use crate::errors;
use crate::failpoint;
use crate::plan::{BuildSideBytes, DecodedFragment, OutputPartitioning, decode_fragment, take_turns};
use crate::session;
use crate::shuffle::{
    OutputPlace, OutputWriter, Segments, ShuffleCompression, ShuffleMemory, StoredOutput, TaskInputs,
};
use crate::sink::{StagedFiles, WriteIdentity, WriteLog};
use crate::stores::Stores;
use crate::tables::{ReadTrouble, pin_inputs};
use crate::user_code::{BadRecords, CodeContext, CodeReport, UserCodeHost};

use feedback::Feedback;
pub use metrics::OperatorMetrics;
use metrics::PlanTotals;
use pool::AttemptPool;
use rows::RowsOut;

/// Share of a worker's memory that operators may reserve, in percent.
const OPERATOR_SHARE: u64 = 70;

/// Share of a worker's memory for encoded map outputs, in percent. The rest is headroom for what nobody accounts:
/// batches between operators, rows waiting to be encoded, bytes read ahead, the process itself.
const SHUFFLE_SHARE: u64 = 20;

/// Part of an attempt's operator memory that the build side of one join may take: two that feed each other hold theirs
/// at the same time, and what is above them needs some, too.
const BUILD_SIDE_DIVISOR: u64 = 2;

/// A part of the shuffle share, across all slots, bounds rows that wait to fill a batch.
const BATCHING_DIVISOR: u64 = 4;

/// Even a small worker should not write batches of a few rows.
const BATCHING_BYTES_MIN: u64 = 4 << 20;

/// A result at most this large rides in the completion, so that the client need not connect to the worker.
pub const INLINE_RESULT_BYTES_MAX: u64 = 64 << 10;

/// What a worker gives all its attempts. One per worker.
pub struct TaskEnvironment {
    base: SessionState,
    runtime: Arc<RuntimeEnv>,
    stores: Arc<Stores>,
    operator_bytes: u64,
    slots: u64,
    place: OutputPlace,
    feedback: Arc<Feedback>,
    user_code: Option<UserCodeHost>,
}

/// How much a [`TaskEnvironment`] may use, and where.
#[derive(Clone, Debug)]
pub struct TaskResources {
    pub memory_bytes: u64,
    pub slots: u32,
    /// Folder for map outputs; must exist.
    pub shuffle_dir: PathBuf,
    /// Folder for operators' spill files; made if it does not exist.
    pub spill_dir: PathBuf,
    pub compression: ShuffleCompression,
    /// Where outputs in memory are shared with other processes of this host; `None`: they are not.
    pub segments: Option<Arc<Segments>>,
    /// What runs the user's own programs; `None`: nothing does.
    pub user_code: Option<UserCodeHost>,
}

/// One attempt.
#[derive(Debug)]
pub struct TaskRequest {
    pub task: TaskId,
    pub attempt: AttemptId,
    pub try_number: u32,
    pub fragment: Bytes,
    /// `None` if the task reads no files.
    pub splits: Option<Bytes>,
    /// Partitions of the fragment's plan. All run at once, so that no output of the plan stays unpolled, unless each reads
    /// its part of an exchange.
    pub partitions: Vec<u32>,
    pub slots: u32,
    /// Reduce partitions of the output.
    pub output_partitions: u32,
    /// The rows are for the client.
    pub is_result: bool,
    pub inputs: Arc<TaskInputs>,
    pub progress: Arc<TaskProgress>,
}

/// What a running attempt has put out so far.
#[derive(Debug, Default)]
pub struct TaskProgress {
    rows: AtomicU64,
    bytes: AtomicU64,
    /// What the user's code has said.
    report: Arc<CodeReport>,
    /// Set when the plan is decoded; gone when the attempt has ended.
    plan: OnceLock<Weak<dyn ExecutionPlan>>,
}

/// A successful attempt.
#[derive(Debug)]
pub struct TaskDone {
    pub output: TaskOutput,
    /// `None` if no rows leave the task.
    pub stored: Option<StoredOutput>,
    /// Where the files of `output` are; whoever drops the attempt discards them.
    pub staged: StagedFiles,
    /// In plan order, root first.
    pub operators: Vec<OperatorMetrics>,
    /// Time spent computing, summed over the attempt's threads.
    pub cpu_us: u64,
}

impl TaskProgress {
    fn add(&self, rows: u64, bytes: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Grows as long as any operator puts out rows or computes: a sort that reads for an hour moves too.
    pub fn moved(&self) -> u64 {
        let plan = self.plan.get().and_then(Weak::upgrade);
        let inside = plan.map_or(0, |plan| metrics::moved(&plan));
        self.rows().wrapping_add(self.bytes()).wrapping_add(inside)
    }

    pub fn report(&self) -> &CodeReport {
        &self.report
    }

    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// In-memory bytes of those rows.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl TaskEnvironment {
    /// Fails if the spill folder cannot be made.
    pub fn new(resources: &TaskResources, stores: Arc<Stores>) -> Result<TaskEnvironment, ErrorReport> {
        let operator_bytes = resources.memory_bytes / 100 * OPERATOR_SHARE;
        let shuffle_bytes = resources.memory_bytes / 100 * SHUFFLE_SHARE;
        let runtime = session::runtime(Some(operator_bytes), Some(resources.spill_dir.clone()), Arc::clone(&stores))?;
        let slots = u64::from(resources.slots.max(1));
        let batching_bytes = shuffle_bytes / BATCHING_DIVISOR / slots;
        let place = OutputPlace {
            dir: resources.shuffle_dir.clone(),
            memory: ShuffleMemory::new(usize::try_from(shuffle_bytes).unwrap_or(usize::MAX)),
            compression: resources.compression,
            segments: resources.segments.clone(),
            batching_bytes: usize::try_from(batching_bytes.max(BATCHING_BYTES_MIN)).unwrap_or(usize::MAX),
        };
        let base = session::base_state(session::base_config(), Arc::clone(&runtime));
        Ok(TaskEnvironment {
            base,
            runtime,
            stores,
            operator_bytes,
            slots,
            place,
            feedback: Arc::default(),
            user_code: resources.user_code.clone(),
        })
    }

    /// The account of map outputs in memory.
    pub fn shuffle_memory(&self) -> &Arc<ShuffleMemory> {
        &self.place.memory
    }

    /// The worker's runtime with this attempt's own view of the memory pool.
    fn attempt_runtime(&self, pool: &Arc<AttemptPool>) -> Arc<RuntimeEnv> {
        let mut runtime = RuntimeEnv::clone(&self.runtime);
        runtime.memory_pool = Arc::clone(pool) as Arc<dyn MemoryPool>;
        Arc::new(runtime)
    }

    fn attempt_config(
        &self,
        decoded: &DecodedFragment,
        request: &TaskRequest,
    ) -> datafusion::error::Result<SessionConfig> {
        let mut config = self.base.config().clone();
        for (key, value) in &decoded.settings {
            config.options_mut().set(key, value)?;
        }
        self.feedback.apply(request.task.stage, &mut config);
        let build_side = self.operator_bytes * u64::from(request.slots.max(1)) / self.slots / BUILD_SIDE_DIVISOR;
        let build_side = BuildSideBytes(usize::try_from(build_side).unwrap_or(usize::MAX));
        Ok(session::fit_to_memory(config, self.operator_bytes).with_extension(Arc::new(build_side)))
    }
}

/// Runs the attempt on the current runtime. Dropping the future ends it and frees its memory, files and fetches;
/// a panic of an operator is a failure of the attempt.
pub async fn run(env: Arc<TaskEnvironment>, request: TaskRequest) -> Result<TaskDone, Failure> {
    let task = request.task;
    let mut attempt = JoinSet::new();
    attempt.spawn(async move {
        failpoint::in_task("task.run", task).await.map_err(Failure::Unavailable)?;
        Attempt::decode(&env, request)?.run().await
    });
    match attempt.join_next().await {
        Some(Ok(ended)) => ended,
        Some(Err(error)) => Err(panicked(error, task)),
        None => Err(Failure::Internal(ErrorReport::internal(format!("{task} ended without an answer")))),
    }
}

/// An attempt whose plan is decoded.
struct Attempt {
    request: TaskRequest,
    decoded: DecodedFragment,
    context: Arc<TaskContext>,
    pool: Arc<AttemptPool>,
    log: Arc<WriteLog>,
    place: OutputPlace,
    feedback: Arc<Feedback>,
}

impl Attempt {
    fn decode(env: &TaskEnvironment, request: TaskRequest) -> Result<Attempt, Failure> {
        let task = request.task;
        let fail = |error| errors::failure(error, task);
        let decoded = decode_fragment(&request.fragment, request.splits.as_ref(), &request.partitions, &env.base);
        let decoded = decoded.map_err(fail)?;
        // The first plan is the only one of the attempt.
        let _ = request.progress.plan.set(Arc::downgrade(&decoded.plan));
        let log = Arc::new(WriteLog::default());
        let trouble = Arc::new(ReadTrouble::default());
        let mut config = env.attempt_config(&decoded, &request).map_err(fail)?;
        config.set_extension(Arc::new(CodeContext {
            task,
            attempt: request.attempt,
            try_number: request.try_number,
            report: Arc::clone(&request.progress.report),
            host: env.user_code.clone(),
            log: Arc::clone(&log),
            stores: Arc::clone(&env.stores),
            bad: Arc::new(BadRecords::default()),
        }));
        let config = config
            .with_extension(Arc::clone(&request.inputs))
            .with_extension(Arc::new(WriteIdentity { task, attempt: request.attempt }))
            .with_extension(Arc::clone(&log))
            .with_extension(Arc::clone(&trouble))
            .with_extension(Arc::clone(&env.stores));
        let pool = Arc::new(AttemptPool::new(Arc::clone(&env.runtime.memory_pool)));
        // Files are read as they were when the statement was planned, or not at all.
        let runtime = pin_inputs(&env.attempt_runtime(&pool), &decoded.plan, &trouble).map_err(fail)?;
        let context = TaskContext::from(&env.base)
            .with_session_config(config)
            .with_runtime(runtime)
            .with_task_id(task.to_string());
        let (place, feedback) = (env.place.clone(), Arc::clone(&env.feedback));
        Ok(Attempt { request, decoded, context: Arc::new(context), pool, log, place, feedback })
    }

    fn rows_out(&self) -> Result<RowsOut, Failure> {
        let wanted = self.decoded.output.partitions();
        if wanted != self.request.output_partitions {
            let what = format!("{} was to write {} partitions", self.request.task, self.request.output_partitions);
            let report = ErrorReport::internal(what).with_detail(format!("its fragment has {wanted}"));
            return Err(Failure::Internal(report));
        }
        let id = MapOutputId { task: self.request.task, attempt: self.request.attempt };
        let writer = || OutputWriter::new(id, self.place.clone(), self.decoded.plan.schema(), wanted);
        Ok(match &self.decoded.output {
            OutputPartitioning::Sink => RowsOut::dropped(),
            output => RowsOut::stored(writer(), output.clone(), self.decoded.plan.schema()),
        })
    }

    async fn run(self) -> Result<TaskDone, Failure> {
        let task = self.request.task;
        let out = Arc::new(self.rows_out()?);
        let mut threads = JoinSet::new();
        // Others may wait for each other, and must all move.
        let at_once = if take_turns(&self.decoded.plan) { 1 } else { usize::MAX };
        for &partition in &self.request.partitions {
            if threads.len() >= at_once {
                ended(threads.join_next().await, task)?;
            }
            let plan = Arc::clone(&self.decoded.plan);
            let (context, progress) = (Arc::clone(&self.context), Arc::clone(&self.request.progress));
            let out = Arc::clone(&out);
            threads.spawn(async move { rows::drain(plan, partition, context, out, progress, task).await });
        }
        while !threads.is_empty() {
            ended(threads.join_next().await, task)?;
        }
        self.finish(out)
    }

    fn finish(self, out: Arc<RowsOut>) -> Result<TaskDone, Failure> {
        let task = self.request.task;
        let out = Arc::into_inner(out).ok_or_else(|| {
            Failure::Internal(ErrorReport::internal(format!("{task} ended while it was still writing rows")))
        })?;
        let ended = out.finish().map_err(|error| error.into_failure(task))?;
        self.feedback.learn(task.stage, &self.decoded.plan);
        let (operators, totals) = metrics::collect(&self.decoded.plan);
        let (files, staged) = self.log.take();
        let mut output = self.output(&files, &totals);
        output.rows += ended.rows;
        output.spill_bytes += ended.spill_bytes;
        if let Some(stored) = &ended.stored {
            output.bytes = stored.bytes();
            output.partition_bytes = stored.index().iter().map(|partition| partition.len).collect();
            if self.request.is_result && output.bytes <= INLINE_RESULT_BYTES_MAX {
                output.inline = Some(stored.read_all().map_err(|error| error.failure())?);
            }
        }
        output.files = files;
        output.counters = self.request.progress.report.said().counters;
        let cpu_us = (totals.compute_ns + ended.encode_ns) / 1000;
        Ok(TaskDone { output, stored: ended.stored, staged, operators, cpu_us })
    }

    /// What the plan's metrics and the written files say; rows of a map output are added by the caller.
    fn output(&self, files: &[WrittenFile], totals: &PlanTotals) -> TaskOutput {
        TaskOutput {
            rows: files.iter().map(|file| file.rows).sum(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            rows_in: totals.rows_in,
            bytes_in: totals.bytes_in,
            memory_bytes_peak: self.pool.bytes_max(),
            memory_bytes_held: self.pool.held_bytes_max() * 100 / OPERATOR_SHARE,
            spill_bytes: totals.spill_bytes,
            ..TaskOutput::default()
        }
    }
}

/// How the thread of one partition has ended.
fn ended(thread: Option<Result<Result<(), Failure>, JoinError>>, task: TaskId) -> Result<(), Failure> {
    thread.unwrap_or(Ok(Ok(()))).map_err(|error| panicked(error, task))?
}

fn panicked(error: JoinError, task: TaskId) -> Failure {
    let report = ErrorReport::new(ErrorKind::Internal, format!("an operator panicked while running {task}"))
        .with_hint("this is a bug; please report it with the worker's log");
    let detail = match error.try_into_panic() {
        Ok(payload) => panic_message(payload.as_ref()),
        Err(error) => error.to_string(),
    };
    Failure::Panicked(report.with_detail(detail))
}

pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let literal = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    literal.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests;
