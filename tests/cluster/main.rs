//! Faults of real processes: each test is named after what goes wrong, and compares with single-process DataFusion.
//!
//! Workers and coordinators are killed, stopped and continued by signals, or misbehave at a failpoint
//! (`engine/src/failpoint.rs`). Faults of the network are in `tests/container`.

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod cable;

mod boundaries;
mod broken_data;
mod broken_tasks;
mod clients;
mod drain;
mod kills;
mod local_reads;
mod losses;
mod pauses;
mod restart;
mod survival;
mod undetermined;
mod user_code;
