//! Gives pending tasks to workers, in the order of fair sharing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windrow_model::{AttemptId, AttemptState, JobId, MapOutputId, StageId, TaskId, TaskOutput, WorkerId};

use crate::job::Job;
use crate::placement::{Ask, Choice, Reservation, choose};
use crate::scheduler::Turn;
use crate::stage::{Attempt, Stage, TaskState};
use crate::{Event, InputRef, Message, RunTask, Scheduler};

/// What the tasks of one stage read. The same for all of them, so it is gathered once per pass.
struct Inputs {
    outputs: Arc<[InputRef]>,
    held: BTreeMap<WorkerId, u32>,
}

impl Scheduler {
    /// Places tasks until no job can place one more.
    pub(crate) fn dispatch(&mut self, turn: &mut Turn<'_>) {
        self.drop_stale_reservation();
        let mut candidates = self.jobs_with_pending();
        let mut inputs: BTreeMap<StageId, Inputs> = BTreeMap::new();
        while self.workers.values().any(|worker| worker.is_active() && worker.slots_free > 0) {
            let Some(id) = self.queues.next(&self.jobs, &candidates) else {
                return;
            };
            match self.find_place(id, &mut inputs) {
                Some((task, worker, slots)) => {
                    let inputs = inputs.get(&task.stage).map_or_else(|| Arc::from([]), |inputs| inputs.outputs.clone());
                    let was_reserved = self.reservation;
                    self.assign(task, worker, slots, inputs, turn);
                    if self.reservation != was_reserved {
                        // The worker that was kept is free for those who were turned away from it.
                        candidates = self.jobs_with_pending();
                    }
                }
                None => {
                    candidates.remove(&id);
                }
            }
        }
    }

    fn jobs_with_pending(&self) -> BTreeSet<JobId> {
        self.jobs.values().filter(|job| has_pending(job)).map(|job| job.id).collect()
    }

    /// The first task of the job that fits somewhere: lowest stage first, re-runs of lost outputs first.
    fn find_place(&mut self, id: JobId, inputs: &mut BTreeMap<StageId, Inputs>) -> Option<(TaskId, WorkerId, u32)> {
        let job = self.jobs.get(&id)?;
        for stage in job.stages.iter().filter(|stage| !stage.pending.is_empty() && job.is_runnable(stage)) {
            let inputs = inputs.entry(stage.id).or_insert_with(|| gather_inputs(job, stage));
            // Narrowest request that did not fit: wider plain ones need not be tried.
            let mut unfit = u32::MAX;
            for &(_, index) in &stage.pending {
                let ask = ask_of(stage, index, &inputs.held);
                let reserved = self.reservation.is_some_and(|kept| kept.task == ask.task);
                let plain = ask.avoid.is_empty() && !ask.whole_worker && !reserved;
                if plain && ask.slots >= unfit {
                    continue;
                }
                match choose(&self.workers, self.reservation, &ask) {
                    Choice::Place { worker, slots } => return Some((ask.task, worker, slots)),
                    Choice::Wait { reserve: Some(worker), .. } => {
                        self.reservation = Some(Reservation { task: ask.task, worker });
                    }
                    Choice::Wait { reserve: None, .. } | Choice::Reserved(_) | Choice::NoWorkers => {}
                }
                if plain {
                    unfit = unfit.min(ask.slots);
                }
            }
        }
        None
    }

    fn assign(&mut self, task: TaskId, worker: WorkerId, slots: u32, inputs: Arc<[InputRef]>, turn: &mut Turn<'_>) {
        self.attempt_count += 1;
        let id = AttemptId { epoch: self.epoch, n: self.attempt_count };
        if self.reservation.is_some_and(|kept| kept.task == task) {
            self.reservation = None;
        }
        self.live.insert(id, task);
        let holder = self.workers.get_mut(&worker).expect("I-1: an attempt is placed on a present worker");
        holder.slots_free = holder.slots_free.checked_sub(slots).expect("I-2: granted slots fit the worker");
        holder.running.insert(id);

        let job = self.jobs.get_mut(&task.stage.job).expect("I-1: an attempt belongs to a job");
        self.queues.charge(job, slots);
        job.participants.insert(worker);
        let stage = &mut job.stages[task.stage.index as usize];
        stage.unqueue(task.index);
        stage.running += 1;
        let run = run_task(stage, task, id, slots, inputs);
        turn.outbox.messages.push((worker, Message::RunTask(run)));
        stage.refresh_state(true, turn);
        turn.attempt_changed(task, id, worker, AttemptState::Assigned, None);

        let state = &mut stage.tasks[task.index as usize];
        state.state = TaskState::Live;
        state.tries += 1;
        let try_number = state.tries;
        state.push(Attempt {
            id,
            try_number,
            worker,
            state: AttemptState::Assigned,
            slots,
            assigned_at: turn.now,
            started_at: None,
            ended_at: None,
            failure: None,
            output: TaskOutput::default(),
            lost_at: None,
        });
    }

