//! Attempts: reports from workers, and what follows from a failure.

use windrow_model::{AttemptId, AttemptState, ErrorReport, Failure, MapOutputId, TaskId, TaskOutput, WorkerId};

use crate::retry::{Blamed, Decision, TaskHistory, counts, decide, unreadable};
use crate::scheduler::Turn;
use crate::stage::{Attempt, TaskState};
use crate::{AttemptRun, Message, Record, Scheduler};

impl Scheduler {
    pub(crate) fn attempt_started(&mut self, worker: WorkerId, attempt: AttemptId, turn: &mut Turn<'_>) {
        self.extend_lease(worker, turn.now);
        let Some(id) = self.live_on(worker, attempt) else {
            return self.disown(worker, attempt, turn);
        };
        let Some(task) = self.task_mut(id) else { return };
        let newest = task.newest_mut();
        if newest.state == AttemptState::Assigned {
            newest.state = AttemptState::Running;
            newest.started_at = Some(turn.now);
            turn.attempt_changed(id, attempt, worker, AttemptState::Running, None);
        }
    }

    pub(crate) fn attempt_finished(
        &mut self,
        worker: WorkerId,
        attempt: AttemptId,
        output: TaskOutput,
        turn: &mut Turn<'_>,
    ) {
        self.extend_lease(worker, turn.now);
        let Some(id) = self.live_on(worker, attempt) else {
            return self.disown(worker, attempt, turn);
        };
        let Some(run) = self.task_of(id).map(|task| task.newest().run()) else { return };
        turn.outbox.records.push(Record::TaskFinished {
            task: id,
            attempt,
            worker,
            output: output.clone(),
            run,
            at: turn.now,
        });
        self.end_attempt(attempt, AttemptState::Succeeded, None, turn);
        let Some(stage) = self.stage_mut(id.stage) else { return };
        let resident = stage.is_resident(&output);
        stage.accept_output(id.index, output);
        if let Some(holder) = self.workers.get_mut(&worker).filter(|_| resident) {
            holder.outputs.insert(MapOutputId { task: id, attempt });
        }
        self.dirty.insert(id.stage.job);
    }

    pub(crate) fn attempt_failed(
        &mut self,
        worker: WorkerId,
        attempt: AttemptId,
        failure: Failure,
        turn: &mut Turn<'_>,
    ) {
        self.extend_lease(worker, turn.now);
        if self.live_on(worker, attempt).is_some() {
            self.fail_attempt(attempt, failure, turn);
        }
    }

    /// Ends a live attempt and does what the retry table says.
    pub(crate) fn fail_attempt(&mut self, attempt: AttemptId, failure: Failure, turn: &mut Turn<'_>) {
        let state = match failure {
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
        };
        let was_running = self
            .live
            .get(&attempt)
            .and_then(|id| self.task_of(*id))
            .is_some_and(|task| task.newest().state == AttemptState::Running);
        let Some((id, worker)) = self.end_attempt(attempt, state, Some(failure.clone()), turn) else {
            return;
        };
        let blamed = self.blame(id, &failure);
        if let Some(run) = self.task_of(id).map(|task| task.newest().run()) {
            let failure = failure.clone();
            let at = turn.now;
            turn.outbox.records.push(Record::AttemptFailed { task: id, attempt, worker, failure, blamed, run, at });
        }
        self.count_failure(id, worker, &failure, blamed, was_running);
        self.dirty.insert(id.stage.job);
        match self.decide_retry(id, &failure, blamed) {
            Decision::Retry => self.requeue(id, std::time::Duration::ZERO, turn),
            Decision::RetryElsewhere { after } => {
                self.avoid(id, worker);
                self.requeue(id, after, turn);
            }
            Decision::RetryWithMoreMemory => {
                if let Some(task) = self.task_mut(id) {
                    task.whole_worker = true;
                }
                self.requeue(id, std::time::Duration::ZERO, turn);
            }
            Decision::RerunProducer { output } => {
                self.requeue(id, std::time::Duration::ZERO, turn);
                self.rerun_producer(output, turn);
            }
            Decision::FailJob(report) => {
                let report = self.name_attempt(id, worker, report);
                self.fail_job(id.stage.job, report, failure.name(), turn);
            }
        }
    }

