//! What follows from a failed attempt: the retry table is asked, and what it says is done.

use std::time::Duration;

use windrow_model::{AttemptId, AttemptState, ErrorReport, Failure, JobId, JobState, MapOutputId, TaskId, WorkerId};

use crate::attempt::Ended;
use crate::deadlines::Due;
use crate::retry::{Decision, TaskHistory, decide, unreadable};
use crate::scheduler::Turn;
use crate::task::{TaskState, add};
use crate::{Blamed, Record, Scheduler};

impl Scheduler {
    /// Ends a live attempt and does what the retry table says.
    pub(crate) fn fail_attempt(&mut self, attempt: AttemptId, failure: Failure, turn: &mut Turn<'_>) {
        let Some(ended) = self.end_attempt(attempt, state_after(&failure), Some(failure.clone()), turn) else { return };
        let Ended { task: id, worker, has_sibling } = ended;
        let blamed = self.blame(id, attempt, &failure);
        self.record_failure(id, attempt, &failure, blamed, turn);
        self.note_blame(&failure, blamed);
        self.dirty.insert(id.stage.job);
        match self.decide_retry(id, attempt, &failure, blamed) {
            // Rows of an earlier step are computed again while files are being published, which nothing interrupts. If
            // the task fails once more after that, it ends the job.
            Decision::FailJob(_) if self.is_committing(id.stage.job) => {
                self.requeue(id, self.limits.retry_backoff, turn);
            }
            Decision::FailJob(report) if !has_sibling || matches!(failure, Failure::Query(_)) => {
                let report = self.name_attempt(id, attempt, worker, report);
                self.fail_job(id.stage.job, report, failure.name(), turn);
            }
            // The attempt that is still live decides.
            Decision::FailJob(_) => {}
            Decision::Retry => self.requeue(id, Duration::ZERO, turn),
            Decision::RetryWithMoreMemory => {
                self.requeue(id, Duration::ZERO, turn);
                self.spare_others(id);
            }
            Decision::RetryElsewhere { after } => self.requeue(id, after, turn),
            Decision::RerunProducer { output } => {
                self.requeue(id, Duration::ZERO, turn);
                self.rerun_producer(output, turn);
            }
        }
        if let Failure::FetchFailed { peer, unreached: true, .. } = failure {
            self.note_unreached(worker, peer, turn);
        }
    }

    /// A client could not read a kept output. Counts like a fetch failure.
    pub(crate) fn result_unreachable(&mut self, output: MapOutputId, worker: WorkerId, turn: &mut Turn<'_>) {
        let job = output.task.stage.job;
        let held = self.roster.get(worker).is_some_and(|holder| holder.outputs.contains(&output));
        if !held || !self.jobs.get(&job).is_some_and(|job| job.has_output(output)) {
            return;
        }
        let detail = "a client could not fetch it".to_owned();
        let failure = Failure::FetchFailed { output, peer: worker, detail, unreached: false };
        let blames = self.task_of(output.task).map_or(0, |task| task.trouble().blames + 1);
        self.note_blame(&failure, Some(Blamed::Current { blames }));
        if blames > self.limits.stage_reruns_max && !self.is_committing(job) {
            self.fail_job(job, unreadable(&failure, blames), failure.name(), turn);
        } else {
            self.rerun_producer(output, turn);
        }
    }

    fn is_committing(&self, job: JobId) -> bool {
        self.jobs.get(&job).is_some_and(|job| job.state == JobState::Committing)
    }

    /// Takes an unreadable output away; its task runs again, on another worker if there is one.
    fn rerun_producer(&mut self, output: MapOutputId, turn: &mut Turn<'_>) {
        self.lose_outputs(output.task.stage.job, &[output], turn);
    }

    fn record_failure(
        &mut self,
        id: TaskId,
        attempt: AttemptId,
        failure: &Failure,
        blamed: Option<Blamed>,
        turn: &mut Turn<'_>,
    ) {
        let Some(task) = self.task_mut(id) else { return };
        let Some((worker, run)) = task.find(attempt).map(|attempt| (attempt.worker, attempt.run)) else { return };
        task.learn(worker, failure, blamed, &run);
        let (failure, at) = (failure.clone(), turn.now);
        turn.record(Record::AttemptFailed { task: id, attempt, worker, failure, blamed, run, at });
    }

    /// An output that is there was reported unreadable: its task prefers another worker next time.
    pub(crate) fn note_blame(&mut self, failure: &Failure, blamed: Option<Blamed>) {
        let (Some((output, _)), Some(Blamed::Current { .. })) = (blamed_output(failure), blamed) else { return };
        let Some(producer) = self.task_mut(output.task) else { return };
        let holder = match producer.state {
            TaskState::Available { at, .. } | TaskState::Expected { at, .. } => at,
            TaskState::Idle | TaskState::Pending { .. } | TaskState::Delayed { .. } | TaskState::Live => return,
        };
        let trouble = producer.trouble_mut();
        trouble.blames += 1;
        add(&mut trouble.avoid, holder);
    }

