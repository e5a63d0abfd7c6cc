//! Watches a run and accuses. It sees everything and changes nothing.
//!
//! What it checks, beside the core's own invariants after every step:
//!
//! - S-1 to S-5 and S-18 are contracts inside the simulator.
//! - S-6: An attempt is started for one task on one worker.
//! - S-7: A worker runs only what the journal's plan says, and never on more slots than it offers.
//! - S-8: Each statement is committed at most once, as its durable intent says, from files that are there.
//! - S-9: An acknowledged job is in the journal and is never forgotten; a token names one job.
//! - S-10: The journal is written by one epoch at a time, and its records make sense one after the other.
//! - S-11: Rows that are used together fit together: see `truth`.
//! - S-12: What a client was told of an end stays true.
//! - S-13: A job fails only for a reason that the script explains.
//! - S-14: After everything is repaired, every job ends in bounded time.
//! - S-15: A new leader that reads the journal sees what the old one showed.
//! - S-16: Nothing of an ended job is left on workers, unless its rows are kept.
//! - S-17: A leader runs a task again only after it has recorded the loss of its output.

mod evidence;
mod figures;
mod ledger;
mod rows;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use windrow_model::{AttemptId, JobId, JobState, Limits, MapOutputId, StepOutcome, TaskId, Timestamp};
use windrow_scheduler::{CommittedTask, Record, RunTask, Scheduler};

use crate::describe::record_kind;
use crate::truth::Truth;
use crate::worker::Process;

pub(crate) use evidence::Evidence;
pub(crate) use figures::Counter;
pub use figures::{Counts, Figures};
pub(crate) use ledger::Ledger;
pub(crate) use views::{compare_with_ledger, compare_with_recovered};

/// Stands for the object store where the numbers of workers do.
pub(crate) const OBJECT_STORE: u32 = u32::MAX;

/// Results that are kept for so long outlive every run.
const RESULT_TTL_LONG: Duration = Duration::from_secs(3_600);

/// What must not have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Virtual time.
    pub at: Timestamp,
    pub text: String,
}

/// How much is checked while a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks {
    /// The core's invariants, after every step. Builds with debug assertions always check them.
    pub invariants: bool,
    /// A worker's slots: not when packets overtake each other.
    pub slots: bool,
    /// S-16: not when packets are swallowed or overtake each other.
    pub leaks: bool,
    /// S-13: not when packets are swallowed, which looks like any other failure.
    pub explanations: bool,
}

pub(crate) struct Judge {
    checks: Checks,
    limits: Limits,
    /// The first one counts: the others may follow from it.
    pub violation: Option<Violation>,
    pub evidence: Evidence,
    pub ledger: Ledger,
    started: BTreeMap<AttemptId, (TaskId, u32)>,
    /// Workers that have had the output of an attempt.
    holders: BTreeSet<(AttemptId, u32)>,
    staged: BTreeMap<AttemptId, JobId>,
    committed: BTreeSet<(JobId, u32)>,
    published: BTreeSet<(JobId, u32)>,
    acknowledged: BTreeMap<u32, JobId>,
    /// Jobs that have ended, with the reason's code.
    ends: Vec<(JobId, JobState, String)>,
    pub counter: Counter,
}

impl Judge {
    pub fn new(checks: Checks, limits: Limits) -> Judge {
        Judge {
            checks,
            limits,
            violation: None,
            evidence: Evidence::default(),
            ledger: Ledger::default(),
            started: BTreeMap::new(),
            holders: BTreeSet::new(),
            staged: BTreeMap::new(),
            committed: BTreeSet::new(),
            published: BTreeSet::new(),
            acknowledged: BTreeMap::new(),
            ends: Vec::new(),
            counter: Counter::default(),
        }
    }

    pub fn accuse(&mut self, now: Timestamp, text: fmt::Arguments<'_>) {
        self.violation.get_or_insert_with(|| Violation { at: now, text: text.to_string() });
    }

    pub fn figures(&self) -> Figures {
        self.counter.figures()
    }

    pub fn stepped(&mut self, core: &Scheduler, now: Timestamp) {
        if !self.checks.invariants {
            return;
        }
        if let Err(text) = core.check_invariants() {
            self.accuse(now, format_args!("{text}"));
        }
    }

    pub fn store_is_down(&mut self, lasts: Duration) {
        self.evidence.store_is_down(lasts);
    }

