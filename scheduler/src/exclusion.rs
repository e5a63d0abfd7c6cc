//! Places that keep losing workers, or that fail what works elsewhere, get no tasks for a while.
//!
//! A place is known by the name of its workers, because a worker that comes back has a new id.
//! An excluded worker still gets tasks while there is no other: see `worker::Roster::seats`.

use std::collections::BTreeMap;
use std::time::Duration;

use windrow_model::{Exclusion, TaskId, Timestamp, WorkerId};

use crate::Scheduler;
use crate::deadlines::Due;
use crate::job::Reason;
use crate::scheduler::Turn;

/// Names that are remembered before old ones are looked for to forget.
const PLACES_KEPT: usize = 1_000;

/// Doublings of the first exclusion that are counted; the longest exclusion is reached long before.
const DOUBLINGS_MAX: u32 = 20;

#[derive(Clone, Debug, Default)]
pub(crate) struct Places(BTreeMap<String, Place>);

#[derive(Clone, Debug, Default)]
struct Place {
    /// Recent losses, oldest first.
    losses: Vec<Timestamp>,
    /// Tasks that failed here and then succeeded elsewhere, with the time of the success.
    failures: BTreeMap<TaskId, Timestamp>,
    /// Exclusions in a row.
    times: u32,
    excluded_until: Timestamp,
    why: String,
}

impl Places {
    /// Counts the loss of a worker. `true` if the place is excluded for it.
    pub fn note_loss(&mut self, name: &str, now: Timestamp, limits: &Exclusion) -> bool {
        self.forget_old(now, limits);
        let place = self.0.entry(name.to_owned()).or_default();
        place.forgive(now, limits);
        place.losses.push(now);
        let losses = place.losses.len();
        // Once it was excluded, each further loss excludes it again, for longer.
        if limits.losses == 0 || (place.times == 0 && losses < limits.losses as usize) {
            return false;
        }
        place.exclude(now, limits, format!("it was lost {losses} times within {:?}", limits.within));
        true
    }

    /// Counts a task that failed here and succeeded elsewhere. `true` if the place is excluded for it.
    fn note_failure(&mut self, name: &str, task: TaskId, now: Timestamp, limits: &Exclusion) -> bool {
        self.forget_old(now, limits);
        let place = self.0.entry(name.to_owned()).or_default();
        place.forgive(now, limits);
        place.failures.insert(task, now);
        let failures = place.failures.len();
        if limits.failures == 0 || failures < limits.failures as usize {
            return false;
        }
        place.failures.clear();
        place.exclude(now, limits, format!("{failures} tasks failed on it and succeeded elsewhere"));
        true
    }

    /// Until when a place is excluded, and why.
    fn excluded(&self, name: &str, now: Timestamp) -> Option<(Timestamp, &str)> {
        let place = self.0.get(name).filter(|place| place.excluded_until > now)?;
        Some((place.excluded_until, &place.why))
    }

    fn forget_old(&mut self, now: Timestamp, limits: &Exclusion) {
        if self.0.len() >= PLACES_KEPT {
            self.0.retain(|_, place| {
                place.forgive(now, limits);
                place.times > 0 || !place.losses.is_empty() || !place.failures.is_empty()
            });
        }
    }
}

impl Place {
    /// Forgets what is too long ago to count.
    fn forgive(&mut self, now: Timestamp, limits: &Exclusion) {
        if now.since(self.excluded_until) > limits.within {
            self.times = 0;
        }
        let recent = |at: &Timestamp| now.since(*at) <= limits.within;
        self.losses.retain(recent);
        self.failures.retain(|_, at| recent(at));
    }

    fn exclude(&mut self, now: Timestamp, limits: &Exclusion, why: String) {
        self.excluded_until = now + span(self.times, limits);
        self.times += 1;
        self.why = why;
    }
}

/// How long an exclusion lasts after so many before it.
pub(crate) fn span(times: u32, limits: &Exclusion) -> Duration {
    limits.first.saturating_mul(1 << times.min(DOUBLINGS_MAX)).min(limits.max)
}

impl Scheduler {
    /// A worker of this name was lost.
    pub(crate) fn note_loss(&mut self, name: &str, turn: &mut Turn<'_>) {
        if self.places.note_loss(name, turn.now, &self.limits.exclusion) {
            self.exclude_present(name, turn);
        }
    }

    /// A task has succeeded: the workers it failed on before may be at fault.
    pub(crate) fn blame_places(&mut self, id: TaskId, turn: &mut Turn<'_>) {
        let Some(task) = self.task_of(id).filter(|task| !task.trouble().failed_on.is_empty()) else { return };
        if task.trouble().is_own_fault() {
            return;
        }
        let name = |worker: &WorkerId| self.roster.get(*worker).map(|worker| worker.spec.name.clone());
        let succeeded_at = task.last_success().and_then(|attempt| name(&attempt.worker));
        let failed_at: Vec<String> = task.trouble().failed_on.iter().filter_map(name).collect();
        for name in failed_at.into_iter().filter(|name| Some(name) != succeeded_at.as_ref()) {
            if self.places.note_failure(&name, id, turn.now, &self.limits.exclusion) {
                self.exclude_present(&name, turn);
            }
        }
    }

    fn exclude_present(&mut self, name: &str, turn: &mut Turn<'_>) {
        let here = self.roster.values().filter(|worker| worker.is_present() && worker.spec.name == name);
        let here: Vec<WorkerId> = here.map(|worker| worker.id).collect();
        for worker in here {
            self.exclude_if_due(worker, turn);
        }
    }

    /// A worker of an excluded name gets no tasks, and says why.
    pub(crate) fn exclude_if_due(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        let Some(worker) = self.roster.get(id).filter(|worker| worker.is_active()) else { return };
        let Some((until, why)) = self.places.excluded(&worker.spec.name, turn.now) else { return };
        let text =
            format!("{why}; it gets no tasks for {:.0?}, unless there is no other worker", until.since(turn.now));
        self.roster.set_excluded(id, Some(until));
        self.deadlines.add(until, Due::ExclusionEnd(id));
        self.explain_worker(id, Reason::new("excluded", text), turn);
    }

    pub(crate) fn exclusion_ended(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        let Some(worker) = self.roster.present(id) else { return };
        if worker.excluded_until().is_none_or(|until| until > turn.now) {
            return;
        }
        let active = worker.is_active();
        self.roster.set_excluded(id, None);
        if active {
            self.explain_worker(id, Reason::new("readmitted", "its exclusion has ended"), turn);
        }
    }
}