    /// A reservation outlives neither its task's wish nor its worker.
    fn drop_stale_reservation(&mut self) {
        let Some(Reservation { task, worker }) = self.reservation else {
            return;
        };
        if !self.is_reservation_useful(task, worker) {
            self.reservation = None;
        }
    }

    fn is_reservation_useful(&self, task: TaskId, worker: WorkerId) -> bool {
        let Some(job) = self.jobs.get(&task.stage.job) else {
            return false;
        };
        let Some(stage) = job.stage(task.stage) else {
            return false;
        };
        let pending = matches!(stage.tasks[task.index as usize].state, TaskState::Pending { .. });
        if !pending || !job.is_runnable(stage) || !self.workers.get(&worker).is_some_and(|worker| worker.is_active()) {
            return false;
        }
        // The best worker may have changed: a larger one may have joined.
        let held = BTreeMap::new();
        match choose(&self.workers, None, &ask_of(stage, task.index, &held)) {
            Choice::Place { .. } => true,
            Choice::Wait { needed, .. } => self.workers.get(&worker).is_some_and(|worker| worker.spec.slots >= needed),
            Choice::Reserved(_) | Choice::NoWorkers => false,
        }
    }

    /// Why the first pending task of a ready stage is not placed; `None` if it would be placed now.
    pub(crate) fn placement_of(&self, stage: &Stage) -> Option<Choice> {
        let (_, index) = stage.pending.first()?;
        let held = BTreeMap::new();
        Some(choose(&self.workers, self.reservation, &ask_of(stage, *index, &held)))
    }
}

fn has_pending(job: &Job) -> bool {
    job.stages.iter().any(|stage| !stage.pending.is_empty() && job.is_runnable(stage))
}

fn ask_of<'a>(stage: &'a Stage, index: u32, held: &'a BTreeMap<WorkerId, u32>) -> Ask<'a> {
    let task = &stage.tasks[index as usize];
    Ask {
        task: stage.task_id(index),
        slots: stage.plan.tasks[index as usize].slots.max(1),
        whole_worker: task.whole_worker,
        avoid: &task.avoid,
        held,
    }
}

fn gather_inputs(job: &Job, stage: &Stage) -> Inputs {
    let (mut outputs, mut held) = (Vec::new(), BTreeMap::new());
    let mut producers: Vec<u32> = stage.plan.inputs.iter().map(|input| input.stage).collect();
    producers.sort_unstable();
    producers.dedup();
    for producer in producers {
        let producer = &job.stages[producer as usize];
        for (index, task) in (0..).zip(&producer.tasks) {
            let newest = task.newest();
            let output = MapOutputId { task: producer.task_id(index), attempt: newest.id };
            outputs.push(InputRef { output, worker: newest.worker });
            *held.entry(newest.worker).or_insert(0) += 1;
        }
    }
    Inputs { outputs: outputs.into(), held }
}

fn run_task(stage: &Stage, task: TaskId, attempt: AttemptId, slots: u32, inputs: Arc<[InputRef]>) -> RunTask {
    RunTask {
        task,
        attempt,
        try_number: stage.tasks[task.index as usize].tries + 1,
        fragment: stage.plan.fragment,
        partitions: stage.plan.tasks[task.index as usize].partitions.clone(),
        slots,
        output_partitions: stage.plan.output_partitions,
        is_result: stage.role == crate::stage::StageRole::Result,
        inputs,
    }
}

/// Tells watchers about an attempt.
impl Turn<'_> {
    pub(crate) fn attempt_changed(
        &mut self,
        task: TaskId,
        attempt: AttemptId,
        worker: WorkerId,
        state: AttemptState,
        failure: Option<windrow_model::Failure>,
    ) {
        self.outbox.events.push(Event::AttemptChanged { task, attempt, worker, state, failure });
    }
}
