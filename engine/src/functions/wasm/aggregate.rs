//! A value for each group.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, internal_err, not_impl_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility};

use super::groups::{WasmGroups, WasmOne};
use super::{Returns, WasmFunction};

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct WasmAggregate {
    function: WasmFunction,
    signature: Signature,
}

impl WasmAggregate {
    pub fn new(function: WasmFunction) -> WasmAggregate {
        let signature = Signature::exact(function.argument_types(), Volatility::Immutable);
        WasmAggregate { function, signature }
    }

    pub fn function(&self) -> &WasmFunction {
        &self.function
    }

    fn groups(&self, call: &AccumulatorArgs<'_>) -> Result<WasmGroups> {
        if call.is_distinct {
            return not_impl_err!("DISTINCT in a call of the function `{}`", self.function.name);
        }
        if call.ignore_nulls {
            return not_impl_err!("IGNORE NULLS in a call of the function `{}`", self.function.name);
        }
        Ok(WasmGroups::new(self.function.clone(), call.return_field.data_type().clone()))
    }
}

impl AggregateUDFImpl for WasmAggregate {
    fn name(&self) -> &str {
        &self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        match &self.function.returns {
            Returns::Value(kind) => Ok(kind.clone()),
            Returns::Table(_) => internal_err!("a table function is called as an aggregate"),
        }
    }

    fn state_fields(&self, call: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[state]", call.name), DataType::Binary, true))])
    }

    fn accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(WasmOne(self.groups(&call)?)))
    }

    fn groups_accumulator_supported(&self, call: AccumulatorArgs) -> bool {
        !call.is_distinct
    }

    fn create_groups_accumulator(&self, call: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.groups(&call)?))
    }
}
