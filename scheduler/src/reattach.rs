//! Workers come back under their own ids, with what they run and hold.
//!
//! After a recovery that decides what is still there: recorded outputs that were expected, successes that were never
//! recorded, attempts that still run. What is refused is cancelled.
//!
//! One thing must not be believed: an attempt that has read rows which were lost since and are computed again with other
//! values (`Determinism::Indeterminate`). Completions and losses of such rows are durable before anyone is told, and
//! attempts are numbered in the order in which they are assigned. So an attempt has read what the journal says is there
//! if, for each stage with such rows that it descends from, it is newer than every recorded success, and none of those
//! is recorded as lost.

use std::collections::{BTreeMap, BTreeSet};

use windrow_model::{
    AttemptId, AttemptState, Determinism, ErrorReport, Failure, JobId, MapOutputId, StageId, TaskId, TaskOutput,
    WorkerId, WorkerState,
};

use crate::attempt::kept_of;
use crate::job::{Job, Reason};
use crate::scheduler::Turn;
use crate::task::{Attempt, Task, TaskState};
use crate::{AttemptRun, Inventory, Message, Record, Scheduler, WorkerSpec};

/// For a stage: the newest success with rows that another run would not give again, among those it descends from.
/// `None` if such rows are gone.
type Bases = BTreeMap<StageId, Option<AttemptId>>;

impl Scheduler {
    /// A worker that comes back under this id may keep it. Otherwise it registers as a new one, which holds nothing.
    pub fn may_reattach(&self, worker: WorkerId) -> bool {
        self.roster.present(worker).is_some()
    }

    pub(crate) fn worker_reattached(
        &mut self,
        id: WorkerId,
        spec: WorkerSpec,
        inventory: Inventory,
        turn: &mut Turn<'_>,
    ) {
        let Some(worker) = self.roster.present(id) else { return };
        let was_awaited = worker.is_awaited();
        let (held, running) = (worker.outputs.clone(), worker.running.clone());
        if was_awaited {
            self.roster.set_spec(id, spec);
            let reason = Reason::new("reattached", "it came back after the coordinator was replaced");
            self.enter_worker(id, WorkerState::Active, reason, turn);
            self.exclude_if_due(id, turn);
        }
        self.extend_lease(id, turn.now);
        let told = Told::of(&inventory);
        self.take_inventory(id, inventory, turn);
        self.miss_outputs(id, held.difference(&told.outputs).copied().collect(), was_awaited, turn);
        self.miss_attempts(id, running.difference(&told.attempts).copied().collect(), turn);
        self.take_part(id, told.jobs, turn);
        self.end_recovery_if_complete();
    }

    /// Finished attempts first: they win over others at the same task.
    fn take_inventory(&mut self, id: WorkerId, inventory: Inventory, turn: &mut Turn<'_>) {
        let mut bases = Bases::new();
        for (task, attempt, output) in inventory.finished {
            if self.jobs.contains_key(&task.stage.job) {
                self.claim_output(id, MapOutputId { task, attempt }, kept_of(output), &mut bases, turn);
            }
        }
        for (task, attempt) in inventory.running {
            if self.jobs.contains_key(&task.stage.job) {
                self.claim_attempt(id, task, attempt, &mut bases, turn);
            }
        }
    }

    fn claim_output(
        &mut self,
        id: WorkerId,
        output: MapOutputId,
        content: TaskOutput,
        bases: &mut Bases,
        turn: &mut Turn<'_>,
    ) {
        let MapOutputId { task, attempt } = output;
        if self.live_on(id, attempt) == Some(task) {
            return self.attempt_succeeded(task, attempt, content, turn);
        }
        match self.task_of(task).map(|known| known.find(attempt).map(Attempt::is_counted)) {
            Some(Some(true)) => self.claim_counted(id, output, content, turn),
            Some(None) if self.is_believed(task, attempt, bases) => self.claim_unreported(id, output, content, turn),
            Some(Some(false) | None) | None => self.tell(id, Message::CancelAttempt { attempt }, turn),
        }
    }

