//! The map side: rows of all partitions of a task go into one output, in memory first, then in files.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::{PhysicalExpr, RangePartitioning};
use parking_lot::Mutex;
use windrow_model::{Failure, MapOutputId, TaskId};

use super::format::{BatchLimits, Encoded, PartitionEncoder, ShuffleCompression};
use super::hash::{HashRouter, Routed};
use super::memory::ShuffleMemory;
use super::output::{HeldChunk, PartitionIndex, ShuffleFile, ShuffleIoError, StoredOutput};
use super::ranges::RangeRouter;
use super::rows::{FewRows, RowParts};
use super::segment::{Segment, Segments};

/// Outputs of less than this are not shared, in bytes: sending them costs less than mapping them.
const SHARED_BYTES_MIN: u64 = 256 << 10;

/// Copy unit when spilled runs are put in partition order, in bytes.
const COPY_BYTES: u64 = 1 << 20;

/// Where and how a worker's attempts write their outputs.
#[derive(Clone, Debug)]
pub struct OutputPlace {
    /// Folder of the worker's own shuffle files.
    pub dir: PathBuf,
    pub memory: Arc<ShuffleMemory>,
    pub compression: ShuffleCompression,
    /// Memory for rows that wait to fill a batch, of one attempt, in bytes.
    pub batching_bytes: usize,
    /// Where outputs in memory are shared with other processes of this host; `None`: they are not.
    pub segments: Option<Arc<Segments>>,
}

/// Writing an output failed.
#[derive(Debug)]
pub enum OutputError {
    Rows(DataFusionError),
    Disk(ShuffleIoError),
}

impl OutputError {
    pub fn into_failure(self, task: TaskId) -> Failure {
        match self {
            OutputError::Rows(error) => crate::errors::failure(error, task),
            OutputError::Disk(error) => error.failure(),
        }
    }
}

impl From<ArrowError> for OutputError {
    fn from(error: ArrowError) -> Self {
        OutputError::Rows(error.into())
    }
}

impl From<DataFusionError> for OutputError {
    fn from(error: DataFusionError) -> Self {
        OutputError::Rows(error)
    }
}

impl From<ShuffleIoError> for OutputError {
    fn from(error: ShuffleIoError) -> Self {
        OutputError::Disk(error)
    }
}

/// The output of one attempt while it is written; shared by the threads that execute the attempt's partitions.
/// Dropping it removes everything it wrote.
pub struct OutputWriter {
    id: MapOutputId,
    place: OutputPlace,
    partitions: Vec<Mutex<PartitionWriter>>,
    /// What was divided by a hash, until there is more than a few rows for each partition.
    few: Mutex<Option<FewRows>>,
    /// Locked before any partition, so that spilling and pushing cannot wait for each other.
    spilled: Mutex<Option<Spilled>>,
    spill_bytes: AtomicU64,
    /// Where the next chunks go that are shared.
    segment: Mutex<Option<Arc<Segment>>>,
    /// Bytes that were encoded so far.
    kept_bytes: AtomicU64,
}

struct PartitionWriter {
    encoder: PartitionEncoder,
    chunks: Vec<HeldChunk>,
}

/// Runs of encoded bytes on disk: where the pieces of each partition are, in order.
struct Spilled {
    file: ShuffleFile,
    len: u64,
    extents: Vec<Vec<Range<u64>>>,
}

/// Splits rows among reduce partitions. One per thread of the attempt, because it holds scratch space.
pub struct RowRouter {
    route: Route,
}

enum Route {
    Single,
    Hash(HashRouter),
    Ranges(RangeRouter),
}

impl RowRouter {
    /// All rows go to partition 0.
    pub fn single() -> Self {
        RowRouter { route: Route::Single }
    }

    /// Rows go where DataFusion's own hash exchange would send them.
    pub fn hash(exprs: &[Arc<dyn PhysicalExpr>], partitions: u32) -> Self {
        if partitions == 1 {
            return RowRouter::single();
        }
        RowRouter { route: Route::Hash(HashRouter::new(exprs.to_vec(), partitions)) }
    }

    /// Rows, which have `schema`, go where they lie between split points.
    pub fn ranges(ranges: &RangePartitioning, schema: &Schema) -> Result<Self> {
        Ok(RowRouter { route: Route::Ranges(RangeRouter::new(ranges, schema)?) })
    }
}

