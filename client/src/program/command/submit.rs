//! `windrow submit`: hands a job to a running cluster.

use crate::Client;
use crate::job_file::Job;
use crate::rows::{PrintError, RowFormat};
use serde_json::json;

use super::load::{load, set_up};
use crate::program::cli::SubmitArgs;
use crate::program::follow::{RunsOn, follow, print_text};
use crate::program::outcome::{Outcome, printed};

pub async fn run(args: SubmitArgs) -> Outcome {
    let job = load(&args.text, args.queue.clone(), args.client_token.clone())?;
    let client = Client::connect(&args.cluster.coordinator).await?;
    set_up(&job).await?;
    let format = args.text.output.into();
    if args.text.explain {
        return explain(&client, job, format).await;
    }
    let submitted = client.submit(job.spec).await?;
    if args.wait {
        if format != RowFormat::Json {
            eprintln!("submitted {}", submitted.job);
        }
        let runs_on = RunsOn::Cluster { coordinators: &args.cluster.coordinator };
        return follow(client, submitted.job, format, runs_on).await;
    }
    let id = submitted.job.to_string();
    printed(match format {
        RowFormat::Json => line(&json!({ "job": id, "existing": submitted.existing }).to_string()),
        RowFormat::Table | RowFormat::Csv => line(&id),
    })
}

fn line(text: &str) -> Result<(), PrintError> {
    print_text(text, RowFormat::Table)
}

/// Prints the distributed plan.
pub async fn explain(client: &Client, job: Job, format: RowFormat) -> Outcome {
    let text = client.explain(job.spec).await?;
    printed(print_text(&text, format))
}
