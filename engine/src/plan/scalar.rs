//! Uncorrelated scalar subqueries: each is evaluated once, and its value is shipped to every task that uses it.
//!
//! DataFusion plans them as one [`ScalarSubqueryExec`] above all the operators that use the values. Where the plan is
//! cut below it, each stage gets a [`ScalarSubqueryExec`] of its own that reads the subqueries' stages.

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::physical_planning_context::ScalarSubqueryResults;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::scalar_subquery::ScalarSubqueryExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::scalar_subquery::{ScalarSubqueryExec, ScalarSubqueryLink};

use super::OutputPartitioning;
use super::cut::Cut;

/// Subqueries whose values the operators below may use.
pub(super) struct Scope {
    results: ScalarSubqueryResults,
    /// Reads the subqueries' stages. All of them: their positions are their identity.
    links: Vec<ScalarSubqueryLink>,
    /// A stage evaluates the subqueries already, and fails if one has two rows.
    used: Cell<bool>,
}

pub(super) fn at_subqueries(cut: &mut Cut, plan: &ScalarSubqueryExec) -> Result<Arc<dyn ExecutionPlan>> {
    let links = plan.subqueries().iter().map(|link| {
        let subquery = cut.below(&link.plan)?;
        let subquery = cut.gather(subquery, None)?;
        Ok(ScalarSubqueryLink { plan: cut.share(subquery)?, index: link.index })
    });
    let links = links.collect::<Result<Vec<_>>>()?;
    let results = plan.results().clone();
    cut.scopes.push(Scope { results: results.clone(), links: links.clone(), used: Cell::new(false) });
    let input = cut.below(plan.input());
    let used_below = cut.scopes.pop().is_some_and(|scope| scope.used.get());
    let input = input?;
    if used_below && !plan_uses(&input, &results)? {
        return Ok(input);
    }
    // It stays even if nothing uses a value: a subquery with two rows is an error all the same.
    Ok(Arc::new(ScalarSubqueryExec::new(input, links, results)))
}

/// Wraps the root of a stage so that the values its expressions use are there before it runs.
pub(super) fn provide_values(
    root: Arc<dyn ExecutionPlan>,
    output: &OutputPartitioning,
    scopes: &[Scope],
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut root = root;
    for scope in scopes.iter().rev() {
        if plan_uses(&root, &scope.results)? || output_uses(output, &scope.results)? {
            scope.used.set(true);
            root = Arc::new(ScalarSubqueryExec::new(root, scope.links.clone(), scope.results.clone()));
        }
    }
    Ok(root)
}

fn plan_uses(plan: &Arc<dyn ExecutionPlan>, results: &ScalarSubqueryResults) -> Result<bool> {
    let mut used = false;
    plan.apply_expressions(&mut |expr| {
        used |= expr_uses(expr, results)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    for child in plan.children() {
        used = used || plan_uses(child, results)?;
    }
    Ok(used)
}

fn output_uses(output: &OutputPartitioning, results: &ScalarSubqueryResults) -> Result<bool> {
    output.exprs().iter().try_fold(false, |used, expr| Ok(used || expr_uses(expr, results)?))
}

fn expr_uses(expr: &Arc<dyn PhysicalExpr>, results: &ScalarSubqueryResults) -> Result<bool> {
    expr.exists(|node| {
        Ok(node.downcast_ref::<ScalarSubqueryExpr>().is_some_and(|subquery| subquery.results() == results))
    })
}