impl OutputWriter {
    pub fn new(id: MapOutputId, place: OutputPlace, schema: SchemaRef, partitions: u32) -> Self {
        let limits = BatchLimits::new(&schema, partitions as usize, place.batching_bytes);
        let compression = place.compression.settled(&place.memory);
        let partition = || {
            let encoder = PartitionEncoder::new(Arc::clone(&schema), limits, compression);
            Mutex::new(PartitionWriter { encoder, chunks: Vec::new() })
        };
        let few = (partitions > 1).then(|| FewRows::new(&schema, partitions, place.batching_bytes)).flatten();
        let (few, partitions) = (Mutex::new(few), (0..partitions).map(|_| partition()).collect());
        let (spilled, spill_bytes, segment, kept_bytes) = Default::default();
        OutputWriter { id, place, partitions, few, spilled, spill_bytes, segment, kept_bytes }
    }

    /// Reduce partitions of the output.
    pub fn partitions(&self) -> u32 {
        self.partitions.len() as u32
    }

    /// Takes a batch of the attempt's rows. Encodes and may write to disk on the calling thread: the attempt has that
    /// thread to itself.
    pub fn push(&self, router: &mut RowRouter, batch: RecordBatch) -> Result<(), OutputError> {
        match &mut router.route {
            Route::Single => self.push_to(0, &batch),
            Route::Ranges(ranges) => {
                for (partition, rows) in ranges.route(&batch)? {
                    self.push_to(partition, &rows)?;
                }
                Ok(())
            }
            Route::Hash(hash) => self.push_routed(hash.route(&batch)?),
        }
    }

    /// Keeps the rows back as long as there are few.
    fn push_routed(&self, routed: Routed) -> Result<(), OutputError> {
        let due = {
            let mut few = self.few.lock();
            let Some(mut rows) = few.take() else {
                drop(few);
                return self.push_parts(&[routed]);
            };
            if rows.push(routed) {
                *few = Some(rows);
                return Ok(());
            }
            rows.into_routed()
        };
        self.push_parts(&due)
    }

    fn push_parts(&self, routed: &[Routed]) -> Result<(), OutputError> {
        let mut parts = routed.iter().flat_map(Routed::slices);
        parts.try_for_each(|(partition, rows)| self.push_to(partition, &rows))
    }

    fn push_to(&self, partition: usize, rows: &RecordBatch) -> Result<(), OutputError> {
        let mut encoded = Vec::new();
        let fits = {
            let mut writer = self.partitions[partition].lock();
            writer.encoder.push(rows, &mut encoded)?;
            let bytes: usize = encoded.iter().map(Encoded::len).sum();
            self.kept_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            let chunks = encoded.iter().map(|encoded| self.kept(encoded));
            let known = writer.chunks.len();
            writer.chunks.extend(chunks);
            writer.chunks[known..].iter().all(|chunk| chunk.held.is_some())
        };
        if !fits {
            self.spill()?;
        }
        Ok(())
    }

    /// Keeps an encoded batch in memory: held from the budget, unless that has no room for it.
    fn kept(&self, encoded: &Encoded) -> HeldChunk {
        let bytes = encoded.len();
        let held = self.place.memory.hold(bytes);
        let segment = held.as_ref().and_then(|_| self.segment(bytes as u64));
        HeldChunk::copy(encoded.buffers(), held, segment.as_ref())
    }

    /// Where the next `bytes` are shared, if the output is large enough to share anything.
    fn segment(&self, bytes: u64) -> Option<Arc<Segment>> {
        let segments = self.place.segments.as_ref()?;
        if self.kept_bytes.load(Ordering::Relaxed) < SHARED_BYTES_MIN {
            return None;
        }
        let mut segment = self.segment.lock();
        if !segment.as_ref().is_some_and(|segment| segment.has_room(bytes)) {
            *segment = segments.create();
        }
        segment.clone()
    }

    /// Moves all encoded bytes to disk.
    fn spill(&self) -> Result<(), OutputError> {
        let mut spilled = self.spilled.lock();
        self.segment.lock().take();
        let run = match &mut *spilled {
            Some(run) => run,
            none => none.insert(self.first_run()?),
        };
        // Chunks that share a segment give their memory back together, when the last of them is dropped.
        let mut written = Vec::with_capacity(self.partitions.len());
        for (partition, writer) in self.partitions.iter().enumerate() {
            let chunks = std::mem::take(&mut writer.lock().chunks);
            let bytes = run.append(partition, &chunks)?;
            self.spill_bytes.fetch_add(bytes, Ordering::Relaxed);
            written.push(chunks);
        }
        Ok(())
    }

    fn first_run(&self) -> Result<Spilled, ShuffleIoError> {
        let file = ShuffleFile::create(self.path("run"))?;
        Ok(Spilled { file, len: 0, extents: vec![Vec::new(); self.partitions.len()] })
    }

    fn path(&self, extension: &str) -> PathBuf {
        self.place.dir.join(file_name(self.id, extension))
    }

