//! Reads map outputs for attempts: from this process's store directly, from peers over Arrow Flight, and from an object
//! store what workers that left have moved there.

mod moved;
mod peers;
mod remote;

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use windrow_engine::shuffle::{FetchError, PartAt, PartBytes, PartEnd, ShuffleSource, SmallPart, StoredOutput};
use windrow_model::WorkerId;

pub use moved::Moved;
pub use peers::{PeerLimits, Peers};
pub use remote::PeerFetch;

use crate::flight::{CHUNK_BYTES, SMALL_PART_BYTES_MAX, SMALL_PARTS_MAX};
use crate::store::ShuffleStore;

/// Messages that wait for a reader: with the HTTP/2 window, all the read-ahead there is (4 x 256 KiB).
const READ_AHEAD_MESSAGES: usize = 4;

/// Peers one reader fetches from at once: enough to hide one peer's latency behind the others', and a bound on windows.
const PEERS_AT_ONCE: usize = 4;

/// Bytes of a disk read for a reader of the same process.
const LOCAL_READ_BYTES: usize = 4 * CHUNK_BYTES;

type Pieces = BoxStream<'static, Result<PartBytes, FetchError>>;

/// The shuffle source of one session of a worker.
#[derive(Clone, Debug)]
pub struct WorkerSource {
    me: WorkerId,
    store: Arc<ShuffleStore>,
    peers: Arc<Peers>,
    moved: Arc<Moved>,
    /// Fetches run on the network's threads, so that they go on while operators compute.
    network: Handle,
}

impl WorkerSource {
    pub fn new(me: WorkerId, store: Arc<ShuffleStore>, peers: Arc<Peers>, moved: Arc<Moved>, network: Handle) -> Self {
        WorkerSource { me, store, peers, moved, network }
    }

    pub fn me(&self) -> WorkerId {
        self.me
    }

    pub fn store(&self) -> &Arc<ShuffleStore> {
        &self.store
    }

    pub fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }

    pub fn moved(&self) -> &Moved {
        &self.moved
    }

    pub fn network(&self) -> &Handle {
        &self.network
    }

    fn fetch(&self, parts: Vec<PartAt>) -> Pieces {
        let now = |part: PartAt| PartAt { at: self.moved.resolve(&part.at), ..part };
        let numbered = parts.into_iter().map(now).enumerate();
        let is_local = |part: &PartAt| part.at.worker == self.me && self.peers.reads_locally();
        let (local, remote): (Vec<_>, Vec<_>) = numbered.partition(|(_, part)| is_local(part));
        let mut streams = Vec::new();
        if !local.is_empty() {
            streams.push(self.local(local));
        }
        if !remote.is_empty() {
            streams.push(self.remote(remote));
        }
        stream::select_all(streams).boxed()
    }

    fn local(&self, parts: Vec<(usize, PartAt)>) -> Pieces {
        let store = Arc::clone(&self.store);
        stream::iter(LocalParts { store: Arc::clone(&store), parts: parts.into_iter().peekable() })
            .flat_map(move |parts| match parts {
                Local::Small(parts) => stream::iter([Ok(PartBytes::Small(parts))]).boxed(),
                Local::Part(index, part) => local_part(&store, index, part),
            })
            .boxed()
    }

    /// One request per peer, several peers at a time, all into one bounded queue.
    fn remote(&self, parts: Vec<(usize, PartAt)>) -> Pieces {
        let (sender, receiver) = mpsc::channel(READ_AHEAD_MESSAGES);
        let mut by_peer: BTreeMap<(WorkerId, u32, usize), Vec<(usize, PartAt)>> = BTreeMap::new();
        for (index, part) in parts {
            // Objects are read one by one, so some of them at once.
            let lane = if part.at.worker == WorkerId::SHUFFLE_STORE { index % PEERS_AT_ONCE } else { 0 };
            let key = (part.at.worker, part.at.output.task.stage.index, lane);
            by_peer.entry(key).or_default().push((index, part));
        }
        let (peers, moved) = (Arc::clone(&self.peers), Arc::clone(&self.moved));
        let fetch = move |parts| PeerFetch::new(Arc::clone(&peers), Arc::clone(&moved), parts, sender.clone());
        let fetches = by_peer.into_values().map(fetch);
        let fetching = stream::iter(fetches).for_each_concurrent(PEERS_AT_ONCE, PeerFetch::run);
        let task = AbortOnDropHandle::new(self.network.spawn(fetching));
        stream::unfold((receiver, task), |(mut receiver, task)| async move {
            receiver.recv().await.map(|piece| (piece, (receiver, task)))
        })
        .boxed()
    }
}

impl ShuffleSource for WorkerSource {
    fn open(&self, parts: Vec<PartAt>) -> Pieces {
        let source = self.clone();
        stream::once(async move { source.fetch(parts) }).flatten().boxed()
    }
}

/// Parts that are in this process's store, small ones together.
struct LocalParts {
    store: Arc<ShuffleStore>,
    parts: Peekable<std::vec::IntoIter<(usize, PartAt)>>,
}

enum Local {
    Small(Vec<SmallPart>),
    Part(usize, PartAt),
}

impl Iterator for LocalParts {
    type Item = Local;

    fn next(&mut self) -> Option<Local> {
        let mut small = Vec::new();
        while let Some((index, part)) = self.parts.peek() {
            let found = self.store.get(part.at.output);
            let Some((bytes, entry)) = found.and_then(|output| output.small(part.partition, SMALL_PART_BYTES_MAX))
            else {
                break;
            };
            let end = PartEnd { bytes: entry.len, rows: entry.rows, crc32: entry.crc32 };
            small.push(SmallPart { part: *index, bytes, end });
            self.parts.next();
            if small.len() == SMALL_PARTS_MAX {
                break;
            }
        }
        if small.is_empty() {
            self.parts.next().map(|(index, part)| Local::Part(index, part))
        } else {
            Some(Local::Small(small))
        }
    }
}

/// The pieces of one part that is in this process's store.
fn local_part(store: &ShuffleStore, index: usize, part: PartAt) -> Pieces {
    let Some(output) = store.get(part.at.output) else {
        let lost = FetchError::lost(&part.at, "this worker does not have it any more");
        return stream::iter([Err(lost)]).boxed();
    };
    let Some(entry) = output.index().get(part.partition as usize).copied() else {
        let lost = FetchError::lost(&part.at, format!("it has no partition {}", part.partition));
        return stream::iter([Err(lost)]).boxed();
    };
    let end = PartBytes::End { part: index, end: PartEnd { bytes: entry.len, rows: entry.rows, crc32: entry.crc32 } };
    let pieces = stream::try_unfold(0, move |offset| {
        let (output, at) = (Arc::clone(&output), part.at.clone());
        async move {
            if offset >= entry.len {
                return Ok(None);
            }
            let read = local_read(output, part.partition, offset).await;
            let bytes = read.map_err(|detail| FetchError::lost(&at, detail))?;
            let next = offset + bytes.len() as u64;
            Ok(Some((PartBytes::Chunk { part: index, bytes }, next)))
        }
    });
    pieces.chain(stream::iter([Ok(end)])).boxed()
}

async fn local_read(output: Arc<StoredOutput>, partition: u32, offset: u64) -> Result<bytes::Bytes, String> {
    let read = if output.is_in_memory() {
        output.read(partition, offset, usize::MAX)
    } else {
        let read = move || output.read(partition, offset, LOCAL_READ_BYTES);
        tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?
    };
    read.map_err(|error| format!("`{}`: {}", error.path.display(), error.cause))
}
