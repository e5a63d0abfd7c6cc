//! Moves rows between tasks: map outputs are written once per attempt and read by reduce partition.
//!
//! Architecture invariant: nothing here opens a connection to another worker. Bytes come through [`ShuffleSource`], so
//! the same readers serve rows of the same process, of another machine and of an object store ([`ShuffleObjects`]).

mod format;
mod hash;
mod memory;
mod objects;
mod output;
mod ranges;
mod read;
mod rows;
mod segment;
mod small;
mod source;
mod writer;

pub use format::ShuffleCompression;
pub use memory::{HeldBytes, Relief, ShuffleMemory};
pub use objects::ShuffleObjects;
pub use output::{HeldChunk, PartitionIndex, SharedBytes, ShuffleFile, ShuffleIoError, StoredOutput};
pub(crate) use ranges::RangeRouter;
pub use read::{BYTES_FETCHED, ReadSelection, read};
pub use segment::{Segment, SegmentName, Segments, host_identity};
pub use source::{FetchError, OutputAt, PartAt, PartBytes, PartEnd, ShuffleSource, SmallPart, StageSize, TaskInputs};
pub use writer::{OutputError, OutputPlace, OutputWriter, RowRouter, file_name};

#[cfg(test)]
mod tests;
