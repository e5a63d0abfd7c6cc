//! The workers that get tasks, by what is asked about them for every task.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use windrow_model::{ClusterShape, WorkerId};

use crate::worker::Worker;

/// Active workers, by what placement and planning ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seats {
    by_free: BTreeSet<(Reverse<u32>, WorkerId)>,
    by_slots: BTreeSet<(u32, WorkerId)>,
    by_memory: BTreeSet<(u64, WorkerId)>,
    slots: u32,
}

impl Seats {
    pub fn len(&self) -> usize {
        self.by_free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_free.is_empty()
    }

    /// Free slots and worker: most free slots first, then the lowest id.
    pub fn by_free(&self) -> impl Iterator<Item = (u32, WorkerId)> + '_ {
        self.by_free.iter().map(|(Reverse(free), id)| (*free, *id))
    }

    pub fn free_max(&self) -> u32 {
        self.by_free.first().map_or(0, |(Reverse(free), _)| *free)
    }

    /// Slots and worker, most slots first.
    pub fn by_slots(&self) -> impl Iterator<Item = (u32, WorkerId)> + '_ {
        self.by_slots.iter().rev().copied()
    }

    /// Of all workers together, free or not.
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// What planning may know; `None` without workers.
    pub fn shape(&self) -> Option<ClusterShape> {
        Some(ClusterShape {
            workers: self.len() as u32,
            slots: self.slots,
            slots_max: self.by_slots.last()?.0,
            memory_bytes_min: self.by_memory.first()?.0,
        })
    }

    /// Slots of the smallest worker.
    pub fn slots_min(&self) -> u32 {
        self.by_slots.first().map_or(0, |(slots, _)| *slots)
    }

    pub fn has(&self, free: u32, id: WorkerId) -> bool {
        self.by_free.contains(&(Reverse(free), id))
    }

    pub fn insert(&mut self, worker: &Worker) {
        self.by_free.insert((Reverse(worker.slots_free()), worker.id));
        self.by_slots.insert((worker.spec.slots, worker.id));
        self.by_memory.insert((worker.spec.memory_bytes, worker.id));
        self.slots += worker.spec.slots;
    }

    pub fn remove(&mut self, worker: &Worker) {
        self.by_free.remove(&(Reverse(worker.slots_free()), worker.id));
        self.by_slots.remove(&(worker.spec.slots, worker.id));
        self.by_memory.remove(&(worker.spec.memory_bytes, worker.id));
        self.slots -= worker.spec.slots;
    }

    /// Slots of a worker were taken or given back.
    pub fn change_free(&mut self, worker: WorkerId, was: u32, is: u32) {
        self.by_free.remove(&(Reverse(was), worker));
        self.by_free.insert((Reverse(is), worker));
    }
}
