//! Connections to the workers that hold parts: one per worker, however many parts it has.
//!
//! A worker that cannot be reached from here is read through the coordinator, which reaches it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, Ticket};
use prost::Message;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};
use windrow_proto::{PartPiece, ShuffleChunk, ShufflePart, ShuffleTicket};

use super::Part;
use crate::Client;
use crate::errors::innermost;

/// A worker that does not answer within this time is taken for gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A worker that is silent for so long while it sends is asked whether it is there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a part that may be under way before the client has taken rows.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
/// A worker sends stored bytes in pieces well below this.
const FLIGHT_MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Clients by Flight address.
#[derive(Debug, Default)]
pub(super) struct Peers {
    clients: HashMap<String, FlightServiceClient<Channel>>,
    /// Workers that did not answer here; they are not tried again, because each try may take its whole time.
    unreachable: HashSet<String>,
}

/// The bytes of a part as they arrive.
#[derive(Debug)]
pub(super) enum Pieces {
    Direct(Streaming<FlightData>),
    Relayed(Streaming<PartPiece>),
}

impl Pieces {
    /// The next piece, or `None` where the sender has ended.
    pub async fn next(&mut self) -> Result<Option<PartPiece>, String> {
        match self {
            Pieces::Relayed(pieces) => pieces.message().await.map_err(|status| describe(&status)),
            Pieces::Direct(messages) => {
                let Some(message) = messages.message().await.map_err(|status| describe(&status))? else {
                    return Ok(None);
                };
                let chunk = ShuffleChunk::decode(message.app_metadata)
                    .map_err(|error| format!("the worker's answer cannot be read: {error}"))?;
                Ok(Some(PartPiece { body: message.data_body, end: chunk.end, missing: chunk.missing }))
            }
        }
    }
}

impl Peers {
    /// Asks the part's worker, or the coordinator in its place, for the part's bytes from `offset` on.
    /// An error is text: what to do follows from the place.
    pub async fn get(&mut self, coordinator: &Client, part: &Part, offset: u64) -> Result<Pieces, String> {
        if !self.unreachable.contains(&part.address) {
            match self.client(&part.address).await {
                Ok(mut client) => {
                    let ticket = Ticket { ticket: ticket(part, offset).encode_to_vec().into() };
                    let answer = client.do_get(ticket).await.map_err(|status| describe(&status))?;
                    return Ok(Pieces::Direct(answer.into_inner()));
                }
                Err(cause) => {
                    tracing::debug!(worker = %part.worker, address = part.address, cause, "read through the coordinator");
                    self.unreachable.insert(part.address.clone());
                }
            }
        }
        let relayed = coordinator.read_part(part.output, part.worker, offset).await;
        relayed.map(Pieces::Relayed).map_err(|status| describe(&status))
    }

    async fn client(&mut self, address: &str) -> Result<FlightServiceClient<Channel>, String> {
        if let Some(client) = self.clients.get(address) {
            return Ok(client.clone());
        }
        let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|error| error.to_string())?;
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(STREAM_WINDOW_BYTES)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .connect()
            .await
            .map_err(|error| innermost(&error))?;
        let client = FlightServiceClient::new(channel).max_decoding_message_size(FLIGHT_MESSAGE_BYTES_MAX);
        self.clients.insert(address.to_owned(), client.clone());
        Ok(client)
    }

    /// Makes the next request open a new connection.
    pub fn forget(&mut self, address: &str) {
        self.clients.remove(address);
    }
}

fn ticket(part: &Part, offset: u64) -> ShuffleTicket {
    let task = part.output.task;
    ShuffleTicket {
        job: task.stage.job.0,
        stage: task.stage.index,
        parts: vec![ShufflePart { task: task.index, attempt: Some(part.output.attempt.into()), partition: 0, offset }],
        host: String::new(),
    }
}

/// A status in words, with the cause that its message leaves out.
pub(super) fn describe(status: &tonic::Status) -> String {
    match std::error::Error::source(status) {
        Some(_) => innermost(status),
        None => status.message().to_owned(),
    }
}
