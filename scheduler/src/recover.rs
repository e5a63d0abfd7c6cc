//! Rebuilds the state from the journal.
//!
//! Assignments are not in the journal, and neither is whether a worker still holds what it wrote: both are told by the
//! workers when they come back (`reattach`). Until all of them are back, or the window for it ends, the jobs that were
//! taken over are *recovering*: nothing of them is started, released or declared lost.

use std::borrow::Borrow;

use windrow_model::{
    AttemptId, AttemptState, ErrorReport, Failure, JobId, JobState, Limits, MapOutputId, StageState, TaskId,
    TaskOutput, Timestamp, WorkerId, WorkerState,
};

use crate::deadlines::Due;
use crate::failing::state_after;
use crate::job::{Job, Reason, StepPhase, outcome_stage};
use crate::task::{Attempt, TaskState};
use crate::worker::Worker;
use crate::{AttemptRun, Blamed, Record, Scheduler, WorkerSpec};

impl Scheduler {
    /// Rebuilds the state from the records, in the order they were written.
    ///
    /// Follow it by `step` with `Input::Tick`, as `next_deadline` asks for at once:
    /// plans and commits that were under way are requested again there.
    /// Workers in the journal that have not left are awaited for `Limits::recovery_window`.
    pub fn recover(
        now: Timestamp,
        epoch: u64,
        records: impl IntoIterator<Item = impl Borrow<Record>>,
        limits: Limits,
    ) -> Self {
        let mut scheduler = Scheduler::new(epoch, limits);
        for record in records {
            scheduler.replay(record.borrow());
        }
        scheduler.take_over(now);
        scheduler
    }

    /// Ids up to these were given out, to jobs and workers of which the journal keeps nothing.
    pub fn skip_ids(&mut self, last_job: JobId, last_worker: WorkerId) {
        self.job_count = self.job_count.max(last_job.0);
        self.worker_count = self.worker_count.max(last_worker.0);
    }

    /// Records about jobs that are not known (evicted from a compacted journal) are skipped.
    fn replay(&mut self, record: &Record) {
        match record {
            Record::JobSubmitted { job, spec, at } => {
                self.job_count = self.job_count.max(job.0);
                self.insert_job(Job::new(*job, spec.clone(), *at));
            }
            Record::JobAdmitted { job, at } => {
                if self.admission.queued().contains(job) {
                    self.start_job(*job, *at);
                }
            }
            Record::StagesPlanned { job, plan, at, .. } => {
                if let Some(job) = self.jobs.get_mut(job) {
                    job.add_step(plan.clone(), *at);
                }
            }
            Record::StageCoalesced { stage, tasks } => {
                if let Some(stage) = self.stage_mut(*stage) {
                    stage.replace_tasks(tasks.clone(), None);
                }
            }
            Record::TaskFinished { task, attempt, worker, output, run, at } => {
                let attempt = replayed(*attempt, *worker, AttemptState::Succeeded, *run, *at);
                self.replay_success(*task, attempt, output);
            }
            Record::AttemptFailed { task, attempt, worker, failure, blamed, run, at } => {
                let attempt = replayed(*attempt, *worker, state_after(failure), *run, *at);
                self.replay_failure(*task, attempt, failure, *blamed);
            }
            Record::OutputsLost { outputs } => outputs.iter().for_each(|output| self.replay_loss(*output)),
            Record::OutputsMoved { outputs, to } => outputs.iter().for_each(|output| self.replay_move(*output, *to)),
            Record::CommitIntended { job, tasks, at, .. } => {
                if let Some(job) = self.jobs.get_mut(job) {
                    job.intend_commit(tasks.clone(), *at);
                }
            }
            Record::StepFinished { job, files, rows, bytes, at, .. } => {
                self.replay_step(*job, (*files, *rows, *bytes), *at);
            }
            Record::JobEnded { job, state, code, report, at } => self.replay_end(*job, *state, code, report, *at),
            Record::ResultGivenUp { job, report } => {
                if let Some(job) = self.jobs.get_mut(job) {
                    job.result_failure = Some(report.clone());
                }
            }
            Record::WorkerRegistered { worker, spec, at } => self.replay_registration(*worker, spec.clone(), *at),
            Record::WorkerLeft { worker, state, at } => self.replay_departure(*worker, *state, *at),
        }
    }

