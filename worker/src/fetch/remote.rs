//! Fetches parts from one place. From a peer with one request for all of them, resumed where a broken connection left
//! off; from the object store one by one.

use std::sync::Arc;
use std::time::Duration;

use arrow_flight::{FlightData, Ticket};
use futures::TryStreamExt;
use prost::Message;
use tokio::sync::mpsc;
use tonic::{Code, Status, Streaming};
use windrow_engine::failpoint;
use windrow_engine::shuffle::{FetchError, PartAt, PartBytes, PartEnd, SegmentName, SmallPart};
use windrow_model::WorkerId;
use windrow_proto::{SharedBytes, ShuffleChunk, ShufflePart, ShuffleTicket};

use super::{Moved, Peers};

/// Requests in a row that may bring nothing before the peer's outputs are given up.
const FRUITLESS_MAX: u32 = 3;

/// Wait before a request is repeated; doubled each time. A peer that is gone is known in well under a second.
const RESUME_BACKOFF: Duration = Duration::from_millis(100);

/// The parts one reader wants from one peer.
pub struct PeerFetch {
    peers: Arc<Peers>,
    moved: Arc<Moved>,
    /// With the reader's index of each part.
    parts: Vec<(usize, PartAt)>,
    /// Parts that are complete.
    done: usize,
    /// Bytes of the next part that have arrived.
    offset: u64,
    /// What a peer shared could not be mapped: it is to send the bytes.
    wants_bytes: bool,
    pieces: mpsc::Sender<Result<PartBytes, FetchError>>,
}

/// Why a request ended before all parts were complete.
enum Broken {
    /// Nothing is known to be wrong with the outputs: ask again.
    Connection(Status),
    /// The next part cannot be had.
    Output(FetchError),
    /// The peer told a place that this process cannot read: ask for the bytes.
    Place,
    /// Nobody reads any more.
    Reader,
}

impl PeerFetch {
    pub fn new(
        peers: Arc<Peers>,
        moved: Arc<Moved>,
        parts: Vec<(usize, PartAt)>,
        pieces: mpsc::Sender<Result<PartBytes, FetchError>>,
    ) -> Self {
        PeerFetch { peers, moved, parts, done: 0, offset: 0, wants_bytes: false, pieces }
    }

    /// Fetches all parts; an error goes to the reader as its last piece.
    pub async fn run(mut self) {
        if let Err(error) = self.fetch().await {
            // A reader that is gone needs no error.
            let _ = self.pieces.send(Err(error)).await;
        }
    }

    async fn fetch(&mut self) -> Result<(), FetchError> {
        let mut fruitless = 0;
        while self.done < self.parts.len() {
            let before = (self.done, self.offset);
            let from = self.follow();
            let requested = match self.parts[self.done].1.at.worker {
                WorkerId::SHUFFLE_STORE => self.read_object(&from).await,
                _ => self.request(&from).await,
            };
            let (broken, status) = match requested {
                Ok(()) => {
                    fruitless = 0;
                    continue;
                }
                Err(Broken::Reader) => return Ok(()),
                Err(Broken::Place) if !self.wants_bytes => {
                    self.wants_bytes = true;
                    continue;
                }
                Err(Broken::Place) => {
                    let at = &self.parts[self.done].1.at;
                    return Err(FetchError::corrupt(at, "the peer answers with places, and was asked for bytes"));
                }
                Err(Broken::Output(error)) => (Some(error), Status::not_found("it is not there")),
                Err(Broken::Connection(status)) => (None, status),
            };
            let at = &self.parts[self.done].1.at;
            if self.moved.resolve(at).address != at.address {
                // It is the same output, byte by byte, at its new place.
                continue;
            }
            if let Some(error) = broken {
                return Err(error);
            }
            fruitless = if (self.done, self.offset) == before { fruitless + 1 } else { 1 };
            if !is_passing(&status) {
                return Err(FetchError::lost(at, describe(&status)));
            }
            if fruitless >= FRUITLESS_MAX {
                return Err(FetchError::unreached(at, describe(&status)));
            }
            tracing::debug!(output = %at.output, peer = %at.worker, offset = self.offset, error = %status, "fetch broke off, resuming");
            tokio::time::sleep(RESUME_BACKOFF * (1 << fruitless)).await;
        }
        Ok(())
    }

    /// Notes where the parts that are not complete are now; the address of the next one.
    fn follow(&mut self) -> String {
        for (_, part) in &mut self.parts[self.done..] {
            part.at = self.moved.resolve(&part.at);
        }
        self.parts[self.done].1.at.address.clone()
    }

    /// One `DoGet` for the next parts that are at one place.
    async fn request(&mut self, address: &str) -> Result<(), Broken> {
        let mut client =
            self.peers.client(address).map_err(|error| Broken::Connection(Status::from_error(error.into())))?;
        let here = self.parts[self.done..].iter().take_while(|(_, part)| part.at.address == address).count();
        let ticket = Ticket { ticket: self.ticket(here).encode_to_vec().into() };
        self.peers.note_request();
        let mut answer = client.do_get(ticket).await.map_err(Broken::Connection)?.into_inner();
        // The ticket counts from the first part that was not complete when it was written.
        let first = self.done;
        while self.done < first + here {
            let message = next(&mut answer).await.map_err(Broken::Connection)?;
            self.accept(first, message).await?;
        }
        Ok(())
    }

