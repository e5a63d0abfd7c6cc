//! A worker as the scheduler sees it: slots, lease, what it runs and what it holds.

use std::collections::BTreeSet;

use windrow_model::{AttemptId, MapOutputId, Timestamp, WorkerId, WorkerState};

use crate::WorkerSpec;
use crate::job::Reason;

#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub id: WorkerId,
    pub spec: WorkerSpec,
    pub state: WorkerState,
    pub since: Timestamp,
    pub reason: Reason,
    pub lease_ends_at: Timestamp,
    pub slots_free: u32,
    pub running: BTreeSet<AttemptId>,
    /// Outputs it holds that somebody still needs.
    pub outputs: BTreeSet<MapOutputId>,
}

impl Worker {
    pub fn new(id: WorkerId, spec: WorkerSpec, now: Timestamp, lease_ends_at: Timestamp) -> Self {
        let slots = spec.slots.max(1);
        Worker {
            id,
            spec: WorkerSpec { slots, ..spec },
            state: WorkerState::Active,
            since: now,
            reason: Reason::new("registered", "registered"),
            lease_ends_at,
            slots_free: slots,
            running: BTreeSet::new(),
            outputs: BTreeSet::new(),
        }
    }

    /// Gets new tasks.
    pub fn is_active(&self) -> bool {
        self.state == WorkerState::Active
    }

    /// Can be talked to.
    pub fn is_present(&self) -> bool {
        match self.state {
            WorkerState::Joining | WorkerState::Active | WorkerState::Draining => true,
            WorkerState::Gone | WorkerState::Lost => false,
        }
    }
}
