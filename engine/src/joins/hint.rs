//! Sizes that were estimated, on their way to DataFusion's choice of build sides and broadcasts.
//!
//! A marked input of a join becomes an operator that only tells its statistics, and that goes when the choice is made.

use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchemaRef, Result, Statistics, internal_err};
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use super::estimate::Estimate;
use super::measure::Measured;
use crate::plan::same_names::{has_same_names, without_dynamic_filters};
use crate::user_code::UserCodePlanner;

/// Marks the inputs of all joins whose size can be estimated.
pub fn mark(plan: LogicalPlan, measured: &Measured) -> Result<LogicalPlan> {
    let estimate = Estimate::new(measured);
    // From the top down, so that nothing below an input is marked when it is estimated.
    let marked = plan.transform_down_with_subqueries(|node| {
        if !matches!(node, LogicalPlan::Join(_)) {
            return Ok(Transformed::no(node));
        }
        node.map_children(|input| {
            let Some(size) = estimate.of(&input)? else { return Ok(Transformed::no(input)) };
            let (rows, bytes) = (size.rows as usize, size.table_bytes() as usize);
            let hint = SizeHint { input, rows, bytes };
            Ok(Transformed::yes(LogicalPlan::Extension(Extension { node: Arc::new(hint) })))
        })
    })?;
    Ok(marked.data)
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SizeHint {
    input: LogicalPlan,
    rows: usize,
    bytes: usize,
}

impl Hash for SizeHint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.rows.hash(state);
    }
}

impl PartialOrd for SizeHint {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.input.partial_cmp(&other.input)
    }
}

impl UserDefinedLogicalNodeCore for SizeHint {
    fn name(&self) -> &str {
        "SizeHint"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        HashSet::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "SizeHint: rows={}, bytes={}", self.rows, self.bytes)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match inputs.pop() {
            Some(input) if inputs.is_empty() => Ok(SizeHint { input, ..self.clone() }),
            _ => internal_err!("a size hint has one input"),
        }
    }
}

/// DataFusion's planner, which also knows the marks and the user's code, and makes no filters that could end up at the wrong column.
#[derive(Debug)]
pub struct HintPlanner;

#[async_trait]
impl QueryPlanner for HintPlanner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let planner =
            DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(HintPlanner), Arc::new(UserCodePlanner)]);
        match session.as_any().downcast_ref::<SessionState>() {
            Some(state) if has_same_names(plan)? => {
                let mut careful = state.clone();
                *careful.config_mut() = without_dynamic_filters(careful.config().clone());
                planner.create_physical_plan(plan, &careful).await
            }
            _ => planner.create_physical_plan(plan, session).await,
        }
    }
}

#[async_trait]
impl ExtensionPlanner for HintPlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(hint), [input]) = (node.as_any().downcast_ref::<SizeHint>(), inputs) else { return Ok(None) };
        let mut statistics = Statistics::new_unknown(&input.schema());
        statistics.num_rows = Precision::Inexact(hint.rows);
        statistics.total_byte_size = Precision::Inexact(hint.bytes);
        Ok(Some(Arc::new(SizeHintExec { input: Arc::clone(input), statistics: Arc::new(statistics) })))
    }
}

#[derive(Clone, Debug)]
struct SizeHintExec {
    input: Arc<dyn ExecutionPlan>,
    statistics: Arc<Statistics>,
}

impl DisplayAs for SizeHintExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "SizeHintExec: rows={:?}", self.statistics.num_rows)
    }
}

impl ExecutionPlan for SizeHintExec {
    fn name(&self) -> &str {
        "SizeHintExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = children.as_slice() else { return internal_err!("a size hint has one input") };
        Ok(Arc::new(SizeHintExec { input: Arc::clone(input), statistics: Arc::clone(&self.statistics) }))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        _: &datafusion::physical_plan::StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        Ok(Arc::clone(&self.statistics))
    }
}

/// Takes the marks out of a plan whose joins have their sides.
#[derive(Debug)]
pub struct DropHints;

impl PhysicalOptimizerRule for DropHints {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let dropped = plan.transform_down(|node| {
            let mut node = node;
            let mut found = false;
            while let Some(hint) = node.downcast_ref::<SizeHintExec>().map(|hint| Arc::clone(&hint.input)) {
                node = hint;
                found = true;
            }
            Ok(if found { Transformed::yes(node) } else { Transformed::no(node) })
        })?;
        Ok(dropped.data)
    }

    fn name(&self) -> &str {
        "DropHints"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
