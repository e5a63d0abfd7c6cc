//! The stream that a module gives back. Nothing in it is trusted.
//!
//! Arrow's own reader trusts a stream's author with lengths and types: it may panic, or allocate what a few bytes ask for.
//! Here frames, schema, and every length of a batch are checked first, so that what a result takes is bounded by its bytes;
//! its decoder then validates the values (offsets, UTF-8, counts of nulls).

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::RecordBatchDecoder;
use arrow::ipc::{Message, MessageHeader, MetadataVersion, root_as_message};

use crate::limits::{METADATA_BYTES_MAX, RESULT_BATCHES_MAX};
use crate::{layout, schema};

#[cfg(test)]
mod tests;

/// What is wrong if the decoder panics.
const CONTRADICTION: &str = "its buffers contradict each other";

/// Starts every message.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// The batches of a stream. They share its memory.
///
/// # Errors
///
/// If it is not a stream of an accepted schema, with its end.
pub fn stream(bytes: &Buffer) -> Result<Vec<RecordBatch>, String> {
    let mut frames = Frames { rest: bytes.clone() };
    let first = frames.next()?.ok_or("it has no schema")?;
    let message = first.message()?;
    let schema = message.header_as_schema().ok_or("it does not begin with a schema")?;
    let schema = Arc::new(schema::read(schema)?);
    let mut batches = Vec::new();
    while let Some(frame) = frames.next()? {
        if batches.len() == RESULT_BATCHES_MAX {
            return Err(format!("it has more than {RESULT_BATCHES_MAX} batches"));
        }
        batches.push(batch(&frame, &schema).map_err(|detail| format!("batch {}: {detail}", batches.len()))?);
    }
    Ok(batches)
}

/// The messages of a stream.
struct Frames {
    rest: Buffer,
}

struct Frame {
    metadata: Buffer,
    body: Buffer,
}

impl Frames {
    /// `None` at the end of the stream, after which nothing may follow.
    fn next(&mut self) -> Result<Option<Frame>, String> {
        if self.take(4)?.as_slice() != CONTINUATION {
            return Err("a message does not begin with ff ff ff ff".to_owned());
        }
        let length = self.take(4)?;
        let length = length.as_slice().try_into().map(u32::from_le_bytes).map_err(|_| "a length is cut off")? as usize;
        if length == 0 {
            return if self.rest.is_empty() { Ok(None) } else { Err("it goes on after its end".to_owned()) };
        }
        if length > METADATA_BYTES_MAX {
            return Err(format!("a message has {length} bytes of metadata, and at most {METADATA_BYTES_MAX} are read"));
        }
        let mut frame = Frame { metadata: self.take(length)?, body: Buffer::default() };
        let body_length = frame.message()?.bodyLength();
        frame.body = self.take(usize::try_from(body_length).map_err(|_| "the length of a body is negative")?)?;
        Ok(Some(frame))
    }

    fn take(&mut self, length: usize) -> Result<Buffer, String> {
        if length > self.rest.len() {
            return Err(format!("it ends where {length} bytes should follow and {} do", self.rest.len()));
        }
        let taken = self.rest.slice_with_length(0, length);
        self.rest.advance(length);
        Ok(taken)
    }
}

impl Frame {
    fn message(&self) -> Result<Message<'_>, String> {
        root_as_message(&self.metadata).map_err(|error| format!("a message's metadata is no flatbuffer: {error}"))
    }
}

fn batch(frame: &Frame, schema: &SchemaRef) -> Result<RecordBatch, String> {
    let message = frame.message()?;
    let header = match (message.header_type(), message.header_as_record_batch()) {
        (MessageHeader::RecordBatch, Some(header)) => header,
        (other, _) => return Err(format!("it is a message of the type {other:?}")),
    };
    layout::check(&header, schema, frame.body.len())?;
    let (body, version) = (&frame.body, message.version());
    let read = || read_checked(body, header, schema, version);
    // What the check lets through should make the decoder return errors only; but it is other people's code over a stranger's
    // bytes, and a panic here would end a thread that other tasks share.
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(rows) => rows,
        Err(_) => Err(CONTRADICTION.to_owned()),
    }
}

fn read_checked(
    body: &Buffer,
    header: arrow::ipc::RecordBatch<'_>,
    schema: &SchemaRef,
    version: MetadataVersion,
) -> Result<RecordBatch, String> {
    let decoder = RecordBatchDecoder::try_new(body, header, Arc::clone(schema), &HashMap::new(), &version)
        .map_err(|error| error.to_string())?
        .read_record_batch();
    decoder.map_err(|error| error.to_string())
}
