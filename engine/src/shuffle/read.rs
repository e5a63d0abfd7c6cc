//! The reduce side: decodes the parts of map outputs as their bytes arrive, verifies each at its end, and puts small
//! batches together.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamDecoder;
use bytes::Bytes;
use datafusion::common::internal_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::RecordBatchStream;
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, ready};

use super::format::{BATCH_ROWS, bytes_of};
use super::rows::{RowDecoder, are_rows};
use super::small::SmallDecoder;
use super::source::{FetchError, OutputAt, PartAt, PartBytes, PartEnd, SmallPart, TaskInputs};

/// Which parts of a stage's map outputs one stream reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadSelection {
    /// This reduce partition of every map output.
    Partition(u32),
    /// The only partition of every map output (gather, broadcast).
    All,
    /// The only partition of the output of the map task with this index (sorted runs, tables).
    Task(u32),
}

/// Rows that are put together have at most so many bytes, unless they came so: wide rows are copied for nothing.
const TOGETHER_BYTES_MAX: usize = 1 << 20;

/// Small parts that are decoded before somebody looks whether they have filled a batch.
const SMALL_AT_ONCE: usize = 64;

/// Name of the metric that counts encoded bytes read from map outputs.
pub const BYTES_FETCHED: &str = "bytes_fetched";

/// Reads `which` of the map outputs of `stage` as rows of `schema`. `partition` is the reading plan's own partition,
/// for its metrics. Nothing is fetched before the first poll; dropping the stream ends the fetch.
///
/// Errors at once if the attempt was not given the outputs of `stage`; later with a [`FetchError`] inside
/// [`DataFusionError::External`] when an output is lost or is not what was written.
pub fn read(
    inputs: &TaskInputs,
    stage: u32,
    which: ReadSelection,
    schema: SchemaRef,
    metrics: &ExecutionPlanMetricsSet,
    partition: usize,
) -> Result<SendableRecordBatchStream> {
    let parts = select(inputs, stage, which)?;
    let bytes = inputs.source.open(parts.clone());
    let stream = PartsStream {
        bytes,
        decoders: HashMap::new(),
        waiting: VecDeque::new(),
        small: SmallDecoder::default(),
        row_parts: RowDecoder::new(Arc::clone(&schema)),
        ended: 0,
        parts,
        ready: Ready::new(Arc::clone(&schema)),
        schema,
        rows: BaselineMetrics::new(metrics, partition),
        bytes_fetched: MetricBuilder::new(metrics).counter(BYTES_FETCHED, partition),
        done: false,
    };
    Ok(make_cooperative(Box::pin(stream)))
}

fn select(inputs: &TaskInputs, stage: u32, which: ReadSelection) -> Result<Vec<PartAt>> {
    let Some(outputs) = inputs.stages.get(&stage) else {
        return internal_err!("the attempt reads stage {stage} but was not told where its map outputs are");
    };
    let part = |at: &OutputAt, partition| PartAt { at: at.clone(), partition };
    Ok(match which {
        ReadSelection::Partition(partition) => outputs.iter().map(|at| part(at, partition)).collect(),
        ReadSelection::All => outputs.iter().map(|at| part(at, 0)).collect(),
        ReadSelection::Task(task) => match outputs.iter().find(|at| at.output.task.index == task) {
            Some(at) => vec![part(at, 0)],
            None => return internal_err!("the attempt reads task {task} of stage {stage}, which has no map output"),
        },
    })
}

/// Rows of several parts, in the order in which their bytes arrive.
struct PartsStream {
    bytes: BoxStream<'static, Result<PartBytes, FetchError>>,
    /// Parts that have begun and not ended; the source bounds how many it sends at once.
    decoders: HashMap<usize, PartDecoder>,
    /// Whole parts that have arrived.
    waiting: VecDeque<SmallPart>,
    small: SmallDecoder,
    row_parts: RowDecoder,
    ended: usize,
    parts: Vec<PartAt>,
    ready: Ready,
    schema: SchemaRef,
    rows: BaselineMetrics,
    bytes_fetched: Count,
    done: bool,
}

