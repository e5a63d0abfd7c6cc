//! A cluster to run scripts on: inside the test's process, or a running one by its address.

use datafusion::arrow::array::RecordBatch;
use windrow_client::Client;
use windrow_client::embedded::{EmbeddedCluster, EmbeddedOptions};
use windrow_client::result::{self, StepResult};
use windrow_model::{ErrorReport, JobId, JobSpec, JobState, Program};
use windrow_proto::Job;

/// Memory of each in-process worker, in bytes.
const WORKER_MEMORY_BYTES: u64 = 1 << 30;

pub struct TestCluster {
    embedded: Option<EmbeddedCluster>,
    client: Client,
}

impl TestCluster {
    /// In-process workers; even the smallest statement is spread over them if there are several.
    pub async fn start(workers: u32, slots: u32) -> TestCluster {
        let mut options = EmbeddedOptions::new(workers, slots, WORKER_MEMORY_BYTES);
        options.engine.small_job_bytes = 0;
        let embedded = EmbeddedCluster::start(options).await.expect("a cluster starts on loopback");
        let client = embedded.client().clone();
        TestCluster { embedded: Some(embedded), client }
    }

    /// A cluster of other processes.
    pub async fn attached(address: &str) -> TestCluster {
        TestCluster { embedded: None, client: Client::connect(address).await.expect("the coordinator answers") }
    }

    pub fn of(client: Client) -> TestCluster {
        TestCluster { embedded: None, client }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub async fn submit(&self, script: &str) -> Result<JobId, ErrorReport> {
        Ok(self.client.submit(spec(script)).await?.job)
    }

    /// Runs a script to its end and reads the rows of its last result; none if it has no result.
    pub async fn run_sql(&self, script: &str) -> Result<Vec<RecordBatch>, ErrorReport> {
        let id = self.submit(script).await?;
        let job = self.client.wait(id).await?;
        if JobState::from_name(&job.state) == Some(JobState::Succeeded) {
            return self.result(&job).await;
        }
        Err(job.error.map_or_else(|| ErrorReport::internal(format!("{id} ended {}", job.state)), ErrorReport::from))
    }

    /// The rows of the job's last result.
    pub async fn result(&self, job: &Job) -> Result<Vec<RecordBatch>, ErrorReport> {
        let Some(step) = job.result_steps.last() else { return Ok(Vec::new()) };
        let mut batches = Vec::new();
        if let StepResult::Rows(mut rows) = result::open(&self.client, JobId(job.id), *step).await? {
            while let Some(batch) = rows.next().await? {
                batches.push(batch);
            }
        }
        Ok(batches)
    }

    pub async fn stop(self) {
        if let Some(embedded) = self.embedded {
            embedded.shutdown().await;
        }
    }
}

pub fn spec(script: &str) -> JobSpec {
    JobSpec {
        name: "test".to_owned(),
        application: "default".to_owned(),
        queue: "default".to_owned(),
        priority: 50,
        submitted_by: "tests".to_owned(),
        timeout: None,
        client_token: None,
        program: Program::Sql {
            script: script.to_owned(),
            base: "file:///".to_owned(),
            tables: Default::default(),
            made: Default::default(),
            output: None,
        },
    }
}
