//! Map outputs as objects of a store, where they outlive the workers that wrote them.
//!
//! `<location>/job-1/2/3-7-9` is the output of task 3 of stage 2 by attempt 9 of epoch 7: the number of reduce
//! partitions, the length, rows and checksum of each, then their bytes, one after the other. All numbers are
//! little-endian.

use std::fmt;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use tokio::io::AsyncWriteExt;
use url::Url;
use windrow_model::{ErrorReport, JobId, MapOutputId};

use super::output::{PartitionIndex, StoredOutput};
use super::source::{FetchError, PartAt, PartBytes, PartEnd};
use crate::stores::{Stores, display_location, local_path, object_path, resolve_location, store_report};

/// Bytes of an entry of the index: length and rows in 8 each, checksum in 4.
const ENTRY_BYTES: usize = 20;

/// The first read of an object brings its index, and all of it if it is small.
const FIRST_READ_BYTES: u64 = 64 << 10;

/// Bytes that are read from a stored output at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Objects that are removed at once.
const REMOVALS_AT_ONCE: usize = 16;

/// A folder of map outputs. It belongs to one cluster.
#[derive(Clone)]
pub struct ShuffleObjects {
    url: Url,
    folder: Path,
    store: Arc<dyn ObjectStore>,
}

impl fmt::Debug for ShuffleObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ShuffleObjects").field(&self.url.as_str()).finish()
    }
}

impl ShuffleObjects {
    /// Errors: it is no location, or one of a kind that is not supported. Nothing is asked of it yet.
    pub fn open(location: &str, stores: &Stores) -> Result<ShuffleObjects, ErrorReport> {
        let here = std::env::current_dir().map_err(|error| {
            ErrorReport::invalid("the current folder cannot be read").with_detail(error.to_string())
        })?;
        let url = resolve_location(&format!("file://{}/", here.display()), location)?;
        Ok(ShuffleObjects { folder: object_path(&url)?, store: stores.get(&url)?, url })
    }

    /// The whole URL, which every worker can open.
    pub fn location(&self) -> &str {
        self.url.as_str()
    }

    fn job_folder(&self, job: JobId) -> Path {
        self.folder.clone().join(job.to_string())
    }

    fn path(&self, MapOutputId { task, attempt }: MapOutputId) -> Path {
        let name = format!("{}-{}-{}", task.index, attempt.epoch, attempt.n);
        self.job_folder(task.stage.job).join(task.stage.index.to_string()).join(name)
    }

    fn report(&self, doing: &str) -> impl Fn(object_store::Error) -> ErrorReport + use<'_> {
        let doing = doing.to_owned();
        move |error| store_report(&error, &doing, &self.url)
    }

    /// Writes an output; whoever finds it finds all of it.
    pub async fn put(&self, id: MapOutputId, output: Arc<StoredOutput>) -> Result<(), ErrorReport> {
        let mut writer = BufWriter::new(Arc::clone(&self.store), self.path(id));
        let written = write(&mut writer, output).await;
        if written.is_err() {
            // What is left of a broken upload goes with the job.
            let _ = writer.abort().await;
        }
        written.map_err(|detail| {
            let what = format!("the {id} could not be written to `{}`", display_location(&self.url));
            ErrorReport::new(windrow_model::ErrorKind::Unavailable, what).with_detail(detail)
        })
    }

    /// The stored bytes of a part from `offset` on, then what its writer recorded. `index` goes into the pieces.
    pub fn read(
        self: Arc<Self>,
        index: usize,
        part: PartAt,
        offset: u64,
    ) -> BoxStream<'static, Result<PartBytes, FetchError>> {
        let at = part.at.clone();
        let open = async move { self.pieces(index, part, offset).await };
        let failed = move |error: object_store::Error| FetchError::lost(&at, error.to_string());
        stream::once(open).try_flatten().map_err(failed).boxed()
    }

    async fn pieces(
        self: Arc<Self>,
        index: usize,
        part: PartAt,
        offset: u64,
    ) -> object_store::Result<BoxStream<'static, object_store::Result<PartBytes>>> {
        let path = self.path(part.at.output);
        let first = self.store.get_opts(&path, up_to(FIRST_READ_BYTES)).await?.bytes().await?;
        let body = index_bytes(&first).ok_or_else(|| broken(&path))?;
        let head =
            if body <= first.len() { first.clone() } else { self.store.get_range(&path, 0..body as u64).await? };
        let entries = entries(&head).ok_or_else(|| broken(&path))?;
        let entry = *entries.get(part.partition as usize).ok_or_else(|| broken(&path))?;
        let end =
            PartBytes::End { part: index, end: PartEnd { bytes: entry.len, rows: entry.rows, crc32: entry.crc32 } };
        let end = stream::iter([Ok(end)]);
        let begin = body as u64 + entry.offset;
        let (from, to) = (begin + offset.min(entry.len), begin + entry.len);
        if from == to {
            return Ok(end.boxed());
        }
        let chunk = move |bytes| PartBytes::Chunk { part: index, bytes };
        if to <= first.len() as u64 {
            let bytes = first.slice(from as usize..to as usize);
            return Ok(stream::iter([Ok(chunk(bytes))]).chain(end).boxed());
        }
        let options = GetOptions { range: Some(GetRange::Bounded(from..to)), ..GetOptions::default() };
        let bytes = self.store.get_opts(&path, options).await?.into_stream();
        Ok(bytes.map_ok(chunk).chain(end).boxed())
    }

    /// Jobs of which something is there.
    pub async fn jobs(&self) -> Result<Vec<JobId>, ErrorReport> {
        let listed = self.store.list_with_delimiter(Some(&self.folder)).await.map_err(self.report("list"))?;
        let job = |folder: Path| folder.filename()?.parse().ok();
        Ok(listed.common_prefixes.into_iter().filter_map(job).collect())
    }

    /// Removes everything of a job.
    pub async fn remove_job(&self, job: JobId) -> Result<(), ErrorReport> {
        self.remove(self.job_folder(job)).await
    }

    /// Removes the outputs of one stage.
    pub async fn remove_stage(&self, job: JobId, stage: u32) -> Result<(), ErrorReport> {
        self.remove(self.job_folder(job).join(stage.to_string())).await
    }

    async fn remove(&self, folder: Path) -> Result<(), ErrorReport> {
        let removed = self.store.list(Some(&folder)).try_for_each_concurrent(REMOVALS_AT_ONCE, |found| async move {
            match self.store.delete(&found.location).await {
                Err(error) if !matches!(error, object_store::Error::NotFound { .. }) => Err(error),
                Ok(()) | Err(_) => Ok(()),
            }
        });
        removed.await.map_err(self.report("remove map outputs from"))?;
        if let Some(root) = local_path(&self.url) {
            let below = folder.as_ref().strip_prefix(self.folder.as_ref()).unwrap_or_default();
            // Only folders without files are left; if somebody writes there now, they stay.
            remove_empty(&root.join(below.trim_start_matches('/')));
        }
        Ok(())
    }
}

