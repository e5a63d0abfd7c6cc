//! Where one task runs. Pure.
//!
//! A task takes as many slots as it wants, or as many as the largest worker has if that is fewer, on one worker. Where
//! it is known to hold more memory than those have a share of, it takes as many more.
//! Among the workers with so many free, the one with most free slots wins, then the one that holds more of the task's
//! inputs, then the lowest id. Workers that failed the task are avoided while another one exists.
//!
//! A slow worker (`pace`) comes after all others, and gets the task only if those that run others of its stage would not
//! be through with all that wait before it. That is for tasks of one slot.
//!
//! A task that needs more than one slot could starve behind narrow ones that take each slot as it falls free.
//! So the first task that has to wait for width reserves the best worker large enough: nothing else is placed there
//! until the task is placed, stops being ready, or the worker leaves. There is one reservation at a time.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use windrow_model::{TaskId, WorkerId};

use crate::backlog::Wish;
use crate::seats::Seats;
use crate::worker::{Roster, Worker};

/// Workers with equally many free slots that are compared for the inputs they hold: near data is a wish, and looking
/// at every idle worker of a large cluster would cost more than it saves.
const COMPARED_MAX: usize = 64;

/// One worker kept free for one wide task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub task: TaskId,
    pub worker: WorkerId,
}

/// What a task asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub task: TaskId,
    pub wish: &'a Wish,
    /// Never there, even if there is no other worker.
    pub not_on: Option<WorkerId>,
    /// Input outputs by the worker that holds them.
    pub held: &'a BTreeMap<WorkerId, u32>,
    /// Tasks of its stage that wait, it among them.
    pub waiting: u32,
    /// Live attempts of its stage.
    pub running: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Place {
        worker: WorkerId,
        slots: u32,
    },
    /// `reserve` is the worker to keep free for it, if it waits for width.
    Wait {
        needed: u32,
        free_max: u32,
        reserve: Option<WorkerId>,
    },
    /// It needs one slot and would fit on slow workers, and the others are sooner through with it.
    LeftToOthers,
    /// It would fit on a worker that is kept for another task.
    Reserved {
        needed: u32,
        kept: Reservation,
    },
    NoWorkers,
}

pub(crate) fn choose(roster: &Roster, reservation: Option<Reservation>, ask: &Ask<'_>) -> Choice {
    let search = Search::new(roster, reservation, ask);
    if ask.wish.whole_worker { search.whole_worker() } else { search.slots() }
}

/// One question, and the rules that say which workers it may be answered with.
struct Search<'a> {
    roster: &'a Roster,
    seats: &'a Seats,
    reservation: Option<Reservation>,
    ask: &'a Ask<'a>,
    /// There are workers that the task does not avoid.
    picky: bool,
    /// Slots that run tasks of the stage and could take this one next, if there are slow workers: about so many, for not
    /// all of them need to be on others.
    others: u32,
}

impl<'a> Search<'a> {
    fn new(roster: &'a Roster, reservation: Option<Reservation>, ask: &'a Ask<'a>) -> Self {
        let seats = roster.seats();
        let seated = |id: &&WorkerId| roster.get(**id).is_some_and(|worker| seats.has(worker.slots_free(), **id));
        let avoided = ask.wish.avoid.iter().filter(seated).count();
        // A task that avoids workers takes what it gets.
        let has_others = roster.has_slow() && ask.wish.avoid.is_empty();
        let others = if has_others { ask.running.min(roster.fast_slots()) } else { 0 };
        Search { roster, seats, reservation, ask, picky: avoided < seats.len(), others }
    }

    fn is_eligible(&self, id: WorkerId) -> bool {
        self.ask.not_on != Some(id) && (!self.picky || !self.ask.wish.avoid.contains(&id))
    }

    /// Kept for another task.
    fn is_kept(&self, id: WorkerId) -> bool {
        self.reservation.is_some_and(|kept| kept.worker == id && kept.task != self.ask.task)
    }

    fn is_slow(&self, id: WorkerId) -> bool {
        self.roster.slow_times(id).is_some()
    }

    /// Nothing is said against it but its free slots.
    fn may(&self, wanted: u32, id: WorkerId) -> bool {
        !self.is_kept(id) && !self.is_left_out(wanted, id)
    }

    /// So slow that others, which take one task after the other, are through with all that wait before it is with one.
    /// A wide task takes what it gets: the others would have to be kept free for it.
    fn is_left_out(&self, wanted: u32, id: WorkerId) -> bool {
        let Some(times) = self.roster.slow_times(id).filter(|_| self.needed(wanted, id) == 1) else { return false };
        u64::from(self.ask.waiting) < u64::from(times - 1) * u64::from(self.others)
    }

    fn held(&self, id: WorkerId) -> u32 {
        self.ask.held.get(&id).copied().unwrap_or(0)
    }

