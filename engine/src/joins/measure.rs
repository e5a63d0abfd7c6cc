//! What the tables of a statement hold: rows and ranges from their files' footers, and a sample of their first rows.

use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue, Statistics};
use datafusion::execution::SessionState;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};

use super::estimate::{ColumnSize, Size, is_bounds, width};
use crate::tables::FileTable;

/// Rows that are looked at to judge a filter, of so many files.
const SAMPLE_ROWS: usize = 4096;
const SAMPLE_FILES: usize = 3;
/// A table of fewer rows is not worth looking at.
const SAMPLED_ROWS_MIN: f64 = 10_000.0;

/// A table's address: the same table may have many names in a statement.
type TableId = usize;

/// What was found out about the tables of one statement.
#[derive(Debug, Default)]
pub struct Measured {
    tables: HashMap<TableId, Arc<Statistics>>,
    /// By table and conditions: the part of its rows that meets them.
    samples: HashMap<(TableId, String), f64>,
    names: Cell<usize>,
}

impl Measured {
    pub async fn take(plan: &LogicalPlan, session: &SessionState) -> Result<Measured> {
        let mut measured = Measured::default();
        for scan in scans(plan)? {
            let Some((id, table)) = file_table(&scan) else { continue };
            if let Entry::Vacant(place) = measured.tables.entry(id) {
                place.insert(Arc::new(table.statistics(session).await?));
            }
        }
        for (scan, predicate) in filtered_scans(plan)? {
            let (Some((id, table)), Some(size)) = (file_table(&scan), measured.scan(&scan)) else { continue };
            let judged = judged_by_sample(&predicate);
            let Some(filter) = conjunction(judged.into_iter().cloned()) else { continue };
            let key = (id, filter.to_string());
            if size.rows < SAMPLED_ROWS_MIN || measured.samples.contains_key(&key) {
                continue;
            }
            if let Some(part) = sample(table, &scan, filter, session).await? {
                measured.samples.insert(key, part);
            }
        }
        Ok(measured)
    }

    /// A relation's name that the statement does not have.
    pub fn next_name(&self) -> String {
        let number = self.names.get();
        self.names.set(number + 1);
        format!("__windrow_wanted_{number}")
    }

    /// `None` if the table's rows are not known.
    pub fn scan(&self, scan: &TableScan) -> Option<Size> {
        let (id, _) = file_table(scan)?;
        let statistics = self.tables.get(&id)?;
        let rows = *statistics.num_rows.get_value()? as f64;
        let schema = scan.source.schema();
        let columns = scan.projected_schema.columns().into_iter().map(|column| {
            let at = schema.index_of(column.name()).ok();
            let known = at.and_then(|at| statistics.column_statistics.get(at));
            let range = known.and_then(|known| Some((exact(&known.min_value)?, exact(&known.max_value)?)));
            let data_type = at.map(|at| schema.field(at).data_type().clone());
            let step = data_type.as_ref().map_or(1.0, step);
            let distinct = match range {
                Some((min, max)) => ((max - min) / step + 1.0).min(rows),
                None => rows,
            };
            let bytes = data_type.as_ref().map_or(8.0, width);
            (column, ColumnSize { distinct: distinct.max(1.0), table_rows: rows, range, bytes })
        });
        Some(Size { rows: rows.max(1.0), columns: columns.collect() })
    }

    /// The part of the rows of `input` that meets some of the conditions of `predicate`, and which these are.
    pub fn sampled<'e>(&self, input: &LogicalPlan, predicate: &'e Expr) -> Option<(f64, Vec<&'e Expr>)> {
        let LogicalPlan::TableScan(scan) = input else { return None };
        let (id, _) = file_table(scan)?;
        let judged = judged_by_sample(predicate);
        let filter = conjunction(judged.iter().map(|expr| (*expr).clone()))?;
        let part = self.samples.get(&(id, filter.to_string()))?;
        Some((*part, judged))
    }
}

/// Intervals are judged by the footers: rows of one time may lie together, where a sample finds all of them or none.
fn judged_by_sample(predicate: &Expr) -> Vec<&Expr> {
    let plain = |expr: &&Expr| !is_bounds(expr) && !expr.column_refs().is_empty() && !has_subquery(expr);
    split_conjunction(predicate).into_iter().filter(plain).collect()
}

