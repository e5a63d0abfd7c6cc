//! Which parts of a row divide and order rows, as expressions.

use arrow::datatypes::{DataType, Schema};
use datafusion::common::{Result, plan_err};
use datafusion::functions::expr_fn::split_part;
use datafusion::logical_expr::{Expr, SortExpr, cast, ident, lit, try_cast, when};
use windrow_model::{Divide, FieldRange, Keys, SortField};

use super::lines::{self, KEY};

/// Rows whose values of these are the same go to one reducer. `rows` are what it reads.
pub fn partition(keys: &Keys, rows: &Schema) -> Result<Vec<Expr>> {
    if keys.divide == Divide::Numbered {
        return match rows.fields().first() {
            Some(number) => Ok(vec![ident(number.name())]),
            None => plan_err!("rows without columns have no number"),
        };
    }
    fields(keys, rows, keys.partition.unwrap_or(FieldRange { first: 1, last: None }))
}

/// The order of the rows that a combiner or reducer reads. Rows whose keys differ only in what the order does not look at
/// are in the order of their keys, so that it is always the same one.
pub fn order(keys: &Keys, rows: &Schema) -> Result<Vec<SortExpr>> {
    let mut order = Vec::new();
    for SortField { fields: range, numeric, reverse } in &keys.sort {
        for field in fields(keys, rows, *range)? {
            let by = if *numeric && is_text(&field, rows) { number(field)? } else { field };
            order.push(by.sort(!reverse, false));
        }
    }
    let whole = fields(keys, rows, FieldRange { first: 1, last: None })?;
    order.extend(whole.into_iter().map(|key| key.sort(true, false)));
    Ok(order)
}

/// Rows that are lines have their key in one column.
fn are_lines(rows: &Schema) -> bool {
    rows.fields() == lines::schema().fields()
}

/// A part of a line, or a column of text.
fn is_text(field: &Expr, rows: &Schema) -> bool {
    let Expr::Column(column) = field else { return true };
    let of = rows.field_with_name(&column.name).map(|field| field.data_type().clone());
    matches!(of, Ok(DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8))
}

/// Every field of the range, each on its own. The fields of rows that are no lines are their columns.
fn fields(keys: &Keys, rows: &Schema, range: FieldRange) -> Result<Vec<Expr>> {
    let all = keys.fields.max(1);
    let last = range.last.unwrap_or(all).min(all).max(range.first);
    if !are_lines(rows) {
        let columns = rows.fields().len() as u32;
        if last > columns {
            return plan_err!("a key of {last} fields, of rows that have {columns} columns");
        }
        let column = |nth: u32| ident(rows.field(nth as usize - 1).name());
        return Ok((range.first..=last).map(column).collect());
    }
    if range.first == 1 && last == all {
        return Ok(vec![ident(KEY)]);
    }
    let separator = keys.separator.to_string();
    let field = |nth: u32| split_part(ident(KEY), lit(separator.clone()), lit(i64::from(nth)));
    Ok((range.first..=last).map(field).collect())
}

/// Text that is no number counts as 0.
fn number(field: Expr) -> Result<Expr> {
    let number = try_cast(field, DataType::Float64);
    when(number.clone().is_null(), cast(lit(0.0), DataType::Float64)).otherwise(number)
}
