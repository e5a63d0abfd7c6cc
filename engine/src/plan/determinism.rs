//! Whether a second run of a stage gives the same rows in the same places.
//!
//! Followed from the leaves up: what is read, what loses the order, what depends on the order, what rolls dice.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use windrow_model::Determinism;

use super::key_filter::KeyProbeExec;
use super::shuffle_read::{Reads, ShuffleReadExec};
use super::{CutStage, OutputPartitioning, spilling_join};
use crate::user_code::UserCodeExec;

/// The class of the stage rooted at `root`. `stages` are those of the same statement that are finished.
pub(super) fn of(
    root: &Arc<dyn ExecutionPlan>,
    output: &OutputPartitioning,
    stages: &[CutStage],
) -> Result<Determinism> {
    let class = of_plan(root, stages)?;
    if output.exprs().iter().any(is_volatile) {
        return Ok(Determinism::Indeterminate);
    }
    // A sum of floats depends in its last bits on the order of its terms, and so does where a row goes or whether it
    // stays when that is decided by the sum.
    let decided_by_floats =
        || Ok::<_, DataFusionError>(divides_by_float(root, output)? || places_float_sums(root, output));
    if class == Determinism::Unordered && decided_by_floats()? {
        return Ok(Determinism::Indeterminate);
    }
    Ok(class)
}

/// Whether rows that carry a float aggregate are filtered or divided. Which of their columns decides is not followed:
/// a class that is too careful only costs a few more re-runs.
fn places_float_sums(root: &Arc<dyn ExecutionPlan>, output: &OutputPartitioning) -> bool {
    let divided = matches!(output, OutputPartitioning::Hash { .. } | OutputPartitioning::Ranges(_));
    (divided || any(root, &|plan| plan.is::<FilterExec>())) && any(root, &sums_floats)
}

fn sums_floats(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let Some(aggregate) = plan.downcast_ref::<AggregateExec>() else { return false };
    let partial = matches!(aggregate.mode(), AggregateMode::Partial | AggregateMode::PartialReduce);
    !partial && aggregate.aggr_expr().iter().any(|function| function.field().data_type().is_floating())
}

fn any(plan: &Arc<dyn ExecutionPlan>, holds: &dyn Fn(&Arc<dyn ExecutionPlan>) -> bool) -> bool {
    holds(plan) || plan.children().into_iter().any(|child| any(child, holds))
}

fn of_plan(plan: &Arc<dyn ExecutionPlan>, stages: &[CutStage]) -> Result<Determinism> {
    if let Some(read) = plan.downcast_ref::<ShuffleReadExec>() {
        return Ok(of_read(read, stages));
    }
    if plan.is::<KeyProbeExec>() {
        return of_probe(plan, stages);
    }
    if plan.downcast_ref::<UserCodeExec>().is_some_and(|code| !code.code().gives_the_same_again()) {
        return Ok(Determinism::Indeterminate);
    }
    let mut class = Determinism::Determinate;
    for child in plan.children() {
        class = worse(class, of_plan(child, stages)?);
    }
    if spilling_join::may_lose_order(plan) {
        class = worse(class, Determinism::Unordered);
    }
    if rolls_dice(plan)? || (class == Determinism::Unordered && depends_on_order(plan)) {
        return Ok(Determinism::Indeterminate);
    }
    Ok(if loses_order(plan) { worse(class, Determinism::Unordered) } else { class })
}

/// Filters in another order drop the same rows. Filters of other keys do not.
fn of_probe(plan: &Arc<dyn ExecutionPlan>, stages: &[CutStage]) -> Result<Determinism> {
    let [input, filters] = plan.children()[..] else { return Ok(Determinism::Indeterminate) };
    match of_plan(filters, stages)? {
        Determinism::Indeterminate => Ok(Determinism::Indeterminate),
        Determinism::Determinate | Determinism::Unordered => of_plan(input, stages),
    }
}

/// Map outputs arrive in any order; a single one has an order of its own, as good as its producer's.
fn of_read(read: &ShuffleReadExec, stages: &[CutStage]) -> Determinism {
    let Some(producer) = stages.iter().find(|stage| stage.plan.index == read.stage()) else {
        return Determinism::Unordered;
    };
    let one_output = read.reads() == Reads::Each || producer.plan.tasks.len() == 1;
    let arrival = if one_output { Determinism::Determinate } else { Determinism::Unordered };
    worse(arrival, producer.plan.determinism)
}

fn worse(one: Determinism, other: Determinism) -> Determinism {
    let rank = |class| match class {
        Determinism::Determinate => 0,
        Determinism::Unordered => 1,
        Determinism::Indeterminate => 2,
    };
    if rank(one) >= rank(other) { one } else { other }
}

fn rolls_dice(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut volatile = false;
    plan.apply_expressions(&mut |expr| {
        volatile |= is_volatile(expr);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(volatile)
}

/// Rows of several threads meet, or leave a hash table.
fn loses_order(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<RepartitionExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.is::<AggregateExec>()
        || plan.is::<RecursiveQueryExec>()
}

/// Other rows, not only another order of rows, if the input comes in another order.
fn depends_on_order(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let deals = |exec: &RepartitionExec| matches!(exec.partitioning(), Partitioning::RoundRobinBatch(_));
    // A limit without an order, and one with an order that has ties.
    plan.fetch().is_some()
        || plan.is::<WindowAggExec>()
        || plan.is::<BoundedWindowAggExec>()
        || plan.downcast_ref::<RepartitionExec>().is_some_and(deals)
        || plan.downcast_ref::<AggregateExec>().is_some_and(has_ordered_aggregate)
}

/// Aggregates whose value does not depend on the order of their input (but for the last bits of floats).
/// Anything else may: `array_agg`, `first_value`, a function of a later version.
const COMMUTATIVE: [&str; 24] = [
    "sum",
    "count",
    "min",
    "max",
    "avg",
    "median",
    "bool_and",
    "bool_or",
    "bit_and",
    "bit_or",
    "bit_xor",
    "stddev",
    "stddev_pop",
    "var",
    "var_pop",
    "corr",
    "covar_samp",
    "covar_pop",
    "grouping",
    "regr_slope",
    "regr_intercept",
    "regr_count",
    "regr_r2",
    "approx_distinct",
];

fn has_ordered_aggregate(aggregate: &AggregateExec) -> bool {
    // A limit inside of an aggregate keeps the groups that came first.
    aggregate.limit_options().is_some()
        || aggregate.aggr_expr().iter().any(|function| !COMMUTATIVE.contains(&function.fun().name()))
}

fn divides_by_float(root: &Arc<dyn ExecutionPlan>, output: &OutputPartitioning) -> Result<bool> {
    let schema = root.schema();
    output.exprs().iter().try_fold(false, |found, expr| {
        let kind = expr.data_type(&schema)?;
        Ok(found || matches!(kind, DataType::Float16 | DataType::Float32 | DataType::Float64))
    })
}
