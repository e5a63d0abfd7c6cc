//! Instances of a function's module that wait for their next call.

use std::sync::OnceLock;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{cast, concat};
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;
use datafusion::common::Result;
use parking_lot::Mutex;
use windrow_model::ErrorReport;
use windrow_wasm::{CallError, Instance, Module, isolate};

use super::{WasmFunction, failed};

/// Bytes of a value that errors show.
const SHOWN_BYTES_MAX: usize = 200;

/// Of one function in one plan. A call takes one and puts it back, so that there are as many as threads that call at once.
#[derive(Debug, Default)]
pub struct Instances {
    module: OnceLock<Module>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle(Instance);

impl std::fmt::Debug for Idle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Instance")
    }
}

impl Instances {
    /// Calls the function over rows; the one column that it gives has a value for each row.
    pub fn call(&self, function: &WasmFunction, rows: &RecordBatch, returns: &DataType) -> Result<ArrayRef> {
        let idle = self.idle.lock().pop();
        let mut instance = match idle {
            Some(Idle(instance)) => instance,
            None => self.start(function)?,
        };
        let batches = instance.call(&function.export, rows).map_err(|error| self.at_row(function, rows, error))?;
        let column = column(function, &batches, rows.num_rows(), returns)?;
        self.idle.lock().push(Idle(instance));
        Ok(column)
    }

    /// A new one, for what keeps its state.
    pub fn start(&self, function: &WasmFunction) -> Result<Instance> {
        let module = self.module(function)?;
        module.start(function.module_limits()).map_err(|error| failed(function.prefixed(error.into())))
    }

    fn module(&self, function: &WasmFunction) -> Result<&Module> {
        if let Some(module) = self.module.get() {
            return Ok(module);
        }
        let module = function.load().map_err(failed)?;
        Ok(self.module.get_or_init(|| module))
    }

    /// Says at which arguments the function fails.
    fn at_row(
        &self,
        function: &WasmFunction,
        rows: &RecordBatch,
        error: CallError,
    ) -> datafusion::common::DataFusionError {
        let found = self
            .module(function)
            .ok()
            .and_then(|module| isolate(module, function.module_limits(), &function.export, rows));
        let report = match found {
            Some((row, error)) => ErrorReport::from(error).with_detail(format!("at {}", arguments(rows, row))),
            None => ErrorReport::from(error).with_detail(format!("in a batch of {} rows", rows.num_rows())),
        };
        failed(function.prefixed(report))
    }
}

/// The values of a row, each with its name.
fn arguments(rows: &RecordBatch, row: usize) -> String {
    let schema = rows.schema_ref();
    let shown = rows.columns().iter().zip(schema.fields()).map(|(column, field)| {
        let mut value = array_value_to_string(column, row).unwrap_or_else(|error| format!("({error})"));
        if value.len() > SHOWN_BYTES_MAX {
            value.truncate(value.floor_char_boundary(SHOWN_BYTES_MAX));
            value.push('…');
        }
        format!("{} = `{value}`", field.name())
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// What a function has given, as one column of its type.
pub fn column(function: &WasmFunction, batches: &[RecordBatch], rows: usize, returns: &DataType) -> Result<ArrayRef> {
    let wrong = |what: String| failed(function.prefixed(ErrorReport::invalid(what)));
    let first = |batch: &RecordBatch| match batch.columns() {
        [column] => Ok(std::sync::Arc::clone(column)),
        columns => Err(wrong(format!("`{}` has given {} columns, not one", function.export, columns.len()))),
    };
    let columns = batches.iter().map(first).collect::<Result<Vec<_>>>()?;
    let parts: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
    let whole = match parts[..] {
        [] => arrow::array::new_empty_array(returns),
        _ => concat(&parts).map_err(|error| wrong(error.to_string()))?,
    };
    if whole.len() != rows {
        return Err(wrong(format!("`{}` has given {} values for {rows} rows", function.export, whole.len())));
    }
    cast(&whole, returns).map_err(|error| wrong(format!("what `{}` gives is no {returns}: {error}", function.export)))
}
