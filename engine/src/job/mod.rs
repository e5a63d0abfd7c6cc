//! A job's session: from its specification to planned steps, one statement at a time.
//!
//! `session` keeps the job's catalog and settings and decides what a statement means, `catalog` opens tables when a
//! statement first names them, `target` says where rows are written, `planning` makes the distributed plan.

mod big_stack;
mod catalog;
mod environment;
mod planning;
mod session;
mod target;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use url::Url;
use windrow_model::{ErrorReport, FragmentHash, JobSpec, Program, StepPlan};

use crate::sink::OutputTarget;
use crate::user_code;

pub use big_stack::on_big_stack;
pub use environment::PlanEnvironment;
pub use session::JobSession;

/// Refuses a job whose code no worker could run: nobody need wait for that until it is planned. It compiles modules.
pub fn check_code(spec: &JobSpec) -> Result<(), ErrorReport> {
    let Program::Sql { made, .. } = &spec.program;
    made.iter().try_for_each(|(name, made)| user_code::check(made, &format!("the step `{name}`")))
}

/// Choices of the operator that planning depends on.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// A statement that reads at most this many bytes runs whole on one worker.
    pub small_job_bytes: u64,
    /// Input bytes per partition that the planner aims at.
    pub partition_bytes: u64,
    /// Partitions of one exchange, and tasks of one scan, at most. Each map output keeps an index entry per reduce
    /// partition, every reducer fetches from every worker, and the task that merges sorted runs holds a stream with its
    /// window open for each run: beyond it, partitions grow and operators spill instead.
    pub partitions_max: u32,
    /// Joins are put into the order that is estimated to be the cheapest. Otherwise they stay as written.
    pub order_joins: bool,
    /// Tables that are written in an order are sorted range by range, not merged in one task.
    pub sort_ranges: bool,
    /// Small parts of an exchange are run together until a task reads about so many bytes; 0: never.
    pub coalesce_bytes: u64,
    /// A part of an exchange that is much larger than the others is shared among tasks where the plan allows it.
    pub split_skewed: bool,
    /// Sees every plan before it is handed out.
    pub plan_hook: Option<PlanHook>,
}

/// Changes plans on their way out of the planner: a benchmark gives a stage more tasks than a statement has.
#[derive(Clone)]
pub struct PlanHook(pub Arc<dyn Fn(&mut PlannedStep) + Send + Sync>);

impl fmt::Debug for PlanHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlanHook")
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            small_job_bytes: 8 << 20,
            partition_bytes: 128 << 20,
            partitions_max: 256,
            order_joins: true,
            sort_ranges: true,
            coalesce_bytes: 64 << 20,
            split_skewed: true,
            plan_hook: None,
        }
    }
}

/// What a statement of the past has left behind for later ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PastStep {
    /// It was done while planning: its effect on catalog and settings is repeated.
    Immediate,
    /// Rows for the client, or nothing.
    Rows,
    /// Files below this location.
    Written { location: Url },
    /// A table: the outputs of `tasks` tasks of this stage.
    Table { schema: SchemaRef, stage: u32, tasks: usize },
}

/// The plan of one statement and everything that goes with it to workers and to the client.
#[derive(Clone, Debug)]
pub struct PlannedStep {
    /// The statement as written, shortened for display.
    pub statement: String,
    /// Goes to the scheduler.
    pub plan: StepPlan,
    pub fragments: BTreeMap<FragmentHash, Bytes>,
    /// By (stage, task); absent means that the task has no splits.
    pub splits: BTreeMap<(u32, u32), Bytes>,
    /// Of a `Result`, of a `Table`, and of rows given at once.
    pub schema: Option<SchemaRef>,
    /// An immediate result to print as it is (`EXPLAIN`).
    pub text: Option<String>,
    /// An immediate result as rows (`SHOW`, `DESCRIBE`).
    pub rows: Option<Vec<RecordBatch>>,
    /// Where a `Commit` publishes its files.
    pub target: Option<OutputTarget>,
    /// Where tasks put bad records; they are published after the target's files.
    pub asides: Vec<OutputTarget>,
    /// `EXPLAIN ANALYZE`: the operators' metrics are the result.
    pub analyze: bool,
    /// For people, for example "runs whole on one worker: it reads 1.2 MiB".
    pub notes: Vec<String>,
}
