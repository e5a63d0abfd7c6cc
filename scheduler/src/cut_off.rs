//! A worker that the coordinator hears and its peers do not reach gets no tasks for a while. What it runs is taken back,
//! and what it holds for readers is given up, so that the others compute it again.
//!
//! A fetch that meets silence tells against both its ends. The end that misses more others, several or one again and
//! again, is cut off. Signs count once they are older than a lease: by then a peer that has died is known to be dead, and its
//! signs are forgotten with it.

use std::collections::BTreeMap;
use std::time::Duration;

use windrow_model::{Failure, MapOutputId, Timestamp, WorkerId};

use crate::deadlines::Due;
use crate::exclusion;
use crate::job::Reason;
use crate::membership::by_job;
use crate::scheduler::Turn;
use crate::stage::StageRole;
use crate::{Message, Scheduler};

/// A worker that misses so many others is cut off.
const PARTNERS_MIN: usize = 2;

/// So is one that has missed a single other so often: where there are only two, either will do.
const MISSES_MIN: u32 = 3;

/// Signs are forgotten after this: between two of them the outputs that could not be read are computed again, which may
/// take its time.
const SIGNS_KEPT: Duration = Duration::from_secs(15 * 60);

/// Fetches that met silence, by the workers at their ends, the lower id first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unreached {
    misses: BTreeMap<(WorkerId, WorkerId), Miss>,
    /// How often a worker has been cut off.
    times: BTreeMap<WorkerId, u32>,
}

#[derive(Clone, Copy, Debug)]
struct Miss {
    first: Timestamp,
    last: Timestamp,
    count: u32,
}

impl Unreached {
    fn note(&mut self, one: WorkerId, other: WorkerId, now: Timestamp) {
        let fresh = Miss { first: now, last: now, count: 0 };
        let miss = self.misses.entry((one.min(other), one.max(other))).or_insert(fresh);
        miss.last = now;
        miss.count += 1;
    }

    /// Whom a worker misses, and what is known about it.
    fn missed_by(&self, worker: WorkerId) -> impl Iterator<Item = (WorkerId, &Miss)> {
        self.misses.iter().filter_map(move |((one, other), miss)| match worker {
            worker if worker == *one => Some((*other, miss)),
            worker if worker == *other => Some((*one, miss)),
            _ => None,
        })
    }

    /// The signs that are older than `lease` say that the worker is cut off.
    fn is_cut_off(&self, worker: WorkerId, now: Timestamp, lease: Duration) -> bool {
        let old = || self.missed_by(worker).filter(|(_, miss)| now.since(miss.first) >= lease);
        old().count() >= PARTNERS_MIN || old().map(|(_, miss)| miss.count).sum::<u32>() >= MISSES_MIN
    }

    /// Nothing tells against the worker any more.
    fn forgive(&mut self, worker: WorkerId) {
        self.misses.retain(|(one, other), _| *one != worker && *other != worker);
    }

    /// The worker has left.
    pub fn forget(&mut self, worker: WorkerId) {
        self.forgive(worker);
        self.times.remove(&worker);
    }
}

impl Scheduler {
    /// An attempt on `reader` could not read from `holder`, who did not answer.
    pub(crate) fn note_unreached(&mut self, reader: WorkerId, holder: WorkerId, turn: &mut Turn<'_>) {
        if reader == holder || holder == WorkerId::SHUFFLE_STORE || !self.is_there(reader) || !self.is_there(holder) {
            return;
        }
        let (now, lease) = (turn.now, self.limits.lease);
        self.unreached.misses.retain(|_, miss| now.since(miss.last) <= SIGNS_KEPT);
        self.unreached.note(reader, holder, now);
        // The one that misses more others; of two that are alike, the one that was asked for an output.
        let ends = [reader, holder].into_iter().filter(|id| self.unreached.is_cut_off(*id, now, lease));
        if let Some(worker) = ends.max_by_key(|id| self.unreached.missed_by(*id).count()) {
            self.cut_off(worker, turn);
        }
    }

    fn cut_off(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        let partners: Vec<String> = self.unreached.missed_by(id).map(|(other, _)| other.to_string()).collect();
        self.unreached.forgive(id);
        let Some(worker) = self.roster.get(id).filter(|worker| worker.is_active()) else { return };
        let (running, outputs) = (worker.running.clone(), worker.outputs.clone());
        let excluded_until = worker.excluded_until();
        let times = self.unreached.times.entry(id).or_default();
        let ends_at = turn.now + exclusion::span(*times, &self.limits.exclusion);
        *times += 1;
        let until = excluded_until.map_or(ends_at, |earlier| earlier.max(ends_at));
        self.roster.set_excluded(id, Some(until));
        self.deadlines.add(until, Due::ExclusionEnd(id));
        let text = format!(
            "it and {} do not reach each other: what it held is computed again; it gets no tasks for {:.0?}, unless there is no other worker",
            partners.join(", "),
            until.since(turn.now)
        );
        self.explain_worker(id, Reason::new("cut-off", text), turn);
        for attempt in running {
            self.fail_attempt(attempt, Failure::Preempted { worker: id }, turn);
            self.tell(id, Message::CancelAttempt { attempt }, turn);
        }
        for (job, outputs) in by_job(outputs.into_iter().filter(|output| self.is_read_by_tasks(*output))) {
            self.lose_outputs(job, &outputs, turn);
            for output in outputs {
                self.tell(id, Message::CancelAttempt { attempt: output.attempt }, turn);
            }
        }
    }

    /// Rows of a result are read by clients, who may reach whom workers do not.
    pub(crate) fn is_read_by_tasks(&self, output: MapOutputId) -> bool {
        let stage = self.jobs.get(&output.task.stage.job).and_then(|job| job.stage(output.task.stage));
        stage.is_some_and(|stage| stage.role != StageRole::Result)
    }
}
