//! The leader dies, streams break, workers come back: what the random shell does to itself.

use std::collections::BTreeMap;
use std::time::Duration;

use windrow_model::*;
use windrow_scheduler::*;

use crate::world::{Choice, World, random_output};

impl World {
    /// A worker that cannot be heard goes on working.
    pub fn finish_unheard(&mut self, a: u32, b: u32) {
        if self.away.is_empty() {
            return;
        }
        let fake = self.cluster.fakes.get(self.away[a as usize % self.away.len()]);
        if let Some(attempt) = fake.running.keys().nth(b as usize % 3).copied() {
            fake.finish(attempt, random_output(b));
        }
    }

    /// The worker's stream breaks: what it was told last may be lost, and it comes back later.
    pub fn break_stream(&mut self, worker: WorkerId) {
        self.cluster.fakes.muted.insert(worker);
        self.away.push(worker);
    }

    /// A worker comes back with what it has.
    pub fn come_back(&mut self, a: u32) {
        if self.away.is_empty() {
            return;
        }
        let worker = self.away.remove(a as usize % self.away.len());
        self.cluster.fakes.muted.remove(&worker);
        if !self.cluster.core.may_reattach(worker) {
            *self.cluster.fakes.get(worker) = Default::default();
            return self.register(1 + a % 4);
        }
        let spec = self.cluster.core.worker(worker).expect("a present worker").spec().clone();
        let inventory = self.cluster.fakes.get(worker).inventory();
        self.step(Input::WorkerReattached { worker, spec, inventory });
    }

    /// The leader dies and a new one starts from the journal. Some workers die too; the others come back in time.
    pub fn fail_over(&mut self, a: u32, b: u32) {
        if b.is_multiple_of(2) {
            self.die_within((13 + (b % 30) as u8, a, b), a);
        } else {
            self.die(a);
        }
        for worker in self.away.clone() {
            if (b >> 8).wrapping_add(worker.0 as u32).is_multiple_of(4) {
                *self.cluster.fakes.get(worker) = Default::default();
                self.away.retain(|away| *away != worker);
            }
        }
    }

    /// The leader dies within a step: what it has persisted of it, nobody was told.
    pub fn die_within(&mut self, choice: Choice, a: u32) {
        let (durable, before) = (self.cluster.durable, self.cluster.journal.len());
        self.untold = true;
        if choice.0 % 50 != 39 {
            self.act(choice);
        }
        self.untold = false;
        let cuts: Vec<usize> = if self.cluster.durable > before {
            // Records that must be durable first are written in one piece.
            (durable..=before).chain(self.cluster.durable..=self.cluster.journal.len()).collect()
        } else {
            (durable..=self.cluster.journal.len()).collect()
        };
        self.start_new_leader(cuts[a as usize % cuts.len()]);
    }

    /// The leader dies between two steps. Records that nobody waited for may not have become durable.
    pub fn die(&mut self, a: u32) {
        let (durable, written) = (self.cluster.durable, self.cluster.journal.len());
        self.start_new_leader(durable + a as usize % (written - durable + 1));
    }

    fn start_new_leader(&mut self, records: usize) {
        let alive = self.workers_in(|state| !matches!(state, WorkerState::Lost | WorkerState::Gone));
        // A loss after a job's end may lag like any other.
        let complete = records == self.cluster.journal.len();
        let first = self.cluster.epoch == 1;
        let before = if complete { crate::random::ended_jobs(&self.cluster.core, first) } else { BTreeMap::new() };
        self.counted_on = self.intact_outputs();
        self.cluster.recover(records);
        self.plans.clear();
        self.commits.clear();
        self.cluster.fakes.muted.clear();
        self.away = alive;
        self.tick(Duration::ZERO);
        let after = crate::random::ended_jobs(&self.cluster.core, first);
        for (job, view) in before {
            if let Some(after) = after.get(&job) {
                assert_eq!(*after, view, "{job} has changed");
            }
        }
    }

    /// Outputs that workers hold and that the leader counts on, or would if it had heard of them.
    pub fn intact_outputs(&mut self) -> BTreeMap<TaskId, MapOutputId> {
        let mut intact = BTreeMap::new();
        let alive = self.workers_in(|state| matches!(state, WorkerState::Active | WorkerState::Draining));
        for worker in alive {
            for (attempt, (task, _)) in self.cluster.fakes.get(worker).finished.clone() {
                if self.is_counted_on(task, attempt) {
                    intact.insert(task, MapOutputId { task, attempt });
                }
            }
        }
        intact
    }

    fn is_counted_on(&self, id: TaskId, attempt: AttemptId) -> bool {
        let job = self.cluster.core.job(id.stage.job);
        let stage = job.and_then(|job| job.stages().nth(id.stage.index as usize));
        let Some(task) = stage.and_then(|stage| stage.tasks().nth(id.index as usize)) else { return false };
        let known = task.attempts().find(|known| known.id() == attempt);
        known.is_some_and(|known| match known.state() {
            AttemptState::Assigned | AttemptState::Running => true,
            AttemptState::Succeeded => task.is_available() && !known.is_output_lost(),
            AttemptState::Failed | AttemptState::Cancelled | AttemptState::Lost => false,
        })
    }
}
