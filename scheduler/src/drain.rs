//! A worker drains: it gets nothing new, finishes what can still be finished, hands its outputs over, and leaves.
//!
//! Outputs that somebody still needs are copied to other active workers, those of late stages first (they were the
//! most work), spread by bytes, a few batches at a time. A reader that runs is told the new places.
//! What cannot be moved is given up at once, so that it is computed again early.
//!
//! With an object store for outputs (`Limits::shuffle_store`) that is the receiver, under the id
//! `WorkerId::SHUFFLE_STORE`: it takes all that tasks read, outlives every worker, and never leaves. Rows that clients
//! read, and what it refused once, go to workers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use windrow_model::{AttemptId, Failure, MapOutputId, StageId, Timestamp, WorkerId, WorkerState};

use crate::deadlines::Due;
use crate::job::Reason;
use crate::membership::by_job;
use crate::scheduler::Turn;
use crate::worker::Worker;
use crate::{InputRef, Message, Record, Scheduler};

/// Batches that leave one draining worker at a time: enough to keep its network busy while receivers take turns.
const COPIES_IN_FLIGHT_MAX: usize = 8;

/// Outputs in one batch: a failed one costs little, and its message stays small.
const COPY_OUTPUTS_MAX: usize = 64;

/// Bytes in one batch, unless a single output has more: progress is seen, and readers are told, every so often.
const COPY_BYTES_MAX: u64 = 64 << 20;

/// Failed copies of one output after which it is given up.
const COPY_FAILURES_MAX: u32 = 2;

/// An output that waits to be copied, in the order of the stages, last first.
type Waiting = (Reverse<u32>, MapOutputId);

/// The hand-over of one draining worker.
#[derive(Clone, Debug)]
pub(crate) struct Drain {
    pub ends_at: Timestamp,
    /// Outputs to be copied, latest stages first. Some may not be needed any more.
    waiting: BTreeSet<Waiting>,
    /// Outputs that a receiver has been told to copy.
    in_flight: BTreeMap<WorkerId, BTreeSet<MapOutputId>>,
    /// Bytes that each receiver was given so far.
    given: BTreeMap<WorkerId, u64>,
    failures: BTreeMap<MapOutputId, u32>,
}

impl Drain {
    fn new(ends_at: Timestamp, outputs: impl Iterator<Item = MapOutputId>) -> Self {
        Drain {
            ends_at,
            waiting: outputs.map(in_order).collect(),
            in_flight: BTreeMap::new(),
            given: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }

    /// One more output is held here.
    pub fn add(&mut self, output: MapOutputId) {
        self.waiting.insert(in_order(output));
    }

    /// A receiver has left: what it was copying waits again.
    pub fn receiver_left(&mut self, receiver: WorkerId) {
        let copying = self.in_flight.remove(&receiver).unwrap_or_default();
        self.waiting.extend(copying.into_iter().map(in_order));
    }

    /// The receiver has answered for these outputs.
    fn answered(&mut self, receiver: WorkerId, outputs: &[MapOutputId]) {
        if let Some(copying) = self.in_flight.get_mut(&receiver) {
            copying.retain(|output| !outputs.contains(output));
            if copying.is_empty() {
                self.in_flight.remove(&receiver);
            }
        }
    }
}

/// What one receiver is told to copy.
#[derive(Default)]
struct Batch {
    outputs: Vec<MapOutputId>,
    bytes: u64,
    /// Entries of the waiting list that are dealt with.
    taken: Vec<Waiting>,
}

fn in_order(output: MapOutputId) -> Waiting {
    (Reverse(output.task.stage.index), output)
}

impl Scheduler {
    pub(crate) fn drain_requested(&mut self, id: WorkerId, within: Option<Duration>, turn: &mut Turn<'_>) {
        let ends_at = turn.now + within.unwrap_or(self.limits.drain_deadline);
        let Some(worker) = self.roster.get_mut(id) else { return };
        match worker.state() {
            WorkerState::Active => {
                worker.drain = Some(Box::new(Drain::new(ends_at, worker.outputs.iter().copied())));
                let reason = Reason::new("drain-requested", "it finishes or hands over what it has and leaves");
                self.enter_worker(id, WorkerState::Draining, reason, turn);
                self.note_workerless(turn.now);
                self.preempt_long_attempts(id, ends_at, turn);
            }
            // Asked again: the earlier end counts.
            WorkerState::Draining => {
                if let Some(drain) = &mut worker.drain {
                    drain.ends_at = drain.ends_at.min(ends_at);
                }
            }
            // It asks again when it has come back, if it still wants to leave.
            WorkerState::Joining | WorkerState::Gone | WorkerState::Lost => return,
        }
        self.deadlines.add(ends_at, Due::Drain(id));
    }

    /// Stops attempts that their stage's median says will not end in time, if they can run elsewhere.
    fn preempt_long_attempts(&mut self, id: WorkerId, ends_at: Timestamp, turn: &mut Turn<'_>) {
        if self.roster.seats().is_empty() {
            return;
        }
        let running = self.roster.get(id).map(|worker| worker.running.clone()).unwrap_or_default();
        for attempt in running {
            if self.expected_end(attempt).is_some_and(|end| end > ends_at) {
                self.preempt(id, attempt, turn);
            }
        }
    }

