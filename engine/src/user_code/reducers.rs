//! As many reduce partitions as a job asks for.
//!
//! The planner gives every exchange as many partitions as it finds right. So a reducer that asks for another number brings
//! its own: an operator that the planner takes for any other while it decides about everything above and below, and that
//! becomes the exchange when all is decided.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties, ReplaceChildrenOptions,
};

/// An exchange by hash of `keys` into as many partitions as a job asks for.
#[derive(Clone, Debug)]
pub struct ToReducersExec {
    input: Arc<dyn ExecutionPlan>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    partitions: usize,
    properties: Arc<PlanProperties>,
}

impl ToReducersExec {
    pub fn new(input: Arc<dyn ExecutionPlan>, keys: Vec<Arc<dyn PhysicalExpr>>, partitions: usize) -> ToReducersExec {
        let partitioning = match partitions {
            1 => Partitioning::UnknownPartitioning(1),
            many => Partitioning::Hash(keys.clone(), many),
        };
        let facts = EquivalenceProperties::new(input.schema());
        let properties = PlanProperties::new(facts, partitioning, EmissionType::Incremental, Boundedness::Bounded);
        ToReducersExec { input, keys, partitions, properties: Arc::new(properties) }
    }

    fn exchange(&self) -> Result<Arc<dyn ExecutionPlan>> {
        let input = Arc::clone(&self.input);
        Ok(match (self.partitions, input.output_partitioning().partition_count()) {
            (1, 1) => input,
            (1, _) => Arc::new(CoalescePartitionsExec::new(input)),
            (many, _) => Arc::new(RepartitionExec::try_new(input, Partitioning::Hash(self.keys.clone(), many))?),
        })
    }
}

/// Puts in the exchanges, once nothing else of the plan is going to change.
pub fn with_exchanges(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let exchanged = plan.transform_up(|node| match node.downcast_ref::<ToReducersExec>() {
        Some(exchange) => exchange.exchange().map(Transformed::yes),
        None => Ok(Transformed::no(node)),
    })?;
    Ok(exchanged.data)
}

impl DisplayAs for ToReducersExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "ToReducersExec: partitions={}", self.partitions)
    }
}

impl ExecutionPlan for ToReducersExec {
    fn name(&self) -> &str {
        "ToReducersExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        act: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for key in &self.keys {
            act(key)?;
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.as_slice() {
            [input] => Ok(Arc::new(ToReducersExec::new(Arc::clone(input), self.keys.clone(), self.partitions))),
            _ => internal_err!("ToReducersExec has one input"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        internal_err!("an exchange to reducers was not put in")
    }
}
