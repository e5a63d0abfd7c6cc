//! A worker as the scheduler sees it, and all workers with what is known about them by their state.

use std::collections::{BTreeMap, BTreeSet};

use windrow_model::{AttemptId, MapOutputId, Timestamp, WorkerId, WorkerState};

use crate::WorkerSpec;
use crate::drain::Drain;
use crate::job::Reason;
use crate::pace::Pace;
use crate::seats::Seats;

#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub id: WorkerId,
    pub spec: WorkerSpec,
    pub since: Timestamp,
    pub reason: Reason,
    pub lease_ends_at: Timestamp,
    pub running: BTreeSet<AttemptId>,
    /// Outputs it holds that somebody still needs; those it is expected to hold while it is awaited.
    pub outputs: BTreeSet<MapOutputId>,
    /// A look at attempts that do not move is due some time.
    pub watched: bool,
    pub drain: Option<Box<Drain>>,
    // What the roster's index depends on is changed by the roster only.
    state: WorkerState,
    slots_free: u32,
    excluded_until: Option<Timestamp>,
    pace: Pace,
}

impl Worker {
    pub fn new(id: WorkerId, spec: WorkerSpec, state: WorkerState, now: Timestamp, lease_ends_at: Timestamp) -> Self {
        let slots = spec.slots.max(1);
        Worker {
            id,
            spec: WorkerSpec { slots, ..spec },
            since: now,
            reason: Reason::new("registered", "registered"),
            lease_ends_at,
            running: BTreeSet::new(),
            outputs: BTreeSet::new(),
            watched: false,
            drain: None,
            state,
            slots_free: slots,
            excluded_until: None,
            pace: Pace::default(),
        }
    }

    pub fn state(&self) -> WorkerState {
        self.state
    }

    pub fn slots_free(&self) -> u32 {
        self.slots_free
    }

    /// Until then it gets tasks only while there is no other worker.
    pub fn excluded_until(&self) -> Option<Timestamp> {
        self.excluded_until
    }

    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Accepts tasks.
    pub fn is_active(&self) -> bool {
        self.state == WorkerState::Active
    }

    /// Can be talked to, or may come back.
    pub fn is_present(&self) -> bool {
        match self.state {
            WorkerState::Joining | WorkerState::Active | WorkerState::Draining => true,
            WorkerState::Gone | WorkerState::Lost => false,
        }
    }

    /// Known from the journal; it has not come back since this leader took over.
    pub fn is_awaited(&self) -> bool {
        self.state == WorkerState::Joining
    }
}

/// What is known about workers by their state; kept up to date by the roster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Index {
    /// Active and not excluded.
    usable: Seats,
    /// Active and excluded.
    excluded: Seats,
    draining: BTreeSet<WorkerId>,
    awaited: BTreeSet<WorkerId>,
    /// Active, and how many times as long as the others they take.
    slow: BTreeMap<WorkerId, u32>,
}

/// All workers, present and recently departed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster {
    workers: BTreeMap<WorkerId, Worker>,
    index: Index,
    /// Workers that got free slots and were not looked at since.
    freed: Vec<WorkerId>,
    /// Workers get tasks that did not, or the other way round, or offer something else, and nobody has looked since.
    members_changed: bool,
}

