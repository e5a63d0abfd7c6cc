//! A connection to a coordinator.

use std::time::Duration;

use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};
use windrow_model::{ErrorKind, ErrorReport, JobId, JobSpec, MapOutputId, WorkerId};
use windrow_proto::jobs_client::JobsClient;
use windrow_proto::{
    CONTROL_MESSAGE_BYTES_MAX, DrainRequest, Job, JobRequest, ListJobsRequest, ListWorkersRequest, LogsRequest,
    LogsResponse, PartPiece, ReadPartRequest, ResultRequest, ResultResponse, SubmitRequest, UnreachableRequest, Worker,
};

use crate::errors;

/// A coordinator that does not answer within this time is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A peer that is silent for so long on an open stream is asked whether it is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a part that the coordinator may have passed on before the client has taken rows.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// Talks to one coordinator. Cheap to clone; clones share the connection.
#[derive(Clone, Debug)]
pub struct Client {
    jobs: JobsClient<Channel>,
    address: String,
}

/// The answer to a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submitted {
    pub job: JobId,
    /// The client token was seen before: this is the job that it made then.
    pub existing: bool,
}

impl Client {
    /// Connects to a URL such as `http://127.0.0.1:7070`, or to the first of several, with commas between, that
    /// answers: of coordinators that stand by for each other only the one that leads does.
    ///
    /// # Errors
    /// `Invalid` if an address is no URL, `Unavailable` if nothing answers.
    pub async fn connect(addresses: &str) -> Result<Client, ErrorReport> {
        let mut refused = Err(ErrorReport::invalid("no address of a coordinator"));
        for address in addresses.split(',') {
            refused = Client::connect_one(address.trim()).await;
            if !refused.as_ref().is_err_and(|report| report.kind == ErrorKind::Unavailable) {
                break;
            }
        }
        refused
    }