/// Removes a folder that has nothing but such folders in it.
fn remove_empty(folder: &std::path::Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .for_each(|entry| remove_empty(&entry.path()));
    let _ = std::fs::remove_dir(folder);
}

async fn write(writer: &mut BufWriter, output: Arc<StoredOutput>) -> Result<(), String> {
    let described = |error: object_store::Error| error.to_string();
    writer.put(encode_index(output.index())).await.map_err(described)?;
    for (partition, entry) in (0..).zip(output.index().to_vec()) {
        let mut offset = 0;
        while offset < entry.len {
            let output = Arc::clone(&output);
            let read = tokio::task::spawn_blocking(move || output.read(partition, offset, PIECE_BYTES));
            let read = read.await.map_err(|error| error.to_string())?;
            let piece = read.map_err(|error| format!("`{}`: {}", error.path.display(), error.cause))?;
            if piece.is_empty() {
                return Err(format!("partition {partition} ends early"));
            }
            offset += piece.len() as u64;
            writer.put(piece).await.map_err(described)?;
        }
    }
    writer.shutdown().await.map_err(|error| error.to_string())
}

fn encode_index(index: &[PartitionIndex]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(4 + index.len() * ENTRY_BYTES);
    bytes.put_u32_le(index.len() as u32);
    for entry in index {
        bytes.put_u64_le(entry.len);
        bytes.put_u64_le(entry.rows);
        bytes.put_u32_le(entry.crc32);
    }
    bytes.freeze()
}

/// How many bytes the index takes, by the beginning of an object.
fn index_bytes(first: &Bytes) -> Option<usize> {
    let count = first.get(..4)?.get_u32_le() as usize;
    count.checked_mul(ENTRY_BYTES)?.checked_add(4)
}

/// The index at the beginning of `head`; offsets count from its end.
fn entries(head: &Bytes) -> Option<Vec<PartitionIndex>> {
    let mut bytes = head.get(4..index_bytes(head)?)?;
    let mut entries = Vec::with_capacity(bytes.len() / ENTRY_BYTES);
    let mut offset = 0u64;
    while bytes.has_remaining() {
        let (len, rows, crc32) = (bytes.get_u64_le(), bytes.get_u64_le(), bytes.get_u32_le());
        entries.push(PartitionIndex { offset, len, rows, crc32 });
        offset = offset.checked_add(len)?;
    }
    Some(entries)
}

fn up_to(bytes: u64) -> GetOptions {
    GetOptions { range: Some(GetRange::Bounded(0..bytes)), ..GetOptions::default() }
}

fn broken(path: &Path) -> object_store::Error {
    object_store::Error::Generic { store: "shuffle store", source: format!("`{path}` is no map output").into() }
}

