//! What several test programs share.
#![allow(dead_code)]

pub mod cluster;
pub mod processes;
pub mod rows;
pub mod tpch;
