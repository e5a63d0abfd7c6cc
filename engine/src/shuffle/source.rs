//! Where a task's map outputs are, and the seam through which their bytes arrive.
//!
//! The engine decodes and verifies; how bytes travel (same process, Arrow Flight) is the worker's business.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::error::DataFusionError;
use futures::stream::BoxStream;
use windrow_model::{InputShare, MapOutputId, WorkerId};

/// A map output and the worker that keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputAt {
    pub output: MapOutputId,
    pub worker: WorkerId,
    /// Arrow Flight address of that worker, for example `http://127.0.0.1:41233`.
    pub address: String,
}

/// What an attempt may read: a session-config extension of the attempt.
#[derive(Debug)]
pub struct TaskInputs {
    pub source: Arc<dyn ShuffleSource>,
    /// All map outputs of each input stage, in task order.
    pub stages: BTreeMap<u32, Vec<OutputAt>>,
    /// How large those of each input stage are together, as far as it is known.
    pub sizes: BTreeMap<u32, StageSize>,
}

impl TaskInputs {
    /// Forgets the map outputs that are not part of the attempt's share.
    pub fn keep(&mut self, share: InputShare) {
        if let Some(outputs) = self.stages.get_mut(&share.stage) {
            outputs.retain(|at| share.has(at.output.task.index));
        }
        if let Some(size) = self.sizes.get_mut(&share.stage) {
            let of = u64::from(share.of.max(1));
            *size = StageSize { rows: size.rows / of, bytes: size.bytes / of };
        }
    }
}

/// All map outputs of one stage together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageSize {
    pub rows: u64,
    /// As they are stored.
    pub bytes: u64,
}

/// One reduce partition of one map output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartAt {
    pub at: OutputAt,
    /// Reduce partition.
    pub partition: u32,
}

/// A piece of the answer to [`ShuffleSource::open`]. `part` is an index into the parts asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartBytes {
    /// The next stored bytes of the part.
    Chunk { part: usize, bytes: Bytes },
    /// The part is complete; this is what its writer had recorded.
    End { part: usize, end: PartEnd },
    /// Whole parts of a few bytes each.
    Small(Vec<SmallPart>),
}

/// A whole part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmallPart {
    pub part: usize,
    pub bytes: Bytes,
    pub end: PartEnd,
}

/// What the writer of a part recorded about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartEnd {
    pub bytes: u64,
    pub rows: u64,
    pub crc32: u32,
}

impl PartEnd {
    /// Compares what arrived with what was written.
    pub(super) fn verify(&self, bytes: u64, crc32: u32, at: &OutputAt) -> Result<(), FetchError> {
        if bytes < self.bytes {
            return Err(FetchError::lost(at, format!("{bytes} of {} bytes arrived", self.bytes)));
        }
        if bytes != self.bytes || crc32 != self.crc32 {
            let detail = format!("{bytes} bytes with checksum {crc32:08x}, not {} with {:08x}", self.bytes, self.crc32);
            return Err(FetchError::corrupt(at, detail));
        }
        Ok(())
    }
}

/// Streams stored bytes of map outputs. Implemented by the worker.
pub trait ShuffleSource: Send + Sync + fmt::Debug {
    /// Streams the stored bytes of every part. Parts may interleave; the bytes of one part come in order and exactly
    /// once, followed by its `End`. The reader verifies length, rows and checksum. Nothing is fetched before the
    /// first poll, and dropping the stream ends the fetch. A part in [`PartBytes::Small`] has no other pieces.
    fn open(&self, parts: Vec<PartAt>) -> BoxStream<'static, Result<PartBytes, FetchError>>;
}

/// Why a map output could not be read. Blames the output, never the reader; travels as [`DataFusionError::External`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// Its worker cannot give it.
    Lost { output: MapOutputId, worker: WorkerId, detail: String },
    /// Its worker did not answer.
    Unreached { output: MapOutputId, worker: WorkerId, detail: String },
    /// The bytes are not what was written.
    Corrupt { output: MapOutputId, worker: WorkerId, detail: String },
}

impl FetchError {
    pub fn lost(at: &OutputAt, detail: impl Into<String>) -> Self {
        FetchError::Lost { output: at.output, worker: at.worker, detail: detail.into() }
    }

    pub fn unreached(at: &OutputAt, detail: impl Into<String>) -> Self {
        FetchError::Unreached { output: at.output, worker: at.worker, detail: detail.into() }
    }

    pub fn corrupt(at: &OutputAt, detail: impl Into<String>) -> Self {
        FetchError::Corrupt { output: at.output, worker: at.worker, detail: detail.into() }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchError::Lost { output, worker, detail } | FetchError::Unreached { output, worker, detail } => {
                write!(f, "could not read the {output} from {worker}: {detail}")
            }
            FetchError::Corrupt { output, worker, detail } => {
                write!(f, "the {output} on {worker} is not what was written: {detail}")
            }
        }
    }
}

impl std::error::Error for FetchError {}

impl From<FetchError> for DataFusionError {
    fn from(error: FetchError) -> Self {
        DataFusionError::External(Box::new(error))
    }
}
