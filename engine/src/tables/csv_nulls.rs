//! The text that stands for null in CSV files, beside the empty field.
//!
//! DataFusion's reader knows `null_regex` while it infers the columns' types, and not while it reads rows.
//! So the columns are read as text, and a view over them makes nulls of what matches and values of the rest.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::functions::expr_fn::regexp_like;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, ident, lit, when};
use datafusion::scalar::ScalarValue;

use super::provider::FileTable;

/// The same columns, read as they stand in the file.
pub(super) fn as_text(columns: &Schema) -> SchemaRef {
    let text = |field: &Arc<Field>| Field::new(field.name(), DataType::Utf8, true);
    Arc::new(Schema::new(columns.fields().iter().map(text).collect::<Vec<_>>()))
}

/// Table `name` over `files`, whose file columns are those of [`as_text`], with the types of `columns` and with null
/// where `null_regex` matches. Partition columns stay as they are.
pub(super) fn view(
    name: &str,
    files: FileTable,
    columns: &Schema,
    null_regex: &str,
) -> datafusion::common::Result<Arc<dyn TableProvider>> {
    let schema = files.schema();
    let typed = |field: &Arc<Field>| -> datafusion::common::Result<Expr> {
        let Ok(wanted) = columns.field_with_name(field.name()) else { return Ok(ident(field.name())) };
        let is_null = regexp_like(ident(field.name()), lit(null_regex), None);
        let null = Expr::Literal(ScalarValue::try_new_null(wanted.data_type())?, None);
        let value = cast(ident(field.name()), wanted.data_type().clone());
        Ok(when(is_null, null).otherwise(value)?.alias(field.name()))
    };
    let exprs = schema.fields().iter().map(typed).collect::<Result<Vec<_>, _>>()?;
    let scan = LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(files)), None)?;
    Ok(Arc::new(ViewTable::new(scan.project(exprs)?.build()?, None)))
}
