//! Parts of a few rows each, stored row by row: an IPC stream costs more to begin than such rows do.
//!
//! A part is a header, the length of each row, and the rows in Arrow's row format, one after the other. It does not tell
//! its columns: the header has a checksum of their types, which the reader knows from its plan. It is not compressed.

use std::ops::Range;

use arrow::array::{BinaryArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{Row, RowConverter, SortField};
use bytes::{Buf, Bytes};

use super::format::{BATCH_ROWS, bytes_of};
use super::hash::Routed;
use super::output::PartitionIndex;
use super::source::{FetchError, OutputAt};

/// What a part begins with. IPC streams begin with `FFFFFFFF`.
const MAGIC: [u8; 4] = *b"ROWS";
const HEADER_BYTES: usize = 8;
const LENGTH_BYTES: usize = 4;

/// Rows of a part from which on columns are cheaper, on average and at most.
const PART_ROWS: usize = 128;
const PART_ROWS_MAX: u64 = 4096;

/// Bytes of a part's rows in memory, on average: with more, parts do not travel together either.
const PART_BYTES: usize = 16 << 10;

/// Bytes of a part, at most.
const PART_BYTES_MAX: u64 = 1 << 20;

/// What waits is there three times while it is encoded: as columns, as rows, and in the order of the partitions.
const COPIES: usize = 3;

/// Bytes that are put into one batch.
const BATCH_BYTES: usize = 1 << 20;

/// How rows of one exchange are written.
struct RowFormat {
    converter: RowConverter,
    header: [u8; HEADER_BYTES],
}

impl RowFormat {
    /// `None` if a column cannot be stored so, or if there is none.
    fn new(schema: &Schema) -> Option<RowFormat> {
        let types: Vec<&DataType> = schema.fields().iter().map(|field| field.data_type()).collect();
        if types.is_empty() || !types.iter().all(|data_type| is_plain(data_type)) {
            return None;
        }
        let converter = RowConverter::new(types.iter().map(|of| SortField::new((*of).clone())).collect()).ok()?;
        let mut header = [0; HEADER_BYTES];
        header[..MAGIC.len()].copy_from_slice(&MAGIC);
        header[MAGIC.len()..].copy_from_slice(&crc32fast::hash(format!("{types:?}").as_bytes()).to_le_bytes());
        Some(RowFormat { converter, header })
    }
}

/// Types whose values come back from a row as they went in.
fn is_plain(data_type: &DataType) -> bool {
    use DataType::{Binary, BinaryView, Boolean, FixedSizeBinary, LargeBinary, LargeUtf8, Utf8, Utf8View};
    data_type.is_primitive()
        || matches!(
            data_type,
            Boolean | Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView | FixedSizeBinary(_)
        )
}

/// Rows of an output that wait until it is known whether there are enough for columns.
pub struct FewRows {
    format: RowFormat,
    waiting: Vec<Routed>,
    rows: usize,
    bytes: usize,
    rows_max: usize,
    bytes_max: usize,
}

/// The parts of all partitions, one after the other.
pub struct RowParts {
    /// Without offsets.
    pub index: Vec<PartitionIndex>,
    pub bytes: Vec<u8>,
}

impl FewRows {
    /// `None` if the columns cannot be stored as rows. At most about `budget_bytes` are taken.
    pub fn new(schema: &Schema, partitions: u32, budget_bytes: usize) -> Option<FewRows> {
        let (format, partitions) = (RowFormat::new(schema)?, partitions as usize);
        let bytes_max = (budget_bytes / COPIES).min(partitions * PART_BYTES);
        Some(FewRows { format, waiting: Vec::new(), rows: 0, bytes: 0, rows_max: partitions * PART_ROWS, bytes_max })
    }

    /// Whether there are still few enough.
    pub fn push(&mut self, routed: Routed) -> bool {
        self.rows += routed.rows.num_rows();
        self.bytes += routed.rows.columns().iter().map(bytes_of).sum::<usize>();
        self.waiting.push(routed);
        self.rows < self.rows_max && self.bytes < self.bytes_max
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub fn into_routed(self) -> Vec<Routed> {
        self.waiting
    }

    /// `None` if one part is so large that columns are cheaper for it: readers take each as a whole.
    pub fn encode(&self, partitions: u32) -> Result<Option<RowParts>, ArrowError> {
        let of_batch =
            |routed: &Routed| self.format.converter.convert_columns(routed.rows.columns())?.try_into_binary();
        let batches = self.waiting.iter().map(of_batch).collect::<Result<Vec<BinaryArray>, _>>()?;
        let bytes: usize = batches.iter().map(|batch| batch.value_data().len()).sum();
        let mut all = Vec::with_capacity(bytes + self.rows * LENGTH_BYTES + partitions as usize * HEADER_BYTES);
        let mut index = Vec::with_capacity(partitions as usize);
        let mut parts: Vec<_> =
            self.waiting.iter().zip(&batches).flat_map(|(routed, batch)| of_partitions(routed, batch)).collect();
        parts.sort_by_key(|(partition, ..)| *partition);
        let mut rest = parts.as_slice();
        for partition in 0..partitions {
            let (found, behind) = rest.split_at(rest.iter().take_while(|(of, ..)| *of == partition).count());
            rest = behind;
            let start = all.len();
            if !found.is_empty() {
                all.extend_from_slice(&self.format.header);
            }
            for (_, batch, rows) in found {
                let ends = &batch.value_offsets()[rows.start..=rows.end];
                ends.windows(2).for_each(|ends| all.extend_from_slice(&(ends[1] - ends[0]).to_le_bytes()));
            }
            for (_, batch, rows) in found {
                let offsets = batch.value_offsets();
                all.extend_from_slice(&batch.value_data()[offsets[rows.start] as usize..offsets[rows.end] as usize]);
            }
            let rows: u64 = found.iter().map(|(_, _, rows)| rows.len() as u64).sum();
            let (len, crc32) = ((all.len() - start) as u64, crc32fast::hash(&all[start..]));
            if rows >= PART_ROWS_MAX || len > PART_BYTES_MAX {
                return Ok(None);
            }
            index.push(PartitionIndex { offset: 0, len, rows, crc32 });
        }
        Ok(Some(RowParts { index, bytes: all }))
    }
}

/// The rows of each partition among those of `batch`, which are in the order of `routed`.
fn of_partitions<'a>(
    routed: &'a Routed,
    batch: &'a BinaryArray,
) -> impl Iterator<Item = (u32, &'a BinaryArray, Range<usize>)> {
    routed.parts.iter().map(move |(partition, rows)| (*partition, batch, rows.start as usize..rows.end as usize))
}

/// Whether a part that begins with these bytes, of which there is at least one, is stored row by row.
pub fn are_rows(bytes: &[u8]) -> bool {
    bytes.first() == Some(&MAGIC[0])
}

/// Puts the rows of many parts into batches.
pub struct RowDecoder {
    format: Option<RowFormat>,
    schema: SchemaRef,
    /// Lengths and rows of parts that have arrived.
    waiting: Vec<(Bytes, Bytes)>,
    rows: usize,
    bytes: usize,
}

impl RowDecoder {
    /// `schema` is that of the rows.
    pub fn new(schema: SchemaRef) -> RowDecoder {
        RowDecoder { format: RowFormat::new(&schema), schema, waiting: Vec::new(), rows: 0, bytes: 0 }
    }

    /// Takes a whole part of so many rows, whose bytes are those that were written.
    pub fn accept(&mut self, mut part: Bytes, rows: u64, at: &OutputAt) -> Result<(), FetchError> {
        let header = self.format.as_ref().map(|format| format.header);
        if part.len() < HEADER_BYTES || header.is_none_or(|header| !part.starts_with(&header)) {
            return Err(FetchError::corrupt(at, "the part holds rows of other columns than the plan reads"));
        }
        part.advance(HEADER_BYTES);
        let lengths_bytes = usize::try_from(rows).ok().and_then(|rows| rows.checked_mul(LENGTH_BYTES));
        let Some(lengths_bytes) = lengths_bytes.filter(|bytes| *bytes <= part.len()) else {
            return Err(FetchError::corrupt(at, format!("the part has less than {rows} rows")));
        };
        let lengths = part.split_to(lengths_bytes);
        if each(&lengths).sum::<usize>() != part.len() {
            return Err(FetchError::corrupt(at, format!("the part has not {rows} rows")));
        }
        self.rows += rows as usize;
        self.bytes += part.len();
        self.waiting.push((lengths, part));
        Ok(())
    }

    /// Whether what waits fills a batch.
    pub fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The rows that wait.
    pub fn batch(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let Some(format) = self.format.as_ref().filter(|_| self.rows > 0) else { return Ok(None) };
        let parser = format.converter.parser();
        let mut rows: Vec<Row<'_>> = Vec::with_capacity(self.rows);
        for (lengths, part) in &self.waiting {
            let mut start = 0;
            for length in each(lengths) {
                rows.push(parser.parse(&part[start..start + length]));
                start += length;
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let columns = format.converter.convert_rows(rows)?;
        let batch = RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), columns, &options)?;
        self.waiting.clear();
        (self.rows, self.bytes) = (0, 0);
        Ok(Some(batch))
    }
}

fn each(lengths: &[u8]) -> impl Iterator<Item = usize> {
    let (lengths, _) = lengths.as_chunks::<LENGTH_BYTES>();
    lengths.iter().map(|length| u32::from_le_bytes(*length) as usize)
}
