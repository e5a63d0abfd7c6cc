//! The only place of the coordinator that reads time for the core.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use windrow_model::Timestamp;

/// Wall-clock time that never goes back: read once at the start and advanced by the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started_at: Timestamp,
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock { started_at: wall_clock(), started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.started_at + self.started.elapsed()
    }

    /// The same moment for the runtime's timers; `None` if it lies further away than they can hold.
    pub(crate) fn instant(&self, at: Timestamp) -> Option<tokio::time::Instant> {
        self.started.checked_add(at.since(self.started_at)).map(tokio::time::Instant::from_std)
    }
}

/// Microseconds since the Unix epoch; zero on a machine whose clock is set before it.
pub(crate) fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