    fn replay_success(&mut self, id: TaskId, attempt: Attempt, output: &TaskOutput) {
        let (by, worker, at, began_at) = (attempt.id, attempt.worker, attempt.ended_at, attempt.began_at());
        if !self.remember(id, attempt) {
            return;
        }
        self.accept_output(MapOutputId { task: id, attempt: by }, worker, output.clone());
        let awaited = self.roster.present(worker).is_some();
        let Some(stage) = self.stage_mut(id.stage) else { return };
        let at = at.unwrap_or_default();
        stage.durations.add(at.since(began_at));
        stage.learn_memory(output.memory_bytes_held);
        if stage.is_resident(output) {
            stage.doubt(id.index);
        }
        if stage.available + stage.expected == stage.tasks.len() as u32 {
            (stage.state, stage.since) = (StageState::Done, at);
        }
        if stage.is_resident(output) && !awaited {
            self.give_up_output(id, None);
        }
    }

    fn replay_failure(&mut self, id: TaskId, mut attempt: Attempt, failure: &Failure, blamed: Option<Blamed>) {
        let (worker, run) = (attempt.worker, attempt.run);
        attempt.failure = Some(Box::new(failure.clone()));
        if self.remember(id, attempt) {
            self.note_blame(failure, blamed);
            if let Some(task) = self.task_mut(id) {
                task.learn(worker, failure, blamed, &run);
            }
        }
    }

    /// Adds an attempt to its task's history; `false` if there is no such task.
    pub(crate) fn remember(&mut self, id: TaskId, attempt: Attempt) -> bool {
        let by = attempt.id;
        let Some(task) = self.task_mut(id) else { return false };
        if let Some(forgotten) = task.push(attempt) {
            self.known.remove(&forgotten);
        }
        self.known.insert(by, id);
        true
    }

    fn replay_loss(&mut self, output: MapOutputId) {
        let lost_at = self.newest_attempt();
        let Some(task) = self.task_mut(output.task) else { return };
        let held = match task.state {
            TaskState::Available { by, .. } | TaskState::Expected { by, .. } => by == output.attempt,
            TaskState::Idle | TaskState::Pending { .. } | TaskState::Delayed { .. } | TaskState::Live => false,
        };
        if held {
            self.give_up_output(output.task, Some(lost_at));
        } else if let Some(attempt) = task.find_mut(output.attempt) {
            attempt.lost_at = Some(lost_at);
        }
        if let Some(stage) = self.stage_mut(output.task.stage) {
            stage.reruns += 1;
        }
    }

    fn replay_move(&mut self, output: MapOutputId, to: WorkerId) {
        let Some(task) = self.task_of(output.task) else { return };
        let Some(known) = task.find(output.attempt).filter(|known| known.is_counted()) else { return };
        match task.state {
            TaskState::Expected { at, .. } if at != to => self.move_output(output, at, to),
            // Its place had been given up when it was found at another one.
            TaskState::Idle => {
                let content = known.output.clone();
                self.accept_output(output, to, content);
                if let Some(stage) = self.stage_mut(output.task.stage).filter(|_| to != WorkerId::SHUFFLE_STORE) {
                    stage.doubt(output.task.index);
                }
            }
            TaskState::Expected { .. }
            | TaskState::Available { .. }
            | TaskState::Pending { .. }
            | TaskState::Delayed { .. }
            | TaskState::Live => return,
        }
        if to == WorkerId::SHUFFLE_STORE {
            if let Some(job) = self.jobs.get_mut(&output.task.stage.job) {
                job.participants.insert(to);
            }
        } else if self.roster.present(to).is_none() {
            self.give_up_output(output.task, None);
        }
    }

