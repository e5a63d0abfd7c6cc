//! What a run is made of, and what comes out of it.

use std::time::Duration;

use windrow_model::{Limits, Timestamp};

use crate::chaos::Script;
use crate::check::{Checks, Figures, Violation};
use crate::faults::Faults;
use crate::sabotage::Sabotage;
use crate::workload::Workload;

/// Everything that decides a run.
#[derive(Clone, Debug)]
pub struct Setup {
    pub seed: u64,
    pub coordinators: u32,
    /// Slots of each worker.
    pub slots: Vec<u32>,
    /// The largest offset of a node's clock, and its largest drift in parts per million.
    pub skew: Duration,
    pub drift_ppm: u64,
    pub workload: Workload,
    pub chaos: Script,
    pub faults: Faults,
    pub limits: Limits,
    /// Virtual time at which the run is given up.
    pub horizon: Timestamp,
    pub checks: Checks,
    /// Leaders take workers back under their own ids.
    pub may_reattach: bool,
    /// Leaders stop by their own clock; otherwise only the store's refusal stops them.
    pub leaders_watch_their_lease: bool,
    pub sabotage: Option<Sabotage>,
}

/// What came out of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Of the event log: equal for equal setups.
    pub hash: u64,
    pub events: u64,
    /// Virtual time of the last event.
    pub ended_at: Timestamp,
    pub violation: Option<Violation>,
    /// Jobs that had not ended at the horizon.
    pub unfinished: Vec<String>,
    /// What they waited for.
    pub waits: Vec<String>,
    pub figures: Figures,
    /// The event log, if it was kept.
    pub trace: Vec<String>,
}
