//! Sends rows to partitions by where they lie between split points.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Schema;
use arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_expr::{PhysicalExpr, RangePartitioning};

use crate::grouping::by_part;

/// A row equal to a split point lies above it, as [`RangePartitioning`] says.
pub struct RangeRouter {
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    converter: RowConverter,
    /// In order.
    points: Vec<OwnedRow>,
}

impl RangeRouter {
    /// `schema` is that of the rows.
    pub fn new(ranges: &RangePartitioning, schema: &Schema) -> Result<RangeRouter> {
        let exprs: Vec<_> = ranges.ordering().iter().map(|key| Arc::clone(&key.expr)).collect();
        let field = |key: &datafusion::physical_expr::PhysicalSortExpr| {
            Ok(SortField::new_with_options(key.expr.data_type(schema)?, key.options))
        };
        let converter = RowConverter::new(ranges.ordering().iter().map(field).collect::<Result<_>>()?)?;
        let mut points = Vec::new();
        if !ranges.split_points().is_empty() {
            let column = |index: usize| {
                ScalarValue::iter_to_array(ranges.split_points().iter().map(|point| point.values()[index].clone()))
            };
            let columns: Vec<ArrayRef> = (0..exprs.len()).map(column).collect::<Result<_>>()?;
            points = converter.convert_columns(&columns)?.iter().map(|row| row.owned()).collect();
        }
        Ok(RangeRouter { exprs, converter, points })
    }

    /// The rows of each partition that has any.
    pub fn route(&self, batch: &RecordBatch) -> Result<Vec<(usize, RecordBatch)>> {
        let columns = self.exprs.iter().map(|key| key.evaluate(batch)?.into_array(batch.num_rows()));
        let keys = self.converter.convert_columns(&columns.collect::<Result<Vec<_>>>()?)?;
        let part = |key: arrow::row::Row<'_>| self.points.partition_point(|point| point.row() <= key);
        let parts: Vec<usize> = keys.iter().map(part).collect();
        Ok(by_part(batch, &parts, self.points.len() + 1)?)
    }
}
