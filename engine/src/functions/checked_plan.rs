//! Sets "fail on overflow" on the arithmetic of physical plans.
//!
//! The flag is neither in DataFusion's configuration nor in its wire format: it is set on the plan as the planner
//! makes it, and again on each expression that is decoded.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, PhysicalGroupBy};
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::sorts::sort::SortExec;

/// Runs before all other rules, on the nodes that the planner itself makes: later rules carry the flag along.
#[derive(Debug)]
pub(super) struct FailOnOverflow;

impl PhysicalOptimizerRule for FailOnOverflow {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        fail_on_overflow(plan)
    }

    fn name(&self) -> &str {
        "fail_on_overflow"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Makes `+`, `-` and `*` of every expression of `plan` fail on overflow.
pub fn fail_on_overflow(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        if !has_unchecked(&node)? {
            return Ok(Transformed::no(node));
        }
        match checked_node(&node)? {
            Some(checked) => Ok(Transformed::yes(checked)),
            None => Ok(Transformed::no(node)),
        }
    })
    .data()
}

/// The same for one expression, all of its sub-expressions included. A plan codec calls it on each decoded expression.
pub fn checked(expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    expr.transform_up(|expr| Ok(check_one(expr))).data()
}

fn check_one(expr: Arc<dyn PhysicalExpr>) -> Transformed<Arc<dyn PhysicalExpr>> {
    match unchecked(&expr) {
        Some(binary) => {
            let binary = BinaryExpr::new(Arc::clone(binary.left()), *binary.op(), Arc::clone(binary.right()));
            Transformed::yes(Arc::new(binary.with_fail_on_overflow(true)))
        }
        None => Transformed::no(expr),
    }
}

/// The arithmetic at the root of `expr`, if it wraps. The flag has no getter, but it takes part in equality.
fn unchecked(expr: &Arc<dyn PhysicalExpr>) -> Option<&BinaryExpr> {
    let binary = expr.downcast_ref::<BinaryExpr>()?;
    if !matches!(binary.op(), Operator::Plus | Operator::Minus | Operator::Multiply) {
        return None;
    }
    let wrapping = BinaryExpr::new(Arc::clone(binary.left()), *binary.op(), Arc::clone(binary.right()));
    (*binary == wrapping).then_some(binary)
}

fn has_unchecked(node: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut found = false;
    node.apply_expressions(&mut |expr| {
        expr.apply(|part| {
            found |= unchecked(part).is_some();
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(found)
}

/// `None` for other nodes. Arguments of window functions cannot be replaced in a plan; they are when it is decoded.
fn checked_node(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        return checked_projection(projection).map(Some);
    }
    if let Some(filter) = node.downcast_ref::<FilterExec>() {
        let builder = FilterExecBuilder::from(filter).with_predicate(checked(Arc::clone(filter.predicate()))?);
        return Ok(Some(Arc::new(builder.build()?)));
    }
    if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
        return checked_aggregate(aggregate).map(Some);
    }
    if let Some(sort) = node.downcast_ref::<SortExec>() {
        return checked_sort(sort);
    }
    checked_join(node)
}

fn checked_projection(projection: &ProjectionExec) -> Result<Arc<dyn ExecutionPlan>> {
    let exprs: Result<Vec<_>> = projection
        .expr()
        .iter()
        .map(|item| Ok(ProjectionExpr { expr: checked(Arc::clone(&item.expr))?, alias: item.alias.clone() }))
        .collect();
    Ok(Arc::new(ProjectionExec::try_new(exprs?, Arc::clone(projection.input()))?))
}

fn checked_aggregate(aggregate: &AggregateExec) -> Result<Arc<dyn ExecutionPlan>> {
    let group_by = aggregate.group_expr();
    let group_by = PhysicalGroupBy::new(
        checked_named(group_by.expr())?,
        checked_named(group_by.null_expr())?,
        group_by.groups().to_vec(),
        group_by.has_grouping_set(),
    );
    let mut functions = Vec::with_capacity(aggregate.aggr_expr().len());
    for function in aggregate.aggr_expr() {
        let exprs = function.all_expressions();
        let rebuilt = function.with_new_expressions(checked_all(exprs.args)?, checked_all(exprs.order_by_exprs)?);
        functions.push(rebuilt.map_or_else(|| Arc::clone(function), Arc::new));
    }
    let filters: Result<Vec<_>> =
        aggregate.filter_expr().iter().map(|filter| filter.clone().map(checked).transpose()).collect();
    let input = Arc::clone(aggregate.input());
    let rebuilt =
        AggregateExec::try_new(*aggregate.mode(), group_by, functions, filters?, input, aggregate.input_schema())?;
    Ok(Arc::new(rebuilt.with_limit_options(aggregate.limit_options())))
}

fn checked_sort(sort: &SortExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let keys: Result<Vec<_>> =
        sort.expr().iter().map(|key| Ok(PhysicalSortExpr::new(checked(Arc::clone(&key.expr))?, key.options))).collect();
    let Some(keys) = LexOrdering::new(keys?) else { return Ok(None) };
    let rebuilt = SortExec::new(keys, Arc::clone(sort.input()))
        .with_preserve_partitioning(sort.preserve_partitioning())
        .with_fetch(sort.fetch());
    Ok(Some(Arc::new(rebuilt)))
}

fn checked_join(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        let builder = join.builder().with_on(checked_keys(join.on())?).with_filter(checked_filter(join.filter())?);
        return builder.build_exec().map(Some);
    }
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        let (left, right) = (Arc::clone(join.left()), Arc::clone(join.right()));
        let rebuilt = NestedLoopJoinExecBuilder::new(left, right, *join.join_type())
            .with_filter(checked_filter(join.filter())?)
            .with_projection_ref(join.projection().clone());
        return Ok(Some(Arc::new(rebuilt.build()?)));
    }
    if let Some(join) = node.downcast_ref::<SortMergeJoinExec>() {
        let rebuilt = SortMergeJoinExec::try_new(
            Arc::clone(join.left()),
            Arc::clone(join.right()),
            checked_keys(join.on())?,
            checked_filter(join.filter().as_ref())?,
            join.join_type(),
            join.sort_options().to_vec(),
            join.null_equality(),
        )?;
        return Ok(Some(Arc::new(rebuilt)));
    }
    Ok(None)
}

/// The left and right side of one equality of a join.
type JoinKey = (Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>);

fn checked_keys(keys: &[JoinKey]) -> Result<Vec<JoinKey>> {
    keys.iter().map(|(left, right)| Ok((checked(Arc::clone(left))?, checked(Arc::clone(right))?))).collect()
}

fn checked_filter(filter: Option<&JoinFilter>) -> Result<Option<JoinFilter>> {
    filter
        .map(|filter| {
            let expr = checked(Arc::clone(filter.expression()))?;
            Ok(JoinFilter::new(expr, filter.column_indices().to_vec(), Arc::clone(filter.schema())))
        })
        .transpose()
}

fn checked_named(exprs: &[(Arc<dyn PhysicalExpr>, String)]) -> Result<Vec<(Arc<dyn PhysicalExpr>, String)>> {
    exprs.iter().map(|(expr, name)| Ok((checked(Arc::clone(expr))?, name.clone()))).collect()
}

fn checked_all(exprs: Vec<Arc<dyn PhysicalExpr>>) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
    exprs.into_iter().map(checked).collect()
}