    /// S-6, S-7.
    pub fn task_started(&mut self, run: &RunTask, worker: u32, now: Timestamp) {
        self.counter.attempt_started();
        let known = *self.started.entry(run.attempt).or_insert((run.task, worker));
        if known != (run.task, worker) {
            let (task, other) = known;
            self.accuse(now, format_args!("S-6: {} is {} on w{worker} and {task} on w{other}", run.attempt, run.task));
        }
        if let Err(text) = self.ledger.admits(run) {
            self.accuse(now, format_args!("S-7: {text}"));
        }
    }

    /// S-7.
    pub fn slots_used(&mut self, worker: u32, used: u32, offered: u32, now: Timestamp) {
        if self.checks.slots && used > offered {
            self.accuse(now, format_args!("S-7: w{worker} offers {offered} slots and {used} are used"));
        }
    }

    pub fn worker_died(&mut self, process: &Process) {
        for running in process.running.values() {
            self.evidence.died_while_running(running.run.task);
        }
    }

    pub fn holds(&mut self, attempt: AttemptId, worker: u32) {
        self.holders.insert((attempt, worker));
    }

    pub fn staged(&mut self, attempt: AttemptId, job: JobId) {
        self.staged.insert(attempt, job);
    }

    pub fn aborted(&mut self, job: JobId) {
        self.staged.retain(|_, owner| *owner != job);
    }

    /// S-8, S-11: the manifest of a statement is created.
    pub fn committed(&mut self, id: (JobId, u32), tasks: &[CommittedTask], truth: &Truth, now: Timestamp) {
        let (job, step) = id;
        if !self.committed.insert(id) {
            self.accuse(now, format_args!("S-8: step {step} of {job} is committed twice"));
        }
        if let Some(task) = tasks.iter().find(|task| !task.files.is_empty() && !self.is_staged(task.attempt)) {
            let attempt = task.attempt;
            self.accuse(now, format_args!("S-8: step {step} of {job} publishes files of {attempt}, which are gone"));
        }
        if let Err(text) = self.ledger.check_commit(job, step, tasks, truth) {
            self.accuse(now, format_args!("{text}"));
        }
    }

    fn is_staged(&self, attempt: AttemptId) -> bool {
        self.staged.contains_key(&attempt)
    }

    pub fn published(&mut self, id: (JobId, u32)) {
        self.published.insert(id);
    }

    /// S-10 and what follows from single records.
    pub fn recorded(&mut self, epoch: u64, record: &Record, truth: &Truth, now: Timestamp) {
        if let Err(text) = self.ledger.add(epoch, record, truth, &self.holders) {
            self.accuse(now, format_args!("{text}"));
        }
        self.counter.count("record", record_kind(record));
        match record {
            Record::StepFinished { job, step, .. } => self.step_finished(*job, *step, now),
            Record::JobEnded { job, state, code, .. } => self.job_ended(*job, *state, code, now),
            Record::StageCoalesced { tasks, .. } => {
                let (shared, whole): (Vec<_>, Vec<_>) = tasks.iter().partition(|task| task.share.is_some());
                let partitions: usize = whole.iter().map(|task| task.partitions.len()).sum();
                (whole.len()..partitions).for_each(|_| self.counter.count("task", "put together"));
                let others = shared.iter().filter(|task| task.share.is_some_and(|share| share.index > 0));
                others.for_each(|_| self.counter.count("task", "added by shares"));
            }
            Record::JobSubmitted { .. }
            | Record::JobAdmitted { .. }
            | Record::StagesPlanned { .. }
            | Record::TaskFinished { .. }
            | Record::AttemptFailed { .. }
            | Record::OutputsLost { .. }
            | Record::OutputsMoved { .. }
            | Record::CommitIntended { .. }
            | Record::ResultGivenUp { .. }
            | Record::WorkerRegistered { .. }
            | Record::WorkerLeft { .. } => {}
        }
    }

    fn step_finished(&mut self, job: JobId, step: u32, now: Timestamp) {
        let commits = matches!(self.ledger.outcome(job, step), Some(StepOutcome::Commit { .. }));
        if commits && !self.published.contains(&(job, step)) {
            self.accuse(now, format_args!("S-8: step {step} of {job} has finished and is not published"));
        }
    }

    fn job_ended(&mut self, job: JobId, state: JobState, code: &str, now: Timestamp) {
        self.counter.job_ended(self.ledger.order_of(job), state, now);
        let step = self.ledger.steps_finished(job);
        if state != JobState::Succeeded && self.committed.contains(&(job, step)) {
            self.accuse(now, format_args!("S-8: {job} is {state} and its step {step} is committed"));
        }
        self.counter.count("end", code);
        self.ends.push((job, state, code.to_owned()));
    }