    /// Reads the next part from an object store.
    async fn read_object(&mut self, location: &str) -> Result<(), Broken> {
        let (index, part) = self.parts[self.done].clone();
        let lost = |detail: String| Broken::Output(FetchError::lost(&part.at, detail));
        let objects = self.peers.objects(location).map_err(|report| lost(report.to_string()))?;
        let mut pieces = objects.read(index, part.clone(), self.offset);
        while let Some(piece) = pieces.try_next().await.map_err(Broken::Output)? {
            if let PartBytes::Chunk { bytes, .. } = &piece {
                self.offset += bytes.len() as u64;
            }
            self.send(piece).await?;
        }
        self.done += 1;
        self.offset = 0;
        Ok(())
    }

    fn ticket(&self, here: usize) -> ShuffleTicket {
        let stage = self.parts[self.done].1.at.output.task.stage;
        let parts = self.parts[self.done..].iter().take(here).enumerate().map(|(nth, (_, part))| ShufflePart {
            task: part.at.output.task.index,
            attempt: Some(part.at.output.attempt.into()),
            partition: part.partition,
            offset: if nth == 0 { self.offset } else { 0 },
        });
        let host = self.peers.host().filter(|_| !self.wants_bytes).unwrap_or_default().to_owned();
        ShuffleTicket { job: stage.job.0, stage: stage.index, parts: parts.collect(), host }
    }

    async fn accept(&mut self, first: usize, message: FlightData) -> Result<(), Broken> {
        let (index, part) = self.parts[self.done].clone();
        let out_of_step =
            || Broken::Output(FetchError::corrupt(&part.at, "the peer's answer does not follow the ticket"));
        let chunk = ShuffleChunk::decode(message.app_metadata).map_err(|_| out_of_step())?;
        if chunk.part as usize + first != self.done {
            return Err(out_of_step());
        }
        if chunk.missing {
            return Err(Broken::Output(FetchError::lost(&part.at, "the worker does not have it any more")));
        }
        let mut body = message.data_body;
        let small_bytes: u64 = chunk.small.iter().map(|end| end.bytes).sum();
        let own = (body.len() as u64).checked_sub(small_bytes).ok_or_else(out_of_step)?;
        let mut small = body.split_off(own as usize);
        if !body.is_empty() {
            self.offset += body.len() as u64;
            self.send(PartBytes::Chunk { part: index, bytes: body }).await?;
        }
        if let Some(shared) = &chunk.shared {
            self.map(index, shared).await?;
        }
        if let Some(end) = chunk.end {
            let end = PartEnd { bytes: end.bytes, rows: end.rows, crc32: end.crc32 };
            self.done += 1;
            self.offset = 0;
            self.send(PartBytes::End { part: index, end }).await?;
        }
        let whole = chunk.end.is_some() && self.parts[self.done..].len() >= chunk.small.len();
        if !chunk.small.is_empty() && !whole {
            return Err(out_of_step());
        }
        let numbered = self.parts[self.done..].iter().zip(&chunk.small);
        let parts = numbered.map(|((part, _), end)| SmallPart {
            part: *part,
            bytes: small.split_to(end.bytes as usize),
            end: PartEnd { bytes: end.bytes, rows: end.rows, crc32: end.crc32 },
        });
        let parts: Vec<SmallPart> = parts.collect();
        self.done += parts.len();
        if !parts.is_empty() {
            self.send(PartBytes::Small(parts)).await?;
        }
        Ok(())
    }

    /// Sends what lies in a segment of a peer of this host.
    async fn map(&mut self, part: usize, shared: &SharedBytes) -> Result<(), Broken> {
        let SharedBytes { process, descriptor, inode, .. } = *shared;
        let extents = shared.starts.iter().zip(&shared.lengths);
        let extents: Option<Vec<_>> = extents.map(|(start, len)| Some(*start..start.checked_add(*len)?)).collect();
        let segment = SegmentName { process, descriptor, inode };
        let tried = match failpoint::at("shuffle.map").await {
            Ok(()) => segment.map(&extents.unwrap_or_default()),
            Err(report) => Err(std::io::Error::other(report.to_string())),
        };
        let mapped = tried.map_err(|error| {
            tracing::debug!(%error, process, "cannot map what a peer shares, asking for the bytes");
            Broken::Place
        })?;
        for bytes in mapped {
            self.offset += bytes.len() as u64;
            self.peers.note_mapped(bytes.len() as u64);
            self.send(PartBytes::Chunk { part, bytes }).await?;
        }
        Ok(())
    }

    async fn send(&self, piece: PartBytes) -> Result<(), Broken> {
        self.pieces.send(Ok(piece)).await.map_err(|_| Broken::Reader)
    }
}

/// A stream that ends before the last part's end is a broken connection.
async fn next(answer: &mut Streaming<FlightData>) -> Result<FlightData, Status> {
    match answer.message().await? {
        Some(message) => Ok(message),
        None => Err(Status::unavailable("the answer ended early")),
    }
}

/// Whether the same request may succeed later.
fn is_passing(status: &Status) -> bool {
    !matches!(status.code(), Code::InvalidArgument | Code::Unimplemented | Code::PermissionDenied | Code::DataLoss)
}

fn describe(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
