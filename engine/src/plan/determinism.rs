//! Whether a second run of a stage gives the same rows in the same places.
//!
//! Followed from the leaves up: what is read, what loses the order, what depends on the order, what rolls dice.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use windrow_model::Determinism;

use super::shuffle_read::{Reads, ShuffleReadExec};
use super::{CutStage, OutputPartitioning};

/// The class of the stage rooted at `root`. `stages` are those of the same statement that are finished.
pub(super) fn of(
    root: &Arc<dyn ExecutionPlan>,
    output: &OutputPartitioning,
    stages: &[CutStage],
) -> Result<Determinism> {
    let class = of_plan(root, stages)?;
    // A sum of floats depends in its last bits on the order of its terms, and so does the hash of that sum.
    if class == Determinism::Unordered && divides_by_float(root, output)? {
        return Ok(Determinism::Indeterminate);
    }
    Ok(class)
}

fn of_plan(plan: &Arc<dyn ExecutionPlan>, stages: &[CutStage]) -> Result<Determinism> {
    if let Some(read) = plan.downcast_ref::<ShuffleReadExec>() {
        return Ok(of_read(read, stages));
    }
    let mut class = Determinism::Determinate;
    for child in plan.children() {
        class = worse(class, of_plan(child, stages)?);
    }
    if rolls_dice(plan)? || (class == Determinism::Unordered && depends_on_order(plan)) {
        return Ok(Determinism::Indeterminate);
    }
    Ok(if loses_order(plan) { worse(class, Determinism::Unordered) } else { class })
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

fn has_ordered_aggregate(aggregate: &AggregateExec) -> bool {
    let mut functions = aggregate.aggr_expr().iter();
    functions.any(|function| function.order_sensitivity() != AggregateOrderSensitivity::Insensitive)
}

fn divides_by_float(root: &Arc<dyn ExecutionPlan>, output: &OutputPartitioning) -> Result<bool> {
    let OutputPartitioning::Hash { exprs, .. } = output else {
        return Ok(false);
    };
    let schema = root.schema();
    exprs.iter().try_fold(false, |found, expr| {
        let kind = expr.data_type(&schema)?;
        Ok(found || matches!(kind, DataType::Float16 | DataType::Float32 | DataType::Float64))
    })
}
