//! Outputs are lost, and what was computed from them may have to go too.

use std::collections::BTreeSet;

use windrow_model::{Determinism, JobId, MapOutputId, StageId, WorkerId};

use crate::job::Job;
use crate::scheduler::Turn;
use crate::task::TaskState;
use crate::{Message, Record, Scheduler};

impl Scheduler {
    /// Takes outputs away from a job whose workers do not have them any more. Stale reports are ignored.
    pub(crate) fn lose_outputs(&mut self, id: JobId, outputs: &[MapOutputId], turn: &mut Turn<'_>) {
        if self.jobs.get(&id).is_some_and(|job| job.state.is_final() && job.result_expires_at.is_none()) {
            return;
        }
        let lost_at = self.newest_attempt();
        let mut lost = Vec::new();
        for output in outputs {
            if !self.jobs.get(&id).is_some_and(|job| job.has_output(*output)) {
                continue;
            }
            self.give_up_output(output.task, Some(lost_at));
            let Some(stage) = self.stage_mut(output.task.stage) else { continue };
            if stage.wanted {
                stage.queue(output.task.index, turn.now, None);
            }
            lost.push(*output);
        }
        self.record_loss(id, lost, turn);
    }

    /// Notes outputs that are gone for good, and gives up what was computed from rows that will not come again.
    pub(crate) fn record_loss(&mut self, id: JobId, lost: Vec<MapOutputId>, turn: &mut Turn<'_>) {
        if lost.is_empty() {
            return;
        }
        let mut indeterminate = BTreeSet::new();
        for output in &lost {
            let Some(stage) = self.stage_mut(output.task.stage) else { continue };
            stage.reruns += 1;
            if stage.plan.determinism == Determinism::Indeterminate {
                indeterminate.insert(stage.id);
            }
        }
        let record = Record::OutputsLost { outputs: lost };
        if indeterminate.is_empty() {
            turn.record(record);
        } else {
            // A new leader must not take a reader of the lost rows for a reader of the new ones.
            turn.record_first(record);
        }
        self.dirty.insert(id);
        for stage in indeterminate {
            self.invalidate_readers(stage, turn);
        }
    }

    /// An indeterminate stage runs again and may give other rows: whatever was computed from the old ones,
    /// directly or through other stages, is computed again. Files that a commit has been promised stay as they are.
    fn invalidate_readers(&mut self, origin: StageId, turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get(&origin.job) else { return };
        for index in readers_of(job, origin.index) {
            self.invalidate_stage(StageId { job: origin.job, index }, turn);
        }
    }

    fn invalidate_stage(&mut self, id: StageId, turn: &mut Turn<'_>) {
        self.cancel_stage(id, turn);
        let lost_at = self.newest_attempt();
        let Some(tasks) = self.stage_mut(id).map(|stage| stage.tasks.len() as u32) else { return };
        let mut lost = Vec::new();
        for index in 0..tasks {
            let Some(stage) = self.stage_mut(id) else { return };
            let task = stage.task_id(index);
            let held = match stage.tasks[index as usize].state {
                TaskState::Available { by, .. } | TaskState::Expected { by, .. } => Some(by),
                TaskState::Idle | TaskState::Pending { .. } | TaskState::Delayed { .. } | TaskState::Live => None,
            };
            if let Some(attempt) = held {
                lost.push(MapOutputId { task, attempt });
                if let Some((output, worker)) = self.give_up_output(task, Some(lost_at)) {
                    self.tell(worker, Message::CancelAttempt { attempt: output.attempt }, turn);
                }
            }
            let Some(stage) = self.stage_mut(id) else { return };
            if stage.wanted && stage.tasks[index as usize].state == TaskState::Idle {
                stage.queue(index, turn.now, None);
            }
        }
        if let Some(stage) = self.stage_mut(id) {
            stage.reruns += lost.len() as u32;
        }
        if !lost.is_empty() {
            turn.record_first(Record::OutputsLost { outputs: lost });
        }
        self.dirty.insert(id.job);
    }

    /// Stops every attempt of a stage.
    pub(crate) fn cancel_stage(&mut self, id: StageId, turn: &mut Turn<'_>) {
        let Some(live) = self.stage_mut(id).map(|stage| stage.live.clone()) else { return };
        for index in live {
            self.cancel_attempts(windrow_model::TaskId { stage: id, index }, turn);
        }
    }

    /// Sends a command unless the worker is not there (yet, or any more).
    pub(crate) fn tell(&self, worker: WorkerId, message: Message, turn: &mut Turn<'_>) {
        if self.is_there(worker) {
            turn.outbox.messages.push((worker, message));
        }
    }
}

/// All stages that read `origin`, directly or through others, in index order.
fn readers_of(job: &Job, origin: u32) -> BTreeSet<u32> {
    let mut readers = BTreeSet::new();
    let mut open = vec![origin];
    while let Some(index) = open.pop() {
        for &reader in &job.stages[index as usize].consumers {
            if readers.insert(reader) {
                open.push(reader);
            }
        }
    }
    readers
}
