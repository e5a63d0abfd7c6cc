//! Hash joins whose build side need not fit a task's memory.
//!
//! A build side is collected as long as it stays within the join's share; nearly all do, and are joined as DataFusion
//! joins them. Beyond that, both sides are divided by a hash of their keys into files, and the parts are joined one
//! after the other, each by the same rule (a Grace hash join). Rows of one key cannot be divided: their build side is
//! joined chunk by chunk, if the type of the join allows it.
//!
//! Which side is the build side was decided by estimates. If both sides are read from exchanges, their sizes are known
//! when a task starts, and the smaller one is built.
//!
//! Both change the order of rows, which therefore does not count as one (`determinism`).
//!
//! A [`SpillingJoinExec`] takes the place of each hash join when a fragment is decoded, and shows itself as that join.

mod divide;
mod parts;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::limit::LimitStream;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, SpillMetrics};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
    replace_children_if_necessary,
};
use parking_lot::Mutex;
use windrow_model::format_bytes;

use super::scans::{Partitions, needed_of_children, partition_count};
use super::shuffle_read::{ShuffleReadExec, take_turns};
use crate::shuffle::{StageSize, TaskInputs};
use parts::{Part, Parts, Rows, StreamExec, each_build_row_is_alone};

/// Bytes that the build side of one join may take, its hash table included: an extension of a session's configuration.
/// Without it no join is divided.
#[derive(Clone, Copy, Debug)]
pub struct BuildSideBytes(pub usize);

/// Bytes of a hash table for each row of the build side, at most: a bucket of 17 bytes for each, rounded up to a power
/// of two after an eighth was added, and the chain's 4.
const TABLE_BYTES_PER_ROW: usize = 44;

/// Sides are swapped if the build side costs more than this many times the probe side: sizes are those of whole stages,
/// stored, and not those of one partition in memory.
const SWAP_RATIO: (u64, u64) = (3, 2);

/// A build side that costs less than this is not worth a decision, in bytes.
const SWAP_BYTES_MIN: u64 = 1 << 20;

/// `plan`, or if it is a hash join, a [`SpillingJoinExec`] in its place.
pub(super) fn in_place_of(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    match plan.downcast_ref::<HashJoinExec>() {
        Some(join) => Ok(Arc::new(SpillingJoinExec::new(join.builder().build()?))),
        None => Ok(plan),
    }
}

/// Lets joins be divided when `wanted` partitions of `plan` are executed: those of which one is, because partitions
/// wait for each other and share a collected build side, and if partitions take turns also those of which several are,
/// provided that a collected build side can be read again for each.
pub(super) fn allow(plan: &Arc<dyn ExecutionPlan>, wanted: &Partitions) {
    allow_below(plan, wanted, take_turns(plan));
}

fn allow_below(plan: &Arc<dyn ExecutionPlan>, wanted: &Partitions, take_turns: bool) {
    let node: &dyn Any = plan.as_ref();
    if let Some(SpillingJoinExec { join, allowed, .. }) = node.downcast_ref::<SpillingJoinExec>() {
        let alone = *join.partition_mode() != PartitionMode::CollectLeft || is_read_as_it_is(join.left());
        let allow = (wanted.len() == 1 || (take_turns && alone)) && can_be_divided(join);
        allowed.store(allow, Ordering::Relaxed);
    }
    for (child, needed) in plan.children().into_iter().zip(needed_of_children(plan, wanted)) {
        allow_below(child, &needed, take_turns);
    }
}

/// Of each join of a decoded plan, whether it may be divided.
#[cfg(test)]
pub(super) fn may_be_divided(plan: &Arc<dyn ExecutionPlan>) -> Vec<bool> {
    let node: &dyn Any = plan.as_ref();
    let own = node.downcast_ref::<SpillingJoinExec>().map(|join| join.allowed.load(Ordering::Relaxed));
    own.into_iter().chain(plan.children().into_iter().flat_map(may_be_divided)).collect()
}

