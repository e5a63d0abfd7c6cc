//! What several test programs share.
#![allow(dead_code)]

pub mod cluster;
pub mod cluster_processes;
pub mod jobs;
pub mod place;
pub mod processes;
pub mod rows;
pub mod s3_server;
pub mod tpch;