    /// A client could not read a kept output. Counts like a fetch failure.
    pub(crate) fn result_unreachable(&mut self, output: MapOutputId, worker: WorkerId, turn: &mut Turn<'_>) {
        let job = output.task.stage.job;
        let held = self.workers.get(&worker).is_some_and(|holder| holder.outputs.contains(&output));
        if !held || !self.jobs.get(&job).is_some_and(|job| job.has_output(output)) {
            return;
        }
        let detail = "a client could not fetch it".to_owned();
        let failure = Failure::FetchFailed { output, peer: worker, detail };
        let blames = self.task_mut(output.task).map_or(0, |task| {
            task.blames += 1;
            task.blames
        });
        if blames > self.limits.stage_reruns_max {
            self.fail_job(job, unreadable(&failure, blames), failure.name(), turn);
        } else {
            self.rerun_producer(output, turn);
        }
    }

    /// Takes an unreadable output away; its task runs again, on another worker if there is one.
    fn rerun_producer(&mut self, output: MapOutputId, turn: &mut Turn<'_>) {
        if let Some(worker) = self.task_of(output.task).map(|task| task.newest().worker) {
            self.avoid(output.task, worker);
            self.lose_outputs(output.task.stage.job, &[output], turn);
        }
    }

    fn count_failure(
        &mut self,
        id: TaskId,
        worker: WorkerId,
        failure: &Failure,
        blamed: Option<Blamed>,
        was_running: bool,
    ) {
        if let (Some(output), Some(Blamed::Current { .. })) = (blamed_output(failure), blamed)
            && let Some(producer) = self.task_mut(output.task)
        {
            producer.blames += 1;
        }
        let Some(task) = self.task_mut(id) else { return };
        task.failures += u32::from(counts(failure, blamed));
        task.unavailable += u32::from(matches!(failure, Failure::Unavailable(_)));
        task.out_of_memory += u32::from(matches!(failure, Failure::OutOfMemory(_)));
        if was_running && matches!(failure, Failure::WorkerLost { .. }) && !task.deaths.contains(&worker) {
            task.deaths.push(worker);
        }
    }

    fn decide_retry(&self, id: TaskId, failure: &Failure, blamed: Option<Blamed>) -> Decision {
        let task = self.task_of(id).expect("I-1: an attempt belongs to a task");
        let newest = task.newest();
        let slots = self.workers.get(&newest.worker).map(|worker| worker.spec.slots);
        let history = TaskHistory {
            failures: task.failures,
            unavailable: task.unavailable,
            out_of_memory: task.out_of_memory,
            had_whole_worker: slots == Some(newest.slots),
            deaths: &task.deaths,
            blamed,
        };
        decide(failure, &history, &self.limits)
    }

    /// What is known about the output that a reader could not read; counts this blame in.
    fn blame(&self, reader: TaskId, failure: &Failure) -> Option<Blamed> {
        let output = blamed_output(failure)?;
        Some(self.blame_output(reader, output).unwrap_or(Blamed::Foreign))
    }

    fn blame_output(&self, reader: TaskId, output: MapOutputId) -> Option<Blamed> {
        let job = self.jobs.get(&reader.stage.job)?;
        let stage = job.stage(reader.stage)?;
        let reads = output.task.stage.job == job.id
            && stage.plan.inputs.iter().any(|input| input.stage == output.task.stage.index);
        let producer = job.task(output.task).filter(|_| reads)?;
        if job.has_output(output) {
            return Some(Blamed::Current { blames: producer.blames + 1 });
        }
        // A reader that was assigned after the loss has been told about the replacement.
        let reader = job.task(reader)?.newest().id;
        producer.find(output.attempt)?.lost_at.filter(|lost_at| reader.n <= *lost_at).map(|_| Blamed::Replaced)
    }

    fn requeue(&mut self, id: TaskId, after: std::time::Duration, turn: &mut Turn<'_>) {
        let Some(stage) = self.stage_mut(id.stage).filter(|stage| stage.wanted) else {
            return;
        };
        if stage.tasks[id.index as usize].state == TaskState::Idle {
            stage.queue(id.index, turn.now, Some(turn.now + after));
        }
    }

