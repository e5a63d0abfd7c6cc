//! The coordinator: a shell around the scheduling core that listens, plans, persists and tells.
//!
//! One task, the [`driver`], owns all state. Everything else (connections, planning, commits) is at the rim
//! and talks to it through one bounded inbox, so there is no lock to reason about and nothing polls.
//!
//! Architecture invariants: the coordinator never sees the worker crate; wire types never enter the core;
//! nothing is told to anyone before the records it follows from are committed to the [`store`].

mod analyze;
mod artefacts;
mod blobs;
mod call;
mod clock;
mod committing;
mod delivery;
mod dossier;
mod driver;
mod fleet;
mod history;
mod ipc;
mod jobs;
mod listen;
mod outgoing;
mod planning;
mod recovery;
mod relay;
mod results;
mod shuffle_store;
mod snapshot;
mod start;
mod state;
mod store;
mod watching;
mod workers;

pub use history::HistoryOptions;
pub use start::{Coordinator, CoordinatorOptions, Handle};
pub use store::StoreOptions;
