//! Runs jobs from within a program: on a cluster inside this process, or on one that runs already.

use std::collections::BTreeMap;

use arrow::array::{AsArray, RecordBatch};
use windrow_client::Client;
use windrow_client::embedded::{EmbeddedCluster, EmbeddedOptions};
use windrow_client::result::{self, StepResult};
use windrow_model::{ErrorReport, JobId, JobState};

use crate::job::Job;

/// Memory of each worker of a cluster inside this process, in bytes.
const WORKER_MEMORY_BYTES: u64 = 2 << 30;

/// Where jobs run.
pub enum Cluster {
    /// Inside this process.
    Embedded(Box<EmbeddedCluster>),
    /// Its workers have to know the code: they are run from the program that it is part of.
    Remote(Client),
}

/// A job that has succeeded.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub job: JobId,
    /// The rows of a job without an output.
    pub rows: Vec<RecordBatch>,
    /// Sums over the attempts whose rows count.
    pub counters: BTreeMap<String, i64>,
    /// Paths of the files that the job has published, below its output.
    pub files: Vec<String>,
}

impl Cluster {
    /// # Errors
    /// The cluster cannot be started.
    pub async fn embedded(workers: u32, slots: u32) -> Result<Cluster, ErrorReport> {
        let options = EmbeddedOptions::new(workers, slots, WORKER_MEMORY_BYTES);
        Ok(Cluster::Embedded(Box::new(EmbeddedCluster::start(options).await?)))
    }

    /// # Errors
    /// Nothing answers at this URL.
    pub async fn connect(coordinator: &str) -> Result<Cluster, ErrorReport> {
        Ok(Cluster::Remote(Client::connect(coordinator).await?))
    }

    pub fn client(&self) -> &Client {
        match self {
            Cluster::Embedded(cluster) => cluster.client(),
            Cluster::Remote(client) => client,
        }
    }

    /// Runs a job to its end and collects its rows.
    ///
    /// # Errors
    /// Why the job has failed.
    pub async fn run(&self, job: &Job) -> Result<Outcome, ErrorReport> {
        match job.total_order {
            None => self.run_once(job).await,
            Some(partitions) => {
                let sample = self.run_once(&job.sample()).await?;
                let points = points(&sample.rows, partitions);
                let points: Vec<&str> = points.iter().map(String::as_str).collect();
                let divided = if points.is_empty() { job.clone().partitions(1) } else { job.clone().split_at(&points) };
                self.run_once(&divided).await
            }
        }
    }

    async fn run_once(&self, job: &Job) -> Result<Outcome, ErrorReport> {
        job.register();
        let client = self.client();
        let submitted = client.submit(job.spec()?).await?;
        let ended = client.wait(submitted.job).await?;
        if JobState::from_name(&ended.state) != Some(JobState::Succeeded) {
            let unknown =
                || ErrorReport::internal(format!("{} has ended ({}) without an error", submitted.job, ended.state));
            return Err(ended.error.clone().map_or_else(unknown, ErrorReport::from));
        }
        let mut counters = BTreeMap::new();
        for (name, amount) in ended.stages.iter().flat_map(|stage| &stage.counters) {
            *counters.entry(name.clone()).or_default() += amount;
        }
        let mut rows = Vec::new();
        for step in ended.result_steps {
            if let StepResult::Rows(mut stream) = result::open(client, submitted.job, step).await? {
                while let Some(batch) = stream.next().await? {
                    rows.push(batch);
                }
            }
        }
        let files = ended.files.into_iter().map(|file| file.path).collect();
        Ok(Outcome { job: submitted.job, rows, counters, files })
    }

    /// Ends a cluster inside this process in order.
    pub async fn shutdown(self) {
        if let Cluster::Embedded(cluster) = self {
            cluster.shutdown().await;
        }
    }
}

/// Keys that divide a sorted sample evenly; equal ones count once.
fn points(sample: &[RecordBatch], partitions: u32) -> Vec<String> {
    let keys: Vec<String> = sample
        .iter()
        .filter_map(|batch| arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).ok())
        .flat_map(|column| column.as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let nth = |part: u32| keys.get(part as usize * keys.len() / partitions.max(1) as usize).cloned();
    let mut points: Vec<String> = (1..partitions).filter_map(nth).collect();
    points.dedup();
    points
}
