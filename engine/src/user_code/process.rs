//! Runs a process over the rows of a partition: its input is written while its output is read.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use windrow_model::{ErrorReport, Framing};

use super::PlacedCode;
use super::frames::{FrameReader, FrameWriter};
use super::host::HostedProcess;
use super::lines::LineReader;
use super::run::{Output, failed};
use crate::sink::lines_of;

/// One read of a process's output.
const READ_BYTES: usize = 256 << 10;

/// How long nothing may come of a process's output when the process has ended: what it has started may hold it open.
const OUTPUT_AFTER_END: std::time::Duration = std::time::Duration::from_secs(1);

/// How the input of a process has ended.
#[derive(PartialEq)]
enum Fed {
    All,
    /// The process has ended, or has closed its standard input.
    Refused,
}

/// Errors of the program carry its name.
pub async fn run(
    code: &PlacedCode,
    framing: Framing,
    process: HostedProcess,
    input: SendableRecordBatchStream,
    out: &Output,
) -> Result<()> {
    let HostedProcess { input: stdin, output: mut stdout, ended, unread, guard } = process;
    let is_over = CancellationToken::new();
    let feeding = async {
        tokio::select! {
            fed = feed(code, framing, input, stdin) => fed,
            () = is_over.cancelled() => Ok(Fed::Refused),
        }
    };
    let reading = read(code, framing, &mut stdout, out, &is_over);
    let ending = async {
        let ended = ended.await;
        is_over.cancel();
        Ok::<_, DataFusionError>(ended)
    };
    // An input that cannot be read, or a reader that has gone, ends the process: its guard is dropped.
    let (fed, (), ended) = tokio::try_join!(feeding, reading, ending)?;
    drop(guard);
    ended.map_err(|report| failed(code.failure(report)))?;
    let left = unread();
    if fed == Fed::Refused || left > 0 {
        return Err(failed(describe(code, "it has ended well before it had read all of its input")));
    }
    Ok(())
}

async fn feed(
    code: &PlacedCode,
    framing: Framing,
    mut input: SendableRecordBatchStream,
    mut stdin: Box<dyn tokio::io::AsyncWrite + Send + Unpin>,
) -> Result<Fed> {
    let mut frames = match framing {
        Framing::Lines => None,
        Framing::Arrow => Some(FrameWriter::new(&input.schema())?),
    };
    loop {
        let batch = input.try_next().await?;
        let bytes = match (&mut frames, &batch) {
            (None, Some(batch)) => lines_of(batch, code.keys.separator)?,
            (None, None) => Vec::new(),
            (Some(frames), batch) => {
                match batch {
                    Some(batch) => frames.write(batch)?,
                    None => frames.finish()?,
                }
                frames.take()
            }
        };
        if stdin.write_all(&bytes).await.is_err() {
            return Ok(Fed::Refused);
        }
        if batch.is_none() {
            break;
        }
    }
    // What a pipe has taken is there; closing it cannot fail in a way that says more.
    let _ = stdin.shutdown().await;
    Ok(Fed::All)
}

async fn read(
    code: &PlacedCode,
    framing: Framing,
    stdout: &mut (dyn tokio::io::AsyncRead + Send + Unpin),
    out: &Output,
    is_over: &CancellationToken,
) -> Result<()> {
    let mut reader = match framing {
        Framing::Lines => Reader::Lines(LineReader::new(separator(code), code.keys.fields)),
        Framing::Arrow => Reader::Frames(FrameReader::new(Arc::clone(&code.schema))),
    };
    let wrong = |detail: String| failed(describe(code, &format!("its output cannot be read: {detail}")));
    let mut buffer = vec![0; READ_BYTES];
    let mut ready = Vec::new();
    loop {
        let late = async {
            is_over.cancelled().await;
            tokio::time::sleep(OUTPUT_AFTER_END).await;
        };
        let read = tokio::select! {
            read = stdout.read(&mut buffer) => read.map_err(|error| wrong(error.to_string()))?,
            () = late => return Err(failed(describe(code, "something that it has started holds its output open"))),
        };
        match read {
            0 => reader.finish(&mut ready).map_err(wrong)?,
            read => reader.push(&buffer[..read], &mut ready).map_err(wrong)?,
        }
        for batch in ready.drain(..) {
            if out.send(Ok(batch)).await.is_err() {
                return internal_err!("nobody reads the rows any more");
            }
        }
        if read == 0 {
            return Ok(());
        }
    }
}

/// What understands a process's output.
enum Reader {
    Lines(LineReader),
    Frames(FrameReader),
}

impl Reader {
    fn push(&mut self, bytes: &[u8], ready: &mut Vec<RecordBatch>) -> Result<(), String> {
        match self {
            Reader::Lines(lines) => lines.push(bytes, ready),
            Reader::Frames(frames) => frames.push(bytes, ready),
        }
    }

    fn finish(&mut self, ready: &mut Vec<RecordBatch>) -> Result<(), String> {
        match self {
            Reader::Lines(lines) => {
                ready.extend(lines.finish()?);
                Ok(())
            }
            Reader::Frames(frames) => frames.finish(),
        }
    }
}

/// Separators of one byte are all that is accepted.
fn separator(code: &PlacedCode) -> u8 {
    u8::try_from(code.keys.separator).unwrap_or(b'\t')
}

fn describe(code: &PlacedCode, what: &str) -> ErrorReport {
    code.failure(ErrorReport::invalid(what))
}
