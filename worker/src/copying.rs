//! Takes over whole map outputs from a peer that leaves.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use windrow_engine::shuffle::{
    FetchError, HeldChunk, OutputAt, PartAt, PartBytes, PartEnd, PartitionIndex, ShuffleFile, ShuffleMemory,
    StoredOutput,
};

use crate::fetch::{Moved, PeerFetch, Peers};

/// Pieces that wait to be stored: bytes that are under way are nobody's memory yet.
const PIECES_WAITING: usize = 4;

/// Why an output was not copied.
#[derive(Debug)]
pub struct NotCopied {
    /// For the coordinator's log.
    pub detail: String,
    /// Others from the same peer would not fare better.
    pub peer_is_silent: bool,
}

impl From<String> for NotCopied {
    fn from(detail: String) -> Self {
        NotCopied { detail, peer_is_silent: false }
    }
}

impl From<FetchError> for NotCopied {
    fn from(error: FetchError) -> Self {
        NotCopied { detail: error.to_string(), peer_is_silent: matches!(error, FetchError::Unreached { .. }) }
    }
}

/// Fetches one output of `partitions` partitions, verified. It is held from `memory` while that has room, and goes
/// into a file at `path` otherwise.
pub async fn copy_output(
    peers: Arc<Peers>,
    at: OutputAt,
    partitions: u32,
    memory: Arc<ShuffleMemory>,
    path: PathBuf,
) -> Result<StoredOutput, NotCopied> {
    let parts = (0..partitions).map(|partition| (partition as usize, PartAt { at: at.clone(), partition }));
    let (sender, mut pieces) = mpsc::channel(PIECES_WAITING);
    let fetch = PeerFetch::new(peers, Arc::<Moved>::default(), parts.collect(), sender);
    let _fetching = AbortOnDropHandle::new(tokio::spawn(fetch.run()));
    let mut copy = Copy::new(memory, path);
    while copy.index.len() < partitions as usize {
        let piece = pieces.recv().await.ok_or_else(|| "the peer's answer ended early".to_owned())??;
        copy.accept(piece)?;
    }
    Ok(copy.finish())
}

/// An output on its way. Its partitions arrive one after another.
struct Copy {
    memory: Arc<ShuffleMemory>,
    path: PathBuf,
    /// Of complete partitions.
    index: Vec<PartitionIndex>,
    chunks: Vec<Vec<HeldChunk>>,
    /// Everything so far, once memory was full.
    file: Option<ShuffleFile>,
    /// Of the partition that is arriving.
    arrived: crc32fast::Hasher,
    arrived_bytes: u64,
}

impl Copy {
    fn new(memory: Arc<ShuffleMemory>, path: PathBuf) -> Copy {
        let (index, file, arrived_bytes) = Default::default();
        Copy { memory, path, index, chunks: vec![Vec::new()], file, arrived: crc32fast::Hasher::new(), arrived_bytes }
    }

    fn accept(&mut self, piece: PartBytes) -> Result<(), String> {
        match piece {
            PartBytes::Chunk { bytes, .. } => self.keep(bytes),
            PartBytes::End { end, .. } => self.end(end),
            PartBytes::Small(parts) => parts.into_iter().try_for_each(|small| {
                if !small.bytes.is_empty() {
                    self.keep(small.bytes)?;
                }
                self.end(small.end)
            }),
        }
    }

    fn keep(&mut self, bytes: Bytes) -> Result<(), String> {
        self.arrived.update(&bytes);
        self.arrived_bytes += bytes.len() as u64;
        if self.file.is_none() {
            match self.memory.hold(bytes.len()) {
                Some(held) => {
                    let chunks = self.chunks.last_mut().ok_or("an output without partitions has bytes")?;
                    chunks.push(HeldChunk::new(bytes, Some(held)));
                    return Ok(());
                }
                None => self.move_to_file()?,
            }
        }
        let file = self.file.as_mut().ok_or("a copy has neither memory nor file")?;
        file.append(&bytes).map_err(|error| format!("`{}`: {}", error.path.display(), error.cause))
    }

    fn move_to_file(&mut self) -> Result<(), String> {
        let described =
            |error: windrow_engine::shuffle::ShuffleIoError| format!("`{}`: {}", error.path.display(), error.cause);
        let mut file = ShuffleFile::create(self.path.clone()).map_err(described)?;
        for chunk in std::mem::take(&mut self.chunks).into_iter().flatten() {
            file.append(&chunk.bytes).map_err(described)?;
        }
        self.file = Some(file);
        Ok(())
    }

    fn end(&mut self, end: PartEnd) -> Result<(), String> {
        let crc32 = std::mem::take(&mut self.arrived).finalize();
        let len = std::mem::take(&mut self.arrived_bytes);
        if (len, crc32) != (end.bytes, end.crc32) {
            return Err(format!("partition {} is not what was written", self.index.len()));
        }
        self.index.push(PartitionIndex { offset: 0, len, rows: end.rows, crc32 });
        if self.file.is_none() {
            self.chunks.push(Vec::new());
        }
        Ok(())
    }

    fn finish(mut self) -> StoredOutput {
        match self.file {
            Some(file) => StoredOutput::in_file(self.index, file),
            None => {
                self.chunks.truncate(self.index.len());
                StoredOutput::in_memory(self.index, self.chunks)
            }
        }
    }
}
