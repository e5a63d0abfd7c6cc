//! Outputs between two stores over a real Flight server on loopback.

mod fetching;
mod storing;

use std::sync::Arc;

use bytes::Bytes;
use windrow_engine::shuffle::{HeldChunk, PartitionIndex, Segments, ShuffleMemory, StoredOutput};
use windrow_model::{AttemptId, JobId, MapOutputId, StageId, TaskId};

use crate::store::ShuffleStore;

fn output_id(job: u64, stage: u32, task: u32) -> MapOutputId {
    let stage = StageId { job: JobId(job), index: stage };
    MapOutputId { task: TaskId { stage, index: task }, attempt: AttemptId { epoch: 1, n: u64::from(task) } }
}

/// An output of one partition that holds `len` bytes, in chunks of at most `chunk` bytes, held from `memory`.
fn output(memory: &Arc<ShuffleMemory>, len: usize, chunk: usize) -> StoredOutput {
    let bytes: Vec<u8> = (0..len).map(|n| (n / 7 % 251) as u8).collect();
    let index = PartitionIndex { offset: 0, len: len as u64, rows: 1, crc32: crc32fast::hash(&bytes) };
    let chunks = bytes.chunks(chunk);
    let chunks = chunks.map(|chunk| HeldChunk::new(Bytes::copy_from_slice(chunk), memory.hold(chunk.len())));
    StoredOutput::in_memory(vec![index], vec![chunks.collect()])
}

/// The same, where other processes can map it.
fn shared_output(memory: &Arc<ShuffleMemory>, len: usize, chunk: usize) -> StoredOutput {
    let segment = Segments::new(1).create().unwrap();
    let bytes: Vec<u8> = (0..len).map(|n| (n / 7 % 251) as u8).collect();
    let index = PartitionIndex { offset: 0, len: len as u64, rows: 1, crc32: crc32fast::hash(&bytes) };
    let chunks = bytes.chunks(chunk);
    let chunks = chunks.map(|chunk| HeldChunk::copy(&[chunk], memory.hold(chunk.len()), Some(&segment)));
    StoredOutput::in_memory(vec![index], vec![chunks.collect()])
}

struct Kept {
    dir: tempfile::TempDir,
    memory: Arc<ShuffleMemory>,
    store: Arc<ShuffleStore>,
}

fn kept(memory_bytes: usize) -> Kept {
    let dir = tempfile::tempdir().unwrap();
    let memory = ShuffleMemory::new(memory_bytes);
    let store = ShuffleStore::new(dir.path().to_owned(), &memory);
    Kept { dir, memory, store }
}
