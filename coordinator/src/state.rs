//! Everything the driver owns: the core, and what the shell knows beside it.

use std::collections::{BTreeMap, BTreeSet};

use windrow_engine::job::{PastStep, PlannedStep};
use windrow_engine::sink::OutputTarget;
use windrow_model::{AttemptId, ErrorReport, JobId, JobState, StepOutcome, WorkerId, WrittenFile};
use windrow_proto as wire;
use windrow_scheduler::{Event, Input, Inventory, JobView, Scheduler, StepView, WorkerSpec};

use crate::artefacts::{CommitState, StepArtefacts, Target};
use crate::call::{Attachment, FinishedAttempt, SaidByAttempt};
use crate::dossier::Dossier;
use crate::fleet::{Fleet, Link};
use crate::history::Recorder;
use crate::snapshot;
use crate::store::Blob;

/// The state of the coordinator. Only the driver changes it, and answers questions from it between two batches.
pub(crate) struct State {
    pub(crate) scheduler: Scheduler,
    pub(crate) fleet: Fleet,
    pub(crate) dossiers: BTreeMap<JobId, Dossier>,
    /// Targets of ended jobs that an attempt, told to end but not known to have, may still write to.
    sweeps: BTreeMap<JobId, Vec<OutputTarget>>,
    pub(crate) forgotten: Forgotten,
    pub(crate) history: Recorder,
}

/// What the journal need not keep any more.
#[derive(Debug, Default)]
pub(crate) struct Forgotten {
    /// Ended jobs of which no task will run again: their plans.
    pub(crate) blobs: BTreeSet<JobId>,
    /// Jobs that the core does not keep: everything.
    pub(crate) jobs: BTreeSet<JobId>,
    /// Workers that the core does not keep.
    pub(crate) workers: BTreeSet<WorkerId>,
}

impl Forgotten {
    pub(crate) fn is_anything(&self) -> bool {
        !(self.blobs.is_empty() && self.jobs.is_empty() && self.workers.is_empty())
    }
}

impl State {
    /// `dossiers` belong to the jobs that the scheduler knows.
    pub(crate) fn new(scheduler: Scheduler, dossiers: BTreeMap<JobId, Dossier>) -> State {
        let (fleet, sweeps, forgotten) = Default::default();
        State { scheduler, fleet, dossiers, sweeps, forgotten, history: Recorder::nowhere() }
    }

    /// Takes a worker in: under its own id if the core still counts on it, else as a new one.
    pub(crate) fn attach(
        &mut self,
        registration: wire::Register,
        inventory: Inventory,
        link: Link,
    ) -> (Attachment, Input) {
        let spec = crate::workers::worker_spec(&registration);
        let past = registration.past.map(|past| WorkerId(past.worker));
        match past.filter(|past| self.may_resume(*past, &spec)) {
            Some(worker) => {
                self.fleet.attach(worker, registration, link, &inventory.running);
                (Attachment { worker, resumed: true }, Input::WorkerReattached { worker, spec, inventory })
            }
            None => {
                let worker = self.scheduler.next_worker_id();
                self.fleet.attach(worker, registration, link, &[]);
                (Attachment { worker, resumed: false }, Input::WorkerRegistered { worker, spec })
            }
        }
    }

    /// The core counts on this worker, and it is the one of that id: numbers of another journal look the same.
    fn may_resume(&self, worker: WorkerId, spec: &WorkerSpec) -> bool {
        let known = self.scheduler.worker(worker);
        self.scheduler.may_reattach(worker) && known.is_some_and(|known| known.spec().name == spec.name)
    }

    /// What jobs have staged that ended without success, and that an earlier leader may not have removed.
    pub(crate) fn left_behind(&mut self) -> Vec<(JobId, Vec<OutputTarget>)> {
        let scheduler = &self.scheduler;
        let ended = |job: &JobId| scheduler.job(*job).map(|job| job.state());
        let failed = self
            .dossiers
            .iter_mut()
            .filter(|(job, _)| ended(job).is_some_and(|state| state.is_final() && state != JobState::Succeeded));
        let left = failed.map(|(job, dossier)| {
            dossier.forget_blobs();
            (*job, dossier.abandon_targets())
        });
        let left: Vec<(JobId, Vec<OutputTarget>)> = left.collect();
        self.forgotten.blobs.extend(left.iter().map(|(job, _)| *job));
        left
    }

    /// Files a step's artefacts. Says what the core needs of it, and what must be durable with that.
    pub(crate) fn planned(&mut self, job: JobId, step: u32, planned: PlannedStep) -> (Input, Vec<Blob>) {
        let (artefacts, plan, notes) = StepArtefacts::take(planned);
        let blobs = match artefacts.blobs(job, step).and_then(check_sizes) {
            Ok(blobs) => blobs,
            Err(report) => return (Input::PlanFailed { job, step, report }, Vec::new()),
        };
        tracing::info!(%job, step, stages = plan.stages.len(), statement = artefacts.statement, "step planned");
        if !self.has_ended(job) {
            let dossier = self.dossiers.entry(job).or_insert_with(Dossier::new);
            dossier.steps.insert(step, artefacts);
            dossier.notes.extend(notes);
        }
        (Input::StagesPlanned { job, step, plan }, blobs)
    }