impl Roster {
    pub fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.get(&id)
    }

    pub fn get_mut(&mut self, id: WorkerId) -> Option<&mut Worker> {
        self.workers.get_mut(&id)
    }

    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Worker> {
        self.workers.values()
    }

    pub fn present(&self, id: WorkerId) -> Option<&Worker> {
        self.get(id).filter(|worker| worker.is_present())
    }

    /// The workers that get tasks. An excluded one does only while there is no other.
    pub fn seats(&self) -> &Seats {
        if self.index.usable.is_empty() { &self.index.excluded } else { &self.index.usable }
    }

    /// Free slots of a worker that gets tasks.
    pub fn seat(&self, id: WorkerId) -> Option<u32> {
        let free = self.get(id)?.slots_free;
        self.seats().has(free, id).then_some(free)
    }

    /// A worker that got free slots since it was looked at.
    pub fn next_freed(&mut self) -> Option<WorkerId> {
        self.freed.pop()
    }

    /// Since it was asked last, workers get tasks that did not, or the other way round, or offer something else.
    pub fn members_changed(&mut self) -> bool {
        std::mem::take(&mut self.members_changed)
    }

    /// The most free slots of an excluded worker that is passed over.
    pub fn excluded_free_max(&self) -> u32 {
        if self.index.usable.is_empty() { 0 } else { self.index.excluded.free_max() }
    }

    pub fn has_active(&self) -> bool {
        !self.index.usable.is_empty() || !self.index.excluded.is_empty()
    }

    /// How many times as long as the others an active worker takes, if it is slow.
    pub fn slow_times(&self, id: WorkerId) -> Option<u32> {
        self.index.slow.get(&id).copied()
    }

    /// Slow workers that get tasks.
    pub fn slow_seats(&self) -> impl Iterator<Item = &Worker> + '_ {
        let slow = self.index.slow.keys().filter_map(|id| self.get(*id));
        slow.filter(|worker| self.seats().has(worker.slots_free, worker.id))
    }

    pub fn has_slow(&self) -> bool {
        !self.index.slow.is_empty()
    }

    /// Slots of the workers that get tasks and are not slow, free or not.
    pub fn fast_slots(&self) -> u32 {
        self.seats().slots() - self.slow_seats().map(|worker| worker.spec.slots).sum::<u32>()
    }

    pub fn draining(&self) -> &BTreeSet<WorkerId> {
        &self.index.draining
    }

    pub fn awaited(&self) -> &BTreeSet<WorkerId> {
        &self.index.awaited
    }

    pub fn insert(&mut self, worker: Worker) {
        self.index.insert(&worker);
        self.workers.insert(worker.id, worker);
        self.members_changed = true;
    }

    pub fn forget(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.remove(&id) {
            self.index.remove(&worker);
            self.members_changed = true;
        }
    }

    pub fn set_state(&mut self, id: WorkerId, state: WorkerState) {
        self.change(id, |worker| worker.state = state);
        self.members_changed = true;
    }

    pub fn set_excluded(&mut self, id: WorkerId, until: Option<Timestamp>) {
        self.change(id, |worker| worker.excluded_until = until);
        self.members_changed = true;
    }

    pub fn change_pace(&mut self, id: WorkerId, change: impl FnOnce(&mut Pace)) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let was = worker.pace.slow_times();
        change(&mut worker.pace);
        if worker.pace.slow_times() != was {
            self.index.change_pace(worker);
            self.members_changed = true;
        }
    }

    /// An awaited worker tells what it offers.
    pub fn set_spec(&mut self, id: WorkerId, spec: WorkerSpec) {
        self.change(id, |worker| {
            let slots = spec.slots.max(1);
            worker.spec = WorkerSpec { slots, ..spec };
            worker.slots_free = slots;
        });
        self.members_changed = true;
    }

    pub fn grant(&mut self, id: WorkerId, slots: u32, attempt: AttemptId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let free = worker.slots_free;
        worker.slots_free = free.checked_sub(slots).expect("I-2: granted slots fit the worker");
        worker.running.insert(attempt);
        self.index.change_free(worker, free);
    }

    pub fn give_back(&mut self, id: WorkerId, slots: u32, attempt: AttemptId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let free = worker.slots_free;
        worker.slots_free = free + slots;
        worker.running.remove(&attempt);
        self.index.change_free(worker, free);
        self.freed.push(id);
    }

    /// The index is what it is when it is made anew.
    pub fn is_index_right(&self) -> bool {
        let mut fresh = Index::default();
        self.workers.values().for_each(|worker| fresh.insert(worker));
        fresh == self.index
    }

    fn change(&mut self, id: WorkerId, change: impl FnOnce(&mut Worker)) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        self.index.remove(worker);
        change(worker);
        self.index.insert(worker);
    }
}

impl Index {
    /// Slots of a worker were taken or given back; `was` is how many were free before.
    fn change_free(&mut self, worker: &Worker, was: u32) {
        match (worker.state, worker.excluded_until) {
            (WorkerState::Active, None) => self.usable.change_free(worker.id, was, worker.slots_free),
            (WorkerState::Active, Some(_)) => self.excluded.change_free(worker.id, was, worker.slots_free),
            (WorkerState::Joining | WorkerState::Draining | WorkerState::Gone | WorkerState::Lost, _) => {}
        }
    }

    fn change_pace(&mut self, worker: &Worker) {
        match worker.pace.slow_times().filter(|_| worker.is_active()) {
            Some(times) => self.slow.insert(worker.id, times),
            None => self.slow.remove(&worker.id),
        };
    }

    fn insert(&mut self, worker: &Worker) {
        self.change_pace(worker);
        match (worker.state, worker.excluded_until) {
            (WorkerState::Active, None) => self.usable.insert(worker),
            (WorkerState::Active, Some(_)) => self.excluded.insert(worker),
            (WorkerState::Joining, _) => {
                self.awaited.insert(worker.id);
            }
            (WorkerState::Draining, _) => {
                self.draining.insert(worker.id);
            }
            (WorkerState::Gone | WorkerState::Lost, _) => {}
        }
    }

    fn remove(&mut self, worker: &Worker) {
        self.slow.remove(&worker.id);
        match (worker.state, worker.excluded_until) {
            (WorkerState::Active, None) => self.usable.remove(worker),
            (WorkerState::Active, Some(_)) => self.excluded.remove(worker),
            (WorkerState::Joining, _) => {
                self.awaited.remove(&worker.id);
            }
            (WorkerState::Draining, _) => {
                self.draining.remove(&worker.id);
            }
            (WorkerState::Gone | WorkerState::Lost, _) => {}
        }
    }
}
