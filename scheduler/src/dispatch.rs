//! Gives pending tasks to workers, in the order of fair sharing.

use std::collections::BTreeMap;

use windrow_model::{AttemptId, AttemptState, JobId, TaskId, WorkerId};

use crate::backlog::Wish;
use crate::deadlines::Due;
use crate::inputs::Inputs;
use crate::placement::{Ask, Choice, Reservation, choose};
use crate::queue::{Need, Offer, Standing};
use crate::scheduler::Turn;
use crate::stage::{Stage, StageRole};
use crate::task::{Attempt, TaskState};
use crate::worker::Roster;
use crate::{AttemptRun, Event, Message, RunTask, Scheduler};

/// Where a task is to run, and what for.
pub(crate) struct Assignment {
    pub task: TaskId,
    pub worker: WorkerId,
    pub slots: u32,
    pub inputs: Inputs,
    pub speculative: bool,
}

/// What came of looking for a task of a job.
enum Found {
    Place(Assignment),
    /// None of its tasks fits now.
    NoFit(Need),
    /// None of its tasks waits for a place.
    NoTask,
}

impl Scheduler {
    /// Places tasks until no job can place one more.
    pub(crate) fn dispatch(&mut self, turn: &mut Turn<'_>) {
        self.drop_stale_reservation();
        self.call_after_news();
        while self.roster.seats().free_max() > 0 {
            let Some(id) = self.queues.next(self.offer()) else { return };
            match self.find_place(id) {
                Found::Place(assignment) => {
                    let was_reserved = self.reservation;
                    self.assign(assignment, turn);
                    if self.reservation != was_reserved {
                        // The worker that was kept is free for those who were turned away from it.
                        self.call_stuck(u32::MAX);
                    }
                }
                Found::NoFit(need) if need.is_met(self.offer()) => self.stand(id, Standing::Stuck(need)),
                Found::NoFit(need) => self.stand(id, Standing::InLine(need)),
                Found::NoTask => self.stand(id, Standing::Out),
            }
        }
    }

    fn stand(&mut self, id: JobId, standing: Standing) {
        if let Some(job) = self.jobs.get_mut(&id) {
            self.queues.stand(job, standing);
        }
    }

    fn offer(&self) -> Offer {
        let kept = self.reservation.map(|kept| kept.worker);
        let free = self.roster.seats().by_free().find(|(_, id)| Some(*id) != kept);
        Offer { slots: free.map_or(0, |(free, _)| free), may_reserve: kept.is_none() }
    }

    /// Tasks of the job may wait for a place since it was looked at.
    pub(crate) fn line_up(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.find_hungry();
        let waits = !job.hungry.is_empty();
        self.queues.stand(job, if waits { Standing::InLine(Need::UNKNOWN) } else { Standing::Out });
    }

    /// Lets jobs try again that were refused and may fit since workers came, went or got free slots.
    fn call_after_news(&mut self) {
        if self.roster.members_changed() {
            for job in self.queues.waiting() {
                self.stand(job, Standing::InLine(Need::UNKNOWN));
            }
        }
        let mut free_max = 0;
        while let Some(id) = self.roster.next_freed() {
            match self.reservation.filter(|kept| kept.worker == id) {
                Some(kept) => self.call(kept.task.stage.job),
                None => free_max = free_max.max(self.roster.seat(id).unwrap_or(0)),
            }
        }
        self.call_stuck(free_max);
    }

    /// Lets jobs try again that are stuck and need no more slots than these.
    fn call_stuck(&mut self, slots: u32) {
        for job in self.queues.stuck(slots) {
            self.call(job);
        }
    }

    /// Lets a job that waits for places try again.
    pub(crate) fn call(&mut self, id: JobId) {
        if self.jobs.get(&id).is_some_and(|job| job.standing != Standing::Out) {
            self.stand(id, Standing::InLine(Need::UNKNOWN));
        }
    }

    /// The first task of the job that fits somewhere: lowest stage first, re-runs of lost outputs first.
    fn find_place(&mut self, id: JobId) -> Found {
        let Some(job) = self.jobs.get_mut(&id) else { return Found::NoTask };
        let mut need = None;
        let mut next = 0;
        while let Some(&index) = job.hungry.range(next..).next() {
            next = index + 1;
            let stage = &job.stages[index as usize];
            if stage.backlog.is_empty() || !job.is_runnable(stage) {
                job.hungry.remove(&index);
                continue;
            }
            let inputs = job.inputs_of(index);
            let stage = &job.stages[index as usize];
            for (index, wish) in stage.backlog.heads() {
                self.reservation = self.reservation.map(|kept| passed_on(kept, stage, index, wish));
                let (waiting, running) = (stage.backlog.len() as u32, stage.running);
                let ask = Ask { task: stage.task_id(index), wish, not_on: None, held: &inputs.held, waiting, running };
                let choice = choose(&self.roster, self.reservation, &ask);
                match choice {
                    Choice::Place { worker, slots } => {
                        return Found::Place(Assignment { task: ask.task, worker, slots, inputs, speculative: false });
                    }
                    Choice::Wait { reserve: Some(worker), .. } => {
                        self.reservation = Some(Reservation { task: ask.task, worker });
                    }
                    Choice::Wait { reserve: None, .. }
                    | Choice::LeftToOthers
                    | Choice::Reserved { .. }
                    | Choice::NoWorkers => {}
                }
                need = Some(need_of(wish, choice, &self.roster, self.reservation).or(need));
            }
        }
        need.map_or(Found::NoTask, Found::NoFit)
    }