    /// When a live attempt ends if it takes as long as the median of its stage. `None` if it has taken longer, or if
    /// nothing is known.
    fn expected_end(&self, attempt: AttemptId) -> Option<Timestamp> {
        let task = self.live.get(&attempt)?;
        let stage = self.jobs.get(&task.stage.job)?.stage(task.stage)?;
        let end = stage.tasks[task.index as usize].find(attempt)?.began_at() + stage.durations.median()?;
        (end > self.clock).then_some(end)
    }

    fn preempt(&mut self, worker: WorkerId, attempt: AttemptId, turn: &mut Turn<'_>) {
        self.fail_attempt(attempt, Failure::Preempted { worker }, turn);
        self.tell(worker, Message::CancelAttempt { attempt }, turn);
    }

    /// What is left is given up: the worker leaves now.
    pub(crate) fn drain_deadline_passed(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        let Some(worker) = self.roster.get_mut(id) else { return };
        let Some(drain) = worker.drain.as_mut().filter(|drain| drain.ends_at <= turn.now) else { return };
        drain.in_flight.clear();
        drain.waiting.clear();
        let running = worker.running.clone();
        let outputs = worker.outputs.clone();
        for attempt in running {
            self.preempt(id, attempt, turn);
        }
        for (job, outputs) in by_job(outputs) {
            self.lose_outputs(job, &outputs, turn);
        }
    }

    /// Starts copies, and lets workers go that run nothing and hold nothing that is needed.
    pub(crate) fn advance_drains(&mut self, turn: &mut Turn<'_>) {
        if self.roster.draining().is_empty() {
            return;
        }
        let draining: Vec<WorkerId> = self.roster.draining().iter().copied().collect();
        for id in draining {
            while self.start_copy(id, turn) {}
            if self.roster.seats().is_empty() && self.roster.awaited().is_empty() {
                self.give_up_waiting(id, turn);
            }
            if self.roster.get(id).is_some_and(|worker| worker.running.is_empty() && worker.outputs.is_empty()) {
                self.tell(id, Message::Shutdown, turn);
                let reason = Reason::new("drained", "it ran nothing and held nothing that is needed");
                self.enter_worker(id, WorkerState::Gone, reason, turn);
                self.departed(id, WorkerState::Gone, turn);
            }
        }
    }

    /// No worker can take them. The object store may be busy, but will.
    fn give_up_waiting(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        let Some(drain) = self.roster.get(id).and_then(|worker| worker.drain.as_ref()) else { return };
        let given_up = drain.waiting.iter().filter(|(_, output)| !self.is_storable(*output, drain));
        let given_up: BTreeSet<Waiting> = given_up.copied().collect();
        if let Some(drain) = self.roster.get_mut(id).and_then(|worker| worker.drain.as_mut()) {
            drain.waiting.retain(|entry| !given_up.contains(entry));
        }
        for (job, outputs) in by_job(given_up.into_iter().map(|(_, output)| output)) {
            self.lose_outputs(job, &outputs, turn);
        }
    }

    /// Tells one more receiver to copy a batch. `false` if there is nothing to copy or nobody to copy it now.
    fn start_copy(&mut self, id: WorkerId, turn: &mut Turn<'_>) -> bool {
        let Some(worker) = self.roster.get(id) else { return false };
        let Some(drain) = worker.drain.as_ref().filter(|drain| drain.in_flight.len() < COPIES_IN_FLIGHT_MAX) else {
            return false;
        };
        if drain.waiting.is_empty() {
            return false;
        }
        let free = |receiver: &WorkerId| !drain.in_flight.contains_key(receiver);
        let given = |receiver: &WorkerId| (drain.given.get(receiver).copied().unwrap_or(0), *receiver);
        let storable = |output: &MapOutputId| self.is_storable(*output, drain);
        let store = Some(WorkerId::SHUFFLE_STORE).filter(free);
        let stored = store.map(|store| (store, self.next_batch(worker, drain, storable)));
        let peer = || self.roster.seats().by_free().map(|(_, id)| id).filter(free).min_by_key(given);
        let copied = || Some((peer()?, self.next_batch(worker, drain, |output| !storable(output))));
        let useful = |(_, batch): &(WorkerId, Batch)| !batch.taken.is_empty();
        let Some((receiver, batch)) = stored.filter(useful).or_else(copied).filter(useful) else { return false };
        if let Some(drain) = self.roster.get_mut(id).and_then(|worker| worker.drain.as_mut()) {
            batch.taken.iter().for_each(|entry| {
                drain.waiting.remove(entry);
            });
            if batch.outputs.is_empty() {
                return true;
            }
            *drain.given.entry(receiver).or_default() += batch.bytes;
            drain.in_flight.insert(receiver, batch.outputs.iter().copied().collect());
        }
        self.tell(receiver, Message::CopyOutputs { outputs: batch.outputs, from: id }, turn);
        true
    }

