//! Decodes whole parts of a few bytes each.
//!
//! Each is an IPC stream of its own, and would cost more to begin than to decode: all parts of an exchange begin with the
//! same schema, byte by byte, so one decoder reads their batches one part after the other.

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use bytes::Bytes;

use super::source::{FetchError, OutputAt, SmallPart};

/// A message is `FFFFFFFF`, its length, and so many bytes; a stream ends with an empty one.
const MESSAGE_PREFIX_BYTES: usize = 8;
const END: [u8; MESSAGE_PREFIX_BYTES] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

#[derive(Default)]
pub struct SmallDecoder {
    decoder: StreamDecoder,
    /// The schema message that `decoder` has read.
    schema: Bytes,
}

impl SmallDecoder {
    /// The batches of a part whose bytes are those that were written.
    pub fn decode(&mut self, small: &SmallPart, at: &OutputAt) -> Result<Vec<RecordBatch>, FetchError> {
        let SmallPart { bytes, end, .. } = small;
        let corrupt = |detail| FetchError::corrupt(at, detail);
        let mut batches = self.batches(bytes).map_err(corrupt)?;
        if rows(&batches) != end.rows {
            // A batch without a byte of its own (no columns, or nothing but nulls) is given when more bytes follow.
            *self = SmallDecoder::default();
            batches = alone(bytes).map_err(corrupt)?;
        }
        let rows = rows(&batches);
        if rows != end.rows {
            return Err(FetchError::corrupt(at, format!("{rows} rows, not {}", end.rows)));
        }
        Ok(batches)
    }

    fn batches(&mut self, bytes: &Bytes) -> Result<Vec<RecordBatch>, String> {
        let mut batches = Vec::new();
        if bytes.is_empty() {
            return Ok(batches);
        }
        let messages = bytes.strip_suffix(&END).ok_or("the stream has no end")?.len();
        let known = !self.schema.is_empty() && bytes.starts_with(&self.schema);
        if !known {
            // Another schema, or the first one: a decoder reads one stream.
            *self = SmallDecoder { decoder: StreamDecoder::default(), schema: schema_message(bytes)? };
        }
        let start = if known { self.schema.len() } else { 0 };
        let mut pending = Buffer::from(bytes.slice(start..messages));
        while !pending.is_empty() {
            batches.extend(self.decoder.decode(&mut pending).map_err(|error| error.to_string())?);
        }
        Ok(batches)
    }
}

fn rows(batches: &[RecordBatch]) -> u64 {
    batches.iter().map(|batch| batch.num_rows() as u64).sum()
}

/// The batches of a whole stream.
fn alone(bytes: &Bytes) -> Result<Vec<RecordBatch>, String> {
    let (mut decoder, mut batches) = (StreamDecoder::default(), Vec::new());
    let mut pending = Buffer::from(bytes.clone());
    while !pending.is_empty() {
        batches.extend(decoder.decode(&mut pending).map_err(|error| error.to_string())?);
    }
    Ok(batches)
}

/// The first message of a stream; a schema has no body.
fn schema_message(bytes: &Bytes) -> Result<Bytes, String> {
    let length = bytes.get(4..MESSAGE_PREFIX_BYTES).and_then(|length| length.try_into().ok()).map(u32::from_le_bytes);
    let end = length.map_or(0, |length| MESSAGE_PREFIX_BYTES + length as usize);
    if end == 0 || end > bytes.len() { Err("the stream has no schema".to_owned()) } else { Ok(bytes.slice(..end)) }
}