    pub(crate) fn assign(&mut self, assignment: Assignment, turn: &mut Turn<'_>) {
        let Assignment { task, worker, slots, inputs, speculative } = assignment;
        self.attempt_count += 1;
        let id = self.newest_attempt();
        if self.reservation.is_some_and(|kept| kept.task == task) {
            self.reservation = None;
        }
        let Some(stage) = self.stage_mut(task.stage) else { return };
        stage.unqueue(task.index);
        let try_number = stage.tasks[task.index as usize].tries + 1;
        let message = Message::RunTask(run_task(stage, task, id, try_number, slots, inputs));
        turn.outbox.messages.push((worker, message));
        let run = AttemptRun { try_number, slots, speculative, assigned_at: turn.now, started_at: None };
        self.begin_attempt(task, id, worker, run, AttemptState::Assigned, turn);
    }

    /// An attempt holds slots from now on.
    pub(crate) fn begin_attempt(
        &mut self,
        task: TaskId,
        id: AttemptId,
        worker: WorkerId,
        run: AttemptRun,
        state: AttemptState,
        turn: &mut Turn<'_>,
    ) {
        self.roster.grant(worker, run.slots, id);
        self.live.insert(id, task);
        self.known.insert(id, task);
        self.watch_for_hanging(worker, turn);
        let job = self.jobs.get_mut(&task.stage.job).expect("I-1: an attempt belongs to a job");
        self.queues.charge(job, run.slots);
        job.live += 1;
        job.speculative += u32::from(run.speculative);
        job.participants.insert(worker);
        let stage = &mut job.stages[task.stage.index as usize];
        stage.running += 1;
        stage.live.insert(task.index);
        stage.refresh_state(true, turn);
        turn.attempt_changed(task, id, worker, state, None);
        let attempted = &mut stage.tasks[task.index as usize];
        attempted.state = TaskState::Live;
        if let Some(forgotten) = attempted.push(Attempt::new(id, worker, state, run, turn.now)) {
            self.known.remove(&forgotten);
        }
        self.watch_for_slowness(task.stage, turn);
    }

    /// One look at a worker's attempts is due while it runs any.
    fn watch_for_hanging(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        if let Some(worker) = self.roster.get_mut(id).filter(|worker| !worker.watched) {
            worker.watched = true;
            self.deadlines.add(turn.now + self.limits.hang_timeout, Due::Hang(id));
        }
    }

    /// A reservation outlives neither its task's wish nor its worker.
    fn drop_stale_reservation(&mut self) {
        let Some(Reservation { task, worker }) = self.reservation else {
            return;
        };
        if !self.is_reservation_useful(task, worker) {
            self.reservation = None;
            self.call_stuck(u32::MAX);
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
        let kept = self.roster.get(worker).filter(|worker| worker.is_active());
        let Some(kept) = kept.filter(|_| pending && job.is_runnable(stage)) else { return false };
        // The best worker may have changed: a larger one may have joined.
        match self.place_of(stage, task.index, None) {
            Choice::Place { .. } => true,
            Choice::Wait { needed, .. } => kept.spec.slots >= needed,
            Choice::LeftToOthers => true,
            Choice::Reserved { .. } | Choice::NoWorkers => false,
        }
    }

    /// Why the first pending task of a ready stage is not placed; `Place` if it would be placed now.
    pub(crate) fn placement_of(&self, stage: &Stage) -> Option<Choice> {
        let (index, _) = *stage.backlog.heads().first()?;
        Some(self.place_of(stage, index, self.reservation))
    }

    /// Where a task would be placed, wherever its inputs are.
    pub(crate) fn place_of(&self, stage: &Stage, index: u32, reservation: Option<Reservation>) -> Choice {
        let wish = stage.wish(index);
        let (held, waiting, running) = (&BTreeMap::new(), stage.backlog.len() as u32, stage.running);
        let ask = Ask { task: stage.task_id(index), wish: &wish, not_on: None, held, waiting, running };
        choose(&self.roster, reservation, &ask)
    }
}

/// What it takes to place a task that has just been refused.
fn need_of(wish: &Wish, refused: Choice, roster: &Roster, reservation: Option<Reservation>) -> Need {
    let needed = match refused {
        Choice::Wait { needed, .. } | Choice::Reserved { needed, .. } => needed,
        Choice::Place { .. } | Choice::LeftToOthers | Choice::NoWorkers => 1,
    };
    // Any idle worker will do, although the best one was asked for.
    let slots = if wish.whole_worker { roster.seats().slots_min() } else { needed };
    Need { slots, reserves: needed > 1 && reservation.is_some() }
}

/// What is kept for a task is kept for the first of all that ask for the same: a task that lost its place and stands in
/// front again must not wait for one behind it.
fn passed_on(kept: Reservation, stage: &Stage, head: u32, wish: &Wish) -> Reservation {
    let same = kept.task.stage == stage.id && stage.wish(kept.task.index) == *wish;
    if same { Reservation { task: stage.task_id(head), ..kept } } else { kept }
}

fn run_task(stage: &Stage, task: TaskId, attempt: AttemptId, try_number: u32, slots: u32, inputs: Inputs) -> RunTask {
    let plan = &stage.plan.tasks[task.index as usize];
    RunTask {
        task,
        attempt,
        try_number,
        fragment: stage.plan.fragment,
        partitions: plan.partitions.clone(),
        share: plan.share,
        slots,
        output_partitions: stage.plan.output_partitions,
        is_result: stage.role == StageRole::Result,
        inputs: inputs.outputs,
        input_sizes: inputs.sizes,
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
