//! A function in a fragment.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion_proto::protobuf;
use windrow_model::{CodeLimits, ShippedFile};

use super::{Returns, WasmFunction};

/// The name of the one column of a function that gives a value.
const VALUE: &str = "value";

#[derive(Clone, PartialEq, prost::Message)]
pub struct FunctionMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    module: String,
    #[prost(bytes = "vec", tag = "3")]
    bytes: Vec<u8>,
    #[prost(string, tag = "4")]
    export: String,
    #[prost(message, optional, tag = "5")]
    arguments: Option<protobuf::Schema>,
    #[prost(message, optional, tag = "6")]
    returns: Option<protobuf::Schema>,
    #[prost(bool, tag = "7")]
    is_table: bool,
    #[prost(uint64, optional, tag = "8")]
    memory_bytes: Option<u64>,
    #[prost(uint64, optional, tag = "9")]
    fuel_per_row: Option<u64>,
}

impl From<&WasmFunction> for FunctionMessage {
    fn from(function: &WasmFunction) -> FunctionMessage {
        let value = |kind: &DataType| Arc::new(Schema::new(vec![Field::new(VALUE, kind.clone(), true)]));
        let (returns, is_table) = match &function.returns {
            Returns::Value(kind) => (value(kind), false),
            Returns::Table(schema) => (Arc::clone(schema), true),
        };
        FunctionMessage {
            name: function.name.clone(),
            module: function.module.name.clone(),
            bytes: function.module.bytes.clone(),
            export: function.export.clone(),
            // Types that SQL can name have messages.
            arguments: protobuf::Schema::try_from(function.arguments.as_ref()).ok(),
            returns: protobuf::Schema::try_from(returns.as_ref()).ok(),
            is_table,
            memory_bytes: function.limits.memory_bytes,
            fuel_per_row: function.limits.fuel_per_row,
        }
    }
}

impl FunctionMessage {
    /// `None` if another build has written it.
    pub fn decode_function(self) -> Option<WasmFunction> {
        let schema = |schema: &protobuf::Schema| Schema::try_from(schema).ok().map(Arc::new);
        let returns = schema(self.returns.as_ref()?)?;
        Some(WasmFunction {
            name: self.name,
            module: Arc::new(ShippedFile { name: self.module, executable: false, bytes: self.bytes }),
            export: self.export,
            arguments: schema(self.arguments.as_ref()?)?,
            returns: match self.is_table {
                true => Returns::Table(returns),
                false => Returns::Value(returns.fields().first()?.data_type().clone()),
            },
            limits: CodeLimits {
                memory_bytes: self.memory_bytes,
                fuel_per_row: self.fuel_per_row,
                ..CodeLimits::default()
            },
        })
    }
}
