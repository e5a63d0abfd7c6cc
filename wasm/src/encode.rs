//! Rows as the stream that a module reads.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use arrow::error::ArrowError;
use arrow::ipc::MetadataVersion;
use arrow::ipc::writer::{IpcWriteOptions, StreamEncoder};

/// Of buffers, from the start of the stream: what a module's own values need.
const ALIGNMENT: usize = 8;

/// The bytes of a stream with one batch, in parts that share the batch's memory where they can.
///
/// # Errors
///
/// If a column cannot be sent, or cannot be cast to its plain layout.
pub fn stream(rows: &RecordBatch) -> Result<Vec<Buffer>, ArrowError> {
    let plain = plain_rows(rows)?;
    let rows = plain.as_ref().unwrap_or(rows);
    let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
    let mut encoder = StreamEncoder::try_new_with_options(rows.schema_ref(), options)?;
    let mut parts = encoder.encode(rows)?;
    parts.extend(encoder.finish()?);
    Ok(parts)
}

/// The rows with columns of plain layout, if they are not so already.
fn plain_rows(rows: &RecordBatch) -> Result<Option<RecordBatch>, ArrowError> {
    let schema = rows.schema_ref();
    let Some(fields) = plain_fields(schema.fields()) else { return Ok(None) };
    let columns = rows.columns().iter().zip(&fields).map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
    Ok(Some(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?))
}

/// `None` where all are plain.
fn plain_fields(fields: &Fields) -> Option<Fields> {
    let plain: Vec<Option<FieldRef>> = fields.iter().map(plain_field).collect();
    plain.iter().any(Option::is_some).then(|| {
        let both = plain.into_iter().zip(fields);
        both.map(|(plain, field)| plain.unwrap_or_else(|| Arc::clone(field))).collect()
    })
}

fn plain_field(field: &FieldRef) -> Option<FieldRef> {
    let plain = plain_type(field.data_type())?;
    Some(Arc::new(Field::new(field.name(), plain, field.is_nullable())))
}

fn plain_type(data_type: &DataType) -> Option<DataType> {
    let or_itself = |data_type: &DataType| plain_type(data_type).unwrap_or_else(|| data_type.clone());
    match data_type {
        DataType::Utf8View => Some(DataType::Utf8),
        DataType::BinaryView => Some(DataType::Binary),
        DataType::Dictionary(_, values) => Some(or_itself(values)),
        DataType::RunEndEncoded(_, values) => Some(or_itself(values.data_type())),
        DataType::List(item) => plain_field(item).map(DataType::List),
        DataType::LargeList(item) => plain_field(item).map(DataType::LargeList),
        DataType::FixedSizeList(item, size) => plain_field(item).map(|item| DataType::FixedSizeList(item, *size)),
        DataType::Struct(fields) => plain_fields(fields).map(DataType::Struct),
        // Every other type is sent as it is, or refused by the encoder.
        _ => None,
    }
}
