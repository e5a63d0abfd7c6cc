//! A value for each row.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::instances::Instances;
use super::{Returns, WasmFunction};

#[derive(Debug)]
pub struct WasmScalar {
    function: WasmFunction,
    signature: Signature,
    instances: Instances,
}

impl WasmScalar {
    pub fn new(function: WasmFunction) -> WasmScalar {
        // It has no clock and no dice.
        let signature = match function.argument_types() {
            none if none.is_empty() => Signature::nullary(Volatility::Immutable),
            types => Signature::exact(types, Volatility::Immutable),
        };
        WasmScalar { function, signature, instances: Instances::default() }
    }

    pub fn function(&self) -> &WasmFunction {
        &self.function
    }
}

impl PartialEq for WasmScalar {
    fn eq(&self, other: &WasmScalar) -> bool {
        self.function == other.function
    }
}

impl Eq for WasmScalar {}

impl Hash for WasmScalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.hash(state);
    }
}

impl ScalarUDFImpl for WasmScalar {
    fn name(&self) -> &str {
        &self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        match &self.function.returns {
            Returns::Value(kind) => Ok(kind.clone()),
            Returns::Table(_) => internal_err!("a table function is called for a value"),
        }
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = call.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { call.number_rows };
        let columns = call.args.iter().map(|argument| argument.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.function.arguments), columns, &options)?;
        let values = self.instances.call(&self.function, &batch, call.return_type())?;
        if is_constant {
            return Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&values, 0)?));
        }
        Ok(ColumnarValue::Array(values))
    }
}
