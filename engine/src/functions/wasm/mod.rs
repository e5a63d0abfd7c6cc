//! Functions of WebAssembly modules in SQL: `CREATE FUNCTION … LANGUAGE wasm AS 'location'`.
//!
//! A worker gets a function with the fragment that calls it, module and all, and compiles each module once.

mod aggregate;
mod declared;
mod groups;
mod instances;
mod message;
mod scalar;
mod table;

pub(crate) use declared::{Returns, WasmFunction};

use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::prelude::SessionContext;
use prost::Message;
use windrow_model::ErrorReport;

use aggregate::WasmAggregate;
use message::FunctionMessage;
use scalar::WasmScalar;
use table::WasmTable;

/// Makes a function known to a session, in place of one that has its name.
pub(crate) fn register(function: WasmFunction, context: &SessionContext) -> Result<(), ErrorReport> {
    unregister(&function.name, context);
    match function.kind()? {
        declared::Kind::Scalar => context.register_udf(ScalarUDF::from(WasmScalar::new(function))),
        declared::Kind::Aggregate => context.register_udaf(AggregateUDF::from(WasmAggregate::new(function))),
        declared::Kind::Table => {
            context.register_udtf(&function.name.clone(), std::sync::Arc::new(WasmTable::new(function)));
        }
    }
    Ok(())
}

pub(crate) fn unregister(name: &str, context: &SessionContext) {
    context.deregister_udf(name);
    context.deregister_udaf(name);
    context.deregister_udtf(name);
}

/// The bytes of a function that is one of these; nothing of any other.
pub(crate) fn encode_scalar(function: &ScalarUDF, bytes: &mut Vec<u8>) {
    if let Some(scalar) = function.inner().as_ref().downcast_ref::<WasmScalar>() {
        bytes.extend(FunctionMessage::from(scalar.function()).encode_to_vec());
    }
}

pub(crate) fn encode_aggregate(function: &AggregateUDF, bytes: &mut Vec<u8>) {
    if let Some(aggregate) = function.inner().as_ref().downcast_ref::<WasmAggregate>() {
        bytes.extend(FunctionMessage::from(aggregate.function()).encode_to_vec());
    }
}

pub(crate) fn decode_scalar(bytes: &[u8]) -> Result<ScalarUDF> {
    Ok(ScalarUDF::from(WasmScalar::new(decode(bytes)?)))
}

pub(crate) fn decode_aggregate(bytes: &[u8]) -> Result<AggregateUDF> {
    Ok(AggregateUDF::from(WasmAggregate::new(decode(bytes)?)))
}

fn decode(bytes: &[u8]) -> Result<WasmFunction> {
    let message = FunctionMessage::decode(bytes).map_err(|error| DataFusionError::External(Box::new(error)))?;
    message
        .decode_function()
        .ok_or_else(|| DataFusionError::Internal("a function was written by another build".to_owned()))
}

/// An error of a function, which every worker would meet.
fn failed(report: ErrorReport) -> DataFusionError {
    DataFusionError::External(Box::new(report))
}
