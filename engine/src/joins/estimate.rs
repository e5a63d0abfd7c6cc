//! How many rows, of how many different values, an operator gives.
//!
//! Equalities take the classic way (Selinger et al. 1979): a join of two columns keeps one pair in as many as the side
//! with more different values has. Values of integers and dates are counted by the range that a file's footer tells.

use std::collections::HashMap;

use datafusion::common::{Column, DFSchema, JoinType, Result, ScalarValue, TableReference};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, JoinConstraint, LogicalPlan, Operator};

use super::graph::Tests;
use super::measure::{Measured, number};

/// Parts of rows that pass conditions of which nothing is known.
const UNKNOWN_COMPARISON: f64 = 1.0 / 3.0;
const UNKNOWN_PATTERN: f64 = 0.1;
const UNKNOWN: f64 = 0.25;
/// Of groups, by a condition on an aggregate.
const UNKNOWN_HAVING: f64 = 0.2;
/// Width of a value of variable length, in bytes.
const TEXT_BYTES: f64 = 24.0;

/// Bytes of a hash table for each row, its own not counted.
const TABLE_BYTES_A_ROW: f64 = 24.0;

/// What is known about the rows of a plan.
#[derive(Clone, Debug, Default)]
pub struct Size {
    pub rows: f64,
    pub columns: HashMap<Column, ColumnSize>,
}

#[derive(Clone, Debug)]
pub struct ColumnSize {
    /// Different values.
    pub distinct: f64,
    /// Rows of the table it comes from: several columns of one table have no more different values than that.
    pub table_rows: f64,
    pub range: Option<(f64, f64)>,
    pub bytes: f64,
}

impl Size {
    pub fn row_bytes(&self) -> f64 {
        self.columns.values().map(|column| column.bytes).sum::<f64>() + 1.0
    }

    pub fn bytes(&self) -> f64 {
        self.rows * self.row_bytes()
    }

    /// What it weighs as the build side of a join: each row has its place in a hash table, whatever its width.
    pub fn table_bytes(&self) -> f64 {
        self.rows * (TABLE_BYTES_A_ROW + self.row_bytes() / 2.0)
    }

    /// The same columns in fewer rows: of rows taken at random, so many values are left (Yao 1977).
    fn with_rows(mut self, rows: f64) -> Size {
        self.rows = rows.max(1.0);
        for column in self.columns.values_mut() {
            column.distinct = (column.distinct * (1.0 - (-self.rows / column.distinct.max(1.0)).exp())).max(1.0);
        }
        self
    }
}

/// Estimates from what was measured.
pub struct Estimate<'a> {
    measured: &'a Measured,
}

impl<'a> Estimate<'a> {
    pub fn new(measured: &'a Measured) -> Self {
        Estimate { measured }
    }

    /// `None` where a table or an operator is unknown.
    pub fn of(&self, plan: &LogicalPlan) -> Result<Option<Size>> {
        Ok(match plan {
            LogicalPlan::TableScan(scan) => self.measured.scan(scan),
            LogicalPlan::Filter(filter) => {
                let Some(input) = self.of(&filter.input)? else { return Ok(None) };
                let sampled = self.measured.sampled(&filter.input, &filter.predicate);
                let conjuncts = split_conjunction(&filter.predicate);
                Some(match sampled {
                    Some((part, judged)) => {
                        let input =
                            self.filtered(input, conjuncts.into_iter().filter(|conjunct| !judged.contains(conjunct)));
                        let rows = input.rows * part;
                        input.with_rows(rows)
                    }
                    None if matches!(filter.input.as_ref(), LogicalPlan::Aggregate(_)) => {
                        let rows = input.rows * UNKNOWN_HAVING;
                        input.with_rows(rows)
                    }
                    None => self.filtered(input, conjuncts),
                })
            }
            LogicalPlan::Projection(projection) => {
                let Some(input) = self.of(&projection.input)? else { return Ok(None) };
                Some(renamed(&input, &projection.expr, &projection.schema))
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let Some(input) = self.of(&alias.input)? else { return Ok(None) };
                let expr: Vec<Expr> = alias.input.schema().columns().into_iter().map(Expr::Column).collect();
                Some(renamed(&input, &expr, &alias.schema))
            }
            LogicalPlan::Aggregate(aggregate) => {
                let Some(input) = self.of(&aggregate.input)? else { return Ok(None) };
                let mut size = renamed(&input, &aggregate.group_expr, &aggregate.schema);
                let groups: f64 = aggregate.group_expr.iter().map(|expr| distinct(&input, expr)).product();
                size.rows = if aggregate.group_expr.is_empty() { 1.0 } else { groups.min(input.rows) };
                for column in size.columns.values_mut() {
                    column.distinct = column.distinct.min(size.rows);
                }
                for column in aggregate.schema.columns() {
                    size.columns.entry(column).or_insert(unknown(size.rows));
                }
                Some(size)
            }
            LogicalPlan::Distinct(distinct) => self.of(distinct.input())?,
            LogicalPlan::Sort(sort) => {
                let Some(input) = self.of(&sort.input)? else { return Ok(None) };
                let rows = sort.fetch.map_or(input.rows, |fetch| input.rows.min(fetch as f64));
                Some(input.with_rows(rows))
            }
            LogicalPlan::Limit(limit) => {
                let Some(input) = self.of(&limit.input)? else { return Ok(None) };
                let fetch = match limit.fetch.as_deref() {
                    Some(Expr::Literal(value, _)) => number(value),
                    _ => None,
                };
                let rows = fetch.map_or(input.rows, |fetch| input.rows.min(fetch));
                Some(input.with_rows(rows))
            }
            LogicalPlan::Window(window) => {
                let Some(mut input) = self.of(&window.input)? else { return Ok(None) };
                let rows = input.rows;
                for column in window.schema.columns() {
                    input.columns.entry(column).or_insert(unknown(rows));
                }
                Some(input)
            }
            LogicalPlan::Join(join) if join.join_constraint == JoinConstraint::On => {
                let (Some(left), Some(right)) = (self.of(&join.left)?, self.of(&join.right)?) else { return Ok(None) };
                self.written_join(join, left, right)
            }
            LogicalPlan::Union(union) => {
                let mut rows = 0.0;
                for input in &union.inputs {
                    let Some(input) = self.of(input)? else { return Ok(None) };
                    rows += input.rows;
                }
                let columns = union.schema.columns().into_iter().map(|column| (column, unknown(rows)));
                Some(Size { rows, columns: columns.collect() })
            }
            _ => None,
        })
    }

