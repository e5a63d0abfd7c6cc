//! What the agenda holds.

use std::time::Duration;

use windrow_model::{AttemptId, JobId, StepPlan, WorkerId};

use crate::chaos::Action;
use crate::packet::Packet;

/// Something that happens to one node or to the network.
#[derive(Debug)]
pub(crate) enum Event {
    Arrival(Box<Packet>),
    /// A timer of a worker's process; void when that process has ended.
    Worker {
        index: u32,
        life: u32,
        timer: WorkerTimer,
    },
    /// A timer of a coordinator's process; void when that process has ended.
    Coordinator {
        index: u32,
        life: u32,
        timer: CoordinatorTimer,
    },
    /// One client's job wants attention.
    Client {
        order: u32,
        timer: u32,
    },
    Chaos(Action),
    /// The end of something that `Action` began.
    Relief(Relief),
    /// Faults end here: everything is repaired.
    Heal,
}

#[derive(Debug)]
pub(crate) enum WorkerTimer {
    Connect,
    /// The coordinator did not answer `Hello` in time.
    HelloOverdue {
        session: u64,
    },
    Heartbeat {
        session: u64,
    },
    /// An attempt reads its inputs.
    Read {
        attempt: AttemptId,
        last_try: bool,
    },
    /// An attempt is done computing.
    Done {
        attempt: AttemptId,
    },
    Copy {
        from: WorkerId,
        outputs: Vec<windrow_model::MapOutputId>,
        last_try: bool,
    },
    /// The node is taken away, or the worker does not wait any longer for the coordinator's leave.
    Leave,
}

#[derive(Debug)]
pub(crate) enum CoordinatorTimer {
    /// Try to become the leader.
    Elect,
    Renew {
        epoch: u64,
    },
    Tick {
        epoch: u64,
    },
    /// Lagging records are committed.
    Flush {
        epoch: u64,
    },
    Overdue {
        call: u64,
    },
    /// A call that failed is made again.
    Again {
        call: u64,
    },
    ReconnectOver {
        worker: WorkerId,
    },
    Planned {
        job: JobId,
        step: u32,
        plan: Option<Box<StepPlan>>,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Relief {
    StartWorker { index: u32 },
    ResumeWorker { index: u32 },
    StartCoordinator { index: u32 },
    ResumeCoordinator { index: u32 },
    Mend { cut: crate::chaos::Cut },
    StoreUp,
    LocationUp,
    KillWorker { index: u32, life: u32, restart: Option<Duration> },
}