/// Rows of an exchange, of which at most columns are left out.
fn is_read_as_it_is(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<ShuffleReadExec>()
        || plan.downcast_ref::<ProjectionExec>().is_some_and(|projection| is_read_as_it_is(projection.input()))
}

/// What one partition of `plan` may be expected to have, if it is read from an exchange as it is.
fn size(plan: &Arc<dyn ExecutionPlan>, inputs: &TaskInputs) -> Option<StageSize> {
    if let Some(read) = plan.downcast_ref::<ShuffleReadExec>() {
        return read.size(inputs);
    }
    plan.downcast_ref::<ProjectionExec>().and_then(|projection| size(projection.input(), inputs))
}

/// Bytes of a build side of this size.
fn cost(size: StageSize) -> u64 {
    size.bytes.saturating_add(size.rows.saturating_mul(TABLE_BYTES_PER_ROW as u64))
}

/// Whether `plan` gives its rows in an order that depends on the memory that it finds, too.
pub(super) fn may_lose_order(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.downcast_ref::<HashJoinExec>().is_some_and(can_be_divided)
}

/// One NULL on the probe side of a null-aware join concerns all rows; an order that others count on would be lost.
fn can_be_divided(join: &HashJoinExec) -> bool {
    !join.null_aware && join.properties().output_ordering().is_none()
}

#[derive(Debug)]
struct SpillingJoinExec {
    join: Arc<HashJoinExec>,
    allowed: AtomicBool,
    /// Joins that ran in place of `join` and have metrics of their own.
    ran: Ran,
    /// Which side was built instead of the planned one, and why.
    swapped: OnceLock<String>,
    metrics: ExecutionPlanMetricsSet,
}

type Ran = Arc<Mutex<Vec<Arc<dyn ExecutionPlan>>>>;

impl SpillingJoinExec {
    fn new(join: HashJoinExec) -> SpillingJoinExec {
        SpillingJoinExec {
            join: Arc::new(join),
            allowed: AtomicBool::new(false),
            ran: Ran::default(),
            swapped: OnceLock::new(),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    fn replaced(&self, join: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(join) = join.downcast_ref::<HashJoinExec>() else {
            return internal_err!("a hash join became {}", join.name());
        };
        let replaced = SpillingJoinExec::new(join.builder().build()?);
        replaced.allowed.store(self.allowed.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(Arc::new(replaced))
    }

    /// The join with its sides swapped, if the planned build side turns out to be the larger one. It may be below a
    /// projection that puts its columns back in order.
    fn swap(&self, context: &TaskContext, share: usize) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let inputs = context.session_config().get_extension::<TaskInputs>();
        let sizes =
            inputs.and_then(|inputs| Some((size(self.join.left(), &inputs)?, size(self.join.right(), &inputs)?)));
        let Some((build, probe)) = sizes.map(|(build, probe)| (cost(build), cost(probe))) else { return Ok(None) };
        let larger = build >= SWAP_BYTES_MIN && build.saturating_mul(SWAP_RATIO.1) > probe.saturating_mul(SWAP_RATIO.0);
        // A key with many rows must not get in the way of what could be joined chunk by chunk.
        let fits = probe <= share as u64 || each_build_row_is_alone(self.join.join_type().swap());
        if !larger || !fits || !self.join.dynamic_expressions_produced().is_empty() {
            return Ok(None);
        }
        let (build, probe) = (format_bytes(build), format_bytes(probe));
        // Partitions of one task are of one stage and decide the same.
        let _ = self.swapped.set(format!("build side swapped (about {probe} instead of {build} a task)"));
        let join = self.join.builder().reset_state().build()?;
        join.swap_inputs(PartitionMode::Partitioned).map(Some)
    }

    fn join_swapped(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        parts: Parts,
        build: SendableRecordBatchStream,
        probe: Rows,
    ) -> Result<SendableRecordBatchStream> {
        let context = Arc::clone(&parts.context);
        let (projection, join) = match plan.downcast_ref::<ProjectionExec>() {
            Some(projection) => (Some(projection), projection.input()),
            None => (None, plan),
        };
        let Some(swapped) = join.downcast_ref::<HashJoinExec>() else {
            return internal_err!("a hash join with swapped sides became {}", join.name());
        };
        self.ran.lock().push(Arc::clone(join));
        let parts = Parts { join: Arc::new(swapped.builder().build()?), ..parts };
        let rows = parts.join(Part { build: probe, probe: Rows::Stream(build), level: 0 });
        match projection {
            None => Ok(rows),
            Some(_) => {
                let rows: Arc<dyn ExecutionPlan> = Arc::new(StreamExec::new(rows));
                replace_children_if_necessary(Arc::clone(plan), vec![rows])?.execute(0, context)
            }
        }
    }

    /// The probe side. The scan below finds a filter that the join makes while it runs only if the plan stays whole.
    fn probe(&self, partition: usize, context: &Arc<TaskContext>) -> Result<Rows> {
        let probe = self.join.right();
        if partition_count(probe) == 1 && !self.join.dynamic_expressions_produced().is_empty() {
            return Ok(Rows::Plan(Arc::clone(probe)));
        }
        Ok(Rows::Stream(probe.execute(partition, Arc::clone(context))?))
    }
}

impl DisplayAs for SpillingJoinExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        if let Some(swapped) = self.swapped.get() {
            write!(f, "{swapped}, ")?;
        }
        self.join.fmt_as(format, f)
    }
}

