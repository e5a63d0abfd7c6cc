//! Clusters of processes, as the tests of the whole system have them.
#![allow(dead_code)]

#[path = "../../../../tests/support/cluster_processes.rs"]
pub mod cluster_processes;
#[path = "../../../../tests/support/processes.rs"]
pub mod processes;
