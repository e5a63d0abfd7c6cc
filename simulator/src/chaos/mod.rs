//! The chaos script: what breaks when, and for how long.

mod random;
mod spot;
mod text;

use std::time::Duration;

use windrow_model::Timestamp;

use crate::node::Node;

pub(crate) use random::Scope;
pub use text::ParseChaosError;

/// What breaks, in any order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    pub incidents: Vec<(Timestamp, Action)>,
    /// From here on nothing breaks any more and everything is repaired; `None` leaves things as the script left them.
    pub heals_at: Option<Timestamp>,
}

/// One thing that breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A worker's process ends. With `power` its node is gone too: nobody is told that its connections are closed.
    CrashWorker {
        worker: u32,
        power: bool,
        restart: Option<Duration>,
    },
    PauseWorker {
        worker: u32,
        lasts: Duration,
    },
    /// The worker is asked to leave; its process starts anew under the same name after `back`.
    DrainWorker {
        worker: u32,
        within: Option<Duration>,
        back: Option<Duration>,
    },
    /// The market takes a node back: a notice, then the node is gone.
    PreemptWorker {
        worker: u32,
        notice: Duration,
        back: Option<Duration>,
    },
    /// All outputs that a worker keeps are lost while it goes on.
    WipeWorker {
        worker: u32,
    },
    /// A worker's connection to its coordinator breaks.
    BreakLink {
        worker: u32,
    },
    CrashCoordinator {
        coordinator: u32,
        restart: Option<Duration>,
    },
    PauseCoordinator {
        coordinator: u32,
        lasts: Duration,
    },
    /// Nothing passes in this direction.
    Partition {
        cut: Cut,
        lasts: Duration,
    },
    StoreDown {
        lasts: Duration,
    },
    LocationDown {
        lasts: Duration,
    },
}

/// One direction of a link; `None` is everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cut {
    pub from: Option<Node>,
    pub to: Option<Node>,
}

impl Script {
    pub(crate) fn add(&mut self, at: Duration, action: Action) {
        self.incidents.push((Timestamp(0) + at, action));
    }
}
