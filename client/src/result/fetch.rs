//! Fetches parts one after the other and recovers from the loss of a worker.
//!
//! A small part is read and verified whole before its first row is handed out, so it can be fetched again from
//! anywhere. A large part is handed out as it arrives; after a loss it goes on at the byte where it stopped, which
//! only the same attempt's output allows. Another attempt may order its rows otherwise, so then the read fails.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use windrow_model::{ErrorKind, ErrorReport, JobId};
use windrow_proto::PartEnd;

use super::decode::PartDecoder;
use super::peers::{Peers, Pieces};
use super::verify::Arrived;
use super::{Part, read_parts};
use crate::Client;

/// Parts up to this size are verified whole before their rows are handed out.
const PART_BUFFER_BYTES_MAX: u64 = 16 << 20;
/// Times a read recovers from lost parts before it gives up.
const RECOVERIES_MAX: u32 = 8;

/// The rows of one step, in order.
#[derive(Debug)]
pub struct RowStream {
    client: Client,
    job: JobId,
    step: u32,
    schema: SchemaRef,
    parts: Vec<Part>,
    /// Index of the part that is read now.
    at: usize,
    reading: Option<Reading>,
    peers: Peers,
    recoveries: u32,
}

/// A part in the middle of being read.
#[derive(Debug, Default)]
struct Reading {
    decoder: PartDecoder,
    arrived: Arrived,
    /// `None` once everything has arrived, and while the connection is broken.
    stream: Option<Pieces>,
    end: Option<PartEnd>,
    rows_out: u64,
}

/// Why a part could not be read on.
enum Trouble {
    /// The connection to the worker broke; the bytes may still be there.
    Broken(String),
    /// The worker does not have the output (any more).
    Missing,
    /// The bytes are not those that were stored.
    Corrupt(String),
}

impl RowStream {
    pub(super) fn new(client: Client, job: JobId, step: u32, schema: SchemaRef, parts: Vec<Part>) -> RowStream {
        RowStream { client, job, step, schema, parts, at: 0, reading: None, peers: Peers::default(), recoveries: 0 }
    }

    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Rows of the whole result, as its workers counted them.
    pub fn rows_total(&self) -> u64 {
        self.parts.iter().map(|part| part.rows).sum()
    }

    /// The next rows, or `None` at the end. A result that cannot be read to its end is always an error.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, ErrorReport> {
        while self.at < self.parts.len() {
            match self.read_on().await {
                Ok(Some(batch)) => return Ok(Some(batch)),
                Ok(None) => {
                    self.at += 1;
                    self.reading = None;
                }
                Err(trouble) => self.recover(trouble).await?,
            }
        }
        Ok(None)
    }

    /// The next rows of the current part, or `None` at its verified end.
    async fn read_on(&mut self) -> Result<Option<RecordBatch>, Trouble> {
        let part = &self.parts[self.at];
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => start(part, &mut self.peers, &self.client).await?,
        };
        let outcome = reading.next(part, &mut self.peers, &self.client).await;
        self.reading = Some(reading);
        outcome
    }

    async fn recover(&mut self, trouble: Trouble) -> Result<(), ErrorReport> {
        self.recoveries += 1;
        let old = self.parts[self.at].clone();
        self.peers.forget(&old.address);
        let reading = self.reading.take().filter(|reading| reading.rows_out > 0);
        if self.recoveries > RECOVERIES_MAX || (reading.is_some() && matches!(trouble, Trouble::Corrupt(_))) {
            return Err(unreadable(&old, &trouble));
        }
        tracing::warn!(output = %old.output, worker = %old.worker, cause = trouble.describe(), "part lost");
        // The first broken connection may be a passing fault: the same worker is asked once more.
        let first = self.recoveries == 1 && matches!(trouble, Trouble::Broken(_));
        if !first {
            self.client.report_unreachable(old.output, old.worker).await?;
            let parts = read_parts(self.client.result_parts(self.job, self.step).await?.parts)?;
            // Rows of an earlier part came from a run that was thrown away: those of this one may repeat or lack some.
            let earlier = self.parts[..self.at].iter().zip(&parts);
            if let Some((gone, _)) = earlier.into_iter().find(|(was, is)| was.rows > 0 && was.output != is.output) {
                return Err(moved(gone, gone.rows));
            }
            self.parts = parts;
        }
        let Some(new) = self.parts.get(self.at) else {
            return Err(ErrorReport::internal(format!("the result of {} has fewer parts than before", self.job)));
        };
        match reading {
            Some(reading) if new.output != old.output => Err(moved(&old, reading.rows_out)),
            reading => {
                self.reading = reading.map(|reading| Reading { stream: None, ..reading });
                Ok(())
            }
        }
    }
}

