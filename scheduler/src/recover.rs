//! Rebuilds jobs and stages from the journal.
//!
//! Attempts in flight are not in the journal, and workers register anew with new ids after a recovery.
//! So outputs that a worker held are lost, and their tasks run again where they are still wanted.
//! Files of sinks, counts and inline rows do not sit on workers: they stay.

use std::borrow::Borrow;

use windrow_model::{
    AttemptId, AttemptState, JobId, JobState, Limits, MapOutputId, TaskId, TaskOutput, Timestamp, WorkerId,
};

use crate::job::{Job, Reason};
use crate::stage::Attempt;
use crate::{Record, Scheduler};

impl Scheduler {
    /// Rebuilds the state from the records, in the order they were written.
    ///
    /// Follow it by `step` with `Input::Tick`, as `next_deadline` asks for at once:
    /// plans and commits that were under way are requested again there.
    pub fn recover(
        now: Timestamp,
        epoch: u64,
        records: impl IntoIterator<Item = impl Borrow<Record>>,
        limits: Limits,
    ) -> Self {
        let mut scheduler = Scheduler::new(epoch, limits);
        for record in records {
            scheduler.replay(now, record.borrow());
        }
        while scheduler.ended.len() > scheduler.limits.ended_jobs_max {
            if let Some(oldest) = scheduler.ended.pop_front() {
                scheduler.forget_job(oldest);
            }
        }
        for job in scheduler.jobs.values_mut() {
            settle_stages(job);
        }
        scheduler.dirty = scheduler.jobs.keys().copied().collect();
        scheduler.clock = now;
        scheduler.workerless_since = now;
        scheduler.resume_at = Some(now);
        scheduler
    }

    /// Ids up to these were given out, to jobs and workers of which the journal keeps nothing.
    pub fn skip_ids(&mut self, last_job: JobId, last_worker: WorkerId) {
        self.job_count = self.job_count.max(last_job.0);
        self.worker_count = self.worker_count.max(last_worker.0);
    }

    /// Records about jobs that are not known (evicted from a compacted journal) are skipped.
    fn replay(&mut self, now: Timestamp, record: &Record) {
        match record {
            Record::JobSubmitted { job, spec, at } => {
                self.job_count = self.job_count.max(job.0);
                self.insert_job(Job::new(*job, spec.clone(), *at));
            }
            Record::JobAdmitted { job, at } => {
                if self.queued.contains(job) {
                    self.start_job(*job, *at);
                }
            }
            Record::StagesPlanned { job, plan, at, .. } => {
                if let Some(job) = self.jobs.get_mut(job) {
                    job.add_step(plan.clone(), *at);
                }
            }
            Record::TaskFinished { task, attempt, worker, output, .. } => {
                self.replay_output(now, *task, *attempt, *worker, output);
            }
            Record::AttemptFailed { .. } | Record::OutputsMoved { .. } => {}
            Record::OutputsLost { outputs } => {
                for output in outputs {
                    self.replay_loss(*output);
                }
            }
            Record::CommitIntended { job, tasks, at, .. } => {
                if let Some(job) = self.jobs.get_mut(job) {
                    job.intend_commit(tasks.clone(), *at);
                }
            }
            Record::StepFinished { job, files, rows, bytes, at, .. } => {
                if let Some(job) = self.jobs.get_mut(job) {
                    if let Some(step) = job.current_step_mut() {
                        (step.files, step.rows, step.bytes) = (*files, *rows, *bytes);
                    }
                    job.finish_current_step();
                    job.enter(JobState::Running, Reason::new("recovered", "a new leader took it over"), *at);
                }
            }
            Record::JobEnded { job, state, code, report, at } => {
                self.replay_end(*job, *state, code.clone(), report.clone(), *at);
            }
            Record::ResultGivenUp { job, report } => {
                if let Some(job) = self.jobs.get_mut(job) {
                    job.result_failure = Some(report.clone());
                }
            }
            Record::WorkerRegistered { worker, .. } | Record::WorkerLeft { worker, .. } => {
                self.worker_count = self.worker_count.max(worker.0);
            }
        }
    }

    fn replay_output(&mut self, now: Timestamp, id: TaskId, attempt: AttemptId, worker: WorkerId, output: &TaskOutput) {
        let Some(stage) = self.stage_mut(id.stage) else { return };
        if stage.tasks.get(id.index as usize).is_none() {
            return;
        }
        stage.give_up_output(id.index, Some(0));
        let task = &mut stage.tasks[id.index as usize];
        task.tries += 1;
        let try_number = task.tries;
        task.push(Attempt {
            id: attempt,
            try_number,
            worker,
            state: AttemptState::Succeeded,
            slots: 0,
            assigned_at: now,
            started_at: None,
            ended_at: None,
            failure: None,
            output: TaskOutput::default(),
            lost_at: None,
        });
        stage.accept_output(id.index, output.clone());
        if stage.is_resident(output) {
            stage.give_up_output(id.index, Some(0));
        }
    }

    fn replay_loss(&mut self, output: MapOutputId) {
        let Some(job) = self.jobs.get_mut(&output.task.stage.job) else {
            return;
        };
        if job.has_output(output) {
            let stage = &mut job.stages[output.task.stage.index as usize];
            stage.give_up_output(output.task.index, Some(0));
        }
    }

    fn replay_end(
        &mut self,
        id: JobId,
        state: JobState,
        code: String,
        report: Option<windrow_model::ErrorReport>,
        at: Timestamp,
    ) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let text = report.as_ref().map_or_else(|| state.name().to_owned(), ToString::to_string);
        job.end(state, report, Reason::new(code, text), at, &self.limits);
        self.queued.remove(&id);
        self.admitted.remove(&id);
        self.ended.push_back(id);
    }
}

/// Stages that have run once count as done and released until `demand` wants them again.
fn settle_stages(job: &mut Job) {
    for stage in &mut job.stages {
        stage.ever_done = stage.tasks.iter().all(|task| task.produced);
        stage.released = stage.ever_done;
    }
}
