//! Tasks of one stage that wait for a place. Tasks that ask for the same stand in one line, so that finding the first
//! one that fits costs as much as there are different wishes, not as there are tasks.

use std::collections::{BTreeMap, BTreeSet};

use windrow_model::WorkerId;

/// What a task asks of a worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wish {
    pub slots: u32,
    /// Slots that have a share of so many bytes of the worker's memory, if that is more slots.
    pub memory_bytes: u64,
    /// All slots of a worker, wherever the memory pool is largest.
    pub whole_worker: bool,
    /// Workers that failed it: others are preferred.
    pub avoid: Vec<WorkerId>,
}

/// Order of waiting tasks within a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// Its output was there and is gone: others wait for it.
    Rerun,
    Normal,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Backlog {
    lines: BTreeMap<Wish, BTreeSet<(Urgency, u32)>>,
    len: usize,
}

impl Backlog {
    pub fn insert(&mut self, wish: Wish, urgency: Urgency, index: u32) {
        self.len += usize::from(self.lines.entry(wish).or_default().insert((urgency, index)));
    }

    /// `wish` and `urgency` are those it was inserted with.
    pub fn remove(&mut self, wish: &Wish, urgency: Urgency, index: u32) {
        let Some(line) = self.lines.get_mut(wish) else { return };
        self.len -= usize::from(line.remove(&(urgency, index)));
        if line.is_empty() {
            self.lines.remove(wish);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The first task of each line, in the order in which they should be placed.
    pub fn heads(&self) -> Vec<(u32, &Wish)> {
        let heads = self.lines.iter().filter_map(|(wish, line)| Some((*line.first()?, wish)));
        let mut heads: Vec<_> = heads.collect();
        heads.sort_by_key(|(head, _)| *head);
        heads.into_iter().map(|((_, index), wish)| (index, wish)).collect()
    }

    /// Every waiting task.
    pub fn tasks(&self) -> impl Iterator<Item = (Urgency, u32)> + '_ {
        self.lines.values().flatten().copied()
    }
}
