//! The lengths of a batch against the bytes that are there, before anything is made of them.

use arrow::datatypes::{DataType, Schema};
use arrow::ipc::{self, FieldNode};

/// Checks every length that a batch declares, so that no reader of it panics or allocates more than its bytes.
///
/// # Errors
///
/// If it has buffers outside of its body, more values than its body has room for, or is compressed.
pub fn check(header: &ipc::RecordBatch<'_>, schema: &Schema, body_bytes: usize) -> Result<(), String> {
    if header.compression().is_some() {
        return Err("it is compressed".to_owned());
    }
    if header.variadicBufferCounts().is_some_and(|counts| !counts.is_empty()) {
        return Err("it has buffers of views".to_owned());
    }
    let nodes = header.nodes().into_iter().flatten();
    let buffers = header.buffers().into_iter().flatten();
    let mut walk = Walk { nodes, buffers, body_bytes: body_bytes as u64 };
    walk.count(header.length())?;
    schema.fields().iter().try_for_each(|field| walk.column(field.data_type()))
}

/// Columns take their nodes and buffers one after another, a nested one before what it holds.
struct Walk<Nodes, Buffers> {
    nodes: Nodes,
    buffers: Buffers,
    body_bytes: u64,
}

impl<'a, Nodes: Iterator<Item = &'a FieldNode>, Buffers: Iterator<Item = &'a ipc::Buffer>> Walk<Nodes, Buffers> {
    fn column(&mut self, data_type: &DataType) -> Result<(), String> {
        let node = self.nodes.next().ok_or("it has fewer columns than its schema")?;
        let (length, nulls) = (self.count(node.length())?, self.count(node.null_count())?);
        let validity = self.buffer()?;
        if nulls > length || nulls > 0 && validity < length.div_ceil(8) {
            return Err(format!("its bits of validity are fewer than {length}"));
        }
        match data_type {
            DataType::Utf8 | DataType::Binary => self.offsets(4).and_then(|()| self.buffer()).map(drop),
            DataType::LargeUtf8 | DataType::LargeBinary => self.offsets(8).and_then(|()| self.buffer()).map(drop),
            DataType::List(item) => self.offsets(4).and_then(|()| self.column(item.data_type())),
            DataType::LargeList(item) => self.offsets(8).and_then(|()| self.column(item.data_type())),
            DataType::Struct(fields) => fields.iter().try_for_each(|field| self.column(field.data_type())),
            // The schema has let no other type with children through.
            _ => self.buffer().map(drop),
        }
    }

    /// A number of values: each takes at least a bit.
    fn count(&self, count: i64) -> Result<u64, String> {
        let count = u64::try_from(count).ok().filter(|count| *count <= self.body_bytes.saturating_mul(8));
        count.ok_or_else(|| format!("it declares more values than its {} bytes have room for", self.body_bytes))
    }

    /// Bytes of the next buffer.
    fn buffer(&mut self) -> Result<u64, String> {
        let buffer = self.buffers.next().ok_or("it has fewer buffers than its columns need")?;
        let (offset, length) = (u64::try_from(buffer.offset()).ok(), u64::try_from(buffer.length()).ok());
        let end = offset.zip(length).and_then(|(offset, length)| offset.checked_add(length));
        let inside = length.filter(|_| end.is_some_and(|end| end <= self.body_bytes));
        inside.ok_or_else(|| format!("it has a buffer outside of its {} bytes", self.body_bytes))
    }

    fn offsets(&mut self, width: u64) -> Result<(), String> {
        match self.buffer()? % width {
            0 => Ok(()),
            _ => Err(format!("its offsets are not of {width} bytes each")),
        }
    }
}
