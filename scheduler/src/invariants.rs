//! Checks the numbered invariants of the crate's documentation. For tests and the simulator: it reads everything.

use std::collections::{BTreeMap, BTreeSet};

use windrow_model::{JobState, MapOutputId, StageState, WorkerId, WorkerState};

use crate::Scheduler;
use crate::demand::wanted_stages;
use crate::job::Job;
use crate::placement::Choice;
use crate::queue::{Need, Standing};
use crate::stage::Stage;
use crate::task::{Task, TaskState};
use crate::worker::Worker;

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
                self.check_cached_inputs(job, stage)?;
            }
        }
        self.queues.check(&self.jobs).map_err(|text| format!("I-16: {text}"))?;
        self.check_held_outputs()?;
        self.check_numbers()
    }

    /// I-1, I-2.
    fn check_workers(&self) -> Result<(), String> {
        for worker in self.roster.values() {
            let mut granted = 0;
            for attempt in &worker.running {
                let known = self.live.get(attempt).and_then(|id| self.task_of(*id)?.find(*attempt));
                let Some(known) = known else {
                    return Err(format!("I-1: {} runs {attempt}, which is not live", worker.id));
                };
                hold!(known.worker == worker.id, "I-1: {attempt} runs on {} and elsewhere", worker.id);
                hold!(
                    worker.is_active() || worker.state() == WorkerState::Draining,
                    "I-1: {attempt} runs on {}, which is {}",
                    worker.id,
                    worker.state()
                );
                granted += known.run.slots;
            }
            hold!(granted + worker.slots_free() == worker.spec.slots, "I-2: the slots of {} do not add up", worker.id);
        }
        hold!(self.roster.is_index_right(), "I-2: the index of the workers is out of date");
        let running: usize = self.roster.values().map(|worker| worker.running.len()).sum();
        hold!(running == self.live.len(), "I-1: {} live attempts, {running} on workers", self.live.len());
        let slots: u32 = self.roster.values().map(|worker| worker.spec.slots - worker.slots_free()).sum();
        hold!(
            slots == self.queues.running_slots(),
            "I-2: {slots} slots granted, {} charged",
            self.queues.running_slots()
        );
        Ok(())
    }

    /// I-7, I-9, I-10, I-13, I-14.
    fn check_membership(&self) -> Result<(), String> {
        let ids = |accept: fn(JobState) -> bool| -> BTreeSet<_> {
            self.jobs.values().filter(|job| accept(job.state)).map(|job| job.id).collect()
        };
        hold!(ids(|state| state == JobState::Queued) == *self.admission.queued(), "I-7: queued jobs");
        hold!(
            ids(|state| !state.is_final() && state != JobState::Queued) == *self.admission.admitted(),
            "I-7: admitted jobs"
        );
        self.admission.check(&self.jobs).map_err(|text| format!("I-7: {text}"))?;
        hold!(ids(JobState::is_final) == self.ended.iter().copied().collect(), "I-7: ended jobs");
        hold!(self.ended.len() <= self.limits.ended_jobs_max, "I-7: too many ended jobs are kept");
        for id in self.roster.draining() {
            let idle = |worker: &Worker| worker.running.is_empty() && worker.outputs.is_empty();
            hold!(!self.roster.get(*id).is_some_and(idle), "I-9: {id} drains, is idle and has not been let go");
        }
        hold!(self.dirty.is_empty() && self.slow_stages.is_empty(), "I-10: a job has not been brought to rest");
        let recovering = self.jobs.values().any(|job| job.recovering);
        hold!(!recovering || self.recovery_ends_at.is_some(), "I-13: a job recovers without end");
        hold!(
            self.recovery_ends_at.is_some() != self.roster.awaited().is_empty(),
            "I-13: the recovery goes on exactly while workers are awaited"
        );
        for worker in self.roster.values().filter(|worker| !worker.running.is_empty()) {
            hold!(worker.watched, "I-14: nobody watches the attempts of {}", worker.id);
        }
        Ok(())
    }

    /// I-2, I-5, I-6, I-8, I-9.
    fn check_job(&self, job: &Job) -> Result<(), String> {
        let may_run = !job.state.is_final() || job.is_restoring() || job.recovering;
        hold!(job.live == 0 || may_run, "I-5: {} is {} and runs", job.id, job.state);
        if !job.state.is_final() {
            hold!(!self.why(job.id).is_empty(), "I-6: {} waits for nothing", job.id);
        }
        let live = || job.stages.iter().flat_map(|stage| &stage.tasks).flat_map(Task::live);
        let slots: u32 = live().map(|attempt| attempt.run.slots).sum();
        hold!(slots == job.running_slots, "I-2: {} has {slots} slots, {} are charged", job.id, job.running_slots);
        let speculative = live().filter(|attempt| attempt.run.speculative).count() as u32;
        let counted = (live().count() as u32, speculative);
        hold!(counted == (job.live, job.speculative), "I-2: the live attempts of {}", job.id);
        let wanted: Vec<bool> = job.stages.iter().map(|stage| stage.wanted).collect();
        hold!(job.recovering || wanted == wanted_stages(job), "I-8: the demand of {} is out of date", job.id);
        self.check_standing(job)?;
        for worker in &job.participants {
            let takes_part = *worker == WorkerId::SHUFFLE_STORE || self.roster.present(*worker).is_some();
            hold!(takes_part, "I-9: {worker} took part in {} and has left", job.id);
        }
        Ok(())
    }

    /// I-16.
    fn check_standing(&self, job: &Job) -> Result<(), String> {
        for stage in job.stages.iter().filter(|stage| !stage.backlog.is_empty() && job.is_runnable(stage)) {
            hold!(job.hungry.contains(&stage.id.index), "I-16: {} waits and is not looked at", stage.id);
            let need = match job.standing {
                Standing::Out => return Err(format!("I-16: {} waits and is not asked", job.id)),
                Standing::InLine(need) | Standing::Stuck(need) => need,
            };
            for (index, _) in stage.backlog.heads() {
                let task = stage.task_id(index);
                match self.place_of(stage, index, self.reservation) {
                    Choice::Place { .. } => return Err(format!("I-16: {task} was left behind and fits")),
                    Choice::LeftToOthers => {
                        hold!(need.slots <= 1, "I-16: {task} needs one slot, not {need:?}");
                    }
                    Choice::Wait { needed, .. } | Choice::Reserved { needed, .. } => {
                        let reserves = need.reserves || needed == 1 || need == Need::UNKNOWN;
                        hold!(need.slots <= needed && reserves, "I-16: {task} needs {needed} slots, not {need:?}");
                    }
                    Choice::NoWorkers => {}
                }
            }
        }
        Ok(())
    }

    /// I-3, I-4, I-8.
    fn check_stage(&self, job: &Job, stage: &Stage) -> Result<(), String> {
        let mut queued = BTreeSet::new();
        let mut delayed = BTreeSet::new();
        let mut live = BTreeSet::new();
        let (mut available, mut expected, mut running) = (0, 0, 0);
        for (index, task) in (0..).zip(&stage.tasks) {
            self.check_task(job, stage, index, task)?;
            running += task.live().count() as u32;
            match task.state {
                TaskState::Idle => hold!(!stage.wanted, "I-8: {} is wanted and idle", stage.task_id(index)),
                TaskState::Pending { .. } => {
                    queued.insert((task.urgency(), index));
                }
                TaskState::Delayed { until } => {
                    delayed.insert((until, index));
                }
                TaskState::Live => {
                    live.insert(index);
                }
                TaskState::Available { .. } => available += 1,
                TaskState::Expected { .. } => expected += 1,
            }
        }
        let queue: BTreeSet<_> = stage.backlog.tasks().collect();
        let heads = stage.backlog.heads();
        let has_changed = heads.iter().find(|(index, wish)| stage.wish(*index) != **wish);
        hold!(has_changed.is_none(), "I-8: {} stands in a line for something else: {has_changed:?}", stage.id);
        hold!(queued == queue && delayed == stage.delayed, "I-8: the queue of {}", stage.id);
        hold!(queue.len() == stage.backlog.len() && live == stage.live, "I-8: the tasks of {}", stage.id);
        let rests = queued.is_empty() && delayed.is_empty() && stage.is_empty();
        hold!(
            stage.wanted || job.recovering || rests,
            "I-8: {} is not wanted and has tasks that wait or run",
            stage.id
        );
        hold!(
            (available, expected, running) == (stage.available, stage.expected, stage.running),
            "I-4: the counts of {}",
            stage.id
        );
        hold!(expected == 0 || job.recovering, "I-13: {} expects outputs of nobody", stage.id);
        let done = if stage.wanted { stage.is_complete() } else { stage.released };
        let settled = done == (stage.state == StageState::Done);
        hold!(job.recovering || settled, "I-4: {} of {} is {}", stage.id, job.id, stage.state);
        Ok(())
    }

    /// I-3.
    fn check_task(&self, job: &Job, stage: &Stage, index: u32, task: &Task) -> Result<(), String> {
        let id = stage.task_id(index);
        let live = task.live().count();
        hold!((live > 0) == (task.state == TaskState::Live), "I-3: {id} has {live} live attempts");
        hold!(live <= 2, "I-3: {id} has {live} live attempts");
        let workers: BTreeSet<WorkerId> = task.live().map(|attempt| attempt.worker).collect();
        hold!(workers.len() == live || job.recovering, "I-3: {id} runs twice on one worker");
        for attempt in task.live() {
            hold!(self.live.get(&attempt.id) == Some(&id), "I-3: the attempt of {id} is not live");
        }
        match task.state {
            TaskState::Available { by, .. } | TaskState::Expected { by, .. } => {
                let counted = task.find(by).is_some_and(|attempt| attempt.is_counted());
                hold!(counted, "I-3: {id} has an output of no attempt");
            }
            TaskState::Idle | TaskState::Pending { .. } | TaskState::Delayed { .. } | TaskState::Live => {}
        }
        for attempt in &task.attempts {
            hold!(self.known.get(&attempt.id) == Some(&id), "I-12: {} of {id} is not remembered", attempt.id);
        }
        Ok(())
    }

    /// I-15.
    fn check_cached_inputs(&self, job: &Job, stage: &Stage) -> Result<(), String> {
        let Some(inputs) = &stage.inputs else { return Ok(()) };
        for input in inputs.outputs.iter() {
            let there = job.task(input.output.task).and_then(Task::available);
            let there = there.map(|(attempt, at)| (attempt.id, at));
            hold!(there == Some((input.output.attempt, input.worker)), "I-15: what {} reads is out of date", stage.id);
        }
        Ok(())
    }

    /// I-11.
    fn check_held_outputs(&self) -> Result<(), String> {
        let mut held: BTreeMap<(WorkerId, bool), BTreeSet<MapOutputId>> = BTreeMap::new();
        for stage in self.jobs.values().flat_map(|job| &job.stages) {
            for index in 0..stage.tasks.len() as u32 {
                let Some((output, at)) = stage.resident(index) else { continue };
                let expected = matches!(stage.tasks[index as usize].state, TaskState::Expected { .. });
                held.entry((at, expected)).or_default().insert(output);
            }
        }
        for worker in self.roster.values() {
            let expected = held.remove(&(worker.id, worker.is_awaited())).unwrap_or_default();
            hold!(expected == worker.outputs, "I-11: {} holds {:?}, not {expected:?}", worker.id, worker.outputs);
            hold!(expected.is_empty() || worker.is_present(), "I-11: {} has left and holds outputs", worker.id);
        }
        held.remove(&(WorkerId::SHUFFLE_STORE, false));
        hold!(held.is_empty(), "I-11: outputs on unknown workers, or expected of workers that are there");
        Ok(())
    }

    /// I-12.
    fn check_numbers(&self) -> Result<(), String> {
        let newest = self.newest_attempt();
        hold!(self.known.keys().all(|attempt| *attempt <= newest), "I-12: an attempt has a number not given out");
        hold!(self.live.keys().all(|attempt| self.known.contains_key(attempt)), "I-12: a live attempt is not known");
        Ok(())
    }
}
