//! Moves rows between tasks: map outputs are written once per attempt and read by reduce partition.
//!
//! Architecture invariant: nothing here opens a connection. Bytes come through [`ShuffleSource`], so the same readers
//! serve rows of the same process and rows of another machine.

mod format;
mod memory;
mod output;
mod read;
mod source;
mod writer;

pub use format::ShuffleCompression;
pub use memory::{HeldBytes, Relief, ShuffleMemory};
pub use output::{HeldChunk, PartitionIndex, ShuffleFile, ShuffleIoError, StoredOutput};
pub use read::{BYTES_FETCHED, ReadSelection, read};
pub use source::{FetchError, OutputAt, PartAt, PartBytes, PartEnd, ShuffleSource, TaskInputs};
pub use writer::{OutputError, OutputPlace, OutputWriter, RowRouter, file_name};

#[cfg(test)]
mod tests;