impl PartsStream {
    fn accept(&mut self, piece: PartBytes) -> Result<()> {
        match piece {
            PartBytes::Chunk { part, bytes } => {
                self.bytes_fetched.add(bytes.len());
                self.decoders.entry(part).or_default().accept(bytes);
            }
            PartBytes::End { part, end } => self.decoders.entry(part).or_default().end = Some(end),
            PartBytes::Small(parts) => {
                self.bytes_fetched.add(parts.iter().map(|part| part.bytes.len()).sum());
                self.waiting.extend(parts);
            }
        }
        Ok(())
    }

    /// Goes on with bytes that are already here.
    fn decode(&mut self) -> Result<()> {
        if !self.waiting.is_empty() {
            let some = self.waiting.len().min(SMALL_AT_ONCE);
            return (0..some).try_for_each(|_| self.decode_small());
        }
        let Some((&part, decoder)) = self.decoders.iter_mut().find(|(_, decoder)| decoder.is_due()) else {
            return Ok(());
        };
        let at = &self.parts[part].at;
        if let Some(batch) = decoder.next(at)? {
            return self.ready.push(with_schema(batch, &self.schema)?);
        }
        if let Some(end) = decoder.end {
            decoder.verify(&end, at)?;
            let rows = decoder.rows_bytes.take();
            self.decoders.remove(&part);
            self.ended += 1;
            if let Some(rows) = rows {
                return self.accept_rows(part, rows.into(), &end);
            }
        }
        Ok(())
    }

    fn decode_small(&mut self) -> Result<()> {
        let Some(small) = self.waiting.pop_front() else { return Ok(()) };
        let at = &self.parts[small.part].at;
        small.end.verify(small.bytes.len() as u64, crc32fast::hash(&small.bytes), at)?;
        self.ended += 1;
        if are_rows(&small.bytes) {
            return self.accept_rows(small.part, small.bytes, &small.end);
        }
        for batch in self.small.decode(&small, at)? {
            self.ready.push(with_schema(batch, &self.schema)?)?;
        }
        Ok(())
    }

    /// Takes a whole part that is stored row by row and verified.
    fn accept_rows(&mut self, part: usize, bytes: Bytes, end: &PartEnd) -> Result<()> {
        self.row_parts.accept(bytes, end.rows, &self.parts[part].at)?;
        if self.row_parts.is_full() { self.decode_rows() } else { Ok(()) }
    }

    fn decode_rows(&mut self) -> Result<()> {
        let Some(batch) = self.row_parts.batch()? else { return Ok(()) };
        for start in (0..batch.num_rows()).step_by(BATCH_ROWS) {
            self.ready.push(batch.slice(start, BATCH_ROWS.min(batch.num_rows() - start)))?;
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        !self.waiting.is_empty() || self.decoders.values().any(PartDecoder::is_due)
    }

    /// A stream that ends before every part has ended is a loss, never an end of data.
    fn finish(&self) -> Result<()> {
        if self.ended == self.parts.len() {
            return Ok(());
        }
        let part = self.decoders.keys().next().copied().unwrap_or(self.ended.min(self.parts.len() - 1));
        Err(FetchError::lost(&self.parts[part].at, "the bytes ended early").into())
    }

    fn poll_rows(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        loop {
            if let Some(batch) = self.ready.pop() {
                return Poll::Ready(Some(Ok(batch)));
            }
            if self.is_due() {
                let timer = self.rows.elapsed_compute().clone();
                let _timer = timer.timer();
                self.decode()?;
                continue;
            }
            match ready!(self.bytes.poll_next_unpin(cx)) {
                Some(piece) => self.accept(piece.map_err(DataFusionError::from)?)?,
                None => {
                    self.finish()?;
                    self.decode_rows()?;
                    if let Some(batch) = self.ready.pop() {
                        return Poll::Ready(Some(Ok(batch)));
                    }
                    return Poll::Ready(self.ready.rest()?.map(Ok));
                }
            }
        }
    }
}

impl Stream for PartsStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.done {
            return Poll::Ready(None);
        }
        let poll = self.poll_rows(cx);
        if matches!(poll, Poll::Ready(None | Some(Err(_)))) {
            self.done = true;
        }
        self.rows.record_poll(poll)
    }
}

