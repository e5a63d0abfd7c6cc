//! The client of Windrow: job files, submission, progress and results; with feature `embedded` also the whole
//! system in one process and the data generators.
//!
//! Architecture invariant: without `embedded` nothing here links the engine. A client sends text, never a plan,
//! and reads results as Arrow IPC.

mod connect;
#[cfg(feature = "embedded")]
pub mod embedded;
mod errors;
#[cfg(feature = "embedded")]
pub mod generate;
pub mod heap;
pub mod job_file;
pub mod params;
pub mod program;
pub mod result;
pub mod rows;

pub use connect::{Client, JobUpdates, Submitted};
pub use errors::nearest;

/// Names the code of this binary. Coordinator and workers must agree on it.
pub const BUILD: &str = env!("WINDROW_BUILD");

/// Where a coordinator listens unless told otherwise.
pub const DEFAULT_COORDINATOR: &str = "http://127.0.0.1:7070";
