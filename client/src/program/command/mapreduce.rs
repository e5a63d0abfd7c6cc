//! `windrow mapreduce`: Hadoop Streaming's command line.

use crate::Client;
#[cfg(feature = "embedded")]
use crate::embedded::{EmbeddedCluster, EmbeddedOptions};
use crate::job_file::{Given, Streaming, StreamingJob, streaming};
use crate::rows::RowFormat;

use crate::program::cli::MapReduceArgs;
use crate::program::follow::{RunsOn, follow};
use crate::program::outcome::Outcome;

pub async fn run(args: MapReduceArgs) -> Outcome {
    let given = Given { timeout: args.timeout, name: args.name.clone(), ..Given::default() };
    let code = Streaming {
        mapper: args.mapper.clone(),
        combiner: args.combiner.clone(),
        reducer: args.reducer.clone(),
        files: args.files.clone(),
        env: args.env.iter().cloned().collect(),
        partitions: args.reducers,
        separator: args.separator.clone(),
        key_fields: args.key_fields,
        partition: args.partition.clone(),
        sort: args.sort.clone(),
        network: args.network,
        deterministic: args.deterministic,
    };
    let (input, output, overwrite) = (args.input.clone(), args.output.clone(), args.overwrite);
    let job = streaming(StreamingJob { code, input, output, overwrite }, &given)?;
    if let Some(coordinators) = &args.coordinator {
        let client = Client::connect(coordinators).await?;
        let submitted = client.submit(job.spec).await?;
        eprintln!("submitted {}", submitted.job);
        return follow(client, submitted.job, RowFormat::Table, RunsOn::Cluster { coordinators }).await;
    }
    in_this_process(job.spec, &args).await
}

#[cfg(feature = "embedded")]
async fn in_this_process(spec: windrow_model::JobSpec, args: &MapReduceArgs) -> Outcome {
    let memory = super::machine::worker_memory(args.memory, args.workers);
    let cluster = EmbeddedCluster::start(EmbeddedOptions::new(args.workers, args.slots, memory)).await?;
    let client = cluster.client().clone();
    let outcome = match client.submit(spec).await {
        Ok(submitted) => follow(client, submitted.job, RowFormat::Table, RunsOn::ThisProcess).await,
        Err(report) => Err(report),
    };
    cluster.shutdown().await;
    outcome
}

#[cfg(not(feature = "embedded"))]
async fn in_this_process(_: windrow_model::JobSpec, _: &MapReduceArgs) -> Outcome {
    Err(windrow_model::ErrorReport::invalid("there is no cluster").with_hint("name one with --coordinator"))
}