    /// The journal has this success, and not its loss.
    fn claim_counted(&mut self, id: WorkerId, output: MapOutputId, content: TaskOutput, turn: &mut Turn<'_>) {
        let MapOutputId { task, attempt } = output;
        let Some(job) = self.jobs.get(&task.stage.job) else { return };
        let Some((stage, known)) = job.stage(task.stage).zip(job.task(task)) else { return };
        let resident = stage.is_resident(&content);
        match known.state {
            // A copy that a drain has made, or whose original has come back too.
            TaskState::Available { by, at } if by != attempt || (at != id && resident) => {
                if by != attempt
                    && let Some(known) = self.task_mut(task).and_then(|known| known.find_mut(attempt))
                {
                    known.lost_at = Some(by);
                }
                self.tell(id, Message::CancelAttempt { attempt }, turn);
            }
            TaskState::Available { .. } => {}
            TaskState::Idle | TaskState::Expected { .. } | TaskState::Live if job.recovering && resident => {
                if known.state != (TaskState::Expected { by: attempt, at: id }) {
                    // The journal has it at another place: a move was not recorded, or that place was given up.
                    turn.record(Record::OutputsMoved { outputs: vec![output], to: id });
                }
                self.cancel_attempts(task, turn);
                self.accept_output(output, id, content);
            }
            // Released meanwhile; files and counts stay where they are until the job's end.
            TaskState::Idle
            | TaskState::Expected { .. }
            | TaskState::Live
            | TaskState::Pending { .. }
            | TaskState::Delayed { .. } => {
                if resident {
                    self.tell(id, Message::ReleaseStages { stages: vec![task.stage] }, turn);
                }
            }
        }
    }

    /// A success that never reached the journal.
    fn claim_unreported(&mut self, id: WorkerId, output: MapOutputId, content: TaskOutput, turn: &mut Turn<'_>) {
        let MapOutputId { task, attempt } = output;
        let Some(run) = self.unknown_run(task, 0, false, turn) else { return };
        self.cancel_attempts(task, turn);
        self.give_up_output(task, None);
        let state = AttemptState::Succeeded;
        let at = turn.now;
        self.remember(task, Attempt { ended_at: Some(at), ..Attempt::new(attempt, id, state, run, at) });
        self.record_success(task, attempt, content.clone(), turn);
        self.accept_output(output, id, content);
    }

    fn claim_attempt(
        &mut self,
        id: WorkerId,
        task: TaskId,
        attempt: AttemptId,
        bases: &mut Bases,
        turn: &mut Turn<'_>,
    ) {
        if self.live_on(id, attempt) == Some(task) {
            return;
        }
        let slots = self.slots_for(id, task);
        let unknown = self.task_of(task).is_some_and(|known| known.find(attempt).is_none() && !known.is_available());
        if slots == 0 || !unknown || !self.is_believed(task, attempt, bases) {
            return self.tell(id, Message::CancelAttempt { attempt }, turn);
        }
        let second = self.task_of(task).is_some_and(|known| known.live().next().is_some());
        let Some(run) = self.unknown_run(task, slots, second, turn) else { return };
        self.give_up_output(task, None);
        self.begin_attempt(task, attempt, id, run, AttemptState::Running, turn);
    }

    /// What its plan wants, or the whole worker, if they are free. It may have been given more, for its memory: charged
    /// for those, an attempt beside it could have no slot left and be stopped.
    fn slots_for(&self, id: WorkerId, task: TaskId) -> u32 {
        let Some(worker) = self.roster.get(id) else { return 0 };
        let job = self.jobs.get(&task.stage.job);
        let Some((stage, known)) = job.and_then(|job| job.stage(task.stage).zip(job.task(task))) else { return 0 };
        let wanted = if known.trouble().whole_worker {
            worker.spec.slots
        } else {
            stage.plan.tasks[task.index as usize].slots.clamp(1, worker.spec.slots)
        };
        wanted.min(worker.slots_free())
    }

    /// What is known about the run of an attempt that an earlier leader has started.
    fn unknown_run(&self, task: TaskId, slots: u32, speculative: bool, turn: &Turn<'_>) -> Option<AttemptRun> {
        let try_number = self.task_of(task)?.tries + 1;
        Some(AttemptRun { try_number, slots, speculative, assigned_at: turn.now, started_at: Some(turn.now) })
    }

    /// An attempt that the journal does not know has read what the journal says is there, and its task has no output.
    fn is_believed(&self, task: TaskId, attempt: AttemptId, bases: &mut Bases) -> bool {
        let Some(job) = self.jobs.get(&task.stage.job).filter(|job| job.recovering) else { return false };
        let Some((stage, known)) = job.stage(task.stage).zip(job.task(task)) else { return false };
        let base = *bases.entry(stage.id).or_insert_with(|| base_of(job, stage.id.index));
        if attempt.epoch >= self.epoch || base.is_none_or(|base| attempt < base) || known.live().count() > 1 {
            return false;
        }
        match known.state {
            TaskState::Idle | TaskState::Expected { .. } | TaskState::Live => {
                let older = |older: &Attempt| !older.is_counted() && older.id < attempt;
                let alone = known.state == TaskState::Idle && known.attempts.iter().all(older);
                alone || stage.plan.determinism != Determinism::Indeterminate
            }
            TaskState::Available { .. } | TaskState::Pending { .. } | TaskState::Delayed { .. } => false,
        }
    }

