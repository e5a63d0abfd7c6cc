//! Attempts that do not move: a worker that is alive may run one that never ends.

use windrow_model::{AttemptId, Failure, Timestamp, WorkerId};

use crate::deadlines::Due;
use crate::scheduler::Turn;
use crate::{Message, Scheduler};

impl Scheduler {
    /// Fails attempts of a worker whose progress has not moved for too long, and looks again when the next one may.
    pub(crate) fn check_hanging(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        let timeout = self.limits.hang_timeout;
        let Some(worker) = self.roster.get_mut(id) else { return };
        worker.watched = false;
        let running: Vec<AttemptId> = worker.running.iter().copied().collect();
        for attempt in running {
            if self.last_progress(attempt).is_some_and(|at| at + timeout <= turn.now) {
                let after_ms = timeout.as_millis() as u64;
                self.fail_attempt(attempt, Failure::TimedOut { after_ms }, turn);
                self.tell(id, Message::CancelAttempt { attempt }, turn);
            }
        }
        let Some(worker) = self.roster.get(id) else { return };
        let next = worker.running.iter().filter_map(|attempt| self.last_progress(*attempt)).min();
        if let Some(next) = next
            && let Some(worker) = self.roster.get_mut(id)
        {
            worker.watched = true;
            self.deadlines.add(next + timeout, Due::Hang(id));
        }
    }

    fn last_progress(&self, attempt: AttemptId) -> Option<Timestamp> {
        let task = self.live.get(&attempt)?;
        Some(self.task_of(*task)?.find(attempt)?.progressed_at)
    }
}
