//! Rows of a finished job, read from the workers that hold them.
//!
//! The coordinator says where the parts are; each part is one Arrow IPC stream, fetched over Arrow Flight only as
//! fast as its rows are taken, so that a large result sits in nobody's memory.

mod decode;
mod fetch;
mod peers;
mod verify;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use windrow_model::{ErrorReport, JobId, MapOutputId, WorkerId};
use windrow_proto::{InvalidMessage, ResultPart};

use crate::Client;
use decode::PartDecoder;
pub use fetch::RowStream;

/// What a step of a job has for its client.
#[derive(Debug)]
pub enum StepResult {
    /// To be printed as it is (`EXPLAIN`).
    Text(String),
    Rows(Box<RowStream>),
}

/// Asks where the rows of a step are.
///
/// # Errors
/// `NotFound` if the job or its result is not there (any more), `Unavailable` if the coordinator is not.
pub async fn open(client: &Client, job: JobId, step: u32) -> Result<StepResult, ErrorReport> {
    let response = client.result_parts(job, step).await?;
    if response.schema.is_empty() {
        return Ok(StepResult::Text(response.text));
    }
    let schema = decode_schema(response.schema)?;
    let parts = read_parts(response.parts)?;
    Ok(StepResult::Rows(Box::new(RowStream::new(client.clone(), job, step, schema, parts))))
}

fn decode_schema(stream: Bytes) -> Result<SchemaRef, ErrorReport> {
    let mut decoder = PartDecoder::default();
    let unexpected = || ErrorReport::internal("the coordinator sent a result schema that cannot be read");
    decoder.push(stream);
    match decoder.next() {
        Ok(None) => decoder.schema().ok_or_else(unexpected),
        Ok(Some(_)) => Err(unexpected().with_detail("it holds rows")),
        Err(error) => Err(unexpected().with_detail(error.to_string())),
    }
}

/// One task's rows, where they are now.
#[derive(Clone, Debug)]
struct Part {
    output: MapOutputId,
    worker: WorkerId,
    address: String,
    inline: Option<Bytes>,
    rows: u64,
    bytes: u64,
}

impl TryFrom<ResultPart> for Part {
    type Error = InvalidMessage;

    fn try_from(part: ResultPart) -> Result<Self, InvalidMessage> {
        Ok(Part {
            output: windrow_proto::required(part.output, "ResultPart.output")?.try_into()?,
            worker: WorkerId(part.worker),
            address: part.address,
            inline: part.inline,
            rows: part.rows,
            bytes: part.bytes,
        })
    }
}

fn read_parts(parts: Vec<ResultPart>) -> Result<Vec<Part>, ErrorReport> {
    Ok(parts.into_iter().map(Part::try_from).collect::<Result<_, _>>()?)
}
