//! How rows become stored bytes: coalesced batches, compacted, as one Arrow IPC stream per reduce partition.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, MutableArrayData, RecordBatch, RecordBatchOptions, make_array,
};
use arrow::buffer::Buffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamEncoder};

use super::memory::ShuffleMemory;
use super::output::PartitionIndex;

/// Rows of a stored batch when memory allows: DataFusion's own batch size, so that readers need not re-batch.
pub const BATCH_ROWS: usize = 8192;

/// Rows below which per-batch overhead (a message header per column, a compression frame per buffer) outweighs.
const BATCH_ROWS_MIN: usize = 256;

/// Rows of one partition are encoded once they take this much memory, however few they are and whatever the budget.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// Wide rows are encoded below this only if they are single rows: smaller batches are mostly overhead.
const BATCH_BYTES_MIN: usize = 64 << 10;

/// What a value of unknown width is taken for when sizing batches, in bytes.
const VARIABLE_WIDTH_GUESS: usize = 32;

/// How stored batches are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShuffleCompression {
    None,
    /// Arrow IPC's LZ4 frames: cheaper than the memory and the network they save.
    #[default]
    Lz4,
    /// LZ4 for outputs that begin when a quarter of the shuffle memory is taken, none for those before: for workers
    /// of one machine, where bytes that fit in memory cost next to nothing to move.
    Auto,
}

impl ShuffleCompression {
    /// What a new output does.
    pub fn settled(self, memory: &ShuffleMemory) -> ShuffleCompression {
        match self {
            ShuffleCompression::Auto if memory.used_bytes() < memory.limit_bytes() / 4 => ShuffleCompression::None,
            ShuffleCompression::Auto | ShuffleCompression::Lz4 => ShuffleCompression::Lz4,
            ShuffleCompression::None => ShuffleCompression::None,
        }
    }

    fn options(self) -> Result<IpcWriteOptions, ArrowError> {
        let kind = match self {
            ShuffleCompression::None => None,
            ShuffleCompression::Lz4 | ShuffleCompression::Auto => Some(CompressionType::LZ4_FRAME),
        };
        IpcWriteOptions::default().try_with_compression(kind)
    }
}

/// How many rows wait in one partition's buffer before they are encoded: whichever bound is reached first.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    rows: usize,
    bytes: usize,
}

impl BatchLimits {
    /// Limits with which the rows waiting in `partitions` buffers fit in `budget_bytes`: by a guess of their width, and
    /// by their bytes where the guess is wrong.
    pub fn new(schema: &Schema, partitions: usize, budget_bytes: usize) -> BatchLimits {
        let width = |data_type: &DataType| data_type.primitive_width().unwrap_or(VARIABLE_WIDTH_GUESS);
        let row: usize = schema.fields().iter().map(|field| width(field.data_type())).sum();
        let share = budget_bytes / partitions.max(1);
        BatchLimits {
            rows: (share / row.max(1)).clamp(BATCH_ROWS_MIN, BATCH_ROWS),
            bytes: share.clamp(BATCH_BYTES_MIN, BATCH_BYTES_MAX),
        }
    }
}

/// One encoded batch: the pieces that it is stored as, one after another, most of them still the batch's own memory.
pub struct Encoded(Vec<Buffer>);

impl Encoded {
    pub fn buffers(&self) -> &[Buffer] {
        &self.0
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.0.iter().map(|buffer| buffer.len()).sum()
    }
}

/// Turns the rows of one reduce partition into stored bytes.
pub struct PartitionEncoder {
    /// Rows that wait to fill a batch, as they came: they are copied once, into the batch that is encoded.
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    waiting_bytes: usize,
    limits: BatchLimits,
    encoder: Option<StreamEncoder>,
    schema: SchemaRef,
    compression: ShuffleCompression,
    index: PartitionIndex,
    crc: crc32fast::Hasher,
}

impl PartitionEncoder {
    pub fn new(schema: SchemaRef, limits: BatchLimits, compression: ShuffleCompression) -> Self {
        let (waiting, waiting_rows, waiting_bytes, index, crc) = Default::default();
        PartitionEncoder {
            waiting,
            waiting_rows,
            waiting_bytes,
            limits,
            encoder: None,
            schema,
            compression,
            index,
            crc,
        }
    }

    /// Takes rows; gives each batch that became full.
    pub fn push(&mut self, batch: &RecordBatch, full: &mut Vec<Encoded>) -> Result<(), ArrowError> {
        let mut start = 0;
        while start < batch.num_rows() {
            let left = batch.num_rows() - start;
            let many = self.limits.rows / 2;
            if left > many && self.waiting_rows > many {
                self.encode_waiting(full)?;
            }
            let rows = batch.slice(start, left.min(self.limits.rows - self.waiting_rows));
            start += rows.num_rows();
            self.waiting_rows += rows.num_rows();
            self.waiting_bytes += rows.columns().iter().map(bytes_of).sum::<usize>();
            self.waiting.push(rows);
            // Many rows that came together are not worth a copy.
            let is_batch = self.waiting_rows > many && self.waiting.len() == 1;
            if is_batch || self.waiting_rows >= self.limits.rows || self.waiting_bytes > self.limits.bytes {
                self.encode_waiting(full)?;
            }
        }
        Ok(())
    }