fn has_subquery(expr: &Expr) -> bool {
    let is_query = |expr: &Expr| {
        Ok(matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::Placeholder(_)
        ))
    };
    expr.exists(is_query).unwrap_or(true)
}

fn scans(plan: &LogicalPlan) -> Result<Vec<TableScan>> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found.push(scan.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn filtered_scans(plan: &LogicalPlan) -> Result<Vec<(TableScan, Expr)>> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Filter(filter) = node
            && let LogicalPlan::TableScan(scan) = filter.input.as_ref()
        {
            found.push((scan.clone(), filter.predicate.clone()));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn file_table(scan: &TableScan) -> Option<(TableId, &FileTable)> {
    let table = FileTable::of(scan)?;
    Some((std::ptr::from_ref(table) as TableId, table))
}

/// The part of the first rows of some files that meets `filter`; `None` if there are none, or if they cannot be judged:
/// conditions that would have kept an error away may be among those that were left out.
async fn sample(table: &FileTable, scan: &TableScan, filter: Expr, session: &SessionState) -> Result<Option<f64>> {
    let schema = scan.source.schema();
    let names: Vec<String> = filter.column_refs().into_iter().map(|column| column.name().to_owned()).collect();
    let mut columns: Vec<usize> = names.iter().filter_map(|name| schema.index_of(name).ok()).collect();
    columns.sort_unstable();
    columns.dedup();
    let plan = table.first_rows(session, columns, SAMPLE_ROWS, SAMPLE_FILES).await?;
    let qualified = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &plan.schema())?;
    let judge = session.create_physical_expr(filter, &qualified)?;
    let (mut met, mut rows) = (0, 0);
    let Ok(batches) = datafusion::physical_plan::collect(plan, session.task_ctx()).await else { return Ok(None) };
    for batch in batches {
        let judged = judge.evaluate(&batch).and_then(|judged| judged.into_array(batch.num_rows()));
        let Ok(judged) = judged else { return Ok(None) };
        let judged: &BooleanArray = judged.as_boolean();
        met += judged.true_count();
        rows += batch.num_rows();
    }
    Ok((rows > 0).then(|| (met as f64 + 0.5) / (rows as f64 + 1.0)))
}

fn exact(value: &Precision<ScalarValue>) -> Option<f64> {
    value.get_value().and_then(number)
}

/// A value on a line of numbers; `None` for text and nested values.
pub(super) fn number(value: &ScalarValue) -> Option<f64> {
    Some(match value {
        ScalarValue::Int8(Some(n)) => f64::from(*n),
        ScalarValue::Int16(Some(n)) => f64::from(*n),
        ScalarValue::Int32(Some(n)) | ScalarValue::Date32(Some(n)) => f64::from(*n),
        ScalarValue::Int64(Some(n)) | ScalarValue::Date64(Some(n)) => *n as f64,
        ScalarValue::UInt8(Some(n)) => f64::from(*n),
        ScalarValue::UInt16(Some(n)) => f64::from(*n),
        ScalarValue::UInt32(Some(n)) => f64::from(*n),
        ScalarValue::UInt64(Some(n)) => *n as f64,
        ScalarValue::Float32(Some(n)) => f64::from(*n),
        ScalarValue::Float64(Some(n)) => *n,
        ScalarValue::Decimal128(Some(n), _, scale) => *n as f64 / 10_f64.powi(i32::from(*scale)),
        ScalarValue::TimestampSecond(Some(n), _)
        | ScalarValue::TimestampMillisecond(Some(n), _)
        | ScalarValue::TimestampMicrosecond(Some(n), _)
        | ScalarValue::TimestampNanosecond(Some(n), _) => *n as f64,
        _ => return None,
    })
}

/// The least difference of two values.
fn step(data_type: &DataType) -> f64 {
    match data_type {
        DataType::Decimal128(_, scale) => 10_f64.powi(-i32::from(*scale)),
        DataType::Float32 | DataType::Float64 | DataType::Timestamp(..) => f64::MIN_POSITIVE,
        _ => 1.0,
    }
}
