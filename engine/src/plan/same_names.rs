//! Keeps filters that operators make while they run from reaching another table's column of the same name.
//!
//! DataFusion up to 55.2 resolves such a filter by names on its way down: where it passes an operator that gives two
//! columns of one name, as a nested join may, a filter on `b.id` prunes by `a.id` if that is found first, and rows are
//! missing without an error (apache/datafusion#25244 for joins, #25296 for `ORDER BY … LIMIT`; mended by #25259 in a
//! later version). Statements with such an operator are planned without these filters.

use std::collections::HashSet;

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNodeRecursion, TreeNodeVisitor};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionConfig;

/// Whether below an operator that may make filters another one gives two columns of one name.
pub(crate) fn has_same_names(plan: &LogicalPlan) -> Result<bool> {
    let mut search = Search { makers: 0, found: false };
    plan.visit_with_subqueries(&mut search)?;
    Ok(search.found)
}

/// Filters that a plan's own operators make are not made.
pub(crate) fn without_dynamic_filters(mut config: SessionConfig) -> SessionConfig {
    let optimizer = &mut config.options_mut().optimizer;
    optimizer.enable_join_dynamic_filter_pushdown = false;
    optimizer.enable_topk_dynamic_filter_pushdown = false;
    optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    config
}

struct Search {
    /// Operators above the one that is looked at that may make filters.
    makers: usize,
    found: bool,
}

impl<'n> TreeNodeVisitor<'n> for Search {
    type Node = LogicalPlan;

    fn f_down(&mut self, node: &'n LogicalPlan) -> Result<TreeNodeRecursion> {
        let mut names = HashSet::new();
        self.found |= self.makers > 0 && !node.schema().fields().iter().all(|field| names.insert(field.name()));
        self.makers += usize::from(makes_filters(node));
        Ok(if self.found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    }

    fn f_up(&mut self, node: &'n LogicalPlan) -> Result<TreeNodeRecursion> {
        self.makers -= usize::from(makes_filters(node));
        Ok(TreeNodeRecursion::Continue)
    }
}

fn makes_filters(node: &LogicalPlan) -> bool {
    matches!(node, LogicalPlan::Join(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Sort(_))
}
