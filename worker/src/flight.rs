//! Serves stored bytes of map outputs over Arrow Flight, as they are.
//!
//! `DoGet` with a [`ShuffleTicket`] is all there is; every other call is refused.

use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use prost::Message;
use tokio::net::TcpListener;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};
use windrow_engine::failpoint;
use windrow_engine::shuffle::{PartitionIndex, SegmentName, StoredOutput, host_identity};
use windrow_model::{JobId, MapOutputId, StageId, TaskId};
use windrow_proto::{PartEnd, SharedBytes, ShuffleChunk, ShufflePart, ShuffleTicket};

use crate::listen::authorise;
use crate::store::ShuffleStore;

/// Stored bytes in one Flight message: large enough to amortise the message, small enough that a reader's few messages
/// of read-ahead are nothing to account.
pub const CHUNK_BYTES: usize = 256 << 10;

/// Parts of less than this are sent to readers of the same host, too, in bytes: mapping them costs more.
const SHARED_PART_BYTES_MIN: u64 = 64 << 10;

/// Parts of at most so many bytes go together into one message: it costs more than their bytes.
pub const SMALL_PART_BYTES_MAX: u64 = 16 << 10;

/// Parts that go together, at most.
pub const SMALL_PARTS_MAX: usize = 1024;

/// Chunks that one message may tell the places of.
const SHARED_CHUNKS_MAX: usize = 256;

/// Parts in one ticket; a stage of more tasks than this is refused by the planner's own limits first.
const PARTS_MAX: usize = 1 << 20;

/// Readers of one peer at once, on its one connection. HTTP/2's default of 200 would let idle readers block the one
/// that others wait for.
const STREAMS_MAX: u32 = 1 << 20;
/// A silent reader is asked this often whether it is still there, and has as long to answer.
const READER_KEEPALIVE: Duration = Duration::from_secs(10);

/// HTTP/2 frame size, in bytes: the default of 16 KiB costs a header per 16 KiB.
pub const FRAME_BYTES: u32 = 256 << 10;

/// The service over one worker's store.
#[derive(Clone, Debug)]
pub struct ShuffleService {
    store: Arc<ShuffleStore>,
    /// Readers with the same one are told where bytes are.
    host: Option<Arc<str>>,
}

/// Serves readers on `listener` until `shutdown` ends.
pub async fn serve(
    store: Arc<ShuffleStore>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let service = FlightServiceServer::new(ShuffleService { store, host: host_identity().map(Arc::from) });
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tonic::transport::Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .max_frame_size(FRAME_BYTES)
        // A reader whose host has vanished must not pin the output that it was reading.
        .http2_keepalive_interval(Some(READER_KEEPALIVE))
        .http2_keepalive_timeout(Some(READER_KEEPALIVE))
        .add_service(InterceptedService::new(service, authorise))
        .serve_with_incoming_shutdown(incoming, shutdown)
        .await
}

/// How far the answer to one ticket has come.
struct Serving {
    store: Arc<ShuffleStore>,
    stage: StageId,
    parts: Vec<ShufflePart>,
    /// Index of the part being sent.
    part: usize,
    /// Bytes of it that the reader has.
    offset: u64,
    /// The part's output, kept from being released half-way.
    output: Option<Arc<StoredOutput>>,
    /// The reader is a process of this host.
    is_near: bool,
}

impl Serving {
    #[allow(clippy::result_large_err)] // `Status` is tonic's error.
    fn new(service: &ShuffleService, ticket: ShuffleTicket) -> Result<Serving, Status> {
        if ticket.parts.is_empty() || ticket.parts.len() > PARTS_MAX {
            return Err(Status::invalid_argument(format!("a ticket of {} parts", ticket.parts.len())));
        }
        if ticket.parts.iter().any(|part| part.attempt.is_none()) {
            return Err(Status::invalid_argument("a part of the ticket names no attempt"));
        }
        let stage = StageId { job: JobId(ticket.job), index: ticket.stage };
        let offset = ticket.parts[0].offset;
        let is_near = service.host.as_deref().is_some_and(|host| host == ticket.host);
        let store = Arc::clone(&service.store);
        Ok(Serving { store, stage, parts: ticket.parts, part: 0, offset, output: None, is_near })
    }

