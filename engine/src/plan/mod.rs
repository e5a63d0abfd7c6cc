//! Cuts an optimised physical plan into stages, and turns stages into fragments that workers can run.
//!
//! Reads top-down: [`choose_spread`] says one worker or many, [`configure`] sets the planner for it,
//! [`distribute`] cuts and encodes, [`decode_fragment`] is the worker's way back.
//! Nothing here runs a plan, talks to a network or reads a clock.

mod broadcast;
mod coalescing;
mod codec;
mod cut;
mod depth;
mod determinism;
mod explain;
mod facts;
mod fragment;
mod key_filter;
mod label;
mod ranges;
mod recursive;
pub(crate) mod same_names;
mod scalar;
mod scans;
mod series;
mod shuffle_read;
mod spilling_join;
mod splits;
mod spread;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use datafusion::physical_expr::{PhysicalExpr, RangePartitioning};
use datafusion::physical_plan::ExecutionPlan;
use windrow_model::StagePlan;

pub use coalescing::{allow_coalescing, allow_sharing};
pub use cut::distribute;
pub use explain::explain;
pub use fragment::decode_fragment;
pub use ranges::in_ranges;
pub(crate) use scans::{file_scan, input_files};
pub(crate) use shuffle_read::take_turns;
pub use shuffle_read::{Reads, ShuffleReadExec};
pub use spilling_join::BuildSideBytes;
pub(crate) use spread::PARTITIONS_LIMIT;
pub use spread::{InputBytes, choose_spread, configure, input_bytes, table_bytes};

/// How far a statement is spread over the cluster, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spread {
    /// The whole plan is one task with this many slots on one worker: exchanges stay in memory.
    Whole { slots: u32, why: String },
    /// Each stage is planned as tasks of one partition; exchanges aim at this many partitions.
    Tasks { partitions: u32, why: String },
}

impl Spread {
    /// Why one worker or many, for people.
    pub fn why(&self) -> &str {
        match self {
            Spread::Whole { why, .. } | Spread::Tasks { why, .. } => why,
        }
    }
}

/// A statement's stages, in an order where inputs come first.
#[derive(Clone, Debug)]
pub struct Distributed {
    pub stages: Vec<CutStage>,
    /// Index (within the job) of the stage whose output is the statement's.
    pub root: u32,
}

/// One stage: what the scheduler sees and what workers need.
#[derive(Clone, Debug)]
pub struct CutStage {
    pub plan: StagePlan,
    pub fragment: Bytes,
    /// By task; `None` if the task reads no files.
    pub splits: Vec<Option<Bytes>>,
    pub physical: Arc<dyn ExecutionPlan>,
    pub output: OutputPartitioning,
}

/// How a task's rows are divided among their readers.
#[derive(Clone, Debug)]
pub enum OutputPartitioning {
    /// By the hash of `exprs`, over the columns of the fragment's root.
    Hash { exprs: Vec<Arc<dyn PhysicalExpr>>, partitions: u32 },
    /// By split points between keys of the fragment's root.
    Ranges(RangePartitioning),
    /// All rows in one partition, in the order in which the root emits them: gather, broadcast, result, table.
    Single,
    /// No rows leave the task.
    Sink,
}

impl OutputPartitioning {
    /// What decides where a row goes.
    pub fn exprs(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        match self {
            OutputPartitioning::Hash { exprs, .. } => exprs.clone(),
            OutputPartitioning::Ranges(ranges) => ranges.ordering().iter().map(|key| Arc::clone(&key.expr)).collect(),
            OutputPartitioning::Single | OutputPartitioning::Sink => Vec::new(),
        }
    }

    /// Reduce partitions each task writes; a sink has one empty one.
    pub fn partitions(&self) -> u32 {
        match self {
            OutputPartitioning::Hash { partitions, .. } => *partitions,
            OutputPartitioning::Ranges(ranges) => ranges.partition_count() as u32,
            OutputPartitioning::Single | OutputPartitioning::Sink => 1,
        }
    }
}

/// A fragment as a worker gets it back: a plan that no other attempt shares.
#[derive(Clone, Debug)]
pub struct DecodedFragment {
    pub plan: Arc<dyn ExecutionPlan>,
    pub output: OutputPartitioning,
    /// Session settings of the statement that differ from [`crate::session::base_config`].
    pub settings: Vec<(String, String)>,
}
