//! What every node sees of the world: the time, the network, chance, and those who watch.

use std::rc::Rc;

use windrow_model::Timestamp;

use crate::agenda::Agenda;
use crate::check::Judge;
use crate::faults::Faults;
use crate::net::Network;
use crate::rng::Rng;
use crate::sabotage::Sabotage;
use crate::setup::Setup;
use crate::trace::Trace;
use crate::truth::Truth;

/// Handed to a node with everything that happens to it.
pub(crate) struct Cx {
    pub setup: Rc<Setup>,
    /// Virtual time. Nodes see it through their own clocks only.
    pub now: Timestamp,
    pub rng: Rng,
    /// Faults that happen by chance; none after the world has healed.
    pub faults: Faults,
    /// Everything was repaired, and nothing fails any more.
    pub is_healed: bool,
    pub agenda: Agenda,
    pub net: Network,
    pub trace: Trace,
    pub truth: Truth,
    pub judge: Judge,
}

impl Cx {
    /// The start of a run. The event log is kept as text only if somebody wants to read it.
    pub fn new(setup: Rc<Setup>, keep_trace: bool) -> Cx {
        Cx {
            now: Timestamp(0),
            rng: Rng::for_purpose(setup.seed, "run"),
            faults: setup.faults.clone(),
            is_healed: false,
            agenda: Agenda::default(),
            net: Network::default(),
            trace: Trace::new(keep_trace),
            truth: Truth::default(),
            judge: Judge::new(setup.checks, setup.limits.clone()),
            setup,
        }
    }

    /// The shells make this mistake.
    pub fn is_sabotaged(&self, by: Sabotage) -> bool {
        self.setup.sabotage == Some(by)
    }
}
