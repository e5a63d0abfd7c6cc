//! Checks the numbered invariants of the crate's documentation. For tests and the simulator: it reads everything.

use std::collections::{BTreeMap, BTreeSet};

use windrow_model::{AttemptId, AttemptState, JobState, MapOutputId, StageState, WorkerId};

use crate::Scheduler;
use crate::demand::wanted_stages;
use crate::job::Job;
use crate::stage::{Stage, TaskState};

/// Fails with the text of the invariant that does not hold.
macro_rules! hold {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}

impl Scheduler {
    /// `Err` names the first invariant that does not hold and where.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.check_workers()?;
        self.check_membership()?;
        for job in self.jobs.values() {
            self.check_job(job)?;
            for stage in &job.stages {
                self.check_stage(job, stage)?;
            }
        }
        self.check_held_outputs()
    }

    /// I-1, I-2.
    fn check_workers(&self) -> Result<(), String> {
        for worker in self.workers.values() {
            let mut granted = 0;
            for attempt in &worker.running {
                let task = self.live.get(attempt).and_then(|id| self.task_of(*id));
                let Some(task) = task else {
                    return Err(format!("I-1: {} runs {attempt}, which is not live", worker.id));
                };
                hold!(task.newest().worker == worker.id, "I-1: {attempt} runs on {} and elsewhere", worker.id);
                hold!(worker.is_present(), "I-1: {attempt} runs on {}, which is {}", worker.id, worker.state);
                granted += task.newest().slots;
            }
            hold!(granted + worker.slots_free == worker.spec.slots, "I-2: the slots of {} do not add up", worker.id);
        }
        let running: usize = self.workers.values().map(|worker| worker.running.len()).sum();
        hold!(running == self.live.len(), "I-1: {} live attempts, {running} on workers", self.live.len());
        let slots: u32 = self.workers.values().map(|worker| worker.spec.slots - worker.slots_free).sum();
        hold!(
            slots == self.queues.running_slots(),
            "I-2: {slots} slots granted, {} charged",
            self.queues.running_slots()
        );
        Ok(())
    }

    /// I-7, I-9, I-10.
    fn check_membership(&self) -> Result<(), String> {
        let ids = |accept: fn(JobState) -> bool| -> BTreeSet<_> {
            self.jobs.values().filter(|job| accept(job.state)).map(|job| job.id).collect()
        };
        hold!(ids(|state| state == JobState::Queued) == self.queued, "I-7: queued jobs");
        hold!(ids(|state| !state.is_final() && state != JobState::Queued) == self.admitted, "I-7: admitted jobs");
        hold!(ids(JobState::is_final) == self.ended.iter().copied().collect(), "I-7: ended jobs");
        hold!(self.admitted.len() <= self.limits.running_jobs_max, "I-7: too many jobs are admitted");
        hold!(self.ended.len() <= self.limits.ended_jobs_max, "I-7: too many ended jobs are kept");
        let draining_idle = self.workers.values().any(|worker| {
            worker.state == windrow_model::WorkerState::Draining
                && worker.running.is_empty()
                && worker.outputs.is_empty()
        });
        hold!(!draining_idle, "I-9: an idle draining worker has not been let go");
        hold!(self.dirty.is_empty(), "I-10: a job has not been brought to rest");
        Ok(())
    }

    /// I-5, I-6, I-8.
    fn check_job(&self, job: &Job) -> Result<(), String> {
        let live = job.stages.iter().map(|stage| stage.running).sum::<u32>();
        hold!(live == 0 || !job.state.is_final() || job.is_restoring(), "I-5: {} is {} and runs", job.id, job.state);
        if !job.state.is_final() {
            hold!(!self.why(job.id).is_empty(), "I-6: {} waits for nothing", job.id);
        }
        let slots: u32 = job
            .stages
            .iter()
            .flat_map(|stage| &stage.tasks)
            .filter(|task| task.state == TaskState::Live)
            .map(|task| task.newest().slots)
            .sum();
        hold!(slots == job.running_slots, "I-2: {} has {slots} slots, {} are charged", job.id, job.running_slots);
        let wanted: Vec<bool> = job.stages.iter().map(|stage| stage.wanted).collect();
        hold!(wanted == wanted_stages(job), "I-8: the demand of {} is out of date", job.id);
        for worker in &job.participants {
            let present = self.workers.get(worker).is_some_and(|worker| worker.is_present());
            hold!(present, "I-9: {} took part in {} and has left", worker, job.id);
        }
        Ok(())
    }

    /// I-3, I-4, I-8.
    fn check_stage(&self, job: &Job, stage: &Stage) -> Result<(), String> {
        let mut queued = BTreeSet::new();
        let mut delayed = BTreeSet::new();
        let (mut available, mut running) = (0, 0);
        for (index, task) in (0..).zip(&stage.tasks) {
            let id = stage.task_id(index);
            let live = task.attempts.iter().filter(|attempt| is_live(attempt.state)).count();
            hold!(live == usize::from(task.state == TaskState::Live), "I-3: {id} has {live} live attempts");
            match task.state {
                TaskState::Idle => hold!(!stage.wanted, "I-8: {id} is wanted and idle"),
                TaskState::Pending { .. } => {
                    queued.insert((task.urgency(), index));
                }
                TaskState::Delayed { until } => {
                    delayed.insert((until, index));
                }
                TaskState::Live => {
                    running += 1;
                    hold!(self.live.get(&task.newest().id) == Some(&id), "I-3: the attempt of {id} is not live");
                }
                TaskState::Available => {
                    available += 1;
                    hold!(task.newest().state == AttemptState::Succeeded, "I-3: {id} has an output of no attempt");
                }
            }
        }
        hold!(queued == stage.pending && delayed == stage.delayed, "I-8: the queue of {}", stage.id);
        hold!(
            stage.wanted || (queued.is_empty() && delayed.is_empty() && running == 0 && available == 0),
            "I-8: {} is not wanted and has tasks that wait, run or hold",
            stage.id
        );
        hold!((available, running) == (stage.available, stage.running), "I-4: the counts of {}", stage.id);
        let done = if stage.wanted { stage.is_complete() } else { stage.released };
        hold!(done == (stage.state == StageState::Done), "I-4: {} of {} is {}", stage.id, job.id, stage.state);
        Ok(())
    }

    /// I-11.
    fn check_held_outputs(&self) -> Result<(), String> {
        let mut held: BTreeMap<WorkerId, BTreeSet<MapOutputId>> = BTreeMap::new();
        for job in self.jobs.values() {
            for stage in &job.stages {
                for (index, task) in (0..).zip(&stage.tasks) {
                    if task.state == TaskState::Available && stage.is_resident(&task.newest().output) {
                        let output = MapOutputId { task: stage.task_id(index), attempt: task.newest().id };
                        held.entry(task.newest().worker).or_default().insert(output);
                    }
                }
            }
        }
        for worker in self.workers.values() {
            let expected = held.remove(&worker.id).unwrap_or_default();
            hold!(expected == worker.outputs, "I-11: the outputs of {}", worker.id);
            hold!(expected.is_empty() || worker.is_present(), "I-11: {} has left and holds outputs", worker.id);
        }
        hold!(held.is_empty(), "I-11: outputs on unknown workers");
        let newest = AttemptId { epoch: self.epoch, n: self.attempt_count };
        hold!(self.live.keys().all(|attempt| *attempt <= newest), "I-12: a live attempt has a number not given out");
        Ok(())
    }
}

fn is_live(state: AttemptState) -> bool {
    match state {
        AttemptState::Assigned | AttemptState::Running => true,
        AttemptState::Succeeded | AttemptState::Failed | AttemptState::Cancelled | AttemptState::Lost => false,
    }
}
