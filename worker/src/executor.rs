//! Runs attempts on threads of their own, apart from the network's.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::{AbortHandle, AbortRegistration, Abortable};
use parking_lot::Mutex;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::mpsc;
use tracing::Instrument;
use windrow_engine::failpoint;
use windrow_engine::shuffle::StoredOutput;
use windrow_engine::sink::KeptFiles;
use windrow_engine::task::{self, OperatorMetrics, TaskDone, TaskEnvironment, TaskProgress, TaskRequest};
use windrow_engine::user_code::Said;
use windrow_model::{AttemptId, ErrorReport, Failure, JobId, MapOutputId, TaskId, TaskOutput};
use windrow_proto::{AttemptFailed, AttemptFinished, AttemptSaid, FromWorker, Progress, from_worker};

use crate::connection::REPORTS_LEN;
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

    pub fn handle(&self) -> &Handle {
        self.0.as_ref().expect("W-1: the threads live until they are dropped").handle()
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

/// The attempts of a worker. They go on while the coordinator is away. Dropping it ends them all.
pub struct Executor {
    threads: Arc<CpuThreads>,
    running: Arc<Running>,
}

/// Shared with the attempts themselves, which take themselves off the list.
struct Running {
    env: Arc<TaskEnvironment>,
    store: Arc<ShuffleStore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    attempts: BTreeMap<AttemptId, RunningAttempt>,
    started: u64,
    /// Successful attempts whose output is still wanted, reported or not: a coordinator that comes back is told.
    kept: BTreeMap<AttemptId, KeptAttempt>,
    /// Those of before the last reset that have written files: a commit may count on them, or nobody does any more.
    doubtful: BTreeMap<AttemptId, KeptFiles>,
    /// The stream to the coordinator; `None` before the first session. Bounded: an attempt that has ended waits until
    /// its report is taken.
    reports: Option<mpsc::Sender<FromWorker>>,
}

struct RunningAttempt {
    task: TaskId,
    progress: Arc<TaskProgress>,
    /// The version of what its code had said when the coordinator was last told.
    told: u64,
    abort: AbortHandle,
}

struct KeptAttempt {
    task: TaskId,
    output: TaskOutput,
    files: KeptFiles,
}

/// What this worker runs and keeps.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    pub running: Vec<(TaskId, AttemptId)>,
    pub finished: Vec<(TaskId, AttemptId, TaskOutput)>,
}

impl Executor {
    pub fn new(threads: Arc<CpuThreads>, env: Arc<TaskEnvironment>, store: Arc<ShuffleStore>) -> Self {
        let running = Running { env, store, state: Mutex::default() };
        Executor { threads, running: Arc::new(running) }
    }

    /// Opens the reports of a new session: first what `first` makes of the inventory, then whatever happens after it
    /// was taken.
    pub fn open_reports(&self, first: impl FnOnce(Inventory) -> Vec<FromWorker>) -> mpsc::Receiver<FromWorker> {
        let mut state = self.running.state.lock();
        let first = first(state.inventory());
        let (reports, outgoing) = mpsc::channel(REPORTS_LEN + first.len());
        for message in first {
            reports.try_send(message).expect("W-2: a new queue has room for its first messages");
        }
        state.reports = Some(reports);
        outgoing
    }

    /// The way to the coordinator of the newest session.
    pub fn reports(&self) -> Option<mpsc::Sender<FromWorker>> {
        self.running.state.lock().reports.clone()
    }