    /// The worker does not have outputs that were expected of it, or known to be there.
    fn miss_outputs(&mut self, id: WorkerId, missing: Vec<MapOutputId>, was_awaited: bool, turn: &mut Turn<'_>) {
        let still_held =
            |output: &MapOutputId| self.roster.get(id).is_some_and(|worker| worker.outputs.contains(output));
        let missing: Vec<MapOutputId> = missing.into_iter().filter(still_held).collect();
        if was_awaited {
            return self.give_up_expected(missing);
        }
        for (job, outputs) in crate::membership::by_job(missing) {
            self.lose_outputs(job, &outputs, turn);
        }
    }

    /// Expected outputs are not there: perhaps they were released, and if not they are computed again.
    pub(crate) fn give_up_expected(&mut self, outputs: impl IntoIterator<Item = MapOutputId>) {
        for output in outputs {
            self.give_up_output(output.task, None);
        }
    }

    /// The worker does not run attempts that were assigned to it: the command, or the report of their end, got lost.
    fn miss_attempts(&mut self, id: WorkerId, missing: Vec<AttemptId>, turn: &mut Turn<'_>) {
        for attempt in missing {
            let task = self.live_on(id, attempt).and_then(|task| self.task_of(task));
            let Some(known) = task.and_then(|task| task.find(attempt)) else { continue };
            let failure = if known.run.started_at.is_some() {
                Failure::Internal(ErrorReport::internal(format!(
                    "{id} came back without an attempt that it had started"
                )))
            } else {
                Failure::WorkerLost { worker: id }
            };
            self.fail_attempt(attempt, failure, turn);
        }
    }

    /// The worker may hold something of these jobs: it is told when it may forget them.
    fn take_part(&mut self, id: WorkerId, jobs: BTreeSet<JobId>, turn: &mut Turn<'_>) {
        for job in jobs {
            match self.jobs.get_mut(&job) {
                Some(known) => {
                    known.participants.insert(id);
                    self.dirty.insert(job);
                }
                None => self.tell(id, Message::ReleaseJob { job }, turn),
            }
        }
    }

    /// When nobody is awaited any more, the jobs that were taken over go on.
    pub(crate) fn end_recovery_if_complete(&mut self) {
        if self.recovery_ends_at.is_none() || !self.roster.awaited().is_empty() {
            return;
        }
        self.recovery_ends_at = None;
        for job in self.jobs.values_mut().filter(|job| job.recovering) {
            job.end_recovery();
            self.dirty.insert(job.id);
        }
    }
}

/// Everything that an inventory speaks of.
struct Told {
    outputs: BTreeSet<MapOutputId>,
    attempts: BTreeSet<AttemptId>,
    jobs: BTreeSet<JobId>,
}

impl Told {
    fn of(inventory: &Inventory) -> Self {
        let finished = || inventory.finished.iter().map(|(task, attempt, _)| (*task, *attempt));
        let all = || finished().chain(inventory.running.iter().copied());
        Told {
            outputs: finished().map(|(task, attempt)| MapOutputId { task, attempt }).collect(),
            attempts: all().map(|(_, attempt)| attempt).collect(),
            jobs: all().map(|(task, _)| task.stage.job).collect(),
        }
    }
}

/// See [`Bases`]. A stage that descends from no such rows believes every attempt.
fn base_of(job: &Job, index: u32) -> Option<AttemptId> {
    let mut base = AttemptId { epoch: 0, n: 0 };
    let mut seen = BTreeSet::from([index]);
    let mut open = vec![index];
    while let Some(index) = open.pop() {
        for input in job.stages[index as usize].plan.inputs.iter().map(|input| input.stage) {
            if seen.insert(input) {
                open.push(input);
                let producer = &job.stages[input as usize];
                if producer.plan.determinism == Determinism::Indeterminate {
                    // Nobody has read a task without a recorded success.
                    for newest in producer.tasks.iter().filter_map(Task::last_success) {
                        base = base.max(newest.is_counted().then_some(newest.id)?);
                    }
                }
            }
        }
    }
    Some(base)
}