    fn replay_step(&mut self, id: JobId, (files, rows, bytes): (u64, u64, u64), at: Timestamp) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if let Some(step) = job.current_step_mut() {
            (step.files, step.rows, step.bytes) = (files, rows, bytes);
        }
        job.finish_current_step();
        if job.state == JobState::Committing {
            job.committed(at);
        }
        self.expect_plan(id);
    }

    fn replay_end(&mut self, id: JobId, state: JobState, code: &str, report: &Option<ErrorReport>, at: Timestamp) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let reason = Reason::ended(state, code.to_owned(), report.as_ref());
        job.end(state, report.clone(), reason, at, &self.limits);
        self.leave_queues(id);
    }

    fn replay_registration(&mut self, id: WorkerId, spec: WorkerSpec, at: Timestamp) {
        self.worker_count = self.worker_count.max(id.0);
        let mut worker = Worker::new(id, spec, WorkerState::Joining, at, at);
        worker.reason = Reason::new("awaited", "it has not come back since the coordinator was replaced");
        self.roster.insert(worker);
    }

    fn replay_departure(&mut self, id: WorkerId, state: WorkerState, at: Timestamp) {
        let Some(worker) = self.roster.get_mut(id) else { return };
        worker.since = at;
        worker.reason = Reason::new("recovered", "it left before the coordinator was replaced");
        let (outputs, name) = (worker.outputs.clone(), worker.spec.name.clone());
        self.roster.set_state(id, state);
        self.give_up_expected(outputs);
        if state == WorkerState::Lost {
            self.places.note_loss(&name, at, &self.limits.exclusion);
        }
        self.list_departed(id);
    }

    /// The records are read: from here on time passes.
    fn take_over(&mut self, now: Timestamp) {
        self.clock = now;
        self.workerless_since = now;
        self.deadlines.add(now, Due::Resume);
        while self.ended.len() > self.limits.ended_jobs_max {
            if let Some(oldest) = self.ended.pop_front() {
                self.forget_all_outputs(oldest);
                self.forget_job(oldest);
            }
        }
        let window_ends_at = now + self.limits.recovery_window;
        let awaited: Vec<WorkerId> = self.roster.awaited().iter().copied().collect();
        for id in &awaited {
            self.deadlines.add(window_ends_at, Due::Lease(*id));
            if let Some(worker) = self.roster.get_mut(*id) {
                worker.lease_ends_at = window_ends_at;
            }
        }
        self.recovery_ends_at = Some(window_ends_at).filter(|_| !awaited.is_empty());
        let jobs: Vec<JobId> = self.jobs.keys().copied().collect();
        for id in jobs {
            self.take_over_job(id, !awaited.is_empty());
        }
    }

    fn take_over_job(&mut self, id: JobId, awaits: bool) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        for stage in &mut job.stages {
            stage.released = stage.ever_done;
            // Workers may have been given tasks of it that are not in the journal.
            stage.settled = true;
        }
        job.result_expires_at = job.result_expires_at.filter(|at| *at > self.clock);
        let over = job.state.is_final() && job.result_expires_at.is_none();
        job.recovering = awaits && !over && !job.stages.is_empty();
        if let Some(at) = job.result_expires_at {
            self.deadlines.add(at, Due::ResultExpiry(id));
        }
        if over {
            self.forget_all_outputs(id);
        } else {
            self.forget_promised_files(id);
        }
        self.dirty.insert(id);
    }

    /// The files that a commit publishes are in its intent: whatever becomes of their tasks does not touch them.
    fn forget_promised_files(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let promised = job.steps.iter().filter(|step| step.phase != StepPhase::Running).map(|step| step.outcome);
        let sinks = promised.filter(|outcome| matches!(outcome, windrow_model::StepOutcome::Commit { .. }));
        let sinks: Vec<u32> = sinks.filter_map(outcome_stage).collect();
        for index in sinks {
            self.forget_stage_outputs(id, index);
        }
    }

    fn forget_all_outputs(&mut self, id: JobId) {
        let stages = self.jobs.get(&id).map_or(0, |job| job.stages.len() as u32);
        for index in 0..stages {
            self.forget_stage_outputs(id, index);
        }
    }

    fn forget_stage_outputs(&mut self, job: JobId, index: u32) {
        let stage = windrow_model::StageId { job, index };
        let tasks = self.stage_mut(stage).map_or(0, |stage| stage.tasks.len() as u32);
        for index in 0..tasks {
            self.give_up_output(TaskId { stage, index }, None);
        }
    }
}

fn replayed(id: AttemptId, worker: WorkerId, state: AttemptState, run: AttemptRun, at: Timestamp) -> Attempt {
    Attempt { ended_at: Some(at), ..Attempt::new(id, worker, state, run, at) }
}
