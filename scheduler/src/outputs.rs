//! Outputs come, move and go. Every change to where an output is passes through here, so that the stages that read it
//! and the worker that holds it always agree (I-11).

use windrow_model::{AttemptId, MapOutputId, TaskId, TaskOutput, WorkerId};

use crate::Scheduler;
use crate::job::Job;
use crate::task::TaskState;

impl Job {
    /// Takes an output away from an available or expected task. Says who holds it, if it is resident.
    fn give_up_output(&mut self, id: TaskId, lost_at: Option<AttemptId>) -> Option<(MapOutputId, WorkerId)> {
        let stage = &mut self.stages[id.stage.index as usize];
        let (by, at) = stage.vacate(id.index)?;
        let resident = stage.tasks[id.index as usize].find(by).is_some_and(|known| stage.is_resident(&known.output));
        if let Some(attempt) = stage.tasks[id.index as usize].find_mut(by) {
            attempt.lost_at = lost_at;
            attempt.strip_output();
        }
        self.forget_inputs_from(id.stage.index);
        resident.then_some((MapOutputId { task: id, attempt: by }, at))
    }
}

impl Scheduler {
    /// An attempt that has ended well leaves this output.
    pub(crate) fn accept_output(&mut self, output: MapOutputId, worker: WorkerId, content: TaskOutput) {
        let id = output.task;
        self.give_up_output(id, None);
        let Some(job) = self.jobs.get_mut(&id.stage.job) else { return };
        job.stages[id.stage.index as usize].accept_output(id.index, output.attempt, worker, content);
        job.forget_inputs_from(id.stage.index);
        self.note_holder(output.task);
    }

    /// The output is elsewhere now.
    pub(crate) fn move_output(&mut self, output: MapOutputId, from: WorkerId, to: WorkerId) {
        let newest = self.newest_attempt();
        let id = output.task;
        let is_there = self.is_there(to);
        let Some(job) = self.jobs.get_mut(&id.stage.job) else { return };
        let stage = &mut job.stages[id.stage.index as usize];
        let task = &mut stage.tasks[id.index as usize];
        match &mut task.state {
            TaskState::Available { at, .. } | TaskState::Expected { at, .. } => *at = to,
            TaskState::Idle | TaskState::Pending { .. } | TaskState::Delayed { .. } | TaskState::Live => return,
        }
        task.trouble_mut().moved_at = Some(newest);
        if is_there {
            stage.confirm(id.index);
        }
        job.forget_inputs_from(id.stage.index);
        if let Some(worker) = self.roster.get_mut(from) {
            worker.outputs.remove(&output);
        }
        self.note_holder(id);
    }

    /// Nothing of the task's output is kept any more. Says which one it was and who may drop it, if it is resident.
    pub(crate) fn give_up_output(&mut self, id: TaskId, lost_at: Option<AttemptId>) -> Option<(MapOutputId, WorkerId)> {
        let (output, holder) = self.jobs.get_mut(&id.stage.job)?.give_up_output(id, lost_at)?;
        if let Some(worker) = self.roster.get_mut(holder) {
            worker.outputs.remove(&output);
        }
        Some((output, holder))
    }

    /// Tells the worker's side of an output that has just come to be there, or to be expected there.
    pub(crate) fn note_holder(&mut self, id: TaskId) {
        let stage = self.jobs.get(&id.stage.job).and_then(|job| job.stage(id.stage));
        let Some((output, holder)) = stage.and_then(|stage| stage.resident(id.index)) else { return };
        if let Some(worker) = self.roster.get_mut(holder) {
            worker.outputs.insert(output);
            if let Some(drain) = &mut worker.drain {
                drain.add(output);
            }
        }
    }
}
