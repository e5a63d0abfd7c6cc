//! Plans jobs into stages and runs their tasks on Apache DataFusion.
//!
//! Architecture invariant: DataFusion is named only here and in the worker's executor,
//! so that an upgrade touches one crate. Nothing here decides *where* or *when* a task runs.

pub mod errors;
pub mod failpoint;
pub mod functions;
pub mod grouping;
mod guards;
pub mod job;
pub mod joins;
pub mod oracle;
pub mod plan;
pub mod session;
pub mod shuffle;
pub mod sink;
pub mod sql;
pub mod stores;
pub mod tables;
pub mod task;
pub mod user_code;
