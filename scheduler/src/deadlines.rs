//! What happens when time passes.
//!
//! Each deadline is an entry that may come too early and never too late: what it is about is looked at when it comes,
//! and if its time has moved on it is entered again. So a lease is extended a million times for one entry.

use std::collections::BTreeSet;

use windrow_model::{JobId, JobState, StageId, Timestamp, WorkerId};

use crate::Scheduler;
use crate::job::Job;
use crate::scheduler::Turn;

/// What is looked at when a deadline comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// The shell steps with a tick after a recovery.
    Resume,
    Lease(WorkerId),
    /// Attempts of the worker that do not move.
    Hang(WorkerId),
    Drain(WorkerId),
    ExclusionEnd(WorkerId),
    Timeout(JobId),
    ResultExpiry(JobId),
    Backoff(StageId),
    /// Attempts of the stage that are slow.
    Slow(StageId),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Deadlines(BTreeSet<(Timestamp, Due)>);

impl Deadlines {
    pub fn add(&mut self, at: Timestamp, due: Due) {
        self.0.insert((at, due));
    }

    fn first(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at)
    }

    fn pop_until(&mut self, now: Timestamp) -> Option<Due> {
        self.0.first().filter(|(at, _)| *at <= now)?;
        self.0.pop_first().map(|(_, due)| due)
    }
}

impl Scheduler {
    /// When `step` next needs `Input::Tick` if nothing else happens.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().into_iter().chain(self.next_give_up()).min()
    }

    /// When the first running job ends because there is no worker.
    fn next_give_up(&self) -> Option<Timestamp> {
        if self.roster.has_active() {
            return None;
        }
        self.admission.admitted().iter().filter_map(|id| self.gives_up_at(self.jobs.get(id)?)).min()
    }

    /// When a running job ends because there is no worker.
    pub(crate) fn gives_up_at(&self, job: &Job) -> Option<Timestamp> {
        let waits = job.state == JobState::Running && job.live == 0 && !self.roster.has_active();
        let started_at = job.started_at.filter(|_| waits)?;
        Some(started_at.max(self.workerless_since) + self.limits.no_worker_grace)
    }

    pub(crate) fn pass_deadlines(&mut self, turn: &mut Turn<'_>) {
        while let Some(due) = self.deadlines.pop_until(turn.now) {
            self.pass(due, turn);
        }
        if self.roster.has_active() {
            return;
        }
        let over = |id: &&JobId| {
            let job = self.jobs.get(id);
            job.and_then(|job| self.gives_up_at(job)).is_some_and(|deadline| deadline <= turn.now)
        };
        let over: Vec<JobId> = self.admission.admitted().iter().filter(over).copied().collect();
        for job in over {
            self.job_without_workers(job, turn);
        }
    }

    fn pass(&mut self, due: Due, turn: &mut Turn<'_>) {
        match due {
            Due::Resume => {}
            Due::Lease(worker) => self.check_lease(worker, turn),
            Due::Hang(worker) => self.check_hanging(worker, turn),
            Due::Drain(worker) => self.drain_deadline_passed(worker, turn),
            Due::ExclusionEnd(worker) => self.exclusion_ended(worker, turn),
            Due::Timeout(job) => self.check_timeout(job, turn),
            Due::ResultExpiry(job) => self.check_result_expiry(job, turn),
            Due::Backoff(stage) => self.wake(stage, turn),
            Due::Slow(stage) => {
                // Slots are given to waiting tasks first: see `speculation`.
                self.slow_stages.insert(stage);
            }
        }
    }

    fn check_lease(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        let Some(worker) = self.roster.present(id) else { return };
        if worker.lease_ends_at > turn.now {
            self.deadlines.add(worker.lease_ends_at, Due::Lease(id));
        } else {
            self.lease_ended(id, turn);
        }
    }

    /// A commit is never interrupted.
    fn check_timeout(&mut self, id: JobId, turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get(&id) else { return };
        match job.state {
            JobState::Running => self.job_timed_out(id, turn),
            JobState::Committing => {
                // The next statement may run; it looks again when it is there.
            }
            JobState::Queued | JobState::Succeeded | JobState::Failed | JobState::Cancelled => {}
        }
    }

    fn check_result_expiry(&mut self, id: JobId, turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.result_expires_at.is_some_and(|at| at <= turn.now) {
            job.result_expires_at = None;
            job.end_recovery();
            self.dirty.insert(id);
        }
    }

    fn wake(&mut self, id: StageId, turn: &mut Turn<'_>) {
        if let Some(stage) = self.stage_mut(id) {
            stage.wake_delayed(turn.now);
            self.line_up(id.job);
        }
    }
}