impl RecordBatchStream for PartsStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// Rows on their way to the reader: batches of many rows as they came, others put together.
enum Ready {
    /// With the bytes of the rows that wait.
    Columns(Box<BatchCoalescer>, usize),
    /// Rows without columns are only counted.
    Counted(VecDeque<RecordBatch>),
}

impl Ready {
    fn new(schema: SchemaRef) -> Ready {
        if schema.fields().is_empty() {
            return Ready::Counted(VecDeque::new());
        }
        let coalescer = BatchCoalescer::new(schema, BATCH_ROWS);
        Ready::Columns(Box::new(coalescer.with_biggest_coalesce_batch_size(Some(BATCH_ROWS / 2))), 0)
    }

    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        match self {
            Ready::Columns(coalescer, waiting) => {
                let bytes: usize = batch.columns().iter().map(bytes_of).sum();
                if *waiting > 0 && *waiting + bytes > TOGETHER_BYTES_MAX {
                    coalescer.finish_buffered_batch()?;
                    *waiting = 0;
                }
                coalescer.push_batch(batch)?;
                *waiting += bytes;
                if *waiting > TOGETHER_BYTES_MAX {
                    coalescer.finish_buffered_batch()?;
                }
                if coalescer.get_buffered_rows() == 0 {
                    *waiting = 0;
                }
            }
            Ready::Counted(ready) => ready.push_back(batch),
        }
        Ok(())
    }

    fn pop(&mut self) -> Option<RecordBatch> {
        match self {
            Ready::Columns(coalescer, _) => coalescer.next_completed_batch(),
            Ready::Counted(ready) => ready.pop_front(),
        }
    }

    /// The rows that do not fill a batch.
    fn rest(&mut self) -> Result<Option<RecordBatch>> {
        if let Ready::Columns(coalescer, _) = self {
            coalescer.finish_buffered_batch()?;
        }
        Ok(self.pop())
    }
}

/// Decodes and verifies one part.
#[derive(Default)]
struct PartDecoder {
    decoder: StreamDecoder,
    pending: Buffer,
    crc: crc32fast::Hasher,
    bytes: u64,
    rows: u64,
    /// All bytes of a part that is stored row by row.
    rows_bytes: Option<Vec<u8>>,
    end: Option<PartEnd>,
}

impl PartDecoder {
    fn accept(&mut self, bytes: Bytes) {
        self.crc.update(&bytes);
        if self.bytes == 0 && are_rows(&bytes) {
            self.rows_bytes = Some(Vec::new());
        }
        self.bytes += bytes.len() as u64;
        if let Some(rows) = &mut self.rows_bytes {
            rows.extend_from_slice(&bytes);
            return;
        }
        self.pending = Buffer::from(bytes);
    }

    fn is_due(&self) -> bool {
        !self.pending.is_empty() || self.end.is_some()
    }

    fn next(&mut self, at: &OutputAt) -> Result<Option<RecordBatch>, FetchError> {
        if self.pending.is_empty() {
            return Ok(None);
        }
        let batch =
            self.decoder.decode(&mut self.pending).map_err(|error| FetchError::corrupt(at, error.to_string()))?;
        self.rows += batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
        Ok(batch)
    }

    fn verify(&mut self, end: &PartEnd, at: &OutputAt) -> Result<(), FetchError> {
        end.verify(self.bytes, self.crc.clone().finalize(), at)?;
        if self.rows_bytes.is_some() {
            return Ok(());
        }
        self.decoder.finish().map_err(|error| FetchError::corrupt(at, error.to_string()))?;
        if self.rows != end.rows {
            return Err(FetchError::corrupt(at, format!("{} rows, not {}", self.rows, end.rows)));
        }
        Ok(())
    }
}

/// The same columns under the plan's schema: field names and metadata may differ between producer and consumer, types
/// may not.
fn with_schema(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns().to_vec();
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}
