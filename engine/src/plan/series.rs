//! `generate_series`, whose order and projection DataFusion's message leaves out.
//!
//! A plan may have dropped a sort because the series is sorted already, so that a reader must know it too.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{Result, internal_err};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::memory::LazyMemoryExec;
use datafusion_proto::protobuf;

use super::codec::{ExprDecoder, ExprEncoder};
use super::facts::{self, OrderingMessage};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SeriesMessage {
    /// DataFusion's message of the series with its column.
    #[prost(message, optional, boxed, tag = "1")]
    pub plan: Option<Box<protobuf::PhysicalPlanNode>>,
    /// The plan counts rows and reads no column.
    #[prost(bool, tag = "2")]
    without_column: bool,
    #[prost(message, repeated, tag = "3")]
    orderings: Vec<OrderingMessage>,
}

/// Everything but [`SeriesMessage::plan`], which is the message of [`whole`].
pub(super) fn encode(series: &LazyMemoryExec, encoder: &ExprEncoder) -> Result<SeriesMessage> {
    let orderings = series.properties().eq_properties.oeq_class().iter();
    Ok(SeriesMessage {
        plan: None,
        without_column: series.schema().fields().is_empty(),
        orderings: orderings.map(|ordering| facts::encode_ordering(ordering, encoder)).collect::<Result<_>>()?,
    })
}

/// The series with its column, as DataFusion's message wants it.
pub(super) fn whole(series: &LazyMemoryExec) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = match series.schema().fields().is_empty() {
        true => column_schema(series)?,
        false => series.schema(),
    };
    Ok(Arc::new(LazyMemoryExec::try_new(schema, series.generators().clone())?))
}

/// The generators know the column's type but only tell it with their first rows.
fn column_schema(series: &LazyMemoryExec) -> Result<SchemaRef> {
    for generator in series.generators() {
        let fresh = generator.read().reset_state();
        let first = fresh.write().generate_next_batch()?;
        if let Some(batch) = first {
            return Ok(batch.schema());
        }
    }
    Ok(Arc::new(Schema::new(vec![Field::new("value", DataType::Int64, false)])))
}

pub(super) fn decode(
    message: &SeriesMessage,
    whole: &Arc<dyn ExecutionPlan>,
    decoder: &ExprDecoder,
) -> Result<Arc<dyn ExecutionPlan>> {
    let Some(series) = whole.downcast_ref::<LazyMemoryExec>() else {
        return internal_err!("a series was decoded as {}", whole.name());
    };
    let schema = series.schema();
    let mut series = LazyMemoryExec::try_new(Arc::clone(&schema), series.generators().clone())?
        .with_projection(message.without_column.then(Vec::new));
    for ordering in &message.orderings {
        series.add_ordering(facts::decode_ordering(ordering, &schema, decoder)?);
    }
    Ok(Arc::new(series))
}
