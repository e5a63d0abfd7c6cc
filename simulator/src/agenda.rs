//! What is going to happen, in the order of virtual time. Two things at the same time happen in the order they were
//! planned, so that a run depends on nothing but its seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use windrow_model::Timestamp;

use crate::event::Event;

#[derive(Default)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Reverse<Entry>>,
    planned: u64,
}

struct Entry {
    at: Timestamp,
    nth: u64,
    event: Event,
}

impl Agenda {
    pub fn plan(&mut self, at: Timestamp, event: Event) {
        self.planned += 1;
        self.heap.push(Reverse(Entry { at, nth: self.planned, event }));
    }

    /// Takes the next event.
    pub fn pop(&mut self) -> Option<(Timestamp, Event)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.nth == other.nth
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.nth).cmp(&(other.at, other.nth))
    }
}
