//! Aggregates that are joined by their group columns need only the groups that the join can find.
//!
//! `sum(x) GROUP BY k` that is joined with few values of `k` is computed over the rows with these values alone: a semi
//! join with the relation that has them goes below the aggregate. Groups stay whole, as all rows of a group share `k`.

use std::sync::Arc;

use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::logical_expr::{Expr, Join, JoinConstraint, LogicalPlan, LogicalPlanBuilder};

use super::estimate::Estimate;
use super::graph::Group;
use super::measure::Measured;

/// The values that are wanted must be at most this part of those that are there.
const WANTED_MAX: f64 = 0.3;
/// Reading the wanted values must cost at most this part of the aggregate's rows.
const READ_MAX: f64 = 0.5;
/// The relation that has them must have been left with at most this part of its rows: others have all values.
const LEFT_MAX: f64 = 0.5;

/// The relations of `group` with aggregates over fewer rows, and whether any is.
pub fn reduced(group: &Group, measured: &Measured) -> Result<(Vec<LogicalPlan>, bool)> {
    let mut changed = false;
    let mut plans = Vec::with_capacity(group.relations.len());
    for (at, relation) in group.relations.iter().enumerate() {
        let mut plan = relation.plan.clone();
        for (column, wanted, wanted_column) in wanted(group, at) {
            let semi_joined = |input: &LogicalPlan, key: Column| {
                with_wanted(input, key, &group.relations[wanted].plan, &wanted_column, measured)
            };
            if let Some(smaller) = below_aggregate(&plan, &column, &semi_joined)? {
                plan = smaller;
                changed = true;
            }
        }
        plans.push(plan);
    }
    Ok((plans, changed))
}

/// Columns of a relation that are equal to one of another relation of the group, which drops all other values.
fn wanted(group: &Group, at: usize) -> Vec<(Column, usize, Column)> {
    let mut found = Vec::new();
    let drops =
        |other: usize| group.relations[other].tests.as_ref().is_none_or(|tests| tests.join_type == JoinType::LeftSemi);
    let mut offer = |ours: &(Expr, u64), theirs: &(Expr, u64)| {
        let (Expr::Column(column), Expr::Column(other)) = (&ours.0, &theirs.0) else { return };
        let relation = theirs.1.trailing_zeros() as usize;
        if ours.1 == 1 << at && drops(relation) {
            found.push((column.clone(), relation, other.clone()));
        }
    };
    let mut equal: Vec<((Expr, u64), (Expr, u64))> =
        group.edges.iter().map(|edge| (edge.left.clone(), edge.right.clone())).collect();
    for (other, relation) in group.relations.iter().enumerate() {
        let Some(tests) = relation.tests.as_ref().filter(|tests| tests.join_type == JoinType::LeftSemi) else {
            continue;
        };
        // What the test compares with, and everything that is equal to it.
        for (outer, inner) in &tests.on {
            let Expr::Column(column) = outer else { continue };
            let owner = group.relations.iter().position(|it| it.tests.is_none() && it.plan.schema().has_column(column));
            equal.extend(owner.map(|owner| ((outer.clone(), 1 << owner), (inner.clone(), 1 << other))));
            let same = group.edges.iter().flat_map(|edge| [(&edge.left, &edge.right), (&edge.right, &edge.left)]);
            let others = same.filter(|(a, _)| a.0 == *outer).map(|(_, b)| b.clone());
            equal.extend(others.map(|b| (b, (inner.clone(), 1 << other))));
        }
    }
    for (a, b) in &equal {
        offer(a, b);
        offer(b, a);
    }
    found
}

type SemiJoined<'a> = dyn Fn(&LogicalPlan, Column) -> Result<Option<LogicalPlan>> + 'a;

/// `plan` with the input of its topmost aggregate replaced, if `column` is one of its group columns.
fn below_aggregate(plan: &LogicalPlan, column: &Column, semi_joined: &SemiJoined) -> Result<Option<LogicalPlan>> {
    let Some(at) = plan.schema().maybe_index_of_column(column) else { return Ok(None) };
    let bare = |expr: &Expr| match expr {
        Expr::Column(column) => Some(column.clone()),
        Expr::Alias(alias) => match alias.expr.as_ref() {
            Expr::Column(column) => Some(column.clone()),
            _ => None,
        },
        _ => None,
    };
    let (input, below) = match plan {
        LogicalPlan::SubqueryAlias(alias) => (&alias.input, alias.input.schema().columns().get(at).cloned()),
        LogicalPlan::Projection(projection) => (&projection.input, projection.expr.get(at).and_then(bare)),
        LogicalPlan::Filter(filter) => (&filter.input, Some(column.clone())),
        LogicalPlan::Aggregate(aggregate) => {
            let Some(key) = aggregate.group_expr.get(at).and_then(bare) else { return Ok(None) };
            let Some(input) = semi_joined(&aggregate.input, key)? else { return Ok(None) };
            return Ok(Some(plan.with_new_exprs(plan.expressions(), vec![input])?));
        }
        _ => return Ok(None),
    };
    let Some(below) = below else { return Ok(None) };
    match below_aggregate(input, &below, semi_joined)? {
        Some(input) => Ok(Some(plan.with_new_exprs(plan.expressions(), vec![input])?)),
        None => Ok(None),
    }
}

/// The rows of `input` whose `key` is among the values of `column` in `wanted`; `None` if that does not pay.
fn with_wanted(
    input: &LogicalPlan,
    key: Column,
    wanted: &LogicalPlan,
    column: &Column,
    measured: &Measured,
) -> Result<Option<LogicalPlan>> {
    let estimate = Estimate::new(measured);
    let (Some(have), Some(want)) = (estimate.of(input)?, estimate.of(wanted)?) else { return Ok(None) };
    let (Some(ours), Some(theirs)) = (have.columns.get(&key), want.columns.get(column)) else { return Ok(None) };
    let pays = theirs.distinct <= ours.distinct * WANTED_MAX
        && theirs.table_rows <= have.rows * READ_MAX
        && want.rows <= theirs.table_rows * LEFT_MAX;
    if !pays || !is_scan(wanted) {
        return Ok(None);
    }
    let name = measured.next_name();
    let values =
        LogicalPlanBuilder::from(wanted.clone()).project([Expr::Column(column.clone())])?.alias(name.as_str())?;
    let values = values.build()?;
    let theirs = Expr::Column(Column::new(Some(name), column.name()));
    let (kind, equality) = (JoinType::LeftSemi, NullEquality::NullEqualsNothing);
    let on = vec![(Expr::Column(key), theirs)];
    let input = Arc::new(input.clone());
    let join = Join::try_new(input, Arc::new(values), on, None, kind, JoinConstraint::On, equality, false)?;
    Ok(Some(LogicalPlan::Join(join)))
}

/// Whether it is a table with conditions, which gives the same rows when it is read again, at its own cost and no other.
fn is_scan(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => scan.fetch.is_none() && !scan.filters.iter().any(Expr::is_volatile),
        LogicalPlan::Filter(filter) => !filter.predicate.is_volatile() && is_scan(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => is_scan(&alias.input),
        LogicalPlan::Projection(projection) => {
            projection.expr.iter().all(|expr| matches!(expr, Expr::Column(_))) && is_scan(&projection.input)
        }
        _ => false,
    }
}
