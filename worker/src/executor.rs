//! Runs attempts on threads of their own, apart from the network's.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::{AbortHandle, AbortRegistration, Abortable};
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tracing::Instrument;
use windrow_engine::task::{self, OperatorMetrics, TaskDone, TaskEnvironment, TaskProgress, TaskRequest};
use windrow_model::{AttemptId, ErrorReport, Failure, JobId, MapOutputId};
use windrow_proto::{AttemptFailed, AttemptFinished, FromWorker, Progress, from_worker};

use crate::process::resident;
use crate::store::ShuffleStore;

/// Stack of a thread that runs attempts: plans are decoded and executed recursively, and optimised away tail calls do
/// not help a tree of thousands of nodes.
const THREAD_STACK_BYTES: usize = 16 << 20;

/// The threads attempts run on: one per slot. Shut down without waiting when dropped.
pub struct CpuThreads(Option<Runtime>);

impl CpuThreads {
    pub fn new(slots: u32) -> Result<CpuThreads, ErrorReport> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(slots.max(1) as usize)
            .thread_name("windrow-cpu")
            .thread_stack_size(THREAD_STACK_BYTES)
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| {
            ErrorReport::new(windrow_model::ErrorKind::Exhausted, format!("cannot start {slots} threads"))
                .with_detail(error.to_string())
        })?;
        Ok(CpuThreads(Some(runtime)))
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.as_ref().expect("W-1: the threads live until they are dropped").spawn(work);
    }
}

impl Drop for CpuThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The attempts of one session with the coordinator. Dropping it ends them all.
pub struct Executor {
    threads: Arc<CpuThreads>,
    running: Arc<Running>,
}

/// Shared with the attempts themselves, which take themselves off the list.
struct Running {
    env: Arc<TaskEnvironment>,
    store: Arc<ShuffleStore>,
    attempts: Mutex<BTreeMap<AttemptId, RunningAttempt>>,
    /// Bounded; an attempt that has ended waits until its report is taken, so that no report is dropped.
    reports: mpsc::Sender<FromWorker>,
}

struct RunningAttempt {
    job: JobId,
    progress: Arc<TaskProgress>,
    abort: AbortHandle,
}

impl Executor {
    pub fn new(
        threads: Arc<CpuThreads>,
        env: Arc<TaskEnvironment>,
        store: Arc<ShuffleStore>,
        reports: mpsc::Sender<FromWorker>,
    ) -> Self {
        let running = Running { env, store, attempts: Mutex::default(), reports };
        Executor { threads, running: Arc::new(running) }
    }

    /// Starts an attempt at once: the coordinator counts slots.
    pub fn start(&self, request: TaskRequest) {
        let (abort, registration) = AbortHandle::new_pair();
        let entry = RunningAttempt { job: request.task.stage.job, progress: Arc::clone(&request.progress), abort };
        self.running.attempts.lock().insert(request.attempt, entry);
        let span = tracing::info_span!(
            "attempt",
            job = %request.task.stage.job,
            stage = request.task.stage.index,
            task = request.task.index,
            attempt = %request.attempt
        );
        let running = Arc::clone(&self.running);
        self.threads.spawn(async move { running.run(request, registration).await }.instrument(span));
    }

    /// Ends an attempt without a report and drops its output if it has one already.
    pub fn cancel(&self, attempt: AttemptId) {
        self.running.cancel(|id, _| *id == attempt);
        self.running.store.release_attempt(attempt);
    }

    /// Ends all attempts without reports.
    pub fn cancel_all(&self) {
        self.running.cancel(|_, _| true);
    }

    /// Ends everything of a job and drops its outputs.
    pub fn release_job(&self, job: JobId) {
        self.running.cancel(|_, running| running.job == job);
        self.running.store.release_job(job);
    }

    pub fn is_idle(&self) -> bool {
        self.running.attempts.lock().is_empty()
    }

    pub fn progress(&self) -> Vec<Progress> {
        let attempts = self.running.attempts.lock();
        let progress = |(id, running): (&AttemptId, &RunningAttempt)| Progress {
            attempt: Some((*id).into()),
            rows: running.progress.rows(),
            bytes: running.progress.bytes(),
        };
        attempts.iter().map(progress).collect()
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.cancel_all();
    }
}

impl Running {
    /// Only the work can be aborted, never its report.
    async fn run(&self, request: TaskRequest, registration: AbortRegistration) {
        let (task, attempt) = (request.task, request.attempt);
        self.report(from_worker::Kind::Started(attempt.into())).await;
        tracing::debug!("attempt started");
        let Ok(ended) = Abortable::new(task::run(Arc::clone(&self.env), request), registration).await else {
            return;
        };
        let report = match ended {
            Ok(done) => match self.keep(MapOutputId { task, attempt }, done) {
                Some(finished) => from_worker::Kind::Finished(finished),
                None => return,
            },
            Err(failure) => {
                if self.attempts.lock().remove(&attempt).is_none() {
                    return;
                }
                tracing::warn!(%failure, "attempt failed");
                from_worker::Kind::Failed(failed(attempt, failure))
            }
        };
        self.report(report).await;
    }

    /// Puts the output where readers find it before anyone is told; `None` if the attempt was cancelled meanwhile.
    fn keep(&self, id: MapOutputId, done: TaskDone) -> Option<AttemptFinished> {
        // The list stays locked until the output is kept, so that a cancellation finds either the attempt or its output.
        let mut attempts = self.attempts.lock();
        attempts.remove(&id.attempt)?;
        if let Some(stored) = done.stored {
            self.store.insert(id, stored);
        }
        drop(attempts);
        tracing::debug!(rows = done.output.rows, bytes = done.output.bytes, "attempt finished");
        Some(AttemptFinished {
            attempt: Some(id.attempt.into()),
            output: Some(done.output.into()),
            operators: done.operators.into_iter().map(operator).collect(),
            cpu_us: done.cpu_us,
            rss_peak_bytes: resident().peak_bytes,
        })
    }

    async fn report(&self, kind: from_worker::Kind) {
        // The session has ended if nobody takes reports; the next one starts without these attempts.
        let _ = self.reports.send(FromWorker { kind: Some(kind) }).await;
    }

    fn cancel(&self, is_unwanted: impl Fn(&AttemptId, &RunningAttempt) -> bool) {
        let mut attempts = self.attempts.lock();
        attempts.retain(|id, running| {
            let unwanted = is_unwanted(id, running);
            if unwanted {
                running.abort.abort();
            }
            !unwanted
        });
    }
}

/// The report of an attempt that could not be run.
pub fn failed(attempt: AttemptId, failure: Failure) -> AttemptFailed {
    AttemptFailed { attempt: Some(attempt.into()), failure: Some(failure.into()) }
}

fn operator(metrics: OperatorMetrics) -> windrow_proto::OperatorMetrics {
    let OperatorMetrics { depth, name, detail, rows, bytes, elapsed_ns, spill_bytes } = metrics;
    windrow_proto::OperatorMetrics { depth, name, detail, rows, bytes, elapsed_ns, spill_bytes }
}
