//! Connections to the workers that hold parts: one per worker, however many parts it has.

use std::collections::HashMap;
use std::time::Duration;

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, Ticket};
use prost::Message;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};
use windrow_proto::{ShufflePart, ShuffleTicket};

use super::Part;
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
}

impl Peers {
    /// Asks the part's worker for its bytes from `offset` on. An error is text: what to do follows from the place.
    pub async fn get(&mut self, part: &Part, offset: u64) -> Result<Streaming<FlightData>, String> {
        let ticket = Ticket { ticket: ticket(part, offset).encode_to_vec().into() };
        let mut client = self.client(&part.address).await?;
        let answer = client.do_get(ticket).await.map_err(|status| describe(&status))?;
        Ok(answer.into_inner())
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
    }
}

/// A status in words, with the cause that its message leaves out.
pub(super) fn describe(status: &tonic::Status) -> String {
    match std::error::Error::source(status) {
        Some(_) => innermost(status),
        None => status.message().to_owned(),
    }
}