    /// Starts an attempt at once: the coordinator counts slots.
    pub fn start(&self, request: TaskRequest) {
        let (abort, registration) = AbortHandle::new_pair();
        let entry = RunningAttempt { task: request.task, progress: Arc::clone(&request.progress), told: 0, abort };
        {
            let mut state = self.running.state.lock();
            state.attempts.insert(request.attempt, entry);
            state.started += 1;
        }
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

    /// Ends an attempt without a report and drops its output if it has one already, files and all.
    pub fn cancel(&self, attempt: AttemptId) {
        let forgotten = self.running.forget(|id, _| *id == attempt);
        self.running.store.release_attempt(attempt);
        let doubtful = self.running.state.lock().doubtful.remove(&attempt);
        self.discard(forgotten.into_values().map(|kept| kept.files).chain(doubtful));
    }

    /// Off the caller's thread, which is the network's.
    fn discard(&self, kept: impl IntoIterator<Item = KeptFiles>) {
        let kept: Vec<KeptFiles> = kept.into_iter().filter(|files| !files.is_empty()).collect();
        if !kept.is_empty() {
            self.threads.spawn(async move { kept.into_iter().for_each(KeptFiles::discard) });
        }
    }

    /// Keeps an output that another worker made.
    pub fn adopt(&self, id: MapOutputId, figures: TaskOutput, stored: StoredOutput) {
        let mut state = self.running.state.lock();
        let files = KeptFiles::default();
        state.kept.insert(id.attempt, KeptAttempt { task: id.task, output: figures, files });
        self.running.store.insert(id, stored);
    }

    /// Ends all attempts without reports and drops every output: the coordinator counts on none of them. It may count
    /// on files: their attempts are asked for in [`Executor::doubtful`].
    pub fn reset(&self) {
        let forgotten = self.running.forget(|_, _| true);
        self.running.store.clear();
        let with_files = forgotten.into_iter().filter(|(_, kept)| !kept.files.is_empty());
        self.running.state.lock().doubtful.extend(with_files.map(|(id, kept)| (id, kept.files)));
    }

    /// Reports of attempts from before the last reset whose files are still there. A coordinator that does not count on
    /// one of them answers with its cancellation, which is lost with its stream: every session begins with them.
    pub fn doubtful(&self) -> Vec<from_worker::Kind> {
        let report = |attempt: &AttemptId| AttemptFinished {
            attempt: Some((*attempt).into()),
            output: Some(TaskOutput::default().into()),
            operators: Vec::new(),
            cpu_us: 0,
            rss_peak_bytes: resident().peak_bytes,
        };
        self.running.state.lock().doubtful.keys().map(report).map(from_worker::Kind::Finished).collect()
    }

    /// Drops the outputs of these stages.
    pub fn release_stages(&self, job: JobId, stages: &[u32]) {
        let released = |task: TaskId| task.stage.job == job && stages.contains(&task.stage.index);
        self.running.state.lock().kept.retain(|_, kept| !released(kept.task));
        self.running.store.release_stages(job, stages);
    }

    /// Ends everything of a job and drops its outputs.
    pub fn release_job(&self, job: JobId) {
        // Files are the commit's business, or the abort's.
        drop(self.running.forget(|_, task| task.stage.job == job));
        self.running.store.release_job(job);
    }

    pub fn is_idle(&self) -> bool {
        self.running.state.lock().attempts.is_empty()
    }

    /// Attempts that were ever started.
    pub fn started(&self) -> u64 {
        self.running.state.lock().started
    }

    /// The threads that attempts run on.
    pub fn threads(&self) -> &CpuThreads {
        &self.threads
    }

    pub fn progress(&self) -> Vec<Progress> {
        let state = self.running.state.lock();
        let progress = |(id, running): (&AttemptId, &RunningAttempt)| Progress {
            attempt: Some((*id).into()),
            rows: running.progress.rows(),
            bytes: running.progress.bytes(),
            moved: running.progress.moved(),
        };
        state.attempts.iter().map(progress).collect()
    }

    /// What the code of running attempts has said since this was last asked.
    pub fn said(&self) -> Vec<FromWorker> {
        let mut state = self.running.state.lock();
        let news = state.attempts.iter_mut().filter_map(|(id, running)| {
            let version = running.progress.report().version();
            (version != running.told).then(|| {
                running.told = version;
                FromWorker { kind: Some(attempt_said(running.task, *id, running.progress.report().said())) }
            })
        });
        news.collect()
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.reset();
    }
}

impl State {
    fn inventory(&self) -> Inventory {
        Inventory {
            running: self.attempts.iter().map(|(id, running)| (running.task, *id)).collect(),
            finished: self.kept.iter().map(|(id, kept)| (kept.task, *id, kept.output.clone())).collect(),
        }
    }
}

impl Running {
    /// Only the work can be aborted, never its report.
    async fn run(&self, request: TaskRequest, registration: AbortRegistration) {
        let (task, attempt, progress) = (request.task, request.attempt, Arc::clone(&request.progress));
        self.report(from_worker::Kind::Started(attempt.into())).await;
        tracing::debug!("attempt started");
        let Ok(ended) = Abortable::new(task::run(Arc::clone(&self.env), request), registration).await else {
            return;
        };
        let said = progress.report().said();
        if !said.is_empty() {
            self.report(attempt_said(task, attempt, said)).await;
        }
        let report = match ended {
            Ok(done) => match self.keep(MapOutputId { task, attempt }, done) {
                Some(finished) => {
                    // Its output stays, so an error here would be no failure of the attempt.
                    let _ = failpoint::in_task("task.report", task).await;
                    from_worker::Kind::Finished(finished)
                }
                None => return,
            },
            Err(failure) => {
                if self.state.lock().attempts.remove(&attempt).is_none() {
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
        let mut state = self.state.lock();
        if state.attempts.remove(&id.attempt).is_none() {
            drop(state);
            drop(done);
            return None;
        }
        let kept = KeptAttempt { task: id.task, output: done.output.clone(), files: done.staged.keep() };
        state.kept.insert(id.attempt, kept);
        if let Some(stored) = done.stored {
            self.store.insert(id, stored);
        }
        drop(state);
        tracing::debug!(rows = done.output.rows, bytes = done.output.bytes, "attempt finished");
        Some(AttemptFinished {
            attempt: Some(id.attempt.into()),
            output: Some(done.output.into()),
            operators: done.operators.into_iter().map(operator).collect(),
            cpu_us: done.cpu_us,
            rss_peak_bytes: resident().peak_bytes,
        })
    }

    /// A report that finds no stream is lost: the inventory of the next session tells what it would have told.
    async fn report(&self, kind: from_worker::Kind) {
        let reports = self.state.lock().reports.clone();
        if let Some(reports) = reports {
            let _ = reports.send(FromWorker { kind: Some(kind) }).await;
        }
    }

    /// Aborts attempts and forgets outputs that are not wanted, which are returned.
    fn forget(&self, is_unwanted: impl Fn(&AttemptId, TaskId) -> bool) -> BTreeMap<AttemptId, KeptAttempt> {
        let mut state = self.state.lock();
        state.attempts.retain(|id, running| {
            let unwanted = is_unwanted(id, running.task);
            if unwanted {
                running.abort.abort();
            }
            !unwanted
        });
        state.kept.extract_if(.., |id, kept| is_unwanted(id, kept.task)).collect()
    }
}

fn attempt_said(task: TaskId, attempt: AttemptId, said: Said) -> from_worker::Kind {
    let log = said.log_text();
    let said = windrow_proto::Said { counters: said.counters.into_iter().collect(), status: said.status, log };
    from_worker::Kind::Said(AttemptSaid { attempt: Some(attempt.into()), task: Some(task.into()), said: Some(said) })
}

/// The report of an attempt that could not be run.
pub fn failed(attempt: AttemptId, failure: Failure) -> AttemptFailed {
    AttemptFailed { attempt: Some(attempt.into()), failure: Some(failure.into()) }
}

fn operator(metrics: OperatorMetrics) -> windrow_proto::OperatorMetrics {
    let OperatorMetrics { depth, name, detail, rows, bytes, elapsed_ns, spill_bytes } = metrics;
    windrow_proto::OperatorMetrics { depth, name, detail, rows, bytes, elapsed_ns, spill_bytes }
}