impl ExecutionPlan for SpillingJoinExec {
    fn name(&self) -> &str {
        self.join.name()
    }

    fn downcast_delegate(&self) -> Option<&dyn ExecutionPlan> {
        Some(self.join.as_ref())
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.join.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        self.join.maintains_input_order()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.join.children()
    }

    fn apply_expressions(
        &self,
        act: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.join.apply_expressions(act)
    }

    fn dynamic_expressions_produced(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        self.join.dynamic_expressions_produced()
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replaced(Arc::clone(&self.join).replace_children(children, options)?)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replaced(Arc::clone(&self.join).reset_state()?)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let share = context.session_config().get_extension::<BuildSideBytes>();
        let (Some(share), true) = (share, self.allowed.load(Ordering::Relaxed)) else {
            return self.join.execute(partition, context);
        };
        let swapped = self.swap(&context, share.0)?;
        let collected = *self.join.partition_mode() == PartitionMode::CollectLeft;
        let build = self.join.left().execute(if collected { 0 } else { partition }, Arc::clone(&context))?;
        let probe = self.probe(partition, &context)?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let limited = metrics.intermediate();
        let parts = Parts {
            join: Arc::clone(&self.join),
            share: share.0,
            partition,
            metrics,
            spill_metrics: SpillMetrics::new(&self.metrics, partition),
            ran: Arc::clone(&self.ran),
            context,
        };
        let rows = match swapped {
            None => parts.join(Part { build: Rows::Stream(build), probe, level: 0 }),
            Some(plan) => self.join_swapped(&plan, parts, build, probe)?,
        };
        Ok(match self.join.fetch() {
            // Each part stops there, too.
            Some(fetch) => Box::pin(LimitStream::new(rows, 0, Some(fetch), limited)),
            None => rows,
        })
    }

    fn metrics(&self) -> Option<MetricsSet> {
        let mut all = self.metrics.clone_inner();
        let ran = self.ran.lock();
        let plans = ran.iter().map(|plan| plan.as_ref()).chain([self.join.as_ref() as &dyn ExecutionPlan]);
        for metrics in plans.filter_map(|plan| plan.metrics()) {
            metrics.iter().for_each(|metric| all.push(Arc::clone(metric)));
        }
        Some(all)
    }

    fn fetch(&self) -> Option<usize> {
        self.join.fetch()
    }
}
