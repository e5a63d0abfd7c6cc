//! Which workers are slower than others, as their attempts tell.
//!
//! What an attempt took is compared with the median of its stage. A worker of whose latest attempts half or more took
//! twice as long is slow. Others are preferred, and while others run tasks of a stage it gets one of them only if so
//! many wait that it is through with it before the others are through with the rest (`placement`).
//! One that has shown nothing for a while is believed to be like the others again.

use std::time::Duration;

use windrow_model::{AttemptId, TaskId, Timestamp, WorkerId};

use crate::Scheduler;
use crate::job::Reason;
use crate::scheduler::Turn;
use crate::worker::Worker;

/// Attempts that are remembered of a worker.
const KEPT: usize = 8;
/// So many say something.
const KNOWN_MIN: usize = 6;

/// Attempts of other tasks that must have succeeded for a median to say something.
const OTHERS_MIN: u32 = 3;

/// Attempts that took so much longer than the median, or less, took as long: a thread waits for its turn, a disk for
/// its head.
const NOISE: Duration = Duration::from_millis(20);

/// How long it is believed to be slow without running anything.
const MEMORY: Duration = Duration::from_secs(60);

/// From here on a worker is slow: times as long as the median.
const SLOW_MIN: u32 = 2;
/// More is not told apart.
const TIMES_MAX: u32 = 64;

/// How long the latest attempts of a worker took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Whole times the median of the stage: a ring.
    times: [u32; KEPT],
    added: usize,
    at: Timestamp,
    slow_times: Option<u32>,
}

impl Pace {
    fn add(&mut self, times: u32, at: Timestamp) {
        self.times[self.added % KEPT] = times;
        self.added += 1;
        self.at = at;
        let mut known = self.times;
        let known = &mut known[..self.added.min(KEPT)];
        known.sort_unstable();
        let median = known[(known.len() - 1) / 2];
        self.slow_times = Some(median).filter(|median| known.len() >= KNOWN_MIN && *median >= SLOW_MIN);
    }

    /// How many times as long as others it takes, if it is slow: the lower median of what is remembered.
    pub fn slow_times(&self) -> Option<u32> {
        self.slow_times
    }

    fn is_stale(&self, now: Timestamp) -> bool {
        self.added > 0 && now.since(self.at) > MEMORY
    }
}

impl Scheduler {
    /// An attempt has succeeded; what it took is not in its stage's durations yet. Another that it was faster than still
    /// runs.
    pub(crate) fn note_pace(&mut self, id: TaskId, attempt: AttemptId, turn: &mut Turn<'_>) {
        if let Some((worker, took, median)) = self.compared(id, attempt, turn.now) {
            self.add_pace(worker, times(took, median), turn);
        }
        let beaten = self.task_of(id).and_then(|task| task.live().next()).map(|beaten| beaten.id);
        let beaten = beaten.and_then(|beaten| self.compared(id, beaten, turn.now));
        // One that has just begun says nothing.
        if let Some((worker, took, median)) = beaten.filter(|(_, took, median)| took > median) {
            self.add_pace(worker, times(took, median), turn);
        }
    }

    /// The worker of an attempt of this leader, what it has taken so far, and the median of its stage.
    fn compared(&self, id: TaskId, attempt: AttemptId, now: Timestamp) -> Option<(WorkerId, Duration, Duration)> {
        let stage = self.jobs.get(&id.stage.job)?.stage(id.stage)?;
        let known = stage.tasks[id.index as usize].find(attempt).filter(|known| known.id.epoch == self.epoch)?;
        let durations = Some(&stage.durations).filter(|durations| durations.len() >= OTHERS_MIN)?;
        let median = durations.median()?;
        Some((known.worker, now.since(known.began_at()), median))
    }

    fn add_pace(&mut self, id: WorkerId, times: u32, turn: &mut Turn<'_>) {
        self.change_pace(id, turn, |pace, now| pace.add(times, now));
    }

    /// A worker that has run nothing for a while is tried again.
    pub(crate) fn forget_stale_pace(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        let is_stale = |worker: &Worker| worker.running.is_empty() && worker.pace().is_stale(turn.now);
        if self.roster.get(id).is_some_and(is_stale) {
            self.change_pace(id, turn, |pace, _| *pace = Pace::default());
        }
    }

    fn change_pace(&mut self, id: WorkerId, turn: &mut Turn<'_>, change: impl FnOnce(&mut Pace, Timestamp)) {
        let (was_slow, now) = (self.roster.slow_times(id).is_some(), turn.now);
        self.roster.change_pace(id, |pace| change(pace, now));
        let is_slow = self.roster.slow_times(id).is_some();
        // An exclusion says more.
        let is_excluded = self.roster.get(id).is_some_and(|worker| worker.excluded_until().is_some());
        if was_slow == is_slow || is_excluded {
            return;
        }
        let reason = if is_slow {
            let text = "at least half of its latest tasks took twice as long as others of their stages, or longer; \
                        it gets tasks while so many wait that it helps";
            Reason::new("slow", text)
        } else {
            Reason::new("not-slow", "it was slow, and gets tasks like the others again")
        };
        self.explain_worker(id, reason, turn);
    }
}

/// How many times as long as the median, rounded down.
fn times(took: Duration, median: Duration) -> u32 {
    if took <= median + NOISE {
        return 1;
    }
    let times = took.as_millis() / median.as_millis().max(1);
    u32::try_from(times).unwrap_or(TIMES_MAX).clamp(1, TIMES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(times: &[u32]) -> Pace {
        let mut pace = Pace::default();
        times.iter().for_each(|times| pace.add(*times, Timestamp::default()));
        pace
    }

    #[test]
    fn a_worker_is_slow_if_half_of_its_latest_attempts_were() {
        assert_eq!(pace(&[5, 5, 5, 5, 5]).slow_times(), None, "too few say nothing");
        assert_eq!(pace(&[5, 5, 5, 5, 5, 5]).slow_times(), Some(5));
        assert_eq!(pace(&[1, 9, 1, 9, 1, 9, 1, 9]).slow_times(), None, "large tasks are not a slow worker");
        assert_eq!(pace(&[1, 9, 9, 9, 1, 9, 1, 3]).slow_times(), Some(3));
        assert_eq!(pace(&[9, 9, 9, 9, 1, 1, 1, 1, 1]).slow_times(), None, "what is older is forgotten");
    }

    #[test]
    fn noise_is_not_counted() {
        let millis = Duration::from_millis;
        assert_eq!(times(millis(21), millis(1)), 1);
        assert_eq!(times(millis(22), millis(1)), 22);
        assert_eq!(times(millis(499), millis(100)), 4);
        assert_eq!(times(millis(10), millis(0)), 1);
        assert_eq!(times(Duration::from_secs(10), millis(0)), TIMES_MAX);
    }
}
