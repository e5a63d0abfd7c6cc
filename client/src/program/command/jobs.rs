//! Short commands of a client: lists, reasons, results, cancellation.

use std::io;

use crate::Client;
use crate::rows::{Listing, RowFormat};
use serde_json::json;
use windrow_model::{ErrorKind, ErrorReport, JobId, JobState, format_bytes};

use crate::program::cli::{CancelArgs, DrainArgs, JobsArgs, ResultArgs, TextOutput, WhyArgs, WorkersArgs};
use crate::program::follow::{outcome_of, print_results, print_step, print_text};
use crate::program::outcome::{Outcome, printed};
use crate::program::view::{job_line_object, size, span, worker_name, worker_object};

pub async fn list(args: JobsArgs) -> Outcome {
    let client = Client::connect(&args.cluster.coordinator).await?;
    let mut listing = Listing::new(&["job", "name", "state", "priority", "submitted by", "waited", "ran", "error"]);
    for job in client.jobs(args.all).await? {
        let spec = job.spec.clone().unwrap_or_default();
        let started = if job.started_us == 0 { job.ended_us } else { job.started_us };
        let cells = vec![
            JobId(job.id).to_string(),
            spec.name,
            job.state.clone(),
            spec.priority.to_string(),
            spec.submitted_by,
            span(job.submitted_us, started),
            span(job.started_us, job.ended_us),
            job.error.as_ref().map(|error| error.what.clone()).unwrap_or_default(),
        ];
        listing.push(cells, job_line_object(&job));
    }
    printed(listing.print(args.output.into(), io::stdout().lock()))
}

pub async fn workers(args: WorkersArgs) -> Outcome {
    let client = Client::connect(&args.cluster.coordinator).await?;
    let mut listing =
        Listing::new(&["worker", "state", "host", "pid", "slots", "free", "memory", "rss", "rss peak", "address"]);
    for worker in client.workers().await? {
        let cells = vec![
            worker_name(worker.id),
            worker.state.clone(),
            worker.host.clone(),
            worker.process_id.to_string(),
            worker.slots.to_string(),
            worker.slots_free.to_string(),
            format_bytes(worker.memory_bytes),
            size(worker.rss_bytes),
            size(worker.rss_peak_bytes),
            worker.address.clone(),
        ];
        listing.push(cells, worker_object(&worker));
    }
    printed(listing.print(args.output.into(), io::stdout().lock()))
}

pub async fn why(args: WhyArgs) -> Outcome {
    let client = Client::connect(&args.cluster.coordinator).await?;
    let reasons = client.why(args.id).await?;
    let text = match args.output {
        TextOutput::Json => json!({ "job": args.id.to_string(), "reasons": reasons }).to_string(),
        TextOutput::Table => reasons.join("\n"),
    };
    printed(print_text(&text, RowFormat::Table))
}

/// Rows of a job that has succeeded; an unfinished or failed job has none.
pub async fn result(args: ResultArgs) -> Outcome {
    let client = Client::connect(&args.cluster.coordinator).await?;
    let job = client.job(args.id).await?;
    if !JobState::from_name(&job.state).is_some_and(JobState::is_final) {
        return Err(ErrorReport::new(ErrorKind::Unavailable, format!("{} is still {}", args.id, job.state))
            .with_hint(format!("`windrow job {}` shows how far it is", args.id)));
    }
    outcome_of(&job)?;
    let format = args.output.into();
    let rows = match args.step {
        Some(step) => print_step(&client, args.id, step, format).await,
        None if job.result_steps.is_empty() => return Err(no_rows(&job)),
        None => print_results(&client, &job, format).await,
    };
    printed(rows.map(|_| ()))
}

fn no_rows(job: &windrow_proto::Job) -> ErrorReport {
    let report = ErrorReport::new(ErrorKind::NotFound, format!("{} has no rows for its client", JobId(job.id)));
    match job.files.len() {
        0 => report.with_hint("end the job with a SELECT to get rows"),
        files => report
            .with_detail(format!("it wrote {files} files"))
            .with_hint(format!("`windrow job {}` lists them", JobId(job.id))),
    }
}

pub async fn cancel(args: CancelArgs) -> Outcome {
    let client = Client::connect(&args.cluster.coordinator).await?;
    let job = client.cancel(args.id).await?;
    let text = match args.output {
        TextOutput::Json => job_line_object(&job).to_string(),
        TextOutput::Table => format!("{} {}", args.id, job.state),
    };
    printed(print_text(&text, RowFormat::Table))
}

pub async fn drain(args: DrainArgs) -> Outcome {
    let client = Client::connect(&args.cluster.coordinator).await?;
    let worker = client.drain(args.worker, args.deadline).await?;
    let text = match args.output {
        TextOutput::Json => worker_object(&worker).to_string(),
        TextOutput::Table => format!("{} {}", args.worker, worker.state),
    };
    printed(print_text(&text, RowFormat::Table))
}
