//! Drives the real scheduling core through virtual time: a thousand workers, their links, a journal, an output location
//! and a chaos script, all from one seed.
//!
//! The core is the one that the coordinator runs. Around it, small shells stand in for the real ones and keep the same
//! contracts: one inbox, group commit, persist then tell, fencing by epoch, workers that come back with an inventory.
//! Everything is checked while it happens (`check`), against what is really in each output (`truth`) and against a
//! reference model that reads the journal by the simplest rules (`check::ledger`).
//!
//! Architecture invariant: no thread, no clock, no hash-order iteration and no randomness but the seed's.
//! A setup gives one event log, on every machine; its hash is part of the outcome.
//!
//! Life of a run: [`Setup`] (from a seed, or from files) → `world` pops events off the `agenda` → `coordinator`, `worker`,
//! `client`, `store` and `location` react → `net` carries their packets → [`Outcome`].

mod agenda;
mod chaos;
mod check;
mod client;
mod context;
mod coordinator;
mod describe;
mod event;
mod faults;
mod location;
mod net;
mod node;
mod packet;
mod rng;
mod sabotage;
mod scenario;
mod seeds;
mod setup;
mod simulate;
mod store;
mod sweep;
mod trace;
mod truth;
mod worker;
mod workload;
mod world;

pub use chaos::{Action, Cut, ParseChaosError, Script};
pub use check::{Checks, Counts, Figures, Violation};
pub use faults::Faults;
pub use node::Node;
pub use rng::Rng;
pub use sabotage::Sabotage;
pub use seeds::{SeedFailure, check, check_without_faults, run};
pub use setup::{Outcome, Setup};
pub use simulate::{SimulateOptions, SimulationReport, simulate};
pub use sweep::{Sweep, sweep};
pub use workload::{JobShape, OutcomeShape, ParseJobsError, StageShape, StepShape, Workload};
