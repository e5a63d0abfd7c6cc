//! Where one task runs. Pure.
//!
//! A task takes as many slots as it wants, or as many as the largest worker has if that is fewer, on one worker.
//! Among the workers with so many free, the one with most free slots wins, then the one that holds more of the task's
//! inputs, then the lowest id. Workers that failed the task are avoided while another active one exists.
//!
//! A task that needs more than one slot could starve behind narrow ones that take each slot as it falls free.
//! So the first task that has to wait for width reserves the best worker large enough: nothing else is placed there
//! until the task is placed, stops being ready, or the worker leaves. There is one reservation at a time.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use windrow_model::{TaskId, WorkerId};

use crate::worker::Worker;

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
    pub slots: u32,
    /// All slots of a worker, wherever the pool is largest.
    pub whole_worker: bool,
    pub avoid: &'a [WorkerId],
    /// Input outputs by the worker that holds them.
    pub held: &'a BTreeMap<WorkerId, u32>,
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
    /// It would fit on a worker that is kept for another task.
    Reserved(Reservation),
    NoWorkers,
}

pub(crate) fn choose(workers: &BTreeMap<WorkerId, Worker>, reservation: Option<Reservation>, ask: &Ask<'_>) -> Choice {
    let avoided = |worker: &&Worker| ask.avoid.contains(&worker.id);
    let active = || workers.values().filter(|worker| worker.is_active());
    let others_exist = active().any(|worker| !avoided(&worker));
    let eligible = || active().filter(|worker| !others_exist || !avoided(worker));
    let Some(slots_max) = eligible().map(|worker| worker.spec.slots).max() else {
        return Choice::NoWorkers;
    };
    let needed = |worker: &Worker| {
        if ask.whole_worker { worker.spec.slots } else { ask.slots.clamp(1, slots_max) }
    };
    let kept = |worker: &Worker| reservation.is_some_and(|kept| kept.worker == worker.id && kept.task != ask.task);
    let held = |worker: &Worker| ask.held.get(&worker.id).copied().unwrap_or(0);
    let memory = |worker: &Worker| if ask.whole_worker { worker.spec.memory_bytes } else { 0 };

    let fits = || eligible().filter(|worker| worker.slots_free >= needed(worker));
    let best = fits()
        .filter(|worker| !kept(worker))
        .min_by_key(|worker| (Reverse(memory(worker)), Reverse(worker.slots_free), Reverse(held(worker)), worker.id));
    if let Some(worker) = best {
        return Choice::Place { worker: worker.id, slots: needed(worker) };
    }
    if let (Some(kept), Some(_)) = (reservation, fits().next()) {
        return Choice::Reserved(kept);
    }
    let large = || eligible().filter(|worker| worker.spec.slots >= needed(worker));
    let reserve = large().min_by_key(|worker| (Reverse(memory(worker)), Reverse(worker.slots_free), worker.id));
    let needed = reserve.map_or(1, needed);
    let free_max = eligible().map(|worker| worker.slots_free).max().unwrap_or(0);
    let reserve = reserve.filter(|_| needed > 1 && reservation.is_none()).map(|worker| worker.id);
    Choice::Wait { needed, free_max, reserve }
}
