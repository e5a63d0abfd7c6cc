//! Lines that come out of a process, as rows of a key and a value.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::session::BATCH_ROWS;

pub const KEY: &str = "key";
pub const VALUE: &str = "value";

/// Bytes of a batch at which it is given out however few rows it has.
const BATCH_BYTES: usize = 1 << 20;

/// A longer line is taken for output that has no lines.
const LINE_BYTES_MAX: usize = 64 << 20;

/// What the lines of a process become.
pub fn schema() -> SchemaRef {
    let field = |name| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(vec![field(KEY), field(VALUE)]))
}

/// Splits bytes into lines, and lines into key and value.
pub struct LineReader {
    separator: u8,
    fields: u32,
    schema: SchemaRef,
    /// Bytes of the line that has not ended.
    line: Vec<u8>,
    key: Column,
    value: Column,
    /// Lines before those of the batch.
    lines: u64,
}

#[derive(Default)]
struct Column {
    bytes: Vec<u8>,
    ends: Vec<i32>,
}

impl LineReader {
    /// The first `fields` fields between `separator`s are the key of a line.
    pub fn new(separator: u8, fields: u32) -> LineReader {
        let (line, key, value, lines) = Default::default();
        LineReader { separator, fields: fields.max(1), schema: schema(), line, key, value, lines }
    }

    /// Takes what has been read; gives a batch when one is full. Errors name the line.
    pub fn push(&mut self, bytes: &[u8], ready: &mut Vec<RecordBatch>) -> Result<(), String> {
        let mut start = 0;
        for newline in memchr::memchr_iter(b'\n', bytes) {
            let rest = &bytes[start..newline];
            start = newline + 1;
            if self.line.is_empty() {
                self.add(rest);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(rest);
                self.add(&line);
                line.clear();
                self.line = line;
            }
            if self.key.ends.len() >= BATCH_ROWS || self.key.bytes.len() + self.value.bytes.len() >= BATCH_BYTES {
                ready.extend(self.flush()?);
            }
        }
        self.line.extend_from_slice(&bytes[start..]);
        if self.line.len() > LINE_BYTES_MAX {
            return Err(format!(
                "line {} has more than {LINE_BYTES_MAX} bytes",
                self.lines + self.key.ends.len() as u64 + 1
            ));
        }
        Ok(())
    }

    /// The rows that do not fill a batch. A last line need not end.
    pub fn finish(&mut self) -> Result<Option<RecordBatch>, String> {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.add(&line);
        }
        self.flush()
    }

    fn add(&mut self, line: &[u8]) {
        let mut separators = memchr::memchr_iter(self.separator, line);
        let (key, value) = match separators.nth(self.fields as usize - 1) {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        self.key.add(key);
        self.value.add(value);
    }

    fn flush(&mut self) -> Result<Option<RecordBatch>, String> {
        let rows = self.key.ends.len() as u64;
        if rows == 0 {
            return Ok(None);
        }
        let first = self.lines + 1;
        self.lines += rows;
        let wrong =
            |error: arrow::error::ArrowError| format!("lines {first} to {} are not UTF-8: {error}", first + rows - 1);
        let columns = [std::mem::take(&mut self.key), std::mem::take(&mut self.value)];
        let [key, value] = columns.map(Column::array);
        let columns = vec![key.map_err(wrong)?, value.map_err(wrong)?];
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map(Some).map_err(wrong)
    }
}

impl Column {
    fn add(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        // A batch has less than its limit and one line more.
        self.ends.push(self.bytes.len() as i32);
    }

    fn array(self) -> Result<ArrayRef, arrow::error::ArrowError> {
        let offsets: Vec<i32> = std::iter::once(0).chain(self.ends).collect();
        let text = StringArray::try_new(OffsetBuffer::new(offsets.into()), Buffer::from_vec(self.bytes), None)?;
        Ok(Arc::new(text))
    }
}
