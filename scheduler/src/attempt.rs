//! Attempts: what workers report about them, and how they end. What follows from a failure is in `failing`.

use windrow_model::{
    AttemptId, AttemptState, Determinism, Failure, MapOutputId, StageId, TaskId, TaskOutput, WorkerId,
};

use crate::scheduler::Turn;
use crate::task::{Attempt, Task, TaskState};
use crate::{Message, Record, Scheduler};

/// An attempt that has just ended.
pub(crate) struct Ended {
    pub task: TaskId,
    pub worker: WorkerId,
    /// Another attempt at the task is still live.
    pub has_sibling: bool,
}

/// What the core keeps and records of an output. Bytes by partition are summed over the tasks of a stage: those of each
/// would be a matrix in memory and in the journal.
pub(crate) fn kept_of(output: TaskOutput) -> TaskOutput {
    TaskOutput { partition_bytes: Vec::new(), ..output }
}

impl Scheduler {
    pub(crate) fn attempt_started(&mut self, worker: WorkerId, attempt: AttemptId, turn: &mut Turn<'_>) {
        self.extend_lease(worker, turn.now);
        let Some(id) = self.live_on(worker, attempt) else {
            return self.disown(worker, attempt, turn);
        };
        let Some(known) = self.task_mut(id).and_then(|task| task.find_mut(attempt)) else { return };
        if known.state == AttemptState::Assigned {
            known.state = AttemptState::Running;
            known.run.started_at = Some(turn.now);
            known.progressed_at = turn.now;
            turn.attempt_changed(id, attempt, worker, AttemptState::Running, None);
        }
    }