    /// S-13, once all of the journal is known: an end is recorded before the losses that led to it.
    pub fn check_explanations(&mut self, now: Timestamp) {
        if !self.checks.explanations {
            return;
        }
        for (job, state, code) in std::mem::take(&mut self.ends) {
            if let Err(text) = self.evidence.explains(job, state, &code, &self.ledger, &self.limits) {
                self.accuse(now, format_args!("S-13: {job} is {state} by `{code}`: {text}"));
            }
        }
    }

    /// S-16: what a worker still has after everything has ended.
    pub fn left_over(&mut self, worker: u32, process: &Process, now: Timestamp) {
        if !self.checks.leaks {
            return;
        }
        let running = process.running.iter().map(|(attempt, running)| (*attempt, running.run.task));
        let kept = process.kept.iter().map(|(attempt, kept)| (*attempt, kept.task));
        let needless = running.chain(kept).find(|(_, task)| self.ledger.is_needless(task.stage.job));
        if let Some((attempt, task)) = needless {
            self.accuse(now, format_args!("S-16: w{worker} still has {attempt} of {task}"));
        }
    }

    /// S-9.
    pub fn acknowledged(&mut self, order: u32, job: JobId, now: Timestamp) {
        if self.ledger.order_of(job) != Some(order) {
            self.accuse(now, format_args!("S-9: order-{order} is acknowledged as {job}, which is not in the journal"));
        }
        let before = *self.acknowledged.entry(order).or_insert(job);
        if before != job {
            self.accuse(now, format_args!("S-9: order-{order} is {before} and {job}"));
        }
    }

    /// S-9: the leader does not know an acknowledged job, which is right only for one that ended long ago.
    /// Returns how it ended.
    pub fn is_unknown(&mut self, order: u32, now: Timestamp) -> Option<JobState> {
        let end = self.acknowledged.get(&order).and_then(|job| self.ledger.end_of(*job));
        if end.is_none() || !self.forgets() {
            self.accuse(now, format_args!("S-9: order-{order} is forgotten"));
        }
        end
    }

    /// There were more jobs than are remembered after their end.
    fn forgets(&self) -> bool {
        self.ledger.jobs.len() > self.limits.ended_jobs_max
    }

    /// S-12.
    pub fn cancel_acknowledged(&mut self, job: JobId, now: Timestamp) {
        self.check_end(job, JobState::Cancelled, now);
    }

    /// S-12.
    pub fn end_seen(&mut self, order: u32, end: JobState, now: Timestamp) {
        if let Some(&job) = self.acknowledged.get(&order) {
            self.check_end(job, end, now);
        }
    }

    fn check_end(&mut self, job: JobId, seen: JobState, now: Timestamp) {
        let recorded = self.ledger.end_of(job);
        if recorded != Some(seen) {
            self.accuse(now, format_args!("S-12: {job} is told to be {seen}, the journal says {recorded:?}"));
        }
    }

    /// S-11.
    pub fn result_read(&mut self, job: JobId, step: u32, parts: &[MapOutputId], truth: &Truth, now: Timestamp) {
        let Some(StepOutcome::Result { stage }) = self.ledger.outcome(job, step) else {
            return self.accuse(now, format_args!("S-11: step {step} of {job} has no result, and it is read"));
        };
        let attempts: Vec<(TaskId, AttemptId)> = parts.iter().map(|part| (part.task, part.attempt)).collect();
        if let Err(text) = self.ledger.check_rows(job, stage, &attempts, truth) {
            self.accuse(now, format_args!("S-11: the result of step {step} of {job}: {text}"));
        }
    }

    /// Rows of a job that succeeded may go only when they expire or are given up for a reason.
    pub fn result_is_gone(&mut self, job: JobId, step: u32, now: Timestamp) {
        let kept_for_long = self.limits.result_ttl >= RESULT_TTL_LONG && !self.forgets();
        let given_up = self.ledger.jobs.get(&job).is_none_or(|job| job.result_given_up);
        if kept_for_long
            && !given_up
            && self.ledger.end_of(job) == Some(JobState::Succeeded)
            && self.checks.explanations
        {
            self.accuse(now, format_args!("S-12: the result of step {step} of {job} is gone"));
        }
    }
}
