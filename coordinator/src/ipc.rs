//! Arrow IPC streams that the coordinator itself writes and reads: schemas, and the few rows that planning answers.

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use windrow_model::{ErrorKind, ErrorReport};

/// A whole stream: schema, `batches`, end.
pub(crate) fn encode(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Bytes, ErrorReport> {
    try_encode(schema, batches)
        .map_err(|error| ErrorReport::internal("a result could not be encoded").with_detail(error.to_string()))
}

/// Schema and batches of a whole stream.
pub(crate) fn decode(stream: &[u8]) -> Result<(SchemaRef, Vec<RecordBatch>), ErrorReport> {
    try_decode(stream).map_err(|error| {
        ErrorReport::new(ErrorKind::Corrupt, "kept rows or columns cannot be read").with_detail(error.to_string())
    })
}

fn try_decode(stream: &[u8]) -> Result<(SchemaRef, Vec<RecordBatch>), ArrowError> {
    let reader = StreamReader::try_new(stream, None)?;
    Ok((reader.schema(), reader.collect::<Result<_, _>>()?))
}

fn try_encode(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Bytes, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.finish()?;
    Ok(writer.into_inner()?.into())
}
