//! A planned statement as the scheduler sees it: stages, tasks and their inputs, without any plan inside.

use std::collections::BTreeMap;

use crate::{FragmentHash, StageId, TaskId};

/// What planning may know about the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterShape {
    /// Workers that accept tasks.
    pub workers: u32,
    /// Sum of their slots.
    pub slots: u32,
    /// Slots of the largest worker.
    pub slots_max: u32,
    /// Memory of the smallest worker's pool, in bytes.
    pub memory_bytes_min: u64,
}

/// The plan of one statement ("step") of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepPlan {
    /// Stages in an order where inputs come first. Indices go on from the step before.
    pub stages: Vec<StagePlan>,
    pub outcome: StepOutcome,
    /// No statement follows this one.
    pub last: bool,
}

/// What a step leaves behind when its stages are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// The planner has already done all there is to do (`CREATE VIEW`, `SET`, `EXPLAIN`).
    Immediate,
    /// Rows for the client: the outputs of this stage are kept until `result_ttl` after the job's end.
    Result { stage: u32 },
    /// Rows for later steps (`CREATE TABLE AS`): the outputs of this stage are kept until the job's end.
    Table { stage: u32 },
    /// Files to be committed.
    Commit { stage: u32 },
    /// Nothing: rows were only counted (`EXPLAIN ANALYZE`).
    Discard { stage: u32 },
}

/// One stage. Its tasks all run the same fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagePlan {
    /// Index within the job, equal to [`StageId::index`].
    pub index: u32,
    /// One line for people, for example `scan lineitem → partial aggregate`.
    pub label: String,
    pub fragment: FragmentHash,
    pub tasks: Vec<TaskPlan>,
    pub inputs: Vec<StageInput>,
    /// Reduce partitions each task writes; 1 for a gather.
    pub output_partitions: u32,
    pub determinism: Determinism,
    /// Whether the scheduler may run several partitions in one task once it knows how large they are. Each task has one
    /// partition then, and reads that reduce partition of its inputs.
    pub coalescing: Option<Coalescing>,
}

/// How the partitions of a stage may be put together or shared among tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coalescing {
    /// Bytes that a task should read, as they are stored; less where every slot is to have a task.
    pub target_bytes: u64,
    /// Tasks must stay in the order of their partitions, because their outputs are in order.
    pub in_order: bool,
    /// Input stages, of one of which several tasks may read a share each: what the fragment makes of the shares, each
    /// with all of the other inputs, is together what it makes of the whole.
    pub shareable: Vec<u32>,
}

/// One task: which partitions of the fragment it executes, with how many threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskPlan {
    pub partitions: Vec<u32>,
    /// Set if other tasks execute the same partition with the other shares of an input.
    pub share: Option<InputShare>,
    /// Slots the task can use; it may be given fewer (never less than one).
    pub slots: u32,
    /// Bytes of the input splits, for placement and progress; 0 if unknown.
    pub input_bytes: u64,
}

/// A part of the map outputs of one input stage: those of the tasks whose index leaves `index` when divided by `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputShare {
    pub stage: u32,
    pub index: u32,
    pub of: u32,
}

impl InputShare {
    /// Whether the output of this task of the stage is part of it.
    pub fn has(self, task: u32) -> bool {
        task % self.of.max(1) == self.index
    }
}

/// An edge of the stage graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageInput {
    /// Index of the producing stage.
    pub stage: u32,
}

/// Whether a second run of the stage gives the same rows in the same places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Determinism {
    /// The same rows in the same order.
    Determinate,
    /// The same rows in each reduce partition, in any order.
    Unordered,
    /// A re-run may give other rows or place them elsewhere: consumers that have read an older attempt re-run too.
    Indeterminate,
}

/// What a successful attempt leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskOutput {
    pub rows: u64,
    /// Encoded bytes of the output, all partitions.
    pub bytes: u64,
    /// Encoded bytes by reduce partition; length is the stage's `output_partitions`, empty for sinks.
    pub partition_bytes: Vec<u64>,
    /// The encoded output itself when the stage's rows go to the client and are small.
    pub inline: Option<Vec<u8>>,
    /// Files written by a sink, not yet visible.
    pub files: Vec<WrittenFile>,
    /// Rows and encoded bytes the attempt read from splits and map outputs.
    pub rows_in: u64,
    pub bytes_in: u64,
    /// Peak of the attempt's memory reservation, in bytes.
    pub memory_bytes_peak: u64,
    /// Memory that a worker must be given for the peak of what the operators could not have spilled, in bytes: they get a
    /// part of it.
    pub memory_bytes_held: u64,
    /// Bytes spilled to disk by the attempt's operators and its output.
    pub spill_bytes: u64,
    /// What the user's code has counted.
    pub counters: BTreeMap<String, i64>,
}

/// A file that an attempt wrote and the commit publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Where it will be, relative to the output's location.
    pub path: String,
    /// Where it is now: a path relative to the location (file systems), or the id of an open multipart upload.
    pub staged: String,
    /// Part ids of the open upload, in order; empty on file systems.
    pub parts: Vec<String>,
    pub rows: u64,
    pub bytes: u64,
}

impl StagePlan {
    pub fn id(&self, job: crate::JobId) -> StageId {
        StageId { job, index: self.index }
    }

    pub fn task_id(&self, job: crate::JobId, task: u32) -> TaskId {
        TaskId { stage: self.id(job), index: task }
    }
}
