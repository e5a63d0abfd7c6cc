//! A finished map output: an index by reduce partition, and the bytes in memory or in one partition-major file.

use std::fs::File;
use std::io::{self, Write};
use std::ops::{Deref, Range};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use windrow_model::{ErrorReport, Failure};

use super::memory::HeldBytes;
use super::segment::{Segment, SegmentName};

/// Where one reduce partition lies within the output, and what a reader must find there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionIndex {
    /// First byte, counted from the start of the partition-major order.
    pub offset: u64,
    pub len: u64,
    pub rows: u64,
    pub crc32: u32,
}

/// Encoded bytes and the account they are held from.
#[derive(Debug)]
pub struct HeldChunk {
    pub bytes: Bytes,
    pub held: Option<HeldBytes>,
    /// Where the bytes are shared with other processes.
    shared: Option<(Arc<Segment>, u64)>,
}

/// Stored bytes that another process of this host can map: [`SegmentName::map`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedBytes {
    pub segment: SegmentName,
    /// Not empty, in order; each is one chunk as it was written.
    pub extents: Vec<Range<u64>>,
}

impl HeldChunk {
    /// Bytes of the heap.
    pub fn new(bytes: Bytes, held: Option<HeldBytes>) -> HeldChunk {
        HeldChunk { bytes, held, shared: None }
    }

    /// A copy of `pieces`: in `segment` if that has room, in the heap otherwise.
    pub fn copy(
        pieces: &[impl Deref<Target = [u8]>],
        held: Option<HeldBytes>,
        segment: Option<&Arc<Segment>>,
    ) -> HeldChunk {
        let placed = segment.and_then(|segment| Some((segment, segment.append(pieces)?)));
        match placed {
            Some((segment, (bytes, start))) => HeldChunk { bytes, held, shared: Some((Arc::clone(segment), start)) },
            None => HeldChunk::new(joined(pieces), held),
        }
    }
}

/// A file of the shuffle directory, removed on drop.
#[derive(Debug)]
pub struct ShuffleFile {
    file: File,
    path: PathBuf,
}

/// What one attempt wrote for its readers. Immutable; each partition is one Arrow IPC stream, or a few rows one by
/// one, or no bytes at all when it is one of several and has no rows.
#[derive(Debug)]
pub struct StoredOutput {
    index: Vec<PartitionIndex>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// Chunks by partition.
    Memory(Vec<Vec<HeldChunk>>),
    /// All partitions one after another.
    Together(HeldChunk),
    File(Arc<ShuffleFile>),
}

/// A file operation on the shuffle directory failed.
#[derive(Debug)]
pub struct ShuffleIoError {
    pub path: PathBuf,
    pub cause: io::Error,
}

impl ShuffleIoError {
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> ShuffleIoError + '_ {
        |cause| ShuffleIoError { path: path.to_owned(), cause }
    }

    /// The failure of the attempt that met it.
    pub fn failure(&self) -> Failure {
        let path = self.path.display().to_string();
        match self.cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::DiskFull { path },
            _ => Failure::Unavailable(
                ErrorReport::new(
                    windrow_model::ErrorKind::Unavailable,
                    format!("could not use the shuffle file `{path}`"),
                )
                .with_detail(self.cause.to_string())
                .with_hint("look at that worker's disk, or start it with another --work-dir"),
            ),
        }
    }
}

impl ShuffleFile {
    /// Creates `path`, which must not exist.
    pub fn create(path: PathBuf) -> Result<ShuffleFile, ShuffleIoError> {
        let open = File::options().read(true).write(true).create_new(true).open(&path);
        let file = open.map_err(ShuffleIoError::at(&path))?;
        Ok(ShuffleFile { file, path })
    }

    /// Appends at the file's cursor.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), ShuffleIoError> {
        self.file.write_all(bytes).map_err(ShuffleIoError::at(&self.path))
    }

    /// Exactly `len` bytes from `offset`.
    pub fn read(&self, offset: u64, len: usize) -> Result<Bytes, ShuffleIoError> {
        let mut buffer = vec![0; len];
        self.file.read_exact_at(&mut buffer, offset).map_err(ShuffleIoError::at(&self.path))?;
        Ok(Bytes::from(buffer))
    }
}

