//! The state machine: one entry point, one dispatch, and a pump that brings everything to rest.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use windrow_model::{AttemptId, JobId, Limits, TaskId, Timestamp, WorkerId, WorkerState};

use crate::job::Job;
use crate::placement::Reservation;
use crate::queue::Queues;
use crate::worker::Worker;
use crate::{Input, Outbox};

/// The scheduling core. See the crate's documentation for its contract and invariants.
#[derive(Clone, Debug)]
pub struct Scheduler {
    pub(crate) epoch: u64,
    pub(crate) limits: Limits,
    /// Time of the last step; durations that people read count from it.
    pub(crate) clock: Timestamp,
    pub(crate) attempt_count: u64,
    pub(crate) job_count: u64,
    /// The highest id of a worker that was ever registered.
    pub(crate) worker_count: u64,
    pub(crate) jobs: BTreeMap<JobId, Job>,
    /// Client tokens of the jobs that are kept, by submitter.
    pub(crate) tokens: BTreeMap<(String, String), JobId>,
    pub(crate) queued: BTreeSet<JobId>,
    /// Jobs that run or commit.
    pub(crate) admitted: BTreeSet<JobId>,
    /// Ended jobs, oldest first.
    pub(crate) ended: VecDeque<JobId>,
    pub(crate) workers: BTreeMap<WorkerId, Worker>,
    /// Workers that are gone or lost, oldest first.
    pub(crate) departed: VecDeque<WorkerId>,
    /// When the last active worker left.
    pub(crate) workerless_since: Timestamp,
    pub(crate) live: BTreeMap<AttemptId, TaskId>,
    pub(crate) queues: Queues,
    pub(crate) reservation: Option<Reservation>,
    /// Jobs whose demand may have changed within this step.
    pub(crate) dirty: BTreeSet<JobId>,
    /// Set by `recover`: the first tick resumes what the records left unfinished.
    pub(crate) resume_at: Option<Timestamp>,
}

/// One step under way: its time and where its effects go.
pub(crate) struct Turn<'a> {
    pub now: Timestamp,
    pub outbox: &'a mut Outbox,
}

impl Scheduler {
    /// An empty cluster. `epoch` is the leader's fencing epoch; attempts are numbered within it.
    pub fn new(epoch: u64, limits: Limits) -> Self {
        Scheduler {
            epoch,
            limits,
            clock: Timestamp(0),
            attempt_count: 0,
            job_count: 0,
            worker_count: 0,
            jobs: BTreeMap::new(),
            tokens: BTreeMap::new(),
            queued: BTreeSet::new(),
            admitted: BTreeSet::new(),
            ended: VecDeque::new(),
            workers: BTreeMap::new(),
            departed: VecDeque::new(),
            workerless_since: Timestamp(0),
            live: BTreeMap::new(),
            queues: Queues::default(),
            reservation: None,
            dirty: BTreeSet::new(),
            resume_at: None,
        }
    }

    /// Applies one input. Never blocks, never reads a clock, never fails.
    ///
    /// Deadlines that have passed by `now` are acted upon whatever the input is, after it:
    /// a worker that is heard late is not lost.
    pub fn step(&mut self, now: Timestamp, input: Input, outbox: &mut Outbox) {
        let turn = &mut Turn { now, outbox };
        self.clock = now;
        self.resume_at = None;
        self.apply(input, turn);
        loop {
            self.pass_deadlines(turn);
            self.settle(turn);
            if self.next_deadline().is_none_or(|deadline| deadline > now) {
                break;
            }
        }
        turn.outbox.persist_first |= !turn.outbox.records.is_empty();
        debug_assert_eq!(self.check_invariants(), Ok(()));
    }

    fn apply(&mut self, input: Input, turn: &mut Turn<'_>) {
        match input {
            Input::JobSubmitted { request, spec } => self.job_submitted(request, spec, turn),
            Input::JobCancelled { request, job } => self.job_cancelled(request, job, turn),
            Input::StagesPlanned { job, step, plan } => self.stages_planned(job, step, plan, turn),
            Input::PlanFailed { job, step, report } => self.plan_failed(job, step, report, turn),
            Input::CommitFinished { job, step, files } => self.commit_finished(job, step, &files, turn),
            Input::CommitFailed { job, step, report } => self.commit_failed(job, step, report, turn),
            Input::WorkerRegistered { worker, spec } => self.worker_registered(worker, spec, turn),
            Input::WorkerReattached { worker, spec, inventory } => {
                self.worker_reattached(worker, spec, inventory, turn);
            }
            Input::WorkerHeard { worker } => self.worker_heard(worker, turn),
            Input::WorkerDisconnected { worker } => self.worker_disconnected(worker, turn),
            Input::DrainRequested { worker, within } => self.drain_requested(worker, within, turn),
            Input::AttemptStarted { worker, attempt } => self.attempt_started(worker, attempt, turn),
            Input::AttemptFinished { worker, attempt, output } => {
                self.attempt_finished(worker, attempt, output, turn);
            }
            Input::AttemptFailed { worker, attempt, failure } => {
                self.attempt_failed(worker, attempt, failure, turn);
            }
            Input::AttemptProgressed { worker, progress: _ }
            | Input::OutputsCopied { worker, .. }
            | Input::OutputsNotCopied { worker, .. } => self.worker_heard(worker, turn),
            Input::ResultUnreachable { output, worker } => self.result_unreachable(output, worker, turn),
            Input::Tick => {}
        }
    }

