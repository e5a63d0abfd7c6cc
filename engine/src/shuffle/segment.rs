//! Stored bytes where other processes of this host can map them instead of having them sent.
//!
//! A segment is an anonymous file of memory that one output fills and nobody changes afterwards. Its pages live as long
//! as somebody has them open or mapped, whatever becomes of the output, its worker or its job: a reader's rows cannot
//! change under it.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, SealFlags};

/// What a segment can hold, in bytes. It is freed as a whole, when nobody reads any of it: a reader that keeps a few rows
/// keeps no more than this.
const SEGMENT_BYTES: u64 = 64 << 20;

/// Part of the mappings that the system allows a process which segments, and what is read of others, may take each:
/// allocators and threads need some, too.
const MAPPINGS_DIVISOR: u64 = 4;

/// What Linux allows unless it was told otherwise (`vm.max_map_count`).
const MAPPINGS_DEFAULT: u64 = 65_530;

/// Mappings of other processes' segments.
static MAPPED: AtomicUsize = AtomicUsize::new(0);

/// Chunks begin at multiples of this, in bytes, as Arrow wants its buffers: so that readers need not copy them.
const ALIGNMENT: u64 = 64;

/// Pieces below this, in bytes, are written together: a system call costs as much as copying this.
const WRITE_BYTES_MIN: usize = 2 << 10;

/// How many segments a process may have at once, and how many it has.
#[derive(Debug)]
pub struct Segments {
    live: AtomicUsize,
    most: usize,
}

/// One output's bytes in memory that can be shared.
#[derive(Debug)]
pub struct Segment {
    file: File,
    pages: Arc<Own>,
    /// Bytes that are written or about to be.
    end: AtomicU64,
    name: SegmentName,
    segments: Arc<Segments>,
}

/// What another process of this host opens a segment by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentName {
    pub process: u32,
    /// The file's number in that process.
    pub descriptor: u32,
    /// Of the file, which tells it from another one that has its number by now.
    pub inode: u64,
}

/// Part of a mapping; keeps all of it.
struct Mapped<P> {
    pages: Arc<P>,
    range: Range<usize>,
}

/// A mapping that is counted.
struct Counted(MmapRaw);

impl Counted {
    fn new(pages: MmapRaw) -> Counted {
        MAPPED.fetch_add(1, Ordering::Relaxed);
        Counted(pages)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        MAPPED.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsRef<MmapRaw> for Counted {
    fn as_ref(&self) -> &MmapRaw {
        &self.0
    }
}

/// A mapping of this process's own segment. Those are counted as segments.
#[derive(Debug)]
struct Own(MmapRaw);

impl AsRef<MmapRaw> for Own {
    fn as_ref(&self) -> &MmapRaw {
        &self.0
    }
}

/// How many mappings segments may take, and as many what is read of others.
fn mappings_max() -> u64 {
    static MAX: OnceLock<u64> = OnceLock::new();
    *MAX.get_or_init(|| {
        let told = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok().and_then(|text| text.trim().parse().ok());
        told.unwrap_or(MAPPINGS_DEFAULT) / MAPPINGS_DIVISOR
    })
}

impl Segments {
    /// At most `most` at once: each is an open file.
    pub fn new(most: usize) -> Arc<Segments> {
        Arc::new(Segments { live: AtomicUsize::new(0), most })
    }

    /// As many as leave half of the files that this process may open, and enough mappings, to others.
    pub fn for_this_process() -> Arc<Segments> {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        Segments::new((files / 2).min(mappings_max()) as usize)
    }

    /// A new, empty one; `None` if there are as many as there may be, or if the system refuses.
    pub fn create(self: &Arc<Self>) -> Option<Arc<Segment>> {
        let within = |live: usize| (live < self.most).then_some(live + 1);
        self.live.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).ok()?;
        match create() {
            Ok((file, pages, name)) => {
                let (end, segments) = (AtomicU64::new(0), Arc::clone(self));
                Some(Arc::new(Segment { file, pages: Arc::new(Own(pages)), end, name, segments }))
            }
            Err(error) => {
                self.live.fetch_sub(1, Ordering::Relaxed);
                tracing::debug!(%error, "no memory to share; rows are kept in the heap");
                None
            }
        }
    }
}

fn create() -> io::Result<(File, MmapRaw, SegmentName)> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(rustix::fs::memfd_create("windrow-shuffle", flags)?);
    // A file that cannot shrink cannot take pages from under its readers.
    rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK)?;
    let pages = MmapOptions::new().len(SEGMENT_BYTES as usize).map_raw_read_only(&file)?;
    let (process, descriptor, inode) = (std::process::id(), file.as_raw_fd() as u32, file.metadata()?.ino());
    Ok((file, pages, SegmentName { process, descriptor, inode }))
}

