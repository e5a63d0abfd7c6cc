//! Passes parts of results on to clients that cannot reach the workers.
//!
//! The coordinator holds a few messages of a part at a time: the worker sends as fast as the client reads.

use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, Ticket};
use futures::stream::{BoxStream, StreamExt};
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::Endpoint;
use tonic::{Status, Streaming};
use windrow_model::{ErrorKind, ErrorReport, MapOutputId, WorkerId};
use windrow_proto as wire;
use windrow_scheduler::JobView;

use crate::call::ToDriver;
use crate::results::no_such_job;
use crate::state::State;

/// Parts passed on at once; later clients wait. Each holds at most its window.
const RELAYS_MAX: usize = 64;
/// Bytes of one part that may be on their way from the worker.
const WINDOW_BYTES: u32 = 1 << 20;
/// A worker that does not answer within this time is taken for gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A worker that is silent while it sends is asked this often whether it is there, and has as long to answer.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// Workers send stored bytes in pieces well below this.
const FLIGHT_MESSAGE_BYTES_MAX: usize = 64 << 20;

/// The relay of one coordinator.
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    driver: ToDriver,
    permits: Arc<Semaphore>,
}

/// One part on its way.
pub(crate) type Pieces = BoxStream<'static, Result<wire::PartPiece, Status>>;

impl Relay {
    pub(crate) fn new(driver: ToDriver) -> Relay {
        Relay { driver, permits: Arc::new(Semaphore::new(RELAYS_MAX)) }
    }

    /// The bytes of one part of a result from `offset` on.
    ///
    /// Errors: `NotFound` if no result has that part there, `Unavailable` if the worker cannot be reached either.
    pub(crate) async fn read(&self, output: MapOutputId, worker: WorkerId, offset: u64) -> Result<Pieces, ErrorReport> {
        let address = self.driver.query(move |state| address_of(state, output, worker)).await??;
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        let unreachable = |detail: String| {
            ErrorReport::new(ErrorKind::Unavailable, format!("{worker} at {address} cannot be reached"))
                .with_detail(detail)
                .with_hint("`windrow workers` shows whether it is still there")
        };
        let channel = endpoint(&address).map_err(&unreachable)?.connect().await;
        let channel = channel.map_err(|error| unreachable(error.to_string()))?;
        let mut client = FlightServiceClient::new(channel).max_decoding_message_size(FLIGHT_MESSAGE_BYTES_MAX);
        let ticket = Ticket { ticket: ticket(output, offset).encode_to_vec().into() };
        let answer = client.do_get(ticket).await.map_err(|status| unreachable(status.message().to_owned()))?;
        Ok(pass_on(answer.into_inner(), permit))
    }
}

/// Where a part of a kept result is; tickets for anything else are not passed on.
fn address_of(state: &State, output: MapOutputId, worker: WorkerId) -> Result<String, ErrorReport> {
    let job = output.task.stage.job;
    let view = state.scheduler.job(job).ok_or_else(|| no_such_job(job))?;
    let holds = |view: JobView<'_>| {
        let parts = view.result_steps().filter_map(|step| state.scheduler.result_outputs(job, step)).flatten();
        parts.into_iter().any(|part| part.output == output && part.worker == Some(worker))
    };
    match holds(view) {
        true => Ok(state.fleet.address(worker)),
        false => Err(ErrorReport::new(ErrorKind::NotFound, format!("the {output} is no part of a result on {worker}"))
            .with_hint("ask again where the parts are: the result may have been computed anew")),
    }
}

fn endpoint(address: &str) -> Result<Endpoint, String> {
    let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|error| error.to_string())?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE))
}

fn ticket(output: MapOutputId, offset: u64) -> wire::ShuffleTicket {
    let task = output.task;
    let part = wire::ShufflePart { task: task.index, attempt: Some(output.attempt.into()), partition: 0, offset };
    wire::ShuffleTicket { job: task.stage.job.0, stage: task.stage.index, parts: vec![part], host: String::new() }
}

fn pass_on(from_worker: Streaming<FlightData>, permit: OwnedSemaphorePermit) -> Pieces {
    let pieces = from_worker.map(move |message| {
        let _held = &permit;
        let message = message?;
        let chunk = wire::ShuffleChunk::decode(message.app_metadata)
            .map_err(|error| Status::data_loss(format!("the worker's answer cannot be read: {error}")))?;
        Ok(wire::PartPiece { body: message.data_body, end: chunk.end, missing: chunk.missing })
    });
    pieces.boxed()
}
