//! Map/reduce jobs in Rust: mappers, combiners, reducers and partitioners over Arrow batches, with the types of their keys
//! and values checked by the compiler, and the stages, shuffle, retries and commit that SQL has.
//!
//! ```no_run
//! use windrow_sdk::*;
//!
//! struct Tokenize;
//! impl Mapper for Tokenize {
//!     type Key = String;
//!     type Value = i64;
//!     fn map(&mut self, rows: &RecordBatch, out: &mut Emitter<'_, String, i64>) -> Result<(), Error> {
//!         for line in lines(rows)?.iter().flatten() {
//!             line.split_ascii_whitespace().for_each(|word| out.emit(word, 1));
//!         }
//!         Ok(())
//!     }
//! }
//!
//! struct Sum;
//! impl Reducer for Sum {
//!     type Key = String;
//!     type Value = i64;
//!     type Out = (String, i64);
//!     fn reduce(&mut self, word: &str, counts: &mut Values<'_, String, i64>, out: &mut Emitter<'_, (String, i64)>)
//!         -> Result<(), Error> {
//!         let mut sum = 0;
//!         while let Some(count) = counts.next() {
//!             sum += count;
//!         }
//!         out.emit((word, sum), ());
//!         Ok(())
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     let counts = Job::map("word-count", |_| Tokenize).combine(|sum: &mut i64, count: i64| *sum += count).reduce(|_| Sum);
//!     windrow_sdk::main(&[&counts])
//! }
//! ```
//!
//! Such a program is the `windrow` command with this code in it: `my-program run job.yaml` runs a job that names it
//! (`map: { native: word-count/map, … }`), and `my-program worker --coordinator URL` is a worker of a cluster for it.
//! [`Cluster`] runs jobs from within a program.

mod cluster;
mod combine;
mod datum;
mod emit;
mod head;
mod job;
mod map;
mod record;
mod reduce;

use std::process::ExitCode;

pub use arrow::array::RecordBatch;
pub use cluster::{Cluster, Outcome};
pub use combine::Combiner;
pub use datum::{Column, Datum, column, lines};
pub use emit::Emitter;
pub use job::{Combined, Input, Job, Mapped, Order, Partitioner};
pub use map::Mapper;
pub use record::Record;
pub use reduce::{Reducer, Values};
pub use windrow_engine::user_code::CodeStart as Context;
pub use windrow_model::{OutputMode, TableFormat};

/// Why a mapper or reducer cannot go on. Its attempt fails with this.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What an error of Windrow says.
pub use windrow_model::ErrorReport;

/// The `windrow` command, whose workers know these jobs' code.
pub fn main(jobs: &[&Job]) -> ExitCode {
    jobs.iter().for_each(|job| job.register());
    windrow_client::program::main()
}