#[cfg(test)]
mod tests {
    use windrow_model::{AttemptId, StageId, TaskId, WorkerId};

    use super::*;
    use crate::shuffle::{HeldChunk, OutputAt};

    const LEN: usize = 200_000;

    fn id(stage: u32) -> MapOutputId {
        let task = TaskId { stage: StageId { job: JobId(7), index: stage }, index: 3 };
        MapOutputId { task, attempt: AttemptId { epoch: 2, n: 11 } }
    }

    fn objects(folder: &std::path::Path) -> Arc<ShuffleObjects> {
        let location = format!("file://{}/", folder.display());
        Arc::new(ShuffleObjects::open(&location, &Stores::from_env()).expect("a location"))
    }

    /// Partitions of these lengths; each byte is the number of its partition.
    fn output(lens: &[usize]) -> Arc<StoredOutput> {
        let content: Vec<Vec<u8>> = (0u8..).zip(lens).map(|(n, len)| vec![n; *len]).collect();
        let entry = |bytes: &Vec<u8>| PartitionIndex {
            offset: 0,
            len: bytes.len() as u64,
            rows: 5,
            crc32: crc32fast::hash(bytes),
        };
        let index = content.iter().map(entry).collect();
        let chunks = content.iter().map(|bytes| vec![HeldChunk::new(bytes.clone().into(), None)]).collect();
        Arc::new(StoredOutput::in_memory(index, chunks))
    }

    async fn read(
        objects: &Arc<ShuffleObjects>,
        partition: u32,
        offset: u64,
    ) -> Result<(Vec<u8>, PartEnd), FetchError> {
        let at = OutputAt { output: id(1), worker: WorkerId::SHUFFLE_STORE, address: objects.location().to_owned() };
        let pieces = Arc::clone(objects).read(4, PartAt { at, partition }, offset).try_collect::<Vec<_>>().await?;
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for piece in pieces {
            match piece {
                PartBytes::Chunk { part: 4, bytes: chunk } => bytes.extend_from_slice(&chunk),
                PartBytes::End { part: 4, end } => ends.push(end),
                other => panic!("{other:?}"),
            }
        }
        let [end] = ends[..] else { panic!("{} ends", ends.len()) };
        Ok((bytes, end))
    }

    #[tokio::test]
    async fn every_partition_comes_back_from_any_offset() {
        let folder = tempfile::tempdir().expect("a folder");
        let objects = objects(folder.path());
        let lens = [10, 0, LEN, 30];
        objects.put(id(1), output(&lens)).await.expect("it is written");
        for (partition, len) in (0u32..).zip(lens) {
            for offset in [0, len / 2, len] {
                let (bytes, end) = read(&objects, partition, offset as u64).await.expect("it is there");
                assert_eq!(bytes, vec![partition as u8; len - offset], "partition {partition} from {offset}");
                assert_eq!((end.bytes, end.crc32), (len as u64, crc32fast::hash(&vec![partition as u8; len])));
            }
        }
    }

    #[tokio::test]
    async fn an_index_longer_than_the_first_read_is_read_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let objects = objects(folder.path());
        let lens = vec![1; FIRST_READ_BYTES as usize / ENTRY_BYTES + 10];
        objects.put(id(1), output(&lens)).await.expect("it is written");
        let (bytes, _) = read(&objects, lens.len() as u32 - 1, 0).await.expect("it is there");
        assert_eq!(bytes, [(lens.len() - 1) as u8]);
    }

    #[tokio::test]
    async fn what_is_not_there_or_broken_is_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let objects = objects(folder.path());
        assert!(matches!(read(&objects, 0, 0).await, Err(FetchError::Lost { .. })));
        objects.put(id(1), output(&[3])).await.expect("it is written");
        assert!(matches!(read(&objects, 1, 0).await, Err(FetchError::Lost { .. })), "there is one partition");
        std::fs::write(folder.path().join("job-7/1/3-2-11"), [9, 9]).expect("a file");
        assert!(matches!(read(&objects, 0, 0).await, Err(FetchError::Lost { .. })));
    }

    #[tokio::test]
    async fn stages_and_jobs_are_removed_without_a_trace() {
        let folder = tempfile::tempdir().expect("a folder");
        let objects = objects(folder.path());
        assert_eq!(objects.jobs().await.expect("a listing"), []);
        for stage in [1, 2] {
            objects.put(id(stage), output(&[3])).await.expect("it is written");
        }
        assert_eq!(objects.jobs().await.expect("a listing"), [JobId(7)]);
        objects.remove_stage(JobId(7), 2).await.expect("it is removed");
        assert!(!folder.path().join("job-7/2").exists());
        assert!(read(&objects, 0, 0).await.is_ok(), "another stage went too");
        objects.remove_job(JobId(7)).await.expect("it is removed");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
        objects.remove_job(JobId(7)).await.expect("nothing is left to remove");
    }
}
