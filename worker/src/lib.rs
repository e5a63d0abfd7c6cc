//! A worker: a process (or a part of one) that runs attempts, keeps their map outputs and serves them to readers.
//!
//! Architecture invariants: the worker knows no scheduling; it does what the coordinator's stream tells it.
//! Rows leave it only through [`flight`]; every connection is accepted through [`listen`].

mod connection;
mod copying;
mod executor;
mod fetch;
mod flight;
mod fragments;
mod idle;
mod listen;
mod options;
mod process;
mod processes;
mod session;
mod store;
mod work_dir;
mod worker;

pub use options::WorkerOptions;
pub use windrow_engine::shuffle::ShuffleCompression;
pub use windrow_sandbox::{Support, support};
pub use worker::run;

/// Serving and reading map outputs without the rest of a worker, for measurements.
pub mod shuffle {
    pub use crate::fetch::{PeerLimits, Peers, WorkerSource};
    pub use crate::flight::serve;
    pub use crate::store::ShuffleStore;
}

#[cfg(test)]
mod tests;
