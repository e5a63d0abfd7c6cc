//! Rows for each call.

use std::sync::Arc;

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::datasource::ViewTable;
use datafusion::logical_expr::{LogicalPlanBuilder, cast};

use super::{Returns, WasmFunction};
use crate::user_code::rows_of_function;

#[derive(Debug)]
pub struct WasmTable(WasmFunction);

impl WasmTable {
    pub fn new(function: WasmFunction) -> WasmTable {
        WasmTable(function)
    }
}

impl TableFunctionImpl for WasmTable {
    fn call_with_args(&self, call: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let WasmTable(function) = self;
        let Returns::Table(schema) = &function.returns else { return internal_err!("it gives values, not rows") };
        let (given, wanted) = (call.exprs(), function.arguments.fields());
        if given.len() != wanted.len() {
            return plan_err!("the function `{}` has {} arguments, not {}", function.name, wanted.len(), given.len());
        }
        let arguments = given
            .iter()
            .zip(wanted)
            .map(|(value, field)| cast(value.clone(), field.data_type().clone()).alias(field.name()));
        let row = LogicalPlanBuilder::empty(true).project(arguments.collect::<Vec<_>>())?.build()?;
        let rows = rows_of_function(&function.name, &function.module, &function.export, function.limits, schema, row)?;
        Ok(Arc::new(ViewTable::new(rows, None)))
    }
}
