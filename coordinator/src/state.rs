//! Everything the driver owns: the core, and what the shell knows beside it.

use std::collections::BTreeMap;

use windrow_engine::job::PlannedStep;
use windrow_engine::sink::OutputTarget;
use windrow_model::{ErrorReport, JobId, JobState, WorkerId, WrittenFile};
use windrow_proto as wire;
use windrow_scheduler::{Event, Input, Scheduler};

use crate::artefacts::{CommitState, StepArtefacts};
use crate::call::FinishedAttempt;
use crate::dossier::Dossier;
use crate::fleet::Fleet;
use crate::snapshot;

/// The state of the coordinator. Only the driver changes it, and answers questions from it between two batches.
pub(crate) struct State {
    pub(crate) scheduler: Scheduler,
    pub(crate) fleet: Fleet,
    pub(crate) dossiers: BTreeMap<JobId, Dossier>,
    /// Targets of ended jobs that an attempt, told to end but not known to have, may still write to.
    sweeps: BTreeMap<JobId, Vec<OutputTarget>>,
}

impl State {
    pub(crate) fn new(scheduler: Scheduler) -> State {
        State { scheduler, fleet: Fleet::default(), dossiers: BTreeMap::new(), sweeps: BTreeMap::new() }
    }

    /// Files a step's artefacts and says what the core needs of it.
    pub(crate) fn planned(&mut self, job: JobId, step: u32, planned: PlannedStep) -> Input {
        let (artefacts, plan, notes) = StepArtefacts::take(planned);
        tracing::info!(%job, step, stages = plan.stages.len(), statement = artefacts.statement, "step planned");
        if !self.has_ended(job) {
            let dossier = self.dossiers.entry(job).or_insert_with(Dossier::new);
            dossier.steps.insert(step, artefacts);
            dossier.notes.extend(notes);
        }
        Input::StagesPlanned { job, step, plan }
    }

    /// Notes how a commit ended. The second value is a target whose staged files are to be removed.
    pub(crate) fn committed(
        &mut self,
        job: JobId,
        step: u32,
        outcome: Result<Vec<WrittenFile>, ErrorReport>,
    ) -> (Input, Option<OutputTarget>) {
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
                (Input::CommitFinished { job, step, files }, None)
            }
            Err(report) => {
                tracing::warn!(%job, step, error = %report, "commit failed");
                let abandoned = target.map(|target| {
                    target.commit = CommitState::Abandoned;
                    target.output.clone()
                });
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
        if let Some((dossier, host)) = filed {
            let usage = dossier.used(worker, &host);
            usage.cpu_us += cpu_us;
            usage.rss_peak_bytes = usage.rss_peak_bytes.max(rss_peak_bytes);
            dossier.operators.insert(attempt, operators);
        }
        Input::AttemptFinished { worker, attempt, output }
    }

    /// Takes over a heartbeat's measurements and wakes those who watch the jobs it is about.
    pub(crate) fn heard(&mut self, worker: WorkerId, heartbeat: &wire::Heartbeat) -> Input {
        if let Some(attached) = self.fleet.get_mut(worker) {
            attached.measured(heartbeat);
            let peak = attached.rss_peak_bytes;
            for running in attached.running.values() {
                if let Some(dossier) = self.dossiers.get_mut(&running.task.stage.job) {
                    let usage = dossier.used(worker, &attached.registration.host);
                    usage.rss_peak_bytes = usage.rss_peak_bytes.max(peak);
                    dossier.changed.send_modify(|_| {});
                }
            }
        }
        Input::WorkerHeard { worker }
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

    /// Forgets what the core has forgotten.
    pub(crate) fn forget_evicted(&mut self) {
        let scheduler = &self.scheduler;
        self.dossiers.retain(|job, _| scheduler.job(*job).is_some());
        self.fleet.retain(|worker| scheduler.worker(worker).is_some());
    }
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