    fn decide_retry(&self, id: TaskId, attempt: AttemptId, failure: &Failure, blamed: Option<Blamed>) -> Decision {
        let task = self.task_of(id).expect("I-1: an attempt belongs to a task");
        let failed = task.find(attempt);
        let offered = failed.and_then(|failed| self.roster.get(failed.worker)).map(|worker| worker.spec.slots);
        let trouble = task.trouble();
        let history = TaskHistory {
            failures: trouble.failures,
            unavailable: trouble.unavailable,
            out_of_memory: trouble.out_of_memory,
            had_whole_worker: failed.is_some_and(|failed| offered == Some(failed.run.slots)),
            deaths: &trouble.deaths,
            full_disks: &trouble.full_disks,
            blamed,
        };
        decide(failure, &history, &self.limits)
    }

    /// What is known about the output that a reader could not read; counts this blame in.
    fn blame(&self, task: TaskId, reader: AttemptId, failure: &Failure) -> Option<Blamed> {
        let (output, peer) = blamed_output(failure)?;
        Some(self.blame_output(task, reader, output, peer).unwrap_or(Blamed::Foreign))
    }

    fn blame_output(&self, task: TaskId, reader: AttemptId, output: MapOutputId, peer: WorkerId) -> Option<Blamed> {
        let job = self.jobs.get(&task.stage.job)?;
        let stage = job.stage(task.stage)?;
        let reads = output.task.stage.job == job.id
            && stage.plan.inputs.iter().any(|input| input.stage == output.task.stage.index);
        let producer = job.task(output.task).filter(|_| reads)?;
        let known = producer.find(output.attempt)?;
        if reader.epoch < self.epoch && !job.has_output(output) {
            // It was told by an earlier leader, and what it reads may be waited for or missing since the recovery.
            return Some(Blamed::Replaced);
        }
        if let Some((_, at)) = producer.available().filter(|(attempt, _)| attempt.id == output.attempt) {
            let told_before = |moved_at| reader <= moved_at;
            let old = reader.epoch < self.epoch || producer.trouble().moved_at.is_some_and(told_before);
            let moved = at != peer && old;
            let blames = producer.trouble().blames + 1;
            return if moved { Some(Blamed::Replaced) } else { Some(Blamed::Current { blames }) };
        }
        // A reader that was assigned after the loss has been told about the replacement.
        known.lost_at.filter(|lost_at| reader <= *lost_at).map(|_| Blamed::Replaced)
    }

    fn requeue(&mut self, id: TaskId, after: Duration, turn: &mut Turn<'_>) {
        let Some(stage) = self.stage_mut(id.stage).filter(|stage| stage.wanted) else {
            return;
        };
        if stage.tasks[id.index as usize].state != TaskState::Idle {
            return;
        }
        let until = turn.now + after;
        stage.queue(id.index, turn.now, Some(until));
        if until > turn.now {
            self.deadlines.add(until, Due::Backoff(id.stage));
        }
    }

    /// What a task has learned about memory, the tasks of its stage that have not begun need not learn again.
    fn spare_others(&mut self, id: TaskId) {
        let first = self.task_of(id).is_some_and(|task| task.trouble().out_of_memory == 1);
        let Some(stage) = self.stage_mut(id.stage) else { return };
        stage.out_of_memory += u32::from(first);
        if stage.needs_whole_workers() {
            stage.ask_for_whole_workers();
        }
    }

    /// Adds where it happened: the user reads what failed, then the task, its stage, the attempt and the worker.
    fn name_attempt(&self, id: TaskId, attempt: AttemptId, worker: WorkerId, report: ErrorReport) -> ErrorReport {
        let label =
            self.jobs.get(&id.stage.job).and_then(|job| job.stage(id.stage)).map_or("", |stage| &stage.plan.label);
        let known = self.task_of(id).and_then(|task| task.find(attempt));
        let try_number = known.map_or(0, |attempt| attempt.run.try_number);
        let place = format!("in {}, task {id} of stage `{label}`, attempt {try_number} on {worker}", id.stage.job);
        let detail = if report.detail.is_empty() { place } else { format!("{} ({place})", report.detail) };
        ErrorReport { detail, ..report }
    }
}

pub(crate) fn state_after(failure: &Failure) -> AttemptState {
    match failure {
        Failure::WorkerLost { .. } | Failure::Preempted { .. } => AttemptState::Lost,
        Failure::Query(_)
        | Failure::UserCode(_)
        | Failure::OutOfMemory(_)
        | Failure::FetchFailed { .. }
        | Failure::TimedOut { .. }
        | Failure::DiskFull { .. }
        | Failure::Corrupt { .. }
        | Failure::Panicked(_)
        | Failure::Unavailable(_)
        | Failure::Internal(_) => AttemptState::Failed,
    }
}

/// The output that could not be read, and where it was looked for.
fn blamed_output(failure: &Failure) -> Option<(MapOutputId, WorkerId)> {
    match failure {
        Failure::FetchFailed { output, peer, .. } | Failure::Corrupt { output, peer } => Some((*output, *peer)),
        Failure::Query(_)
        | Failure::UserCode(_)
        | Failure::OutOfMemory(_)
        | Failure::WorkerLost { .. }
        | Failure::Preempted { .. }
        | Failure::TimedOut { .. }
        | Failure::DiskFull { .. }
        | Failure::Panicked(_)
        | Failure::Unavailable(_)
        | Failure::Internal(_) => None,
    }
}