async fn start(part: &Part, peers: &mut Peers, client: &Client) -> Result<Reading, Trouble> {
    let mut reading = Reading::default();
    if let Some(inline) = &part.inline {
        reading.decoder.push(inline.clone());
        reading.arrived.push(inline);
        let crc32 = crc32fast::hash(inline);
        reading.end = Some(PartEnd { bytes: inline.len() as u64, rows: part.rows, crc32 });
        return Ok(reading);
    }
    if part.bytes <= PART_BUFFER_BYTES_MAX {
        while reading.end.is_none() {
            reading.receive(part, peers, client).await?;
        }
    }
    Ok(reading)
}

impl Reading {
    async fn next(&mut self, part: &Part, peers: &mut Peers, client: &Client) -> Result<Option<RecordBatch>, Trouble> {
        loop {
            let decoded = self.decoder.next().map_err(|error| Trouble::Corrupt(error.to_string()))?;
            if let Some(batch) = decoded {
                self.rows_out += batch.num_rows() as u64;
                if batch.num_rows() > 0 {
                    return Ok(Some(batch));
                }
                continue;
            }
            match self.end {
                Some(end) => return self.finish(&end).map(|()| None),
                None => self.receive(part, peers, client).await?,
            }
        }
    }

    /// Takes one message from the worker, connecting first if need be.
    async fn receive(&mut self, part: &Part, peers: &mut Peers, client: &Client) -> Result<(), Trouble> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let stream = peers.get(client, part, self.arrived.bytes).await.map_err(Trouble::Broken)?;
                self.stream.insert(stream)
            }
        };
        let piece = stream.next().await.map_err(Trouble::Broken)?;
        let piece = piece.ok_or_else(|| Trouble::Broken("the worker ended the stream too early".to_owned()))?;
        if piece.missing {
            return Err(Trouble::Missing);
        }
        self.take(piece.body, piece.end)
    }

    fn take(&mut self, body: Bytes, end: Option<PartEnd>) -> Result<(), Trouble> {
        self.arrived.push(&body);
        self.decoder.push(body);
        let Some(end) = end else { return Ok(()) };
        if let Some(difference) = self.arrived.differs(&end) {
            return Err(Trouble::Corrupt(difference));
        }
        self.stream = None;
        self.end = Some(end);
        Ok(())
    }

    fn finish(&mut self, end: &PartEnd) -> Result<(), Trouble> {
        self.decoder.finish().map_err(|error| Trouble::Corrupt(error.to_string()))?;
        if self.rows_out != end.rows {
            return Err(Trouble::Corrupt(format!("{} rows arrived of {}", self.rows_out, end.rows)));
        }
        Ok(())
    }
}

impl Trouble {
    fn describe(&self) -> &str {
        match self {
            Trouble::Broken(detail) | Trouble::Corrupt(detail) => detail,
            Trouble::Missing => "the worker does not have the output any more",
        }
    }
}

fn unreadable(part: &Part, trouble: &Trouble) -> ErrorReport {
    let kind = match trouble {
        Trouble::Corrupt(_) => ErrorKind::Corrupt,
        Trouble::Broken(_) | Trouble::Missing => ErrorKind::Unavailable,
    };
    ErrorReport::new(kind, format!("cannot read the {} from {} at {}", part.output, part.worker, part.address))
        .with_detail(trouble.describe())
        .with_hint("look at that worker's log; `windrow result` reads the result again")
}

fn moved(part: &Part, rows_out: u64) -> ErrorReport {
    ErrorReport::new(ErrorKind::Unavailable, format!("{} was lost while its rows were read", part.worker))
        .with_detail(format!("{rows_out} rows of the {} were already handed out", part.output))
        .with_hint("read the result again with `windrow result`: its rows have been recomputed")
}