    /// Ends the output: what is stored, and how many bytes were spilled on the way.
    pub fn finish(mut self) -> Result<(StoredOutput, u64), OutputError> {
        let few = self.few.get_mut().take().filter(|few| !few.is_empty());
        if let Some(few) = few {
            if let Some(parts) = few.encode(self.partitions())? {
                return self.place_rows(parts);
            }
            self.push_parts(&few.into_routed())?;
        }
        let single = self.partitions.len() == 1;
        let mut index = Vec::with_capacity(self.partitions.len());
        let mut chunks = Vec::with_capacity(self.partitions.len());
        let mut tails = Vec::with_capacity(self.partitions.len());
        for writer in std::mem::take(&mut self.partitions) {
            let PartitionWriter { encoder, chunks: full } = writer.into_inner();
            let mut tail = Vec::new();
            index.push(encoder.finish(single, &mut tail)?);
            chunks.push(full);
            tails.push(tail);
        }
        let stored = self.place_output(index, chunks, tails)?;
        let run_bytes = self.spill_bytes.into_inner();
        let spill_bytes = if stored.is_in_memory() { run_bytes } else { run_bytes.max(stored.bytes()) };
        Ok((stored, spill_bytes))
    }

    /// Stores all rows of an output that has only a few for each partition.
    fn place_rows(&self, RowParts { index, bytes }: RowParts) -> Result<(StoredOutput, u64), OutputError> {
        if let Some(held) = self.place.memory.hold(bytes.len()) {
            return Ok((StoredOutput::together(index, HeldChunk::new(bytes.into(), Some(held))), 0));
        }
        let mut file = ShuffleFile::create(self.path("out"))?;
        file.append(&bytes)?;
        Ok((StoredOutput::in_file(index, file), bytes.len() as u64))
    }

    /// `chunks` and then `tails` are the bytes of each partition that have not been spilled.
    fn place_output(
        &self,
        index: Vec<PartitionIndex>,
        mut chunks: Vec<Vec<HeldChunk>>,
        tails: Vec<Vec<Encoded>>,
    ) -> Result<StoredOutput, OutputError> {
        let spilled = self.spilled.lock().take();
        // What is left is known to the last byte: whether it is worth sharing, too.
        let tail_bytes: usize = tails.iter().flatten().map(Encoded::len).sum();
        self.kept_bytes.fetch_add(tail_bytes as u64, Ordering::Relaxed);
        let mut fits = spilled.is_none();
        for (chunks, tail) in chunks.iter_mut().zip(tails) {
            for encoded in tail {
                let chunk = if fits { self.kept(&encoded) } else { HeldChunk::copy(encoded.buffers(), None, None) };
                fits &= chunk.held.is_some();
                chunks.push(chunk);
            }
        }
        match spilled {
            None if fits => Ok(StoredOutput::in_memory(index, chunks)),
            None => {
                let mut file = ShuffleFile::create(self.path("out"))?;
                for chunk in chunks.iter().flatten() {
                    file.append(&chunk.bytes)?;
                }
                Ok(StoredOutput::in_file(index, file))
            }
            Some(run) => Ok(StoredOutput::in_file(index, self.merge(run, chunks)?)),
        }
    }

    /// Puts the runs and what is still in memory in partition order.
    fn merge(&self, mut run: Spilled, tails: Vec<Vec<HeldChunk>>) -> Result<ShuffleFile, ShuffleIoError> {
        if let [tail] = tails.as_slice() {
            run.append(0, tail)?;
            return Ok(run.file);
        }
        let mut file = ShuffleFile::create(self.path("out"))?;
        for (extents, tail) in run.extents.iter().zip(tails) {
            for extent in extents {
                copy(&run.file, extent.clone(), &mut file)?;
            }
            for chunk in tail {
                file.append(&chunk.bytes)?;
            }
        }
        Ok(file)
    }
}

/// Name of a shuffle file of `id`: integers only, unique within a worker's folder.
pub fn file_name(id: MapOutputId, extension: &str) -> String {
    let MapOutputId { task, attempt } = id;
    format!("{}-{}-{}-{}-{}.{extension}", task.stage.job.0, task.stage.index, task.index, attempt.epoch, attempt.n)
}

impl Spilled {
    fn append(&mut self, partition: usize, chunks: &[HeldChunk]) -> Result<u64, ShuffleIoError> {
        let start = self.len;
        for chunk in chunks {
            self.file.append(&chunk.bytes)?;
            self.len += chunk.bytes.len() as u64;
        }
        if self.len > start {
            self.extents[partition].push(start..self.len);
        }
        Ok(self.len - start)
    }
}

fn copy(from: &ShuffleFile, extent: Range<u64>, to: &mut ShuffleFile) -> Result<(), ShuffleIoError> {
    let mut start = extent.start;
    while start < extent.end {
        let len = COPY_BYTES.min(extent.end - start);
        to.append(&from.read(start, len as usize)?)?;
        start += len;
    }
    Ok(())
}
