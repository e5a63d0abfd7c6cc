//! Tests of the scheduling core from outside: scripts, and random inputs.

#![allow(clippy::unwrap_used)]

mod cluster;
mod command;
mod failover;
mod fakes;
mod lineage;
mod print;
mod random;
mod scripts;
mod world;
