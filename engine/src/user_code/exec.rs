//! A piece of code as an operator over the rows of its input.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_datafusion_err, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;

use super::origin::Origin;
use super::run::{CodeContext, CodeRun};
use super::{PlacedCode, Role};
use crate::sink::OutputTarget;

/// Batches between a piece of code and whoever reads its rows.
const BATCHES_AHEAD: usize = 2;

#[derive(Clone, Debug)]
pub struct UserCodeExec {
    input: Arc<dyn ExecutionPlan>,
    code: Arc<PlacedCode>,
    partition: Vec<Arc<dyn PhysicalExpr>>,
    order: Vec<PhysicalSortExpr>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl UserCodeExec {
    /// `partition` and `order` are what the code asks of the rows of `input`.
    pub fn new(
        input: Arc<dyn ExecutionPlan>,
        code: Arc<PlacedCode>,
        partition: Vec<Arc<dyn PhysicalExpr>>,
        order: Vec<PhysicalSortExpr>,
    ) -> UserCodeExec {
        let partitioning = Partitioning::UnknownPartitioning(input.output_partitioning().partition_count());
        let facts = EquivalenceProperties::new(Arc::clone(&code.schema));
        let properties = PlanProperties::new(facts, partitioning, EmissionType::Incremental, Boundedness::Bounded);
        let metrics = ExecutionPlanMetricsSet::new();
        UserCodeExec { input, code, partition, order, properties: Arc::new(properties), metrics }
    }

    pub fn code(&self) -> &PlacedCode {
        &self.code
    }

    pub fn partition(&self) -> &[Arc<dyn PhysicalExpr>] {
        &self.partition
    }

    pub fn order(&self) -> &[PhysicalSortExpr] {
        &self.order
    }
}

impl DisplayAs for UserCodeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "UserCodeExec: {}", self.code)
    }
}

impl ExecutionPlan for UserCodeExec {
    fn name(&self) -> &str {
        "UserCodeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![match self.code.role {
            Role::Map | Role::Combine => Distribution::UnspecifiedDistribution,
            // It has brought its own exchange.
            Role::Reduce if self.code.partitions.is_some() => Distribution::UnspecifiedDistribution,
            Role::Reduce => Distribution::KeyPartitioned(self.partition.clone()),
        }]
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![LexOrdering::new(self.order.clone()).map(OrderingRequirements::from)]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![self.code.role == Role::Reduce && self.code.partitions.is_none()]
    }

    fn apply_expressions(
        &self,
        act: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for expr in self.partition.iter().chain(self.order.iter().map(|sort| &sort.expr)) {
            act(expr)?;
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.as_slice() {
            [input] => {
                let (code, partition) = (Arc::clone(&self.code), self.partition.clone());
                Ok(Arc::new(UserCodeExec::new(Arc::clone(input), code, partition, self.order.clone())))
            }
            _ => internal_err!("UserCodeExec has one input"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let missing = || internal_datafusion_err!("{} runs outside of an attempt", self.code.table);
        let code = context.session_config().get_extension::<CodeContext>().ok_or_else(missing)?;
        let origin = Origin::new(Arc::clone(&self.input), partition, Arc::clone(&context));
        let input = self.input.execute(partition, context)?;
        let input = if self.code.drops_number() { without_number(input)? } else { input };
        let run = CodeRun { code: Arc::clone(&self.code), context: code.as_ref().clone(), partition };
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let mut rows = RecordBatchReceiverStream::builder(self.schema(), BATCHES_AHEAD);
        let out = rows.tx();
        rows.spawn(async move { run.run(input, out, origin).await });
        let counted = rows.build().map(move |batch| {
            if let Ok(batch) = &batch {
                metrics.record_output(batch.num_rows());
            }
            batch
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), counted)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Where the code of a plan puts records at which it fails.
pub fn asides(plan: &Arc<dyn ExecutionPlan>) -> Vec<Arc<OutputTarget>> {
    let own = plan.downcast_ref::<UserCodeExec>().and_then(|code| code.code.aside.clone());
    plan.children().into_iter().flat_map(asides).chain(own).collect()
}

/// Rows without their first column.
fn without_number(input: SendableRecordBatchStream) -> Result<SendableRecordBatchStream> {
    let rest: Vec<usize> = (1..input.schema().fields().len()).collect();
    let schema = Arc::new(input.schema().project(&rest)?);
    let rows = input.map(move |batch| Ok(batch?.project(&rest)?));
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
}
