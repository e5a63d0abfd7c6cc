//! The Flight path: whole, resumed, broken, and refused.

use std::net::SocketAddr;
use std::sync::Arc;

use arrow_flight::Ticket;
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use windrow_engine::shuffle::{FetchError, OutputAt, PartAt, PartBytes, ShuffleSource, SmallPart};
use windrow_model::WorkerId;
use windrow_proto::{ShuffleChunk, ShufflePart, ShuffleTicket};

use super::{Kept, kept, output, output_id, shared_output};
use crate::copying::copy_output;
use crate::fetch::{PeerLimits, Peers, WorkerSource};
use crate::flight::serve;
use crate::store::ShuffleStore;

const ME: WorkerId = WorkerId(1);
const PEER: WorkerId = WorkerId(2);
const LEN: usize = 10 << 20;

async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn serve_peer(store: &Arc<ShuffleStore>) -> (SocketAddr, AbortOnDropHandle<()>) {
    let (listener, address) = bind().await;
    let serving = serve(Arc::clone(store), listener, std::future::pending());
    let task = tokio::spawn(async move { serving.await.unwrap() });
    (address, AbortOnDropHandle::new(task))
}

/// A connection in front of `to` that is cut after `bytes_max` bytes of answers, `cuts` times; then it lets all pass.
async fn cutting_proxy(to: SocketAddr, bytes_max: u64, cuts: usize) -> (SocketAddr, AbortOnDropHandle<()>) {
    let (listener, address) = bind().await;
    let task = tokio::spawn(async move {
        for nth in 0.. {
            let (mut client, _) = listener.accept().await.unwrap();
            let limit = if nth < cuts { bytes_max } else { u64::MAX };
            tokio::spawn(async move { pass(&mut client, to, limit).await });
        }
    });
    (address, AbortOnDropHandle::new(task))
}

async fn pass(client: &mut TcpStream, to: SocketAddr, limit: u64) {
    use tokio::io::AsyncReadExt;
    let mut server = TcpStream::connect(to).await.unwrap();
    let (mut from_client, mut to_client) = client.split();
    let (from_server, mut to_server) = server.split();
    let mut answers = from_server.take(limit);
    tokio::select! {
        _ = tokio::io::copy(&mut answers, &mut to_client) => {}
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
    }
    let _ = to_client.shutdown().await;
}

fn source(kept: &Kept) -> WorkerSource {
    let peers = Arc::new(Peers::new(PeerLimits::for_memory(256 << 20)));
    WorkerSource::new(ME, Arc::clone(&kept.store), peers, Arc::default(), Handle::current())
}

fn part(worker: WorkerId, task: u32, address: SocketAddr) -> PartAt {
    let at = OutputAt { output: output_id(1, 0, task), worker, address: format!("http://{address}") };
    PartAt { at, partition: 0 }
}

