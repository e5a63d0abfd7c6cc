//! `FILTER` on a window function becomes a `CASE` around its argument, because DataFusion's wire format drops it.
//!
//! `sum(v) FILTER (WHERE p) OVER w` is `sum(CASE WHEN p THEN v END) OVER w` for every aggregate that skips nulls.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, not_impl_err};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, when};
use datafusion::optimizer::AnalyzerRule;

/// Aggregates that give the same answer whether a row is left out or its argument is null.
const NULL_SKIPPING: [&str; 21] = [
    "sum",
    "avg",
    "count",
    "min",
    "max",
    "median",
    "stddev",
    "stddev_pop",
    "var",
    "var_pop",
    "bool_and",
    "bool_or",
    "bit_and",
    "bit_or",
    "bit_xor",
    "corr",
    "covar_samp",
    "covar_pop",
    "string_agg",
    "approx_distinct",
    "approx_median",
];

/// Rewrites every filtered window function of a plan; a function that sees nulls is refused by name.
#[derive(Debug)]
pub(crate) struct WindowFilter;

impl AnalyzerRule for WindowFilter {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(rewrite_node).data()
    }

    fn name(&self) -> &str {
        "window_filter"
    }
}

fn rewrite_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if !matches!(plan, LogicalPlan::Window(_)) {
        return Ok(Transformed::no(plan));
    }
    // Operators above refer to the function's column by its name.
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = expr.transform_up(rewrite_expr)?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })
}

fn rewrite_expr(expr: Expr) -> Result<Transformed<Expr>> {
    let Expr::WindowFunction(mut window) = expr else { return Ok(Transformed::no(expr)) };
    let Some(filter) = window.params.filter.take() else {
        return Ok(Transformed::no(Expr::WindowFunction(window)));
    };
    check_skips_nulls(&window)?;
    // The first argument is enough: an aggregate of two arguments skips a row if either is null.
    if let Some(first) = window.params.args.first_mut() {
        *first = when(*filter, first.clone()).end()?;
    }
    Ok(Transformed::yes(Expr::WindowFunction(window)))
}

fn check_skips_nulls(window: &WindowFunction) -> Result<()> {
    let name = window.fun.name();
    if NULL_SKIPPING.contains(&name) && !window.params.args.is_empty() {
        return Ok(());
    }
    not_impl_err!(
        "FILTER on the window function `{name}` is not supported; put the condition into its argument with CASE"
    )
}