    fn written_join(&self, join: &datafusion::logical_expr::Join, left: Size, right: Size) -> Option<Size> {
        let tests = || Tests { join_type: join.join_type, on: join.on.clone(), filter: join.filter.clone(), needs: 0 };
        match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti if !join.on.is_empty() => {
                Some(self.tested(&left, &right, &tests()))
            }
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                let pairs: Vec<(&Expr, &Expr)> = join.on.iter().map(|(a, b)| (a, b)).collect();
                let joined = joined(&left, &right, &pairs);
                let joined = self.filtered(joined, join.filter.iter().flat_map(split_conjunction));
                let least = match join.join_type {
                    JoinType::Left => left.rows,
                    JoinType::Right => right.rows,
                    JoinType::Full => left.rows + right.rows,
                    _ => 1.0,
                };
                let rows = joined.rows.max(least);
                Some(Size { rows, ..joined })
            }
            _ => None,
        }
    }

    /// The rows of `left` that a semi or anti join with `right` keeps.
    pub fn tested(&self, left: &Size, right: &Size, tests: &Tests) -> Size {
        let ours = values(left, tests.on.iter().map(|(outer, _)| outer));
        let theirs = values(right, tests.on.iter().map(|(_, inner)| inner));
        let mut found = (theirs.0 / ours.0.max(1.0)).min(1.0);
        if tests.filter.is_some() {
            found *= 0.75;
        }
        let kept = if tests.join_type == JoinType::LeftAnti { (1.0 - found).max(0.1) } else { found };
        left.clone().with_rows(left.rows * kept)
    }

    /// Rows that meet conditions.
    pub fn filtered<'e>(&self, size: Size, conditions: impl IntoIterator<Item = &'e Expr>) -> Size {
        let mut part = 1.0;
        let mut ranges: HashMap<Column, (f64, f64)> = HashMap::new();
        for expr in conditions {
            match bounds(expr) {
                Some((column, low, high)) if size.columns.get(column).is_some_and(|known| known.range.is_some()) => {
                    let range = ranges.entry(column.clone()).or_insert((f64::NEG_INFINITY, f64::INFINITY));
                    *range = (range.0.max(low), range.1.min(high));
                }
                _ => part *= selectivity(&size, expr),
            }
        }
        let mut size = size;
        for (column, (low, high)) in ranges {
            let Some(known) = size.columns.get_mut(&column) else { continue };
            let Some((min, max)) = known.range else { continue };
            let (low, high) = (low.max(min), high.min(max));
            let width = (max - min).max(f64::MIN_POSITIVE);
            let covered =
                if high < low { 0.0 } else { ((high - low) / width).clamp(1.0 / known.distinct.max(1.0), 1.0) };
            known.range = Some((low, high.max(low)));
            known.distinct = (known.distinct * covered).max(1.0);
            part *= covered;
        }
        let rows = size.rows * part;
        size.with_rows(rows)
    }
}

fn unknown(rows: f64) -> ColumnSize {
    ColumnSize { distinct: rows.max(1.0), table_rows: rows, range: None, bytes: 8.0 }
}

/// The columns of `exprs` under the names of `schema`.
fn renamed(input: &Size, exprs: &[Expr], schema: &DFSchema) -> Size {
    let columns = schema.columns().into_iter().zip(exprs).map(|(column, expr)| {
        let known = bare(expr).and_then(|bare| input.columns.get(bare)).cloned();
        (column, known.unwrap_or_else(|| unknown(input.rows)))
    });
    Size { rows: input.rows, columns: columns.collect() }
}

