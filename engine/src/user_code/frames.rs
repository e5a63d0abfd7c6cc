//! Arrow IPC streams on a process's standard input and output.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;

/// Writes batches as one stream.
pub struct FrameWriter(StreamWriter<Vec<u8>>);

impl FrameWriter {
    /// What it writes first is the schema.
    pub fn new(schema: &Schema) -> Result<FrameWriter, ArrowError> {
        Ok(FrameWriter(StreamWriter::try_new(Vec::new(), schema)?))
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.0.write(batch)
    }

    pub fn finish(&mut self) -> Result<(), ArrowError> {
        self.0.finish()
    }

    /// The bytes so far.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.0.get_mut())
    }
}

/// Reads one stream as rows of a schema. Column names are the schema's; types are cast to it.
pub struct FrameReader {
    decoder: StreamDecoder,
    schema: SchemaRef,
    any: bool,
}

impl FrameReader {
    pub fn new(schema: SchemaRef) -> FrameReader {
        FrameReader { decoder: StreamDecoder::default(), schema, any: false }
    }

    pub fn push(&mut self, bytes: &[u8], ready: &mut Vec<RecordBatch>) -> Result<(), String> {
        self.any |= !bytes.is_empty();
        let mut pending = Buffer::from(bytes);
        while !pending.is_empty() {
            if let Some(batch) = self.decoder.decode(&mut pending).map_err(|error| error.to_string())? {
                let batch = typed(&batch, &self.schema)?;
                ready.extend((batch.num_rows() > 0).then_some(batch));
            }
        }
        Ok(())
    }

    /// Errors if the stream has not ended. A process that writes nothing at all has no rows.
    pub fn finish(&mut self) -> Result<(), String> {
        if self.any { self.decoder.finish().map_err(|error| error.to_string()) } else { Ok(()) }
    }
}

/// The rows under the names and types of `schema`. Errors name the column.
pub fn typed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, String> {
    if batch.num_columns() != schema.fields().len() {
        return Err(format!("it has {} columns, not {}", batch.num_columns(), schema.fields().len()));
    }
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        let wrong = |error: ArrowError| format!("its column `{}`: {error}", field.name());
        cast_with_options(column, field.data_type(), &CastOptions { safe: false, ..CastOptions::default() })
            .map_err(wrong)
    });
    let columns = columns.collect::<Result<Vec<_>, String>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|error| error.to_string())
}
