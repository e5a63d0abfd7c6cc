//! From a submitted job to its printed rows, the same for an embedded cluster and a remote one.

use std::io::{self, BufWriter, Write};
use std::time::{Duration, Instant};

use crate::result::{self, RowStream, StepResult};
use crate::rows::{PrintError, RowFormat, RowPrinter};
use crate::{Client, JobUpdates};
use serde_json::json;
use windrow_model::{ErrorKind, ErrorReport, JobId, JobState};
use windrow_proto::Job;

use crate::program::outcome::{Outcome, printed};
use crate::program::progress::Progress;
use crate::program::summary::Summary;

/// Rows are handed to the system in pieces of this size.
const OUT_BUFFER_BYTES: usize = 256 << 10;

/// A coordinator that went away is looked for for so long: a standby takes over, or a restart ends, within seconds.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_PAUSE: Duration = Duration::from_millis(250);

/// Where a job that is followed runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunsOn<'a> {
    /// A cluster that ends with this process: Ctrl-C cancels the job.
    ThisProcess,
    /// The cluster of these coordinators, to which it belongs: Ctrl-C leaves it alone, and when a coordinator goes away
    /// the next one is looked for.
    Cluster { coordinators: &'a str },
}

/// Shows progress until the job has ended, prints its rows, and last its summary.
///
/// # Errors
/// The job's own error, with its kind.
pub async fn follow(client: Client, job: JobId, format: RowFormat, runs_on: RunsOn<'_>) -> Outcome {
    let (client, ended) = until_end(client, job, runs_on).await?;
    let outcome = match outcome_of(&ended) {
        Ok(()) => tokio::select! {
            printed = print_results(&client, &ended, format) => printed,
            _ = tokio::signal::ctrl_c() => Err(PrintError::Report(left_alone(job, runs_on))),
        },
        Err(report) => Err(PrintError::Report(report)),
    };
    let summary = Summary::new(&ended, *outcome.as_ref().unwrap_or(&0));
    match format {
        RowFormat::Json => eprintln!("{}", summary.object()),
        RowFormat::Table | RowFormat::Csv => eprintln!("{}", summary.line(runs_on == RunsOn::ThisProcess)),
    }
    printed(outcome.map(|_| ()))
}

/// The job at its end, and the client of the coordinator that told it.
async fn until_end(mut client: Client, job: JobId, runs_on: RunsOn<'_>) -> Outcome<(Client, Job)> {
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
                    (client, updates) = tokio::select! {
                        found = find_next_leader(job, runs_on, report) => found?,
                        _ = tokio::signal::ctrl_c() => return Err(left_alone(job, runs_on)),
                    };
                }
            },
            _ = tokio::signal::ctrl_c() => {
                progress.clear();
                if runs_on != RunsOn::ThisProcess || interrupted {
                    return Err(left_alone(job, runs_on));
                }
                interrupted = true;
                client.cancel(job).await?;
            }
        }
    }
    progress.clear();
    let ended = match last {
        Some(job) => job,
        None => client.job(job).await?,
    };
    Ok((client, ended))
}

/// The coordinator has gone, and jobs outlive it: whoever leads next tells how this one goes on.
async fn find_next_leader(job: JobId, runs_on: RunsOn<'_>, gone: ErrorReport) -> Outcome<(Client, JobUpdates)> {
    let coordinators = match runs_on {
        RunsOn::Cluster { coordinators } if gone.kind == ErrorKind::Unavailable => coordinators,
        RunsOn::Cluster { .. } | RunsOn::ThisProcess => return Err(gone),
    };
    eprintln!("the coordinator has gone; {job} goes on, waiting for the next coordinator …");
    let began = Instant::now();
    loop {
        let watched = async {
            let client = Client::connect(coordinators).await?;
            let updates = client.watch(job).await?;
            Ok((client, updates))
        };
        match watched.await {
            Ok(found) => return Ok(found),
            Err(ErrorReport { kind: ErrorKind::Unavailable, .. }) if began.elapsed() < PATIENCE => {}
            Err(report) => return Err(report),
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

fn left_alone(job: JobId, runs_on: RunsOn<'_>) -> ErrorReport {
    let report = ErrorReport::new(ErrorKind::Cancelled, format!("stopped waiting for {job}"));
    match runs_on {
        RunsOn::ThisProcess => report,
        RunsOn::Cluster { .. } => report
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