    fn avoid(&mut self, id: TaskId, worker: WorkerId) {
        if let Some(task) = self.task_mut(id)
            && !task.avoid.contains(&worker)
        {
            task.avoid.push(worker);
        }
    }

    /// Frees what a live attempt holds. Returns its task and worker.
    pub(crate) fn end_attempt(
        &mut self,
        attempt: AttemptId,
        state: AttemptState,
        failure: Option<Failure>,
        turn: &mut Turn<'_>,
    ) -> Option<(TaskId, WorkerId)> {
        let id = self.live.remove(&attempt)?;
        let job = self.jobs.get_mut(&id.stage.job).expect("I-1: an attempt belongs to a job");
        let stage = &mut job.stages[id.stage.index as usize];
        stage.running -= 1;
        let task = &mut stage.tasks[id.index as usize];
        task.state = TaskState::Idle;
        let ended = task.newest_mut();
        ended.state = state;
        ended.ended_at = Some(turn.now);
        ended.failure = failure.clone();
        let (worker, slots) = (ended.worker, ended.slots);
        self.queues.refund(job, slots);
        let holder = self.workers.get_mut(&worker).expect("I-1: a live attempt is on a known worker");
        holder.slots_free += slots;
        holder.running.remove(&attempt);
        turn.attempt_changed(id, attempt, worker, state, failure);
        Some((id, worker))
    }

    /// The task that this worker runs as this attempt; `None` for stale and foreign reports.
    fn live_on(&self, worker: WorkerId, attempt: AttemptId) -> Option<TaskId> {
        let id = *self.live.get(&attempt)?;
        (self.task_of(id)?.newest().worker == worker).then_some(id)
    }

    /// A worker speaks of an attempt that it should not have (it was cancelled meanwhile): it may drop it, output and all.
    fn disown(&self, worker: WorkerId, attempt: AttemptId, turn: &mut Turn<'_>) {
        if !self.is_counted_output(worker, attempt) {
            self.tell(worker, Message::CancelAttempt { attempt }, turn);
        }
    }

    /// A repeated report of an attempt whose files or counts are in use.
    fn is_counted_output(&self, worker: WorkerId, attempt: AttemptId) -> bool {
        self.jobs.values().filter(|job| job.participants.contains(&worker)).any(|job| {
            job.stages.iter().flat_map(|stage| &stage.tasks).any(|task| {
                task.find(attempt)
                    .is_some_and(|known| known.state == AttemptState::Succeeded && known.lost_at.is_none())
            })
        })
    }

    pub(crate) fn task_of(&self, id: TaskId) -> Option<&crate::stage::Task> {
        self.jobs.get(&id.stage.job)?.task(id)
    }

    pub(crate) fn task_mut(&mut self, id: TaskId) -> Option<&mut crate::stage::Task> {
        self.stage_mut(id.stage)?.tasks.get_mut(id.index as usize)
    }

    /// Adds where it happened: the user reads what failed, then the task, its stage, the attempt and the worker.
    fn name_attempt(&self, id: TaskId, worker: WorkerId, report: ErrorReport) -> ErrorReport {
        let label =
            self.jobs.get(&id.stage.job).and_then(|job| job.stage(id.stage)).map_or("", |stage| &stage.plan.label);
        let tries = self.task_of(id).map_or(0, |task| task.tries);
        let place = format!("in {}, task {id} of stage `{label}`, attempt {tries} on {worker}", id.stage.job);
        let detail = if report.detail.is_empty() { place } else { format!("{} ({place})", report.detail) };
        ErrorReport { detail, ..report }
    }
}

impl Attempt {
    /// What records keep of it.
    pub(crate) fn run(&self) -> AttemptRun {
        AttemptRun {
            try_number: self.try_number,
            slots: self.slots,
            speculative: false,
            assigned_at: self.assigned_at,
            started_at: self.started_at,
        }
    }
}

fn blamed_output(failure: &Failure) -> Option<MapOutputId> {
    match failure {
        Failure::FetchFailed { output, .. } | Failure::Corrupt { output, .. } => Some(*output),
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