    async fn connect_one(address: &str) -> Result<Client, ErrorReport> {
        let endpoint = endpoint(address)?;
        let channel = endpoint.connect().await.map_err(|error| errors::unreachable(address, &error))?;
        let jobs = JobsClient::new(channel)
            .max_decoding_message_size(CONTROL_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(CONTROL_MESSAGE_BYTES_MAX);
        Ok(Client { jobs, address: address.to_owned() })
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    fn report(&self) -> impl Fn(tonic::Status) -> ErrorReport + use<'_> {
        |status| errors::from_coordinator(&self.address, &status)
    }

    /// Hands a job over. When this returns, the coordinator has made it durable.
    pub async fn submit(&self, spec: JobSpec) -> Result<Submitted, ErrorReport> {
        let request = SubmitRequest { spec: Some(spec.into()) };
        let answer = self.jobs.clone().submit(request).await.map_err(self.report())?.into_inner();
        Ok(Submitted { job: JobId(answer.job), existing: answer.existing })
    }

    /// Plans a job without running it and returns the plan as text.
    pub async fn explain(&self, spec: JobSpec) -> Result<String, ErrorReport> {
        let request = SubmitRequest { spec: Some(spec.into()) };
        Ok(self.jobs.clone().explain(request).await.map_err(self.report())?.into_inner().text)
    }

    pub async fn job(&self, job: JobId) -> Result<Job, ErrorReport> {
        let request = JobRequest { job: job.0 };
        Ok(self.jobs.clone().get(request).await.map_err(self.report())?.into_inner())
    }

    /// Jobs that run or wait; with `all` also those that have ended.
    pub async fn jobs(&self, all: bool) -> Result<Vec<Job>, ErrorReport> {
        let request = ListJobsRequest { all };
        Ok(self.jobs.clone().list(request).await.map_err(self.report())?.into_inner().jobs)
    }

    /// Why the job does not make progress, one reason a line.
    pub async fn why(&self, job: JobId) -> Result<Vec<String>, ErrorReport> {
        let request = JobRequest { job: job.0 };
        Ok(self.jobs.clone().why(request).await.map_err(self.report())?.into_inner().reasons)
    }

    /// What the user's code has said so far.
    pub async fn logs(&self, request: LogsRequest) -> Result<LogsResponse, ErrorReport> {
        Ok(self.jobs.clone().logs(request).await.map_err(self.report())?.into_inner())
    }

    pub async fn cancel(&self, job: JobId) -> Result<Job, ErrorReport> {
        let request = JobRequest { job: job.0 };
        Ok(self.jobs.clone().cancel(request).await.map_err(self.report())?.into_inner())
    }

    /// Follows a job to its end.
    pub async fn watch(&self, job: JobId) -> Result<JobUpdates, ErrorReport> {
        let request = JobRequest { job: job.0 };
        let updates = self.jobs.clone().watch(request).await.map_err(self.report())?.into_inner();
        Ok(JobUpdates { updates, address: self.address.clone() })
    }

    /// Waits until the job has ended and returns it in its final state, whichever that is.
    pub async fn wait(&self, job: JobId) -> Result<Job, ErrorReport> {
        let mut updates = self.watch(job).await?;
        let mut last = None;
        while let Some(update) = updates.next().await? {
            last = Some(update);
        }
        match last {
            Some(job) => Ok(job),
            None => self.job(job).await,
        }
    }

    pub async fn workers(&self) -> Result<Vec<Worker>, ErrorReport> {
        let answer = self.jobs.clone().list_workers(ListWorkersRequest {}).await;
        Ok(answer.map_err(self.report())?.into_inner().workers)
    }

    /// No new tasks for a worker; it hands over what it holds and leaves. Returns it as it is now.
    ///
    /// # Errors
    /// `NotFound` if there is no such worker.
    pub async fn drain(&self, worker: WorkerId, within: Option<Duration>) -> Result<Worker, ErrorReport> {
        let within_ms = within.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        let request = DrainRequest { worker: worker.0, within_ms };
        let answer = self.jobs.clone().drain(request).await.map_err(self.report())?.into_inner();
        answer.worker.ok_or_else(|| ErrorReport::internal("the coordinator named no worker"))
    }

    /// Where the rows of a step are; waits while lost parts are recomputed.
    pub(crate) async fn result_parts(&self, job: JobId, step: u32) -> Result<ResultResponse, ErrorReport> {
        let request = ResultRequest { job: job.0, step };
        Ok(self.jobs.clone().get_result(request).await.map_err(self.report())?.into_inner())
    }

    /// The bytes of a part, passed on by the coordinator.
    pub(crate) async fn read_part(
        &self,
        output: MapOutputId,
        worker: WorkerId,
        offset: u64,
    ) -> Result<Streaming<PartPiece>, tonic::Status> {
        let request = ReadPartRequest { output: Some(output.into()), worker: worker.0, offset };
        Ok(self.jobs.clone().read_part(request).await?.into_inner())
    }

    pub(crate) async fn report_unreachable(&self, output: MapOutputId, worker: WorkerId) -> Result<(), ErrorReport> {
        let request = UnreachableRequest { output: Some(output.into()), worker: worker.0 };
        self.jobs.clone().report_unreachable(request).await.map_err(self.report())?;
        Ok(())
    }
}

fn endpoint(address: &str) -> Result<Endpoint, ErrorReport> {
    let invalid = || {
        ErrorReport::invalid(format!("`{address}` is not the address of a coordinator"))
            .with_hint(format!("write it like {}", crate::DEFAULT_COORDINATOR))
    };
    if !address.starts_with("http://") {
        return Err(invalid());
    }
    let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|_| invalid())?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(STREAM_WINDOW_BYTES)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT))
}

/// A job at every change of its state or progress, last in its final state.
#[derive(Debug)]
pub struct JobUpdates {
    updates: Streaming<Job>,
    address: String,
}

impl JobUpdates {
    /// The next state, or `None` after the final one. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Job>, ErrorReport> {
        self.updates.message().await.map_err(|status| errors::from_coordinator(&self.address, &status))
    }
}