    /// What the finished steps of a job have left for the next one.
    pub(crate) fn past_steps(&self, job: JobView<'_>) -> Result<Vec<PastStep>, ErrorReport> {
        let dossier = self.dossiers.get(&job.id());
        let lost =
            |step: u32, what: &str| ErrorReport::internal(format!("the {what} of {} step {step} is lost", job.id()));
        let past = |step: StepView<'_>| {
            let artefacts = dossier.and_then(|dossier| dossier.steps.get(&step.index()));
            Ok(match step.outcome() {
                StepOutcome::Immediate => PastStep::Immediate,
                StepOutcome::Result { .. } | StepOutcome::Discard { .. } => PastStep::Rows,
                StepOutcome::Commit { .. } => {
                    let target = artefacts.and_then(|artefacts| artefacts.target.as_ref());
                    let target = target.ok_or_else(|| lost(step.index(), "target"))?;
                    PastStep::Written { location: target.output.location.clone() }
                }
                StepOutcome::Table { stage } => {
                    let schema = artefacts.and_then(|artefacts| artefacts.schema.clone());
                    let tasks = job.stages().nth(stage as usize).map_or(0, |stage| stage.tasks_total() as usize);
                    PastStep::Table { schema: schema.ok_or_else(|| lost(step.index(), "schema"))?, stage, tasks }
                }
            })
        };
        job.steps().filter(|step| step.is_finished()).map(past).collect()
    }

    /// Notes how a commit ended. The second value is a target whose staged files are to be removed.
    pub(crate) fn committed(
        &mut self,
        job: JobId,
        step: u32,
        outcome: Result<Vec<WrittenFile>, ErrorReport>,
    ) -> (Input, Vec<OutputTarget>) {
        let dossier = self.dossiers.get_mut(&job);
        let target = dossier.and_then(|dossier| dossier.steps.get_mut(&step)).and_then(|step| step.target.as_mut());
        match outcome {
            Ok(files) => {
                if let Some(target) = target {
                    target.commit = CommitState::Done;
                }
                if let Some(dossier) = self.dossiers.get_mut(&job) {
                    dossier.files.extend(files.iter().cloned());
                }
                (Input::CommitFinished { job, step, files }, Vec::new())
            }
            Err(report) => {
                tracing::warn!(%job, step, error = %report, "commit failed");
                let abandoned = target.map(Target::abandon).unwrap_or_default();
                (Input::CommitFailed { job, step, report }, abandoned)
            }
        }
    }

    /// Notes why a commit takes longer, for those who ask.
    pub(crate) fn commit_delayed(&mut self, job: JobId, step: u32, report: ErrorReport) {
        let Some(dossier) = self.dossiers.get_mut(&job) else { return };
        if let Some(target) = dossier.steps.get_mut(&step).and_then(|step| step.target.as_mut()) {
            target.commit = CommitState::Delayed(report);
        }
        dossier.changed.send_modify(|_| {});
    }

    /// Files an attempt's measurements before the core hears of its success.
    pub(crate) fn finished(&mut self, finished: FinishedAttempt) -> Input {
        let FinishedAttempt { worker, attempt, output, operators, cpu_us, rss_peak_bytes } = finished;
        let attached = self.fleet.get_mut(worker);
        let running = attached.and_then(|attached| {
            attached.rss_peak_bytes = attached.rss_peak_bytes.max(rss_peak_bytes);
            Some((attached.running.remove(&attempt)?, attached.registration.host.clone()))
        });
        let filed = running.and_then(|(running, host)| Some((self.dossiers.get_mut(&running.task.stage.job)?, host)));
        if let Some((dossier, host)) = filed.filter(|(dossier, _)| !dossier.is_sealed()) {
            let usage = dossier.used(worker, &host);
            usage.cpu_us += cpu_us;
            usage.rss_peak_bytes = usage.rss_peak_bytes.max(rss_peak_bytes);
            dossier.operators.insert(attempt, operators);
        }
        Input::AttemptFinished { worker, attempt, output }
    }

    /// Files what the user's code has said.
    pub(crate) fn said(&mut self, said: SaidByAttempt) {
        let SaidByAttempt { task, attempt, said } = said;
        if let Some(dossier) = self.dossiers.get_mut(&task.stage.job).filter(|dossier| !dossier.is_sealed()) {
            dossier.hear(attempt, said);
        }
    }

    /// Takes over a heartbeat's measurements and wakes those who watch the jobs it is about.
    pub(crate) fn heard(&mut self, worker: WorkerId, heartbeat: &wire::Heartbeat) -> Input {
        if let Some(attached) = self.fleet.get_mut(worker) {
            attached.measured(heartbeat);
            let peak = attached.rss_peak_bytes;
            for running in attached.running.values() {
                let dossier = self.dossiers.get_mut(&running.task.stage.job);
                if let Some(dossier) = dossier.filter(|dossier| !dossier.is_sealed()) {
                    let usage = dossier.used(worker, &attached.registration.host);
                    usage.rss_peak_bytes = usage.rss_peak_bytes.max(peak);
                    dossier.changed.send_modify(|_| {});
                }
            }
        }
        let moved = |progress: &wire::Progress| Some((AttemptId::from(progress.attempt?), progress.moved));
        Input::AttemptProgressed { worker, progress: heartbeat.progress.iter().filter_map(moved).collect() }
    }

    /// Notes what the core announced. Returns targets whose staged files are to be removed.
    pub(crate) fn announced(&mut self, event: &Event) -> Vec<OutputTarget> {
        let job = match event {
            Event::WorkerChanged { worker, state, reason } => {
                tracing::info!(%worker, %state, reason, "worker changed");
                return Vec::new();
            }
            Event::AttemptChanged { task, attempt, worker, state, failure } => {
                log_attempt(*task, *attempt, *worker, *state, failure.as_ref());
                task.stage.job
            }
            Event::StageChanged { stage, .. } => stage.job,
            Event::StepPlanned { job, .. } | Event::StepFinished { job, .. } => *job,
            Event::JobChanged { job, state, report } => {
                log_job(*job, *state, report.as_ref());
                self.dossiers.entry(*job).or_insert_with(Dossier::new);
                if state.is_final() {
                    return self.job_ended(*job, *state);
                }
                *job
            }
        };
        self.wake_watchers(job);
        Vec::new()
    }

    fn wake_watchers(&self, job: JobId) {
        if let Some(dossier) = self.dossiers.get(&job) {
            dossier.changed.send_modify(|_| {});
        }
    }

    fn job_ended(&mut self, job: JobId, state: JobState) -> Vec<OutputTarget> {
        let Some(dossier) = self.dossiers.get_mut(&job) else { return Vec::new() };
        dossier.session = None;
        if let Some(view) = self.scheduler.job(job) {
            snapshot::seal(dossier, view);
        }
        dossier.changed.send_replace(true);
        if state == JobState::Succeeded {
            return Vec::new();
        }
        dossier.forget_blobs();
        self.forgotten.blobs.insert(job);
        let targets = dossier.abandon_targets();
        if !targets.is_empty() && self.fleet.may_run(job) {
            self.sweeps.insert(job, targets.clone());
        }
        targets
    }

    /// Targets to clean a second time, because the last attempt that could write to them has ended.
    pub(crate) fn due_sweeps(&mut self) -> Vec<(JobId, Vec<OutputTarget>)> {
        let fleet = &self.fleet;
        self.sweeps.extract_if(.., |job, _| !fleet.may_run(*job)).collect()
    }

    /// Everything that is staged and will never be published, when the coordinator stops.
    pub(crate) fn leave(&mut self) -> Vec<(JobId, Vec<OutputTarget>)> {
        let unfinished = self.dossiers.iter_mut().map(|(job, dossier)| (*job, dossier.abandon_targets()));
        unfinished.chain(std::mem::take(&mut self.sweeps)).collect()
    }

    fn has_ended(&self, job: JobId) -> bool {
        self.scheduler.job(job).is_none_or(|job| job.state().is_final())
    }

    /// Forgets what the core has forgotten, and notes it for the journal.
    pub(crate) fn forget_evicted(&mut self) {
        let scheduler = &self.scheduler;
        self.forgotten.workers.extend(self.fleet.forget(|worker| scheduler.worker(worker).is_none()));
        let evicted = self.dossiers.extract_if(.., |job, _| scheduler.job(*job).is_none());
        self.forgotten.jobs.extend(evicted.map(|(job, _)| job));
    }
}

fn check_sizes(blobs: Vec<Blob>) -> Result<Vec<Blob>, ErrorReport> {
    blobs.iter().try_for_each(Blob::check_size)?;
    Ok(blobs)
}

fn log_job(job: JobId, state: JobState, report: Option<&ErrorReport>) {
    match report {
        Some(report) => tracing::info!(%job, %state, error = %report, "job changed"),
        None => tracing::info!(%job, %state, "job changed"),
    }
}

fn log_attempt(
    task: windrow_model::TaskId,
    attempt: windrow_model::AttemptId,
    worker: WorkerId,
    state: windrow_model::AttemptState,
    failure: Option<&windrow_model::Failure>,
) {
    match failure {
        Some(failure) => tracing::warn!(%task, %attempt, %worker, %state, %failure, "attempt changed"),
        None => tracing::debug!(%task, %attempt, %worker, %state, "attempt changed"),
    }
}
