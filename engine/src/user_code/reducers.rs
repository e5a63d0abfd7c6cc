//! As many reduce partitions as a job asks for, and divided as it asks for.
//!
//! The planner gives every exchange as many partitions as it finds right. So a reducer that asks for others brings its own: an operator that the planner takes for any other while it decides about everything above and below, and that
//! becomes the exchange when all is decided.

use std::fmt;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::Schema;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, SplitPoint, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr, RangePartitioning,
};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties, ReplaceChildrenOptions,
};
use windrow_model::Divide;

use super::PlacedCode;

/// An exchange that divides rows as a job asks for.
#[derive(Clone, Debug)]
pub struct ToReducersExec {
    input: Arc<dyn ExecutionPlan>,
    partitioning: Partitioning,
    properties: Arc<PlanProperties>,
}

/// How a reducer asks for its rows; `None`: as the planner finds right. `keys` are what decides, over rows of `schema`.
///
/// # Errors
/// Split points that are no values of the key, or not in order.
pub fn partitioning(
    code: &PlacedCode,
    keys: &[Arc<dyn PhysicalExpr>],
    schema: &Schema,
) -> Result<Option<Partitioning>> {
    let Some(partitions) = code.partitions else { return Ok(None) };
    let points: Vec<ScalarValue> = match (&code.keys.divide, keys.first()) {
        _ if partitions == 1 => return Ok(Some(Partitioning::UnknownPartitioning(1))),
        (Divide::Hash, _) | (_, None) => {
            return Ok(Some(Partitioning::Hash(keys.to_vec(), partitions as usize)));
        }
        (Divide::Numbered, Some(number)) => {
            let kind = number.data_type(schema)?;
            (1..partitions).map(|nth| ScalarValue::from(nth).cast_to(&kind)).collect::<Result<_>>()?
        }
        (Divide::Points(points), Some(key)) => {
            let kind = key.data_type(schema)?;
            points.iter().map(|point| ScalarValue::try_from_string(point.clone(), &kind)).collect::<Result<_>>()?
        }
    };
    let points = points.into_iter().map(|point| SplitPoint::new(vec![point])).collect();
    let order = keys.first().map(|key| PhysicalSortExpr::new(Arc::clone(key), BY_VALUE));
    let Some(order) = LexOrdering::new(order) else { return internal_err!("an exchange without a key") };
    Ok(Some(Partitioning::Range(RangePartitioning::try_new(order, points)?)))
}

/// Keys go up, and rows without one come last.
const BY_VALUE: SortOptions = SortOptions { descending: false, nulls_first: false };

impl ToReducersExec {
    pub fn new(input: Arc<dyn ExecutionPlan>, partitioning: Partitioning) -> ToReducersExec {
        let facts = EquivalenceProperties::new(input.schema());
        let properties =
            PlanProperties::new(facts, partitioning.clone(), EmissionType::Incremental, Boundedness::Bounded);
        ToReducersExec { input, partitioning, properties: Arc::new(properties) }
    }

    fn exchange(&self) -> Result<Arc<dyn ExecutionPlan>> {
        let input = Arc::clone(&self.input);
        Ok(match (self.partitioning.partition_count(), input.output_partitioning().partition_count()) {
            (1, 1) => input,
            (1, _) => Arc::new(CoalescePartitionsExec::new(input)),
            (_, _) => Arc::new(RepartitionExec::try_new(input, self.partitioning.clone())?),
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
        write!(f, "ToReducersExec: {}", self.partitioning)
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
        match &self.partitioning {
            Partitioning::Hash(keys, _) => keys.iter().try_for_each(|key| act(key).map(drop))?,
            Partitioning::Range(ranges) => ranges.ordering().iter().try_for_each(|key| act(&key.expr).map(drop))?,
            Partitioning::RoundRobinBatch(_) | Partitioning::UnknownPartitioning(_) => {}
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.as_slice() {
            [input] => Ok(Arc::new(ToReducersExec::new(Arc::clone(input), self.partitioning.clone()))),
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