    fn slots(&self) -> Choice {
        let Some((slots_max, _)) = self.seats.by_slots().find(|(_, id)| self.is_eligible(*id)) else {
            return Choice::NoWorkers;
        };
        let wanted = self.ask.wish.slots.clamp(1, slots_max);
        let wide_enough = || self.eligible().take_while(|(free, _)| *free >= wanted);
        let fits = || wide_enough().filter(|(free, id)| *free >= self.needed(wanted, *id));
        let slow = || self.roster.has_slow().then(|| fits().find(|(_, id)| self.may(wanted, *id))).flatten();
        if let Some((free, first)) = fits().find(|(_, id)| self.may(wanted, *id) && !self.is_slow(*id)).or_else(slow) {
            let worker = self.nearest(wanted, free, first);
            return Choice::Place { worker, slots: self.needed(wanted, worker) };
        }
        let needed = match self.ask.wish.memory_bytes {
            0 => wanted,
            _ => self.eligible().map(|(_, id)| self.needed(wanted, id)).min().unwrap_or(wanted),
        };
        if fits().any(|(_, id)| !self.is_kept(id)) {
            return Choice::LeftToOthers;
        }
        if let (Some(kept), Some(_)) = (self.reservation, fits().next()) {
            return Choice::Reserved { needed, kept };
        }
        let free_max = self.eligible().next().map_or(0, |(free, _)| free);
        let large = |id: &WorkerId| self.roster.get(*id).is_some_and(|worker| worker.spec.slots >= needed);
        let waits_for_width = needed > 1 && self.reservation.is_none();
        let reserve = self.eligible().map(|(_, id)| id).filter(|_| waits_for_width).find(large);
        Choice::Wait { needed, free_max, reserve }
    }

    /// Slots that the task takes of a worker: no more than that has, unless more are wanted whatever it holds.
    fn needed(&self, wanted: u32, id: WorkerId) -> u32 {
        let memory_bytes = self.ask.wish.memory_bytes;
        let Some(worker) = self.roster.get(id).filter(|_| memory_bytes > 0) else { return wanted };
        let slot_bytes = worker.spec.memory_bytes / u64::from(worker.spec.slots.max(1));
        let for_memory = memory_bytes.div_ceil(slot_bytes.max(1)).min(u64::from(worker.spec.slots));
        wanted.max(for_memory as u32)
    }

    /// Eligible workers, most free slots first.
    fn eligible(&self) -> impl Iterator<Item = (u32, WorkerId)> + '_ {
        self.seats.by_free().filter(|(_, id)| self.is_eligible(*id))
    }

    /// Of the workers with `free` slots, the one that holds most inputs; `first` is the one with the lowest id.
    fn nearest(&self, wanted: u32, free: u32, first: WorkerId) -> WorkerId {
        if self.ask.held.is_empty() {
            return first;
        }
        let is_seat = |id: WorkerId| self.seats.has(free, id) && free >= self.needed(wanted, id);
        let is_alike = |id: WorkerId| self.is_slow(id) == self.is_slow(first);
        let may = |id: &WorkerId| is_seat(*id) && self.is_eligible(*id) && self.may(wanted, *id) && is_alike(*id);
        let near = |id: &WorkerId| (Reverse(self.held(*id)), *id);
        if self.ask.held.len() <= COMPARED_MAX {
            return self.ask.held.keys().copied().filter(may).min_by_key(near).unwrap_or(first);
        }
        let equal = self.seats.by_free().skip_while(|seat| *seat != (free, first)).take_while(|seat| seat.0 == free);
        equal.map(|(_, id)| id).take(COMPARED_MAX).filter(may).min_by_key(near).unwrap_or(first)
    }

    /// Rare, so it looks at every worker.
    fn whole_worker(&self) -> Choice {
        let workers = || self.eligible().filter_map(|(_, id)| self.roster.get(id));
        let order = |worker: &&Worker| {
            let (memory, free) = (worker.spec.memory_bytes, worker.slots_free());
            (Reverse(memory), Reverse(free), Reverse(self.held(worker.id)), worker.id)
        };
        let idle = || workers().filter(|worker| worker.slots_free() == worker.spec.slots);
        if let Some(worker) = idle().filter(|worker| !self.is_kept(worker.id)).min_by_key(order) {
            return Choice::Place { worker: worker.id, slots: worker.spec.slots };
        }
        let Some(best) = workers().min_by_key(order) else { return Choice::NoWorkers };
        let needed = best.spec.slots;
        if let (Some(kept), Some(_)) = (self.reservation, idle().next()) {
            return Choice::Reserved { needed, kept };
        }
        let free_max = workers().map(Worker::slots_free).max().unwrap_or(0);
        let reserve = Some(best.id).filter(|_| needed > 1 && self.reservation.is_none());
        Choice::Wait { needed, free_max, reserve }
    }
}
