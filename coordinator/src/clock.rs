//! The only place of the coordinator that reads time for the core.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use windrow_model::Timestamp;

/// Wall-clock time that never goes back: read once at the start and advanced by the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started_at: Timestamp,
    started: Instant,
    /// Time that did not count.
    paused: Duration,
}

impl Clock {
    /// Not earlier than `after`, which an earlier leader may have read from a clock that ran ahead.
    pub(crate) fn start(after: Timestamp) -> Clock {
        Clock { started_at: wall_clock().max(after), started: Instant::now(), paused: Duration::ZERO }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.started_at + self.started.elapsed().saturating_sub(self.paused)
    }

    /// Takes back a time in which nobody could be heard: leases must not run out because the leader did not listen.
    pub(crate) fn pause(&mut self, span: Duration) {
        self.paused += span;
    }

    /// The same moment for the runtime's timers; `None` if it lies further away than they can hold.
    pub(crate) fn instant(&self, at: Timestamp) -> Option<tokio::time::Instant> {
        let after_start = at.since(self.started_at).checked_add(self.paused)?;
        self.started.checked_add(after_start).map(tokio::time::Instant::from_std)
    }
}

/// Microseconds since the Unix epoch; zero on a machine whose clock is set before it.
pub(crate) fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_neither_goes_back_over_a_restart_nor_counts_a_pause() {
        let ahead = wall_clock() + Duration::from_secs(3600);
        let mut clock = Clock::start(ahead);
        assert!(clock.now() >= ahead);
        let before = clock.now();
        clock.pause(Duration::from_secs(60));
        assert!(clock.now() < before + Duration::from_secs(60));
    }
}