/// The bytes of each part, after checking that each ended.
async fn fetch(source: &WorkerSource, parts: Vec<PartAt>) -> Result<Vec<Vec<u8>>, FetchError> {
    let mut all = vec![Vec::new(); parts.len()];
    let mut ends = 0;
    let mut pieces = source.open(parts);
    while let Some(piece) = pieces.try_next().await? {
        match piece {
            PartBytes::Chunk { part, bytes } => all[part].extend_from_slice(&bytes),
            PartBytes::End { part, end } => {
                assert_eq!((all[part].len() as u64, crc32fast::hash(&all[part])), (end.bytes, end.crc32));
                ends += 1;
            }
            PartBytes::Small(parts) => {
                for SmallPart { part, bytes, end } in parts {
                    assert_eq!((bytes.len() as u64, crc32fast::hash(&bytes)), (end.bytes, end.crc32));
                    assert!(std::mem::replace(&mut all[part], bytes.to_vec()).is_empty(), "part {part} came twice");
                    ends += 1;
                }
            }
        }
    }
    assert_eq!(ends, all.len());
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_peer_and_of_this_process_arrive_whole() {
    let (mine, theirs) = (kept(64 << 20), kept(64 << 20));
    mine.store.insert(output_id(1, 0, 0), output(&mine.memory, LEN, 100_000));
    theirs.store.insert(output_id(1, 0, 1), output(&theirs.memory, LEN, 1 << 20));
    theirs.store.insert(output_id(1, 0, 2), output(&theirs.memory, 0, 1));
    theirs.store.insert(output_id(1, 0, 3), output(&theirs.memory, 100, 10));
    let (address, _server) = serve_peer(&theirs.store).await;
    let parts = vec![part(PEER, 1, address), part(ME, 0, address), part(PEER, 2, address), part(PEER, 3, address)];
    let all = fetch(&source(&mine), parts).await.unwrap();
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [LEN, LEN, 0, 100]);
    assert_eq!(all[0], all[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_parts_arrive_together() {
    const COUNT: u32 = 3000;
    let (mine, theirs) = (kept(64 << 20), kept(64 << 20));
    for task in 0..COUNT {
        // Every seventh is larger than what goes together, some are empty.
        let len = if task % 7 == 0 { 20_000 } else { task as usize % 50 };
        let at = if task % 2 == 0 { &mine } else { &theirs };
        at.store.insert(output_id(1, 0, task), output(&at.memory, len, 1 << 20));
    }
    let (address, _server) = serve_peer(&theirs.store).await;
    let at = |task| part(if task % 2 == 0 { ME } else { PEER }, task, address);
    let source = source(&mine);
    let all = fetch(&source, (0..COUNT).map(at).collect()).await.unwrap();
    for (task, bytes) in all.iter().enumerate() {
        assert_eq!(bytes.len(), if task % 7 == 0 { 20_000 } else { task % 50 }, "task {task}");
    }
    let pieces: Vec<_> = source.open((0..COUNT).map(at).collect()).try_collect().await.unwrap();
    assert!(pieces.len() < COUNT as usize, "{} pieces", pieces.len());

    theirs.store.release_attempt(output_id(1, 0, 1501).attempt);
    let error = fetch(&source, (0..COUNT).map(at).collect()).await.unwrap_err();
    assert!(
        matches!(error, FetchError::Lost { output, worker: PEER, .. } if output == output_id(1, 0, 1501)),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_on_disk_is_served_like_one_in_memory() {
    let (mine, theirs) = (kept(0), kept(LEN));
    let id = output_id(1, 0, 1);
    theirs.store.insert(id, output(&theirs.memory, LEN, 1 << 20));
    let _held = theirs.memory.hold(1).unwrap();
    assert!(!theirs.store.get(id).unwrap().is_in_memory());
    let (address, _server) = serve_peer(&theirs.store).await;
    let all = fetch(&source(&mine), vec![part(PEER, 1, address)]).await.unwrap();
    assert_eq!(all[0].len(), LEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_is_resumed_where_it_broke() {
    let (mine, theirs) = (kept(0), kept(64 << 20));
    for task in 1..3 {
        theirs.store.insert(output_id(1, 0, task), output(&theirs.memory, LEN, 1 << 20));
    }
    let (server, _server) = serve_peer(&theirs.store).await;
    let (address, _proxy) = cutting_proxy(server, LEN as u64 * 2 / 3, 2).await;
    let all = fetch(&source(&mine), vec![part(PEER, 1, address), part(PEER, 2, address)]).await.unwrap();
    assert_eq!(all[0], all[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_dies_in_the_middle_loses_the_output() {
    let (mine, theirs) = (kept(0), kept(64 << 20));
    theirs.store.insert(output_id(1, 0, 1), output(&theirs.memory, LEN, 1 << 20));
    let (server, _server) = serve_peer(&theirs.store).await;
    let (address, proxy) = cutting_proxy(server, LEN as u64 / 2, 1).await;
    let source = source(&mine);
    let mut pieces = source.open(vec![part(PEER, 1, address)]);
    assert!(matches!(pieces.next().await, Some(Ok(PartBytes::Chunk { .. }))));
    // No new connections: the next request finds nobody.
    drop(proxy);
    let error = pieces.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(
        matches!(error, FetchError::Unreached { output, worker: PEER, .. } if output == output_id(1, 0, 1)),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_is_not_there_is_lost() {
    let (mine, theirs) = (kept(0), kept(0));
    let (address, _server) = serve_peer(&theirs.store).await;
    for worker in [PEER, ME] {
        let error = fetch(&source(&mine), vec![part(worker, 9, address)]).await.unwrap_err();
        assert!(matches!(error, FetchError::Lost { worker: blamed, .. } if blamed == worker));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_nobody_polls_does_not_block_another() {
    let (mine, theirs) = (kept(0), kept(64 << 20));
    theirs.store.insert(output_id(1, 0, 1), output(&theirs.memory, LEN, 1 << 20));
    let (address, _server) = serve_peer(&theirs.store).await;
    let source = source(&mine);
    let mut stalled: Vec<_> = (0..100).map(|_| source.open(vec![part(PEER, 1, address)])).collect();
    for pieces in &mut stalled {
        assert!(matches!(pieces.next().await, Some(Ok(PartBytes::Chunk { .. }))));
    }
    assert_eq!(fetch(&source, vec![part(PEER, 1, address)]).await.unwrap()[0].len(), LEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_is_none_is_refused() {
    let theirs = kept(1 << 20);
    theirs.store.insert(output_id(1, 0, 1), output(&theirs.memory, 10, 10));
    let (address, _server) = serve_peer(&theirs.store).await;
    let peers = Peers::new(PeerLimits::for_memory(256 << 20));
    let mut client = peers.client(&format!("http://{address}")).unwrap();
    let part = ShufflePart { task: 1, attempt: Some(output_id(1, 0, 1).attempt.into()), partition: 0, offset: 0 };
    let ticket = |part: Option<ShufflePart>| ShuffleTicket {
        job: 1,
        stage: 0,
        parts: part.into_iter().collect(),
        host: String::new(),
    };
    let bad = [
        b"SELECT 1".to_vec(),
        ticket(None).encode_to_vec(),
        ticket(Some(ShufflePart { attempt: None, ..part })).encode_to_vec(),
        ticket(Some(ShufflePart { partition: 7, ..part })).encode_to_vec(),
        ticket(Some(ShufflePart { offset: 11, ..part })).encode_to_vec(),
    ];
    for ticket in bad {
        let answer = async {
            let mut messages = client.do_get(Ticket { ticket: ticket.into() }).await?.into_inner();
            messages.message().await
        };
        assert_eq!(answer.await.unwrap_err().code(), tonic::Code::InvalidArgument);
    }
    let good = Ticket { ticket: ticket(Some(part)).encode_to_vec().into() };
    let message = client.do_get(good).await.unwrap().into_inner().message().await.unwrap().unwrap();
    let chunk = ShuffleChunk::decode(message.app_metadata).unwrap();
    assert_eq!((message.data_body.len(), chunk.end.unwrap().bytes), (10, 10));
    assert!(client.list_flights(arrow_flight::Criteria::default()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_this_host_is_read_without_its_bytes_being_sent() {
    let (mine, theirs) = (kept(0), kept(64 << 20));
    theirs.store.insert(output_id(1, 0, 1), shared_output(&theirs.memory, LEN, 100_000));
    theirs.store.insert(output_id(1, 0, 2), output(&theirs.memory, LEN, 1 << 20));
    theirs.store.insert(output_id(1, 0, 3), shared_output(&theirs.memory, 1000, 100));
    let (server, _server) = serve_peer(&theirs.store).await;
    // Whoever sends more than this is cut off.
    let (address, _proxy) = cutting_proxy(server, LEN as u64 / 10, 1).await;
    let source = source(&mine);
    let all = fetch(&source, vec![part(PEER, 1, address), part(PEER, 3, address)]).await.unwrap();
    assert_eq!(source.peers().mapped_bytes(), LEN as u64);
    let sent = fetch(&source, vec![part(PEER, 2, address)]).await.unwrap();
    assert_eq!((&all[0], all[1].len()), (&sent[0], 1000));
    assert_eq!(source.peers().mapped_bytes(), LEN as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_local_reads_every_byte_is_sent() {
    let mine = kept(64 << 20);
    mine.store.insert(output_id(1, 0, 1), shared_output(&mine.memory, LEN, 100_000));
    let (server, _server) = serve_peer(&mine.store).await;
    let peers = Arc::new(Peers::new(PeerLimits::for_memory(256 << 20)).through_the_network());
    let source = WorkerSource::new(ME, Arc::clone(&mine.store), peers, Arc::default(), Handle::current());
    assert_eq!(fetch(&source, vec![part(ME, 1, server)]).await.unwrap()[0].len(), LEN);
    assert_eq!(source.peers().mapped_bytes(), 0);
    let (nobody, address) = bind().await;
    drop(nobody);
    let gone = fetch(&source, vec![part(ME, 1, address)]).await.unwrap_err();
    assert!(matches!(gone, FetchError::Unreached { .. }), "its own bytes, too: {gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_has_moved_is_read_on_at_its_new_place() {
    let (mine, old, new) = (kept(0), kept(64 << 20), kept(64 << 20));
    old.store.insert(output_id(1, 0, 1), output(&old.memory, LEN, 1 << 20));
    new.store.insert(output_id(1, 0, 1), output(&new.memory, LEN, 300_000));
    let (server, _server) = serve_peer(&old.store).await;
    let (old_address, proxy) = cutting_proxy(server, LEN as u64 / 2, 1).await;
    let (new_address, _new_server) = serve_peer(&new.store).await;
    let source = source(&mine);
    let mut pieces = source.open(vec![part(PEER, 1, old_address)]);
    let Some(Ok(PartBytes::Chunk { bytes, .. })) = pieces.next().await else { panic!("no first piece") };
    source.moved().note(part(WorkerId(3), 1, new_address).at);
    // The old place vanishes.
    drop(proxy);
    let mut all = bytes.to_vec();
    while let Some(piece) = pieces.try_next().await.unwrap() {
        match piece {
            PartBytes::Chunk { bytes, .. } => all.extend_from_slice(&bytes),
            PartBytes::End { end, .. } => assert_eq!((all.len() as u64, crc32fast::hash(&all)), (end.bytes, end.crc32)),
            PartBytes::Small(_) => panic!("a large part came as a small one"),
        }
    }
    assert_eq!(all.len(), LEN);
    // A reader that opens later goes to the new place at once.
    assert_eq!(fetch(&source, vec![part(PEER, 1, old_address)]).await.unwrap()[0], all);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_is_taken_over_whole_in_memory_or_on_disk() {
    let theirs = kept(64 << 20);
    theirs.store.insert(output_id(1, 0, 1), output(&theirs.memory, LEN, 1 << 20));
    let (address, _server) = serve_peer(&theirs.store).await;
    let at = part(PEER, 1, address).at;
    for (memory_bytes, in_memory) in [(64 << 20, true), (LEN / 2, false)] {
        let mine = kept(memory_bytes);
        let peers = Arc::new(Peers::new(PeerLimits::for_memory(256 << 20)));
        let (memory, path) = (Arc::clone(&mine.memory), mine.store.new_path(at.output));
        let copied = copy_output(peers, at.clone(), 1, memory, path).await.unwrap();
        assert_eq!(copied.is_in_memory(), in_memory);
        assert_eq!(copied.index(), theirs.store.get(at.output).unwrap().index());
        assert_eq!(copied.read_all().unwrap(), theirs.store.get(at.output).unwrap().read_all().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_is_gone_is_not_taken_over() {
    let (mine, theirs) = (kept(64 << 20), kept(0));
    let (address, _server) = serve_peer(&theirs.store).await;
    let at = part(PEER, 1, address).at;
    let peers = Arc::new(Peers::new(PeerLimits::for_memory(256 << 20)));
    let (memory, path) = (Arc::clone(&mine.memory), mine.store.new_path(at.output));
    let error = copy_output(peers, at, 1, memory, path).await.unwrap_err();
    assert!(error.detail.contains("does not have it") && !error.peer_is_silent, "{error:?}");
    assert_eq!(mine.memory.used_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_moves_into_an_object_store_is_read_there() {
    let (mine, theirs) = (kept(64 << 20), kept(64 << 20));
    theirs.store.insert(output_id(1, 0, 1), output(&theirs.memory, LEN, 1 << 20));
    let (server, _server) = serve_peer(&theirs.store).await;
    let folder = tempfile::tempdir().unwrap();
    let location = format!("file://{}/", folder.path().display());
    let stored = theirs.store.get(output_id(1, 0, 1)).unwrap();
    let peers = Peers::new(PeerLimits::for_memory(256 << 20));
    peers.objects(&location).unwrap().put(output_id(1, 0, 1), Arc::clone(&stored)).await.unwrap();
    let all = stored.read_all().unwrap();
    let moved = OutputAt { output: output_id(1, 0, 1), worker: WorkerId::SHUFFLE_STORE, address: location };

    // Half of it has come from the worker when that goes.
    let (address, proxy) = cutting_proxy(server, LEN as u64 / 2, 1).await;
    let source = source(&mine);
    let mut pieces = source.open(vec![part(PEER, 1, address)]);
    let Some(Ok(PartBytes::Chunk { bytes, .. })) = pieces.next().await else { panic!("nothing has come") };
    let mut read = bytes.to_vec();
    source.moved().note(moved.clone());
    drop(proxy);
    while let Some(piece) = pieces.next().await {
        if let PartBytes::Chunk { bytes, .. } = piece.unwrap() {
            read.extend_from_slice(&bytes);
        }
    }
    assert!(read == all, "{} bytes of {LEN} or others have come", read.len());

    let at_once = fetch(&source, vec![PartAt { at: moved, partition: 0 }]).await.unwrap();
    assert!(at_once[0] == all);
}