    /// The output goes to the object store.
    fn is_storable(&self, output: MapOutputId, drain: &Drain) -> bool {
        self.limits.shuffle_store && !drain.failures.contains_key(&output) && self.is_read_by_tasks(output)
    }

    /// The next of the `suitable` outputs to copy. Those that nobody needs any more are passed over.
    fn next_batch(&self, worker: &Worker, drain: &Drain, suitable: impl Fn(&MapOutputId) -> bool) -> Batch {
        let mut batch = Batch::default();
        for entry in drain.waiting.iter().filter(|(_, output)| suitable(output)) {
            let output = entry.1;
            let size = self.task_of(output.task).map_or(0, |task| task.bytes);
            let full = batch.outputs.len() == COPY_OUTPUTS_MAX || batch.bytes + size > COPY_BYTES_MAX;
            if full && !batch.outputs.is_empty() {
                break;
            }
            batch.taken.push(*entry);
            if worker.outputs.contains(&output) {
                batch.outputs.push(output);
                batch.bytes += size;
            }
        }
        batch
    }

    pub(crate) fn outputs_copied(
        &mut self,
        receiver: WorkerId,
        from: WorkerId,
        outputs: &[MapOutputId],
        turn: &mut Turn<'_>,
    ) {
        self.extend_lease(receiver, turn.now);
        if !self.is_there(receiver) || receiver == from {
            return;
        }
        if let Some(drain) = self.roster.get_mut(from).and_then(|worker| worker.drain.as_mut()) {
            drain.answered(receiver, outputs);
        }
        let (moved, stale): (Vec<MapOutputId>, Vec<MapOutputId>) = outputs
            .iter()
            .partition(|output| self.roster.get(from).is_some_and(|worker| worker.outputs.contains(output)));
        for output in stale {
            let stage = self.jobs.get(&output.task.stage.job).and_then(|job| job.stage(output.task.stage));
            // It may have been moved there before, and this is a second answer.
            if stage.and_then(|stage| stage.resident(output.task.index)) != Some((output, receiver)) {
                self.tell(receiver, Message::CancelAttempt { attempt: output.attempt }, turn);
            }
        }
        if moved.is_empty() {
            return;
        }
        for output in &moved {
            self.move_output(*output, from, receiver);
            if let Some(job) = self.jobs.get_mut(&output.task.stage.job) {
                job.participants.insert(receiver);
            }
        }
        self.repoint_readers(&moved, receiver, turn);
        let record = Record::OutputsMoved { outputs: moved, to: receiver };
        if receiver == WorkerId::SHUFFLE_STORE {
            // It cannot tell a new leader what it holds.
            turn.record_first(record);
        } else {
            turn.record(record);
        }
    }

    /// Tells running readers where these outputs are now.
    fn repoint_readers(&mut self, moved: &[MapOutputId], to: WorkerId, turn: &mut Turn<'_>) {
        let mut stages: BTreeMap<StageId, Vec<InputRef>> = BTreeMap::new();
        for output in moved {
            stages.entry(output.task.stage).or_default().push(InputRef { output: *output, worker: to });
        }
        for (producer, inputs) in stages {
            for (attempt, worker) in self.readers_of_stage(producer) {
                self.tell(worker, Message::RepointInputs { attempt, inputs: inputs.clone() }, turn);
            }
        }
    }

    /// Live attempts that read the outputs of a stage, and their workers.
    fn readers_of_stage(&self, producer: StageId) -> Vec<(AttemptId, WorkerId)> {
        let Some(job) = self.jobs.get(&producer.job) else { return Vec::new() };
        let consumers = job.stages[producer.index as usize].consumers.iter().map(|index| &job.stages[*index as usize]);
        let tasks = consumers.flat_map(|stage| stage.live.iter().map(|index| &stage.tasks[*index as usize]));
        tasks.flat_map(|task| task.live()).map(|attempt| (attempt.id, attempt.worker)).collect()
    }

    pub(crate) fn outputs_not_copied(
        &mut self,
        receiver: WorkerId,
        from: WorkerId,
        outputs: &[MapOutputId],
        turn: &mut Turn<'_>,
    ) {
        self.extend_lease(receiver, turn.now);
        let Some(drain) = self.roster.get_mut(from).and_then(|worker| worker.drain.as_mut()) else { return };
        drain.answered(receiver, outputs);
        let mut given_up = Vec::new();
        for output in outputs {
            let failures = drain.failures.entry(*output).or_default();
            *failures += 1;
            if *failures >= COPY_FAILURES_MAX {
                given_up.push(*output);
            } else {
                drain.waiting.insert(in_order(*output));
            }
        }
        let held = |output: &MapOutputId| self.roster.get(from).is_some_and(|worker| worker.outputs.contains(output));
        let given_up: Vec<MapOutputId> = given_up.into_iter().filter(held).collect();
        for (job, outputs) in by_job(given_up) {
            self.lose_outputs(job, &outputs, turn);
        }
    }
}
