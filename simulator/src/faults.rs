//! How likely each kind of fault is. Timed faults (crashes, partitions) are in `chaos`.

use std::time::Duration;

use crate::rng::Rng;

/// Probabilities, each per occasion. All zero is a kind world.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// Of an attempt that panics, per attempt.
    pub attempt_panics: f64,
    /// Of an attempt that meets an outside service that does not answer.
    pub attempt_unavailable: f64,
    pub attempt_out_of_memory: f64,
    pub attempt_disk_full: f64,
    /// Of an attempt that fails as any other attempt would: its job fails.
    pub attempt_query_error: f64,
    /// Of an attempt that takes its worker's process with it.
    pub attempt_kills_worker: f64,
    /// Of an attempt that stops moving and never ends.
    pub attempt_hangs: f64,
    /// Of an attempt that takes ten times as long.
    pub attempt_is_slow: f64,
    /// Of an output that its worker's disk loses at once.
    pub output_vanishes: f64,
    /// Of a reader that cannot read from a healthy peer.
    pub fetch_breaks: f64,
    /// Of a packet that is lost: its connection breaks, and a single call is never answered.
    pub packet_lost: f64,
    /// Of a packet that is lost while its connection goes on, which no stream does: the hang watchdog has to help.
    pub packet_swallowed: f64,
    pub packet_duplicated: f64,
    /// Of a packet that arrives after later ones of its connection.
    pub packet_reordered: f64,
    /// Of a packet that takes up to `SLOW_PACKET_MAX`.
    pub packet_slow: f64,
    /// Of a call to the journal whose outcome is not known; it was applied in half of the cases.
    pub store_unknown: f64,
    pub store_unavailable: f64,
    /// Of a call to the output location whose outcome is not known.
    pub location_unknown: f64,
    pub location_unavailable: f64,
    /// Of a commit that the location refuses for good: its job fails.
    pub commit_refused: f64,
    /// Of a statement that cannot be planned: its job fails.
    pub plan_fails: f64,
}

/// The longest that a slow packet takes: longer than a probe of a connection, shorter than a lease.
pub(crate) const SLOW_PACKET_MAX: Duration = Duration::from_secs(4);

/// Picks the likelihood of one fault.
type Pick = fn(&mut Faults) -> &mut f64;

/// Likely enough that a small run meets the fault, rare enough that most jobs still succeed.
const KINDS: [(f64, Pick); 21] = [
    (0.05, |faults| &mut faults.attempt_panics),
    (0.05, |faults| &mut faults.attempt_unavailable),
    (0.03, |faults| &mut faults.attempt_out_of_memory),
    (0.03, |faults| &mut faults.attempt_disk_full),
    (0.003, |faults| &mut faults.attempt_query_error),
    (0.02, |faults| &mut faults.attempt_kills_worker),
    (0.02, |faults| &mut faults.attempt_hangs),
    (0.05, |faults| &mut faults.attempt_is_slow),
    (0.03, |faults| &mut faults.output_vanishes),
    (0.02, |faults| &mut faults.fetch_breaks),
    (0.01, |faults| &mut faults.packet_lost),
    (0.01, |faults| &mut faults.packet_swallowed),
    (0.05, |faults| &mut faults.packet_duplicated),
    (0.05, |faults| &mut faults.packet_reordered),
    (0.02, |faults| &mut faults.packet_slow),
    (0.05, |faults| &mut faults.store_unknown),
    (0.05, |faults| &mut faults.store_unavailable),
    (0.05, |faults| &mut faults.location_unknown),
    (0.05, |faults| &mut faults.location_unavailable),
    (0.03, |faults| &mut faults.commit_refused),
    (0.02, |faults| &mut faults.plan_fails),
];

impl Faults {
    /// A random subset of the kinds: leaving some out lets others go further (swarm testing, Groce et al. 2012).
    pub fn random(rng: &mut Rng) -> Faults {
        let mut faults = Faults::default();
        for (likely, kind) in KINDS {
            if rng.chance(0.35) {
                *kind(&mut faults) = likely * rng.between(1, 100) as f64 / 50.0;
            }
        }
        faults
    }
}