    /// Draws all consequences: demand, admission, planning, placement, departures, eviction.
    fn settle(&mut self, turn: &mut Turn<'_>) {
        loop {
            while let Some(job) = self.dirty.pop_first() {
                self.reconcile(job, turn);
            }
            self.admit(turn);
            self.evict(turn);
            if self.dirty.is_empty() {
                break;
            }
        }
        self.request_plans(turn);
        self.dispatch(turn);
        self.finish_drains(turn);
    }

    /// A worker that comes back under this id may keep it. Otherwise it registers as a new one, and holds nothing.
    pub fn may_reattach(&self, worker: WorkerId) -> bool {
        self.workers.get(&worker).is_some_and(|worker| worker.is_present())
    }

    /// An id that no worker in the journal has had.
    pub fn next_worker_id(&self) -> WorkerId {
        WorkerId(self.worker_count + 1)
    }

    /// When `step` next needs `Input::Tick` if nothing else happens.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let leases = self.workers.values().filter(|worker| worker.is_present()).map(|worker| worker.lease_ends_at);
        let jobs = self.jobs.values().filter_map(|job| self.job_deadline(job));
        leases.chain(jobs).chain(self.resume_at).min()
    }

    fn job_deadline(&self, job: &Job) -> Option<Timestamp> {
        if job.state.is_final() && job.result_expires_at.is_none() {
            return None;
        }
        let backoffs = job.stages.iter().filter_map(|stage| stage.delayed.first().map(|(until, _)| *until));
        [self.timeout_at(job), self.gives_up_at(job), job.result_expires_at].into_iter().flatten().chain(backoffs).min()
    }

    /// When a running job ends for its own timeout. A commit is never interrupted.
    fn timeout_at(&self, job: &Job) -> Option<Timestamp> {
        let running = job.state == windrow_model::JobState::Running;
        Some(job.started_at.filter(|_| running)? + job.spec.timeout?)
    }

    /// When a running job ends because there is no worker.
    pub(crate) fn gives_up_at(&self, job: &Job) -> Option<Timestamp> {
        let waits =
            job.state == windrow_model::JobState::Running && job.running_slots == 0 && !self.has_active_workers();
        let started_at = job.started_at.filter(|_| waits)?;
        Some(started_at.max(self.workerless_since) + self.limits.no_worker_grace)
    }

    pub(crate) fn has_active_workers(&self) -> bool {
        self.workers.values().any(|worker| worker.state == WorkerState::Active)
    }

    fn pass_deadlines(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        let silent: Vec<WorkerId> = self
            .workers
            .values()
            .filter(|worker| worker.is_present() && worker.lease_ends_at <= now)
            .map(|worker| worker.id)
            .collect();
        for worker in silent {
            self.lease_ended(worker, turn);
        }
        let due = |job: &&Job| self.job_deadline(job).is_some_and(|deadline| deadline <= now);
        let due: Vec<JobId> = self.jobs.values().filter(due).map(|job| job.id).collect();
        for id in due {
            self.pass_job_deadlines(id, turn);
        }
    }

    fn pass_job_deadlines(&mut self, id: JobId, turn: &mut Turn<'_>) {
        let passed = |deadline: Option<Timestamp>| deadline.is_some_and(|deadline| deadline <= turn.now);
        let Some(job) = self.jobs.get(&id) else { return };
        if passed(self.timeout_at(job)) {
            return self.job_timed_out(id, turn);
        }
        if passed(self.gives_up_at(job)) {
            return self.job_without_workers(id, turn);
        }
        let expired = passed(job.result_expires_at);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        for stage in &mut job.stages {
            stage.wake_delayed(turn.now);
        }
        if expired {
            job.result_expires_at = None;
            self.dirty.insert(id);
        }
    }
}
