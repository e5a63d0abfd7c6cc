//! Faults of the network, between containers: each test is named after what is cut, and compares with single-process
//! DataFusion. Needs Docker, `docker-compose`, etcd and root.

#[path = "../support/mod.rs"]
mod support;

#[path = "../cluster/answers.rs"]
mod answers;

mod fleet;
mod journal;
mod workers;