impl Drop for ShuffleFile {
    fn drop(&mut self) {
        // A file that is already gone with its directory is as good as removed.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl StoredOutput {
    /// `index` and `chunks` by partition; offsets are filled in here.
    pub fn in_memory(mut index: Vec<PartitionIndex>, chunks: Vec<Vec<HeldChunk>>) -> Self {
        lay_out(&mut index);
        StoredOutput { index, body: Body::Memory(chunks) }
    }

    /// `all` holds the partitions one after another.
    pub fn together(mut index: Vec<PartitionIndex>, all: HeldChunk) -> Self {
        lay_out(&mut index);
        StoredOutput { index, body: Body::Together(all) }
    }

    /// `file` holds the partitions one after another.
    pub fn in_file(mut index: Vec<PartitionIndex>, file: ShuffleFile) -> Self {
        lay_out(&mut index);
        StoredOutput { index, body: Body::File(Arc::new(file)) }
    }

    pub fn index(&self) -> &[PartitionIndex] {
        &self.index
    }

    pub fn rows(&self) -> u64 {
        self.index.iter().map(|partition| partition.rows).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.index.iter().map(|partition| partition.len).sum()
    }

    pub fn is_in_memory(&self) -> bool {
        matches!(self.body, Body::Memory(_) | Body::Together(_))
    }

    /// Up to `len_max` stored bytes of `partition` from `offset` on, without copying what is in memory. Blocks on the
    /// disk if the output is there. Empty at the end of the partition and for a partition that does not exist.
    pub fn read(&self, partition: u32, offset: u64, len_max: usize) -> Result<Bytes, ShuffleIoError> {
        let Some(entry) = self.index.get(partition as usize).filter(|entry| offset < entry.len) else {
            return Ok(Bytes::new());
        };
        match &self.body {
            Body::Memory(partitions) => Ok(slice_at(&partitions[partition as usize], offset, len_max)),
            Body::Together(all) => {
                let start = (entry.offset + offset) as usize;
                let len = (entry.len - offset).min(len_max as u64) as usize;
                Ok(all.bytes.slice(start..start + len))
            }
            Body::File(file) => {
                let len = (entry.len - offset).min(len_max as u64) as usize;
                file.read(entry.offset + offset, len)
            }
        }
    }

    /// All stored bytes of `partition` if it has at most `len_max` and they are in memory.
    pub fn small(&self, partition: u32, len_max: u64) -> Option<(Bytes, PartitionIndex)> {
        let entry = self.index.get(partition as usize).filter(|entry| entry.len <= len_max)?;
        let bytes = match &self.body {
            Body::Memory(partitions) => match partitions[partition as usize].as_slice() {
                [] => Bytes::new(),
                [chunk] => chunk.bytes.clone(),
                chunks => joined(&chunks.iter().map(|chunk| &chunk.bytes[..]).collect::<Vec<_>>()),
            },
            Body::Together(all) => all.bytes.slice(entry.offset as usize..(entry.offset + entry.len) as usize),
            Body::File(_) => return None,
        };
        Some((bytes, *entry))
    }

    /// Where another process finds the stored bytes of `partition` from `offset` on: up to `chunks_max` chunks, the
    /// first of which begins there. `None` if those bytes are not shared.
    pub fn shared(&self, partition: u32, offset: u64, chunks_max: usize) -> Option<SharedBytes> {
        let Body::Memory(partitions) = &self.body else {
            return None;
        };
        let chunks = partitions.get(partition as usize)?;
        let (mut start, mut at) = (0, 0);
        while start < offset {
            start += chunks.get(at)?.bytes.len() as u64;
            at += 1;
        }
        let first = chunks.get(at).filter(|_| start == offset)?;
        let (segment, _) = first.shared.as_ref()?;
        let extent = |chunk: &HeldChunk| {
            let (of, at) = chunk.shared.as_ref()?;
            (Arc::ptr_eq(of, segment) && !chunk.bytes.is_empty()).then(|| *at..*at + chunk.bytes.len() as u64)
        };
        let extents: Vec<_> = chunks[at..].iter().map_while(extent).take(chunks_max).collect();
        (!extents.is_empty()).then(|| SharedBytes { segment: segment.name(), extents })
    }

    /// All bytes in partition order; for outputs known to be small.
    pub fn read_all(&self) -> Result<Vec<u8>, ShuffleIoError> {
        let mut all = Vec::with_capacity(self.bytes() as usize);
        match &self.body {
            Body::Memory(partitions) => {
                partitions.iter().flatten().for_each(|chunk| all.extend_from_slice(&chunk.bytes));
            }
            Body::Together(together) => all.extend_from_slice(&together.bytes),
            Body::File(file) => all.extend_from_slice(&file.read(0, self.bytes() as usize)?),
        }
        Ok(all)
    }

    /// The same output in a new file at `path`; `None` if it is in a file already.
    pub fn demoted(&self, path: PathBuf) -> Result<Option<StoredOutput>, ShuffleIoError> {
        let chunks: Vec<&HeldChunk> = match &self.body {
            Body::Memory(partitions) => partitions.iter().flatten().collect(),
            Body::Together(all) => vec![all],
            Body::File(_) => return Ok(None),
        };
        let mut file = ShuffleFile::create(path)?;
        chunks.into_iter().try_for_each(|chunk| file.append(&chunk.bytes))?;
        Ok(Some(StoredOutput::in_file(self.index.clone(), file)))
    }
}

fn joined(pieces: &[impl Deref<Target = [u8]>]) -> Bytes {
    let mut joined = Vec::with_capacity(pieces.iter().map(|piece| piece.len()).sum());
    pieces.iter().for_each(|piece| joined.extend_from_slice(piece));
    Bytes::from(joined)
}

fn lay_out(index: &mut [PartitionIndex]) {
    let mut offset = 0;
    for partition in index {
        partition.offset = offset;
        offset += partition.len;
    }
}

fn slice_at(chunks: &[HeldChunk], mut offset: u64, len_max: usize) -> Bytes {
    for chunk in chunks {
        let len = chunk.bytes.len() as u64;
        if offset < len {
            let start = offset as usize;
            let end = chunk.bytes.len().min(start.saturating_add(len_max));
            return chunk.bytes.slice(start..end);
        }
        offset -= len;
    }
    Bytes::new()
}
