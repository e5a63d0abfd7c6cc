//! `windrow run`: a cluster for one job, inside this process.

use crate::Client;
use crate::embedded::{EmbeddedCluster, EmbeddedOptions};
use crate::job_file::Job;

use super::load::{load, set_up};
use super::machine::worker_memory;
use super::submit::explain;
use crate::program::cli::RunArgs;
use crate::program::follow::{RunsOn, follow};
use crate::program::outcome::Outcome;

pub async fn run(args: RunArgs) -> Outcome {
    let job = load(&args.text, None, None)?;
    set_up(&job).await?;
    let mut options = EmbeddedOptions::new(args.workers, args.slots, worker_memory(args.memory, args.workers));
    if let Some(bytes) = args.small_job_bytes {
        options.engine.small_job_bytes = bytes;
    }
    let cluster = EmbeddedCluster::start(options).await?;
    let outcome = run_job(cluster.client(), job, &args).await;
    cluster.shutdown().await;
    outcome
}

async fn run_job(client: &Client, job: Job, args: &RunArgs) -> Outcome {
    let format = args.text.output.into();
    if args.text.explain {
        return explain(client, job, format).await;
    }
    let submitted = client.submit(job.spec).await?;
    follow(client.clone(), submitted.job, format, RunsOn::ThisProcess).await
}
