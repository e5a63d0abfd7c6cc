//! What modules can do, what they cannot, and that the examples compute what Rust computes.

// Helpers of tests are tests, too.
#![allow(clippy::unwrap_used)]

mod aggregate;
mod contract;
mod functions;
mod host;
mod isolate;
mod limits;
mod results;
mod support;
mod word_count;