    /// The next message; `None` after the last part.
    async fn next(&mut self) -> Result<Option<FlightData>, Status> {
        let Some(part) = self.parts.get(self.part).cloned() else {
            return Ok(None);
        };
        failpoint::at("shuffle.serve").await.map_err(|report| Status::unavailable(report.to_string()))?;
        let stored = || output_id(self.stage, &part).and_then(|id| self.store.get(id));
        let Some(output) = self.output.take().or_else(stored) else {
            return Ok(Some(self.missing()));
        };
        let Some(entry) = output.index().get(part.partition as usize).copied() else {
            return Err(Status::invalid_argument(format!("there is no partition {}", part.partition)));
        };
        if self.offset > entry.len {
            return Err(Status::invalid_argument(format!("offset {} is beyond the partition's end", self.offset)));
        }
        let is_shared = self.is_near && entry.len >= SHARED_PART_BYTES_MIN;
        let shared = is_shared.then(|| output.shared(part.partition, self.offset, SHARED_CHUNKS_MAX)).flatten();
        let shared = shared.map(|shared| place(&shared));
        let (bytes, len) = match &shared {
            Some(shared) => (Bytes::new(), shared.lengths.iter().sum()),
            None => {
                let bytes = stored_bytes(&output, part.partition, self.offset).await?;
                let len = bytes.len() as u64;
                (bytes, len)
            }
        };
        self.offset += len;
        let end =
            (self.offset == entry.len).then_some(PartEnd { bytes: entry.len, rows: entry.rows, crc32: entry.crc32 });
        let mut chunk = ShuffleChunk { part: self.part as u32, end, missing: false, shared, small: Vec::new() };
        match end {
            Some(_) => self.go_on(),
            None => self.output = Some(output),
        }
        let bytes = if end.is_some() && len <= SMALL_PART_BYTES_MAX && chunk.shared.is_none() {
            self.with_small(bytes, &mut chunk.small)
        } else {
            bytes
        };
        Ok(Some(message(&chunk, bytes)))
    }

    /// `bytes`, and after them those of small parts that follow and are in memory.
    fn with_small(&mut self, bytes: Bytes, ends: &mut Vec<PartEnd>) -> Bytes {
        let (mut all, mut len) = (vec![bytes], 0);
        while let Some((bytes_of_next, entry)) = self.next_small() {
            len += bytes_of_next.len();
            if all[0].len() + len > CHUNK_BYTES || ends.len() >= SMALL_PARTS_MAX {
                break;
            }
            all.push(bytes_of_next);
            ends.push(PartEnd { bytes: entry.len, rows: entry.rows, crc32: entry.crc32 });
            self.go_on();
        }
        if ends.is_empty() { all.swap_remove(0) } else { all.concat().into() }
    }

    /// The next part, if it is small.
    fn next_small(&self) -> Option<(Bytes, PartitionIndex)> {
        let part = self.parts.get(self.part).filter(|part| part.offset == 0)?;
        self.store.get(output_id(self.stage, part)?)?.small(part.partition, SMALL_PART_BYTES_MAX)
    }

    fn missing(&mut self) -> FlightData {
        let chunk = ShuffleChunk { part: self.part as u32, missing: true, ..ShuffleChunk::default() };
        self.go_on();
        message(&chunk, Bytes::new())
    }

    fn go_on(&mut self) {
        self.part += 1;
        self.offset = self.parts.get(self.part).map_or(0, |part| part.offset);
    }
}

fn output_id(stage: StageId, part: &ShufflePart) -> Option<MapOutputId> {
    let attempt = part.attempt?.into();
    Some(MapOutputId { task: TaskId { stage, index: part.task }, attempt })
}

fn place(shared: &windrow_engine::shuffle::SharedBytes) -> SharedBytes {
    let SegmentName { process, descriptor, inode } = shared.segment;
    let starts = shared.extents.iter().map(|extent| extent.start).collect();
    let lengths = shared.extents.iter().map(|extent| extent.end - extent.start).collect();
    SharedBytes { process, descriptor, inode, starts, lengths }
}

fn message(chunk: &ShuffleChunk, body: Bytes) -> FlightData {
    FlightData::new().with_app_metadata(chunk.encode_to_vec()).with_data_body(body)
}

/// A slice of what is in memory, or a read off the network's threads.
async fn stored_bytes(output: &Arc<StoredOutput>, partition: u32, offset: u64) -> Result<Bytes, Status> {
    let read = if output.is_in_memory() {
        output.read(partition, offset, CHUNK_BYTES)
    } else {
        let output = Arc::clone(output);
        let reading = tokio::task::spawn_blocking(move || output.read(partition, offset, CHUNK_BYTES));
        reading.await.map_err(|error| Status::internal(error.to_string()))?
    };
    read.map_err(|error| {
        tracing::error!(path = %error.path.display(), error = %error.cause, "cannot read a map output");
        Status::data_loss("the map output cannot be read from disk")
    })
}

#[tonic::async_trait]
impl FlightService for ShuffleService {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoActionStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let ticket = ShuffleTicket::decode(request.into_inner().ticket)
            .map_err(|_| Status::invalid_argument("the ticket is not a shuffle ticket"))?;
        let serving = Serving::new(self, ticket)?;
        let answer = stream::try_unfold(serving, |mut serving| async move {
            Ok(serving.next().await?.map(|message| (message, serving)))
        });
        Ok(Response::new(Box::pin(answer)))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        Err(refused("Handshake"))
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(refused("ListFlights"))
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        Err(refused("GetFlightInfo"))
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(refused("PollFlightInfo"))
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        Err(refused("GetSchema"))
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        Err(refused("DoPut"))
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(refused("DoExchange"))
    }

    async fn do_action(&self, _: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        Err(refused("DoAction"))
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        Err(refused("ListActions"))
    }
}

fn refused(call: &str) -> Status {
    Status::unimplemented(format!("workers serve map outputs only, not {call}"))
}
