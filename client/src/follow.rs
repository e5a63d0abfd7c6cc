//! From a submitted job to its printed rows, the same for an embedded cluster and a remote one.

use std::io::{self, BufWriter, Write};

use serde_json::json;
use windrow_client::Client;
use windrow_client::result::{self, RowStream, StepResult};
use windrow_client::rows::{PrintError, RowFormat, RowPrinter};
use windrow_model::{ErrorKind, ErrorReport, JobId, JobState};
use windrow_proto::Job;

use crate::outcome::{Outcome, printed};
use crate::progress::Progress;
use crate::summary::Summary;

/// Rows are handed to the system in pieces of this size.
const OUT_BUFFER_BYTES: usize = 256 << 10;

/// What Ctrl-C does to a job that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnInterrupt {
    /// The cluster ends with this process anyway.
    CancelJob,
    /// The job belongs to the cluster and goes on.
    Detach,
}

/// Shows progress until the job has ended, prints its rows, and last its summary.
///
/// # Errors
/// The job's own error, with its kind.
pub async fn follow(client: &Client, job: JobId, format: RowFormat, on_interrupt: OnInterrupt) -> Outcome {
    let ended = until_end(client, job, on_interrupt).await?;
    let outcome = match outcome_of(&ended) {
        Ok(()) => tokio::select! {
            printed = print_results(client, &ended, format) => printed,
            _ = tokio::signal::ctrl_c() => Err(PrintError::Report(left_alone(job, on_interrupt))),
        },
        Err(report) => Err(PrintError::Report(report)),
    };
    let summary = Summary::new(&ended, *outcome.as_ref().unwrap_or(&0));
    match format {
        RowFormat::Json => eprintln!("{}", summary.object()),
        RowFormat::Table | RowFormat::Csv => eprintln!("{}", summary.line(on_interrupt == OnInterrupt::CancelJob)),
    }
    printed(outcome.map(|_| ()))
}

async fn until_end(client: &Client, job: JobId, on_interrupt: OnInterrupt) -> Outcome<Job> {
    let mut progress = Progress::new();
    let mut updates = client.watch(job).await?;
    let mut last = None;
    let mut interrupted = false;
    loop {
        tokio::select! {
            update = updates.next() => match update {
                Ok(Some(update)) => {
                    progress.show(&update);
                    last = Some(update);
                }
                Ok(None) => break,
                Err(report) => {
                    progress.clear();
                    return Err(report);
                }
            },
            _ = tokio::signal::ctrl_c() => {
                progress.clear();
                if on_interrupt == OnInterrupt::Detach || interrupted {
                    return Err(left_alone(job, on_interrupt));
                }
                interrupted = true;
                client.cancel(job).await?;
            }
        }
    }
    progress.clear();
    match last {
        Some(job) => Ok(job),
        None => client.job(job).await,
    }
}

fn left_alone(job: JobId, on_interrupt: OnInterrupt) -> ErrorReport {
    let report = ErrorReport::new(ErrorKind::Cancelled, format!("stopped waiting for {job}"));
    match on_interrupt {
        OnInterrupt::CancelJob => report,
        OnInterrupt::Detach => report
            .with_detail("the job itself goes on")
            .with_hint(format!("`windrow job {job}` shows it, `windrow cancel {job}` ends it")),
    }
}

/// A job's end as the outcome of the command that waited for it.
pub fn outcome_of(job: &Job) -> Outcome {
    match (JobState::from_name(&job.state), &job.error) {
        (Some(JobState::Succeeded), _) => Ok(()),
        (_, Some(report)) => Err(report.clone().into()),
        (Some(JobState::Cancelled), None) => {
            Err(ErrorReport::new(ErrorKind::Cancelled, format!("{} was cancelled", JobId(job.id)))
                .with_detail(job.reason.clone()))
        }
        (_, None) => Err(ErrorReport::internal(format!("{} ended as `{}`", JobId(job.id), job.state))
            .with_detail(job.reason.clone())),
    }
}

/// Prints what every step has for the client and returns the number of rows.
pub async fn print_results(client: &Client, job: &Job, format: RowFormat) -> Result<u64, PrintError> {
    let mut rows = 0;
    for (at, step) in job.result_steps.iter().enumerate() {
        if at > 0 && format != RowFormat::Json {
            writeln!(io::stdout())?;
        }
        rows += print_step(client, JobId(job.id), *step, format).await?;
    }
    Ok(rows)
}

/// Prints one step's rows or text and returns the number of rows.
pub async fn print_step(client: &Client, job: JobId, step: u32, format: RowFormat) -> Result<u64, PrintError> {
    match result::open(client, job, step).await? {
        StepResult::Rows(rows) => print_rows(*rows, format).await,
        StepResult::Text(text) => print_text(&text, format).map(|()| 0),
    }
}

/// Text is data too: with `--output json` it is an object.
pub fn print_text(text: &str, format: RowFormat) -> Result<(), PrintError> {
    let mut out = io::stdout().lock();
    match format {
        RowFormat::Json => writeln!(out, "{}", json!({ "text": text }))?,
        RowFormat::Table | RowFormat::Csv => writeln!(out, "{}", text.trim_end())?,
    }
    Ok(out.flush()?)
}

async fn print_rows(mut stream: RowStream, format: RowFormat) -> Result<u64, PrintError> {
    let out = BufWriter::with_capacity(OUT_BUFFER_BYTES, io::stdout());
    let mut printer = RowPrinter::start(format, stream.schema(), out)?;
    let mut rows = 0;
    while let Some(batch) = stream.next().await? {
        printer.print(&batch)?;
        rows += batch.num_rows() as u64;
    }
    printer.finish()?;
    Ok(rows)
}
