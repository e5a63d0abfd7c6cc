//! As many reduce partitions as a job asks for.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning};

use super::UserCodeExec;

/// The planner gives every exchange as many partitions; those in front of reducers that ask for another number get that.
/// What maps before them is divided by its input alone.
pub fn with_reducers(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let changed = plan.transform_up(|node| {
        let Some(code) = node.downcast_ref::<UserCodeExec>() else { return Ok(Transformed::no(node)) };
        let (Some(partitions), Some(order)) = (code.code().partitions, LexOrdering::new(code.order().to_vec())) else {
            return Ok(Transformed::no(node));
        };
        let rows = before_exchange(code.input());
        let many = partitions > 1;
        let exchanged: Arc<dyn ExecutionPlan> = match (many, rows.output_partitioning().partition_count()) {
            (true, _) => {
                let by_key = Partitioning::Hash(code.partition().to_vec(), partitions as usize);
                Arc::new(RepartitionExec::try_new(rows, by_key)?)
            }
            (false, 1) => rows,
            (false, _) => Arc::new(CoalescePartitionsExec::new(rows)),
        };
        let sorted = SortExec::new(order, exchanged).with_preserve_partitioning(many);
        Ok(Transformed::yes(Arc::new(code.over(Arc::new(sorted))) as Arc<dyn ExecutionPlan>))
    })?;
    Ok(changed.data)
}

/// The rows below the sort and the exchange that the planner has put in front of a reducer.
fn before_exchange(plan: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let is_added = plan.is::<SortExec>()
        || plan.is::<RepartitionExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.is::<SortPreservingMergeExec>();
    match plan.children()[..] {
        [input] if is_added && plan.fetch().is_none() => before_exchange(input),
        _ => Arc::clone(plan),
    }
}