    /// Ends the partition: its last bytes and its index entry (without the offset). A partition without rows becomes no
    /// bytes, unless `always_schema` asks for a stream that tells the schema.
    pub fn finish(mut self, always_schema: bool, last: &mut Vec<Encoded>) -> Result<PartitionIndex, ArrowError> {
        self.encode_waiting(last)?;
        if always_schema || self.index.rows > 0 {
            let encoder = match self.encoder.take() {
                Some(encoder) => encoder,
                None => StreamEncoder::try_new_with_options(&self.schema, self.compression.options()?)?,
            };
            let end = self.noted(encoder.finish()?);
            match last.last_mut() {
                Some(batch) => batch.0.extend(end.0),
                None => last.push(end),
            }
        }
        self.index.crc32 = self.crc.finalize();
        Ok(self.index)
    }

    /// Makes one batch of the rows that wait.
    fn encode_waiting(&mut self, out: &mut Vec<Encoded>) -> Result<(), ArrowError> {
        let mut waiting = std::mem::take(&mut self.waiting);
        (self.waiting_rows, self.waiting_bytes) = (0, 0);
        let batch = match waiting.len() {
            0 => return Ok(()),
            1 => waiting.swap_remove(0),
            _ => concat_batches(&self.schema, &waiting)?,
        };
        let batch = compact(batch)?;
        self.index.rows += batch.num_rows() as u64;
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(StreamEncoder::try_new_with_options(&self.schema, self.compression.options()?)?),
        };
        let buffers = encoder.encode(&batch)?;
        out.push(self.noted(buffers));
        Ok(())
    }

    fn noted(&mut self, buffers: Vec<Buffer>) -> Encoded {
        let encoded = Encoded(buffers);
        encoded.buffers().iter().for_each(|buffer| self.crc.update(buffer));
        self.index.len += encoded.len() as u64;
        encoded
    }
}

/// About how many bytes the array's own rows take, whatever else its buffers hold.
pub(super) fn bytes_of(array: &ArrayRef) -> usize {
    /// Views of longer values point into a buffer.
    const INLINE: u32 = 12;
    let lengths = |views: &[u128]| {
        // The length is the lower half of a view's lower half.
        let lengths = views.iter().map(|view| *view as u32).filter(|length| *length > INLINE);
        size_of_val(views) + lengths.map(|length| length as usize).sum::<usize>()
    };
    match array.data_type() {
        DataType::Utf8View => lengths(array.as_string_view().views()),
        DataType::BinaryView => lengths(array.as_binary_view().views()),
        fixed => match fixed.primitive_width() {
            Some(width) => width * array.len(),
            None => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
        },
    }
}

/// The same rows without the parts of shared buffers that they do not use: IPC writes string views and dictionaries
/// whole, so a few rows of a large page would carry the page.
fn compact(batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
    if !batch.schema_ref().fields().iter().any(|field| is_sharing(field.data_type())) {
        return Ok(batch);
    }
    let columns = batch.columns().iter().map(compact_array).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}

/// Whether values of the type may point into buffers that hold more than them.
fn is_sharing(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View | DataType::BinaryView | DataType::Dictionary(_, _) => true,
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            is_sharing(field.data_type())
        }
        DataType::Map(field, _) => is_sharing(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| is_sharing(field.data_type())),
        _ => false,
    }
}

fn compact_array(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        DataType::Dictionary(_, _) => compact_dictionary(array)?,
        nested if is_sharing(nested) => {
            let parent = dense(array)?;
            let child = |data: &ArrayData| Ok(compact_array(&make_array(data.clone()))?.to_data());
            let children = parent.child_data().iter().map(child).collect::<Result<Vec<_>, ArrowError>>()?;
            make_array(parent.into_builder().child_data(children).build()?)
        }
        _ => Arc::clone(array),
    })
}

/// A copy whose children hold the values of its own rows only: a slice of a list points into all the list's values.
fn dense(array: &ArrayRef) -> Result<ArrayData, ArrowError> {
    let data = array.to_data();
    let mut copy = MutableArrayData::new(vec![&data], false, array.len());
    copy.try_extend(0, 0, array.len())?;
    Ok(copy.freeze())
}

/// A dictionary with more values than rows is rebuilt from the values that are used.
fn compact_dictionary(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let dictionary = array.as_any_dictionary();
    if dictionary.values().len() <= array.len() {
        return Ok(Arc::clone(array));
    }
    let DataType::Dictionary(_, value_type) = array.data_type() else {
        return Ok(Arc::clone(array));
    };
    let plain = arrow::compute::cast(array, value_type)?;
    arrow::compute::cast(&plain, array.data_type())
}
