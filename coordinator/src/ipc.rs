//! Arrow IPC streams that the coordinator itself writes: schemas, and the few rows that planning answers.

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use windrow_model::ErrorReport;

/// A whole stream: schema, `batches`, end.
pub(crate) fn encode(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Bytes, ErrorReport> {
    try_encode(schema, batches)
        .map_err(|error| ErrorReport::internal("a result could not be encoded").with_detail(error.to_string()))
}

fn try_encode(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Bytes, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.finish()?;
    Ok(writer.into_inner()?.into())
}
