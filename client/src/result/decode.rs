//! Arrow IPC streams that arrive in pieces.

use std::collections::VecDeque;

use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;

/// Decodes one part's stream. Decoding validates the bytes: they come from another process.
#[derive(Debug, Default)]
pub(super) struct PartDecoder {
    decoder: StreamDecoder,
    pieces: VecDeque<Buffer>,
}

impl PartDecoder {
    pub fn push(&mut self, piece: Bytes) {
        self.pieces.push_back(Buffer::from(piece));
    }

    /// The next batch among the pieces pushed so far.
    pub fn next(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        while let Some(piece) = self.pieces.front_mut() {
            if let Some(batch) = self.decoder.decode(piece)? {
                return Ok(Some(batch));
            }
            self.pieces.pop_front();
        }
        Ok(None)
    }

    /// Known once the head of the stream was decoded.
    pub fn schema(&self) -> Option<SchemaRef> {
        self.decoder.schema()
    }

    /// Fails if the stream ended in the middle of a message.
    pub fn finish(&mut self) -> Result<(), ArrowError> {
        self.decoder.finish()
    }
}
