//! What the cut must do, on small multi-file tables. Rows are always compared with plain DataFusion's.

#![allow(clippy::unwrap_used)] // A test that unwraps says what went wrong by failing there.

mod bed;
mod cluster;
mod coalescing;
mod fragments;
mod one_worker;
mod rows;
mod shapes;
mod traps;