fn bare(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => bare(&alias.expr),
        Expr::Cast(cast) => bare(&cast.expr),
        _ => None,
    }
}

fn distinct(size: &Size, expr: &Expr) -> f64 {
    match bare(expr).and_then(|column| size.columns.get(column)) {
        Some(column) => column.distinct.min(size.rows.max(1.0)),
        // Of an expression over columns, no more than they have together.
        None => expr
            .column_refs()
            .into_iter()
            .filter_map(|c| size.columns.get(c))
            .map(|c| c.distinct)
            .product::<f64>()
            .clamp(1.0, size.rows.max(1.0)),
    }
}

/// Different values of several expressions together, and whether the rows of their table were what bounds them.
fn values<'e>(size: &Size, exprs: impl Iterator<Item = &'e Expr>) -> (f64, bool) {
    let (mut product, mut bound, mut tables) = (1.0, 0.0_f64, Vec::<Option<TableReference>>::new());
    for expr in exprs {
        product *= distinct(size, expr);
        let column = bare(expr);
        tables.push(column.and_then(|column| column.relation.clone()));
        bound = bound.max(column.and_then(|column| size.columns.get(column)).map_or(f64::INFINITY, |c| c.table_rows));
    }
    let one_table = tables.windows(2).all(|pair| pair[0] == pair[1]);
    if one_table && product > bound { (bound.max(1.0), true) } else { (product.max(1.0), false) }
}

/// An inner join by equalities.
pub fn joined(left: &Size, right: &Size, pairs: &[(&Expr, &Expr)]) -> Size {
    let ours = values(left, pairs.iter().map(|pair| pair.0));
    let theirs = values(right, pairs.iter().map(|pair| pair.1));
    // Values of several columns that only the tables' rows bound are those of the smaller table: its key.
    let values = if ours.1 && theirs.1 { ours.0.min(theirs.0) } else { ours.0.max(theirs.0) };
    let rows = (left.rows * right.rows / values).max(1.0);
    let mut columns = left.columns.clone();
    columns.extend(right.columns.iter().map(|(column, size)| (column.clone(), size.clone())));
    for (a, b) in pairs {
        let fewest = distinct(left, a).min(distinct(right, b));
        for column in [bare(a), bare(b)].into_iter().flatten() {
            if let Some(known) = columns.get_mut(column) {
                known.distinct = fewest;
            }
        }
    }
    Size { rows, columns }.with_rows(rows)
}

/// `column <op> literal` as an interval. Without casts: a day and its midnight are different numbers.
fn bounds(expr: &Expr) -> Option<(&Column, f64, f64)> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (column, value, op) = match (left.try_as_col(), literal(right), right.try_as_col(), literal(left)) {
                (Some(column), Some(value), ..) => (column, value, *op),
                (.., Some(column), Some(value)) => (column, value, op.swap()?),
                _ => return None,
            };
            match op {
                Operator::Lt | Operator::LtEq => Some((column, f64::NEG_INFINITY, value)),
                Operator::Gt | Operator::GtEq => Some((column, value, f64::INFINITY)),
                _ => None,
            }
        }
        Expr::Between(Between { expr, negated: false, low, high }) => {
            Some((expr.try_as_col()?, literal(low)?, literal(high)?))
        }
        _ => None,
    }
}

pub(super) fn is_bounds(expr: &Expr) -> bool {
    bounds(expr).is_some()
}

fn literal(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Literal(value, _) => number(value),
        _ => None,
    }
}

fn selectivity(size: &Size, expr: &Expr) -> f64 {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => selectivity(size, left) * selectivity(size, right),
            Operator::Or => {
                let (a, b) = (selectivity(size, left), selectivity(size, right));
                (a + b - a * b).min(1.0)
            }
            Operator::Eq => match (bare(left), bare(right)) {
                (Some(_), Some(_)) => 1.0 / distinct(size, left).max(distinct(size, right)),
                (Some(_), None) => 1.0 / distinct(size, left),
                (None, Some(_)) => 1.0 / distinct(size, right),
                (None, None) => UNKNOWN,
            },
            Operator::NotEq => 0.9,
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => UNKNOWN_COMPARISON,
            _ => UNKNOWN,
        },
        Expr::InList(list) => {
            let part = (list.list.len() as f64 / distinct(size, &list.expr)).min(1.0);
            if list.negated { (1.0 - part).max(0.1) } else { part }
        }
        Expr::Like(like) => {
            if like.negated {
                1.0 - UNKNOWN_PATTERN
            } else {
                UNKNOWN_PATTERN
            }
        }
        Expr::Not(inner) => (1.0 - selectivity(size, inner)).max(0.01),
        Expr::IsNotNull(_) => 1.0,
        Expr::IsNull(_) => 0.05,
        Expr::Literal(ScalarValue::Boolean(Some(true)), _) => 1.0,
        _ => UNKNOWN,
    }
}

/// Width of a value in memory, in bytes.
pub(super) fn width(data_type: &arrow::datatypes::DataType) -> f64 {
    data_type.primitive_width().map_or(TEXT_BYTES, |bytes| bytes as f64)
}