    pub(crate) fn attempt_progressed(&mut self, worker: WorkerId, progress: &[(AttemptId, u64)], turn: &mut Turn<'_>) {
        self.worker_heard(worker, turn);
        for (attempt, progress) in progress {
            let Some(id) = self.live_on(worker, *attempt) else { continue };
            let Some(known) = self.task_mut(id).and_then(|task| task.find_mut(*attempt)) else { continue };
            if *progress > known.progress {
                known.progress = *progress;
                known.progressed_at = turn.now;
            }
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
        match self.live_on(worker, attempt) {
            Some(task) => {
                if let Some(stage) = self.stage_mut(task.stage) {
                    stage.count_partitions(task.index, &output.partition_bytes);
                }
                self.attempt_succeeded(task, attempt, kept_of(output), turn);
            }
            None => self.disown(worker, attempt, turn),
        }
    }

    /// The first success of a task wins; another attempt that is still live is stopped.
    pub(crate) fn attempt_succeeded(
        &mut self,
        task: TaskId,
        attempt: AttemptId,
        output: TaskOutput,
        turn: &mut Turn<'_>,
    ) {
        let Some(Ended { worker, .. }) = self.end_attempt(attempt, AttemptState::Succeeded, None, turn) else { return };
        self.note_pace(task, attempt, turn);
        self.cancel_attempts(task, turn);
        self.note_duration(task, attempt, turn);
        self.record_success(task, attempt, output.clone(), turn);
        self.learn_memory(task, output.memory_bytes_held);
        self.accept_output(MapOutputId { task, attempt }, worker, output);
        self.blame_places(task, turn);
        self.task_done(task.stage, turn);
    }

    /// What is asked for now may be refused for another reason than before.
    fn learn_memory(&mut self, task: TaskId, held_bytes: u64) {
        if self.stage_mut(task.stage).is_some_and(|stage| stage.learn_memory(held_bytes)) {
            self.line_up(task.stage.job);
        }
    }

    fn note_duration(&mut self, task: TaskId, attempt: AttemptId, turn: &mut Turn<'_>) {
        let epoch = self.epoch;
        let Some(stage) = self.stage_mut(task.stage) else { return };
        // When an attempt of an earlier leader began is not known.
        let known = stage.tasks[task.index as usize].find(attempt).filter(|known| known.id.epoch == epoch);
        if let Some(known) = known {
            stage.durations.add(turn.now.since(known.began_at()));
        }
    }

    pub(crate) fn record_success(&mut self, task: TaskId, attempt: AttemptId, output: TaskOutput, turn: &mut Turn<'_>) {
        let Some(stage) = self.stage_mut(task.stage) else { return };
        let Some(known) = stage.tasks[task.index as usize].find(attempt) else { return };
        let (worker, run, at) = (known.worker, known.run, turn.now);
        let record = Record::TaskFinished { task, attempt, worker, output, run, at };
        if stage.plan.determinism == Determinism::Indeterminate {
            // Nobody may read rows that another run would not give again before the journal knows which run counts.
            turn.record_first(record);
        } else {
            turn.record(record);
        }
    }

    /// One more output of a stage is there. Only the last one can change what is wanted.
    pub(crate) fn task_done(&mut self, id: StageId, turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get_mut(&id.job) else { return };
        let stage = &job.stages[id.index as usize];
        if stage.is_complete() || !stage.wanted {
            self.dirty.insert(id.job);
            return;
        }
        let inputs_ready = job.inputs_ready(stage);
        job.stages[id.index as usize].refresh_state(inputs_ready, turn);
        self.watch_for_slowness(id, turn);
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

    /// Stops attempts whose output nobody needs any more.
    pub(crate) fn cancel_attempts(&mut self, task: TaskId, turn: &mut Turn<'_>) {
        let live = self.task_of(task).map(|task| task.live().map(|attempt| attempt.id).collect());
        let live: Vec<AttemptId> = live.unwrap_or_default();
        for attempt in live {
            if let Some(Ended { worker, .. }) = self.end_attempt(attempt, AttemptState::Cancelled, None, turn) {
                self.tell(worker, Message::CancelAttempt { attempt }, turn);
            }
        }
    }

    /// Frees what a live attempt holds. Its task stays live while another attempt at it is.
    pub(crate) fn end_attempt(
        &mut self,
        attempt: AttemptId,
        state: AttemptState,
        failure: Option<Failure>,
        turn: &mut Turn<'_>,
    ) -> Option<Ended> {
        let id = self.live.remove(&attempt)?;
        let job = self.jobs.get_mut(&id.stage.job).expect("I-1: an attempt belongs to a job");
        let stage = &mut job.stages[id.stage.index as usize];
        let task = &mut stage.tasks[id.index as usize];
        let ended = task.find_mut(attempt).expect("I-3: a live attempt is remembered");
        ended.state = state;
        ended.ended_at = Some(turn.now);
        ended.failure = failure.clone().map(Box::new);
        let (worker, run) = (ended.worker, ended.run);
        let has_sibling = task.live().next().is_some();
        if !has_sibling {
            task.state = TaskState::Idle;
            stage.live.remove(&id.index);
        }
        stage.running -= 1;
        job.live -= 1;
        job.speculative -= u32::from(run.speculative);
        self.queues.refund(job, run.slots);
        self.roster.give_back(worker, run.slots, attempt);
        if self.roster.has_slow() {
            // One may be left with fewer others that would be through before it.
            self.call(id.stage.job);
        }
        turn.attempt_changed(id, attempt, worker, state, failure);
        Some(Ended { task: id, worker, has_sibling })
    }

    /// The task that this worker runs as this attempt; `None` for stale and foreign reports.
    pub(crate) fn live_on(&self, worker: WorkerId, attempt: AttemptId) -> Option<TaskId> {
        let id = *self.live.get(&attempt)?;
        (self.task_of(id)?.find(attempt)?.worker == worker).then_some(id)
    }

    /// A worker speaks of an attempt that it should not have (it was cancelled meanwhile): it may drop it, output and
    /// all. A repeated report of an attempt whose files, rows or counts are in use is not that.
    fn disown(&self, worker: WorkerId, attempt: AttemptId, turn: &mut Turn<'_>) {
        let task = self.known.get(&attempt).and_then(|id| self.task_of(*id));
        let has_files = |task: &Task| {
            task.last_success().is_some_and(|newest| newest.id == attempt && !newest.output.files.is_empty())
        };
        let is_counted = |task: &Task| task.find(attempt).is_some_and(Attempt::is_counted);
        if !task.is_some_and(|task| is_counted(task) || has_files(task)) {
            self.tell(worker, Message::CancelAttempt { attempt }, turn);
        }
    }

    pub(crate) fn task_of(&self, id: TaskId) -> Option<&Task> {
        self.jobs.get(&id.stage.job)?.task(id)
    }

    pub(crate) fn task_mut(&mut self, id: TaskId) -> Option<&mut Task> {
        self.stage_mut(id.stage)?.tasks.get_mut(id.index as usize)
    }
}
