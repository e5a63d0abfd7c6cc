//! The order of joins, by estimated cost over the whole statement, before it is cut into stages.
//!
//! `reduce` leaves out rows of aggregates that no join will find.
//! `estimate` guesses rows and distinct values from what the files' footers and a sample say, `graph` collects
//! relations that may be joined in any order, `search` finds the cheapest order, and `hint` tells DataFusion's own
//! choice of build sides and broadcasts what was estimated. Where anything is unknown the written order stays.

mod estimate;
mod graph;
mod hint;
mod measure;
mod reduce;
mod search;
#[cfg(test)]
mod tests;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::Optimizer;

pub use hint::{DropHints, HintPlanner};
use measure::Measured;

/// An optimised plan with its joins in a cheaper order, and its joins' inputs marked with their estimated sizes.
///
/// Reads footers of the tables that take part, and a few thousand rows where a filter cannot be judged by them.
pub async fn order(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    if graph::joins(&plan)? == 0 {
        return Ok(plan);
    }
    let measured = Measured::take(&plan, session).await?;
    let ordered = reorder(plan, &measured)?;
    // Columns that only the old order needed in some places are dropped there, and filters move again.
    let plan = if ordered.transformed { optimized_again(ordered.data, session)? } else { ordered.data };
    hint::mark(plan, &measured)
}

/// By all rules of the session but the one that puts inner joins into an order of its own.
fn optimized_again(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    let rules = session.optimizers().iter().filter(|rule| rule.name() != "eliminate_cross_join").cloned();
    Optimizer::with_rules(rules.collect()).optimize(plan, session, |_, _| {})
}

/// The highest group of inner and semi joins first: what is below its relations is ordered on the way back.
fn reorder(plan: LogicalPlan, measured: &Measured) -> Result<Transformed<LogicalPlan>> {
    if let Some(group) = graph::Group::of(&plan)? {
        let (inputs, mut changed) = reduce::reduced(&group, measured)?;
        let relations = inputs.into_iter().map(|input| {
            let inner = reorder(input, measured)?;
            changed |= inner.transformed;
            Ok(inner.data)
        });
        let group = group.clone().with_inputs(relations.collect::<Result<_>>()?)?;
        return match search::better_order(&group, measured)? {
            Some(better) => Ok(Transformed::yes(better)),
            None if changed => Ok(Transformed::yes(group.written()?)),
            // As it is: the group has forgotten where columns were dropped.
            None => Ok(Transformed::no(plan)),
        };
    }
    plan.map_children(|child| reorder(child, measured))
}
