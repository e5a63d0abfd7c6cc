//! The things that fail on their own, and their clocks.

use std::fmt;
use std::time::Duration;

use windrow_model::Timestamp;

use crate::rng::Rng;

/// A place on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// One of the coordinators; at most one of them leads.
    Coordinator(u32),
    Worker(u32),
    /// Everybody who submits jobs.
    Client,
    /// The journal.
    Store,
    /// Where sinks write and commits are decided.
    Location,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Coordinator(index) => write!(f, "c{index}"),
            Node::Worker(index) => write!(f, "w{index}"),
            Node::Client => f.write_str("client"),
            Node::Store => f.write_str("store"),
            Node::Location => f.write_str("location"),
        }
    }
}

/// Local clocks start here, so that a clock that is behind is not before zero.
const LOCAL_START_US: i64 = 1_000_000_000_000;

/// A clock that is off by a constant and runs too fast or too slow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NodeClock {
    offset_us: i64,
    drift_ppm: i64,
}

impl NodeClock {
    /// Off by at most `skew` and `drift_ppm` parts per million, in either direction.
    pub fn random(rng: &mut Rng, skew: Duration, drift_ppm: u64) -> NodeClock {
        let skew_us = skew.as_micros() as u64;
        let offset_us = rng.between(0, 2 * skew_us) as i64 - skew_us as i64;
        let drift_ppm = rng.between(0, 2 * drift_ppm) as i64 - drift_ppm as i64;
        NodeClock { offset_us, drift_ppm }
    }

    /// What this clock shows at a moment of virtual time.
    pub fn read(&self, at: Timestamp) -> Timestamp {
        let at = at.0 as i64;
        Timestamp((LOCAL_START_US + self.offset_us + at + scaled(at, self.drift_ppm)) as u64)
    }

    /// The first moment of virtual time at which this clock shows `local` or later.
    pub fn when(&self, local: Timestamp) -> Timestamp {
        let Ok(local_us) = i64::try_from(local.0) else { return Timestamp(u64::MAX) };
        let passed = (local_us - LOCAL_START_US - self.offset_us).max(0);
        let about = i128::from(passed) * 1_000_000 / i128::from(1_000_000 + self.drift_ppm);
        let mut at = Timestamp((about as u64).saturating_sub(2));
        while self.read(at) < local {
            at.0 += 1;
        }
        at
    }

    /// Virtual time that passes while this clock counts `local`.
    pub fn span(&self, local: Duration) -> Duration {
        let us = local.as_micros() as i64;
        Duration::from_micros((us - scaled(us, self.drift_ppm)) as u64)
    }
}

fn scaled(us: i64, ppm: i64) -> i64 {
    (i128::from(us) * i128::from(ppm) / 1_000_000) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_is_the_first_moment_that_reads_so_late() {
        let mut rng = Rng::new(3);
        for _ in 0..1_000 {
            let clock = NodeClock::random(&mut rng, Duration::from_secs(30), 20_000);
            let at = Timestamp(rng.below(1_000_000_000) + 100_000_000);
            let local = clock.read(at);
            let found = clock.when(local);
            assert!(clock.read(found) >= local && found <= at);
            assert!(found.0 == 0 || clock.read(Timestamp(found.0 - 1)) < local);
        }
    }
}
