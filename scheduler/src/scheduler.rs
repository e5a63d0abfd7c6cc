//! The state machine: one entry point, one dispatch, and a pump that brings everything to rest.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use windrow_model::{AttemptId, JobId, Limits, StageId, TaskId, Timestamp, WorkerId};

use crate::admission::Admission;
use crate::cut_off::Unreached;
use crate::deadlines::Deadlines;
use crate::exclusion::Places;
use crate::job::Job;
use crate::placement::Reservation;
use crate::queue::Queues;
use crate::worker::Roster;
use crate::{Input, Outbox, Record};

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
    pub(crate) admission: Admission,
    /// Admitted jobs whose next statement may have to be planned.
    pub(crate) unplanned: BTreeSet<JobId>,
    /// Ended jobs, oldest first.
    pub(crate) ended: VecDeque<JobId>,
    pub(crate) roster: Roster,
    /// Workers that are gone or lost, oldest first.
    pub(crate) departed: VecDeque<WorkerId>,
    pub(crate) places: Places,
    pub(crate) unreached: Unreached,
    /// When the last active worker left.
    pub(crate) workerless_since: Timestamp,
    pub(crate) live: BTreeMap<AttemptId, TaskId>,
    /// Every attempt that is remembered, for reports that come late.
    pub(crate) known: BTreeMap<AttemptId, TaskId>,
    pub(crate) queues: Queues,
    pub(crate) reservation: Option<Reservation>,
    /// Jobs whose demand may have changed within this step.
    pub(crate) dirty: BTreeSet<JobId>,
    /// Stages whose slow attempts are to be looked at within this step.
    pub(crate) slow_stages: BTreeSet<StageId>,
    pub(crate) deadlines: Deadlines,
    /// After a recovery, until its workers are back or given up: when they are.
    pub(crate) recovery_ends_at: Option<Timestamp>,
    /// Steps since debug builds checked the invariants.
    unchecked: usize,
}

/// One step under way: its time and where its effects go.
pub(crate) struct Turn<'a> {
    pub now: Timestamp,
    pub outbox: &'a mut Outbox,
}

impl Turn<'_> {
    /// Notes a fact that a new leader can rebuild from what workers hold, or do without.
    pub fn record(&mut self, record: Record) {
        self.outbox.records.push(record);
    }

    /// Notes a fact that must be durable before anything is told.
    pub fn record_first(&mut self, record: Record) {
        self.outbox.persist_first = true;
        self.outbox.records.push(record);
    }
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
            admission: Admission::default(),
            unplanned: BTreeSet::new(),
            ended: VecDeque::new(),
            roster: Roster::default(),
            departed: VecDeque::new(),
            places: Places::default(),
            unreached: Unreached::default(),
            workerless_since: Timestamp(0),
            live: BTreeMap::new(),
            known: BTreeMap::new(),
            queues: Queues::default(),
            reservation: None,
            dirty: BTreeSet::new(),
            slow_stages: BTreeSet::new(),
            deadlines: Deadlines::default(),
            recovery_ends_at: None,
            unchecked: 0,
        }
    }

    /// Applies one input. Never blocks, never reads a clock, never fails.
    ///
    /// Deadlines that have passed by `now` are acted upon whatever the input is, after it:
    /// a worker that is heard late is not lost.
    pub fn step(&mut self, now: Timestamp, input: Input, outbox: &mut Outbox) {
        let turn = &mut Turn { now, outbox };
        self.clock = now;
        self.apply(input, turn);
        loop {
            self.pass_deadlines(turn);
            self.settle(turn);
            if self.next_deadline().is_none_or(|deadline| deadline > now) {
                break;
            }
        }
        if cfg!(debug_assertions) {
            self.check_now_and_then();
        }
    }

    /// A check reads the whole state, so it is made often while that is small, and its cost for each step stays bounded.
    fn check_now_and_then(&mut self) {
        /// Attempts and workers that may be read for each step.
        const READ_PER_STEP: usize = 64;
        self.unchecked += 1;
        if self.unchecked * READ_PER_STEP >= self.known.len() {
            self.unchecked = 0;
            assert_eq!(self.check_invariants(), Ok(()));
        }
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
            Input::AttemptProgressed { worker, progress } => self.attempt_progressed(worker, &progress, turn),
            Input::OutputsCopied { worker, from, outputs } => self.outputs_copied(worker, from, &outputs, turn),
            // The shell has logged the detail.
            Input::OutputsNotCopied { worker, from, outputs, detail: _ } => {
                self.outputs_not_copied(worker, from, &outputs, turn);
            }
            Input::ResultUnreachable { output, worker } => self.result_unreachable(output, worker, turn),
            Input::Tick => {}
        }
    }

    /// Draws all consequences: demand, admission, planning, placement, hand-over, departures, eviction.
    fn settle(&mut self, turn: &mut Turn<'_>) {
        loop {
            self.bring_to_rest(turn);
            self.request_plans(turn);
            self.dispatch(turn);
            self.speculate(turn);
            self.advance_drains(turn);
            if self.dirty.is_empty() {
                break;
            }
        }
    }

    fn bring_to_rest(&mut self, turn: &mut Turn<'_>) {
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
    }

    /// The newest attempt number that was given out.
    pub(crate) fn newest_attempt(&self) -> AttemptId {
        AttemptId { epoch: self.epoch, n: self.attempt_count }
    }
}