impl Segment {
    /// Writes `pieces` one after another: their bytes, and where they begin. `None` if they do not fit.
    pub fn append(&self, pieces: &[impl Deref<Target = [u8]>]) -> Option<(Bytes, u64)> {
        let len: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        let start = self.end.fetch_add(len.next_multiple_of(ALIGNMENT), Ordering::Relaxed);
        if start.checked_add(len)? > SEGMENT_BYTES {
            return None;
        }
        let mut at = start;
        // Memory that the system has not got is a reason to go on elsewhere, not to fail.
        let mut write = |bytes: &[u8]| {
            let written = self.file.write_all_at(bytes, at);
            at += bytes.len() as u64;
            written.ok()
        };
        let mut small = Vec::new();
        for piece in pieces {
            if piece.len() < WRITE_BYTES_MIN {
                small.extend_from_slice(piece);
                continue;
            }
            write(&small)?;
            small.clear();
            write(piece)?;
        }
        write(&small)?;
        let bytes = Bytes::from_owner(Mapped { pages: Arc::clone(&self.pages), range: start as usize..at as usize });
        Some((bytes, start))
    }

    /// Whether so many bytes fit, unless others are faster.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.end.load(Ordering::Relaxed).saturating_add(bytes) <= SEGMENT_BYTES
    }

    pub fn name(&self) -> SegmentName {
        self.name
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.segments.live.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SegmentName {
    /// The bytes of `extents`, which lie in a segment of a process of this host.
    ///
    /// Errors: the process or its segment is gone, this process may not look into it, or the segment ends earlier.
    pub fn map(&self, extents: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        let path: PathBuf = format!("/proc/{}/fd/{}", self.process, self.descriptor).into();
        let other = |what: &str| Err(io::Error::new(io::ErrorKind::NotFound, what.to_owned()));
        // The number may be that of something by now that must not even be opened.
        let metadata = std::fs::metadata(&path)?;
        if !metadata.is_file() || metadata.ino() != self.inode {
            return other("the segment is another file by now");
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let is_sealed = rustix::fs::fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(SealFlags::SHRINK));
        let start = extents.iter().map(|extent| extent.start).min().unwrap_or(0);
        let end = extents.iter().map(|extent| extent.end).max().unwrap_or(0);
        if metadata.ino() != self.inode || !is_sealed || end > metadata.len() {
            return other("the segment is another file by now, or ends earlier");
        }
        if extents.is_empty() || extents.iter().any(|extent| extent.is_empty()) {
            return other("there is nothing to map");
        }
        if MAPPED.load(Ordering::Relaxed) as u64 >= mappings_max() {
            return other("too much is mapped");
        }
        let pages = MmapOptions::new().offset(start).len((end - start) as usize).map_raw_read_only(&file)?;
        let pages = Arc::new(Counted::new(pages));
        let within = |extent: &Range<u64>| (extent.start - start) as usize..(extent.end - start) as usize;
        let part = |extent| Bytes::from_owner(Mapped { pages: Arc::clone(&pages), range: within(extent) });
        Ok(extents.iter().map(part).collect())
    }
}

impl<P: AsRef<MmapRaw>> AsRef<[u8]> for Mapped<P> {
    fn as_ref(&self) -> &[u8] {
        let pages: &MmapRaw = (*self.pages).as_ref();
        // SAFETY: the range lies within the mapping and within the file, which is sealed against shrinking; it was
        // written before it was told to anybody, and is never written again.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts(pages.as_ptr().add(self.range.start), self.range.len())
        }
    }
}

/// This host and user as far as processes can open each other's segments: two processes with equal ones can. `None`
/// where that cannot be known.
pub fn host_identity() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    // Numbers of processes mean the same in one namespace only.
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let user = rustix::process::geteuid().as_raw();
    Some(format!("{} {} {user}", boot.trim(), namespace.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_mapped_and_stays_when_the_segment_is_gone() {
        let segments = Segments::new(1);
        let segment = segments.create().expect("memory files work here");
        assert!(segments.create().is_none(), "one was allowed");
        let (first, at_first) = segment.append(&[b"abc".to_vec(), b"de".to_vec()]).expect("it fits");
        let (second, at_second) = segment.append(&[vec![7_u8; 9000]]).expect("it fits");
        assert_eq!((&first[..], second.len()), (&b"abcde"[..], 9000));
        assert_eq!((at_first, at_second), (0, 64));
        let name = segment.name();
        let cannot_map = |name: SegmentName, end: u64| name.map(std::slice::from_ref(&(0..end))).is_err();
        let theirs = name.map(&[at_second..at_second + 9000, 0..5]).expect("it can be mapped");
        assert_eq!((&theirs[0], &theirs[1]), (&second, &first));
        assert!(cannot_map(name, 1 << 20), "beyond its end");
        assert!(cannot_map(SegmentName { inode: name.inode + 1, ..name }, 5), "another file");
        drop(segment);
        assert!(cannot_map(name, 5), "it is gone");
        assert_eq!(theirs[0], vec![7; 9000]);
        assert_eq!(&first[..], b"abcde");
        assert!(segments.create().is_some(), "its place is free again");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let segment = Segments::new(1).create().expect("memory files work here");
        segment.end.store(SEGMENT_BYTES - 4, Ordering::Relaxed);
        assert!(segment.has_room(4) && !segment.has_room(5));
        assert!(segment.append(&[b"12345".to_vec()]).is_none());
    }
}
