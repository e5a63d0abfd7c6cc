//! The service for clients. A client that goes away never affects a job.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tonic::{Request, Response, Status};
use windrow_model::{ClusterShape, ErrorKind, ErrorReport, JobId, JobSpec, MapOutputId, WorkerId};
use windrow_proto as wire;
use windrow_proto::jobs_server::Jobs;
use windrow_proto::{required, status_from_report};
use windrow_scheduler::{Input, JobView, Reply};

use crate::call::{Call, ToDriver};
use crate::dossier::Dossier;
use crate::history::{Archive, recall};
use crate::planning::Planner;
use crate::relay::{Pieces, Relay};
use crate::results::{self, no_such_job};
use crate::snapshot::{self, Detail};
use crate::state::State;
use crate::watching::watch_job;

/// What planning assumes when nobody has joined the cluster: one small worker.
const NO_CLUSTER: ClusterShape = ClusterShape { workers: 1, slots: 1, slots_max: 1, memory_bytes_min: 1 << 30 };

#[derive(Clone)]
pub(crate) struct JobsService {
    pub(crate) driver: ToDriver,
    pub(crate) planner: Planner,
    pub(crate) relay: Relay,
    pub(crate) archive: Archive,
}

type Answer<T> = Result<Response<T>, Status>;

fn status(report: ErrorReport) -> Status {
    status_from_report(&report)
}

fn spec_of(request: wire::SubmitRequest) -> Result<JobSpec, Status> {
    Ok(JobSpec::try_from(required(request.spec, "SubmitRequest.spec")?)?)
}

impl JobsService {
    async fn snapshot(&self, job: JobId) -> Result<wire::Job, ErrorReport> {
        let tell = |state: &State, view: JobView<'_>| snapshot::job(state, view, Detail::Full);
        self.look(job, tell).await.map(without_logs)
    }

    async fn with_logs(&self, job: JobId) -> Result<wire::Job, ErrorReport> {
        let tell = |state: &State, view: JobView<'_>| {
            snapshot::with_said(snapshot::job(state, view, Detail::Full), state.dossiers.get(&view.id()))
        };
        self.look(job, tell).await
    }

    /// From the core as long as it keeps the job, then from history, logs and all.
    async fn look(&self, job: JobId, tell: fn(&State, JobView<'_>) -> wire::Job) -> Result<wire::Job, ErrorReport> {
        let look = move |state: &State| {
            let view = state.scheduler.job(job)?;
            Some((tell(state, view), keeper(state, job)))
        };
        match self.driver.query(look).await? {
            Some((kept, Keeper::Earlier)) => Ok(self.archive.as_it_ended(kept).await),
            Some((kept, Keeper::This | Keeper::Nobody)) => Ok(kept),
            None => self.archive.job(job).await,
        }
    }

    async fn keeper(&self, job: JobId) -> Result<Keeper, ErrorReport> {
        self.driver.query(move |state| keeper(state, job)).await
    }

    async fn list_all(&self) -> Result<Vec<wire::Job>, ErrorReport> {
        let ended = self.archive.summaries().await;
        let kept = self.driver.query(move |state| list(state, true)).await?;
        let mut jobs: BTreeMap<u64, wire::Job> = ended.into_iter().map(|job| (job.id, job)).collect();
        jobs.extend(kept.into_iter().map(|job| (job.id, job)));
        Ok(jobs.into_values().collect())
    }
}

/// Who has seen how a job ended, or sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeper {
    /// This leader knows all about it.
    This,
    /// It ended under an earlier leader: history knows more about it than the journal.
    Earlier,
    /// Only history may know it.
    Nobody,
}

fn keeper(state: &State, job: JobId) -> Keeper {
    match (state.scheduler.job(job), state.dossiers.get(&job)) {
        (None, _) => Keeper::Nobody,
        (Some(_), Some(dossier)) if dossier.ended_before => Keeper::Earlier,
        (Some(_), _) => Keeper::This,
    }
}

fn list(state: &State, all: bool) -> Vec<wire::Job> {
    let wanted = state.scheduler.jobs().filter(|job| all || !job.state().is_final());
    wanted.map(|view| snapshot::job(state, view, Detail::Summary)).collect()
}

/// Compiling a module may take a while.
async fn checked(spec: JobSpec) -> Result<JobSpec, ErrorReport> {
    let check = move || windrow_engine::job::check_code(&spec).map(|()| spec);
    let checked = tokio::task::spawn_blocking(check).await;
    checked.unwrap_or_else(|error| {
        Err(ErrorReport::internal("a job's code cannot be checked").with_detail(error.to_string()))
    })
}

/// Logs are for those who ask for them.
fn without_logs(mut job: wire::Job) -> wire::Job {
    job.stages.iter_mut().flat_map(|stage| &mut stage.attempts).for_each(|attempt| attempt.said = None);
    job
}

/// The attempts of a job whose code has said something.
fn logs(job: wire::Job, request: &wire::LogsRequest) -> wire::LogsResponse {
    let stages = job.stages.into_iter().filter(|stage| request.stage.is_none_or(|wanted| wanted == stage.index));
    let attempts = stages.flat_map(|stage| {
        let (index, label) = (stage.index, stage.label);
        stage.attempts.into_iter().map(move |attempt| wire::StageAttempt {
            stage: index,
            label: label.clone(),
            attempt: Some(attempt),
        })
    });
    let wanted = |entry: &wire::StageAttempt| {
        let attempt = entry.attempt.as_ref();
        attempt.is_some_and(|attempt| attempt.said.is_some() && request.task.is_none_or(|task| task == attempt.task))
    };
    wire::LogsResponse { attempts: attempts.filter(wanted).collect(), state: job.state }
}

/// Why there are no rows of a job of which only the history knows.
fn only_in_history(job: &wire::Job, step: u32) -> ErrorReport {
    let error = job.error.clone().map(ErrorReport::from);
    error.unwrap_or_else(|| {
        ErrorReport::new(
            ErrorKind::NotFound,
            format!("the rows of {} step {step} are not kept any more", JobId(job.id)),
        )
        .with_detail(format!("the job has ended ({}), and only the history knows it", job.state))
        .with_hint("submit the job again, or give it an `output:` that stays")
    })
}

fn why(state: &State, job: JobId) -> Result<Vec<String>, ErrorReport> {
    state.scheduler.job(job).ok_or_else(|| no_such_job(job))?;
    let mut reasons: Vec<String> = state.scheduler.why(job).iter().map(ToString::to_string).collect();
    reasons.extend(state.dossiers.get(&job).map(Dossier::commit_delays).unwrap_or_default());
    Ok(reasons)
}

fn no_such_worker(worker: WorkerId) -> ErrorReport {
    ErrorReport::new(ErrorKind::NotFound, format!("there is no {worker}"))
        .with_hint("`windrow workers` lists the workers and their states")
}

#[tonic::async_trait]
impl Jobs for JobsService {
    async fn submit(&self, request: Request<wire::SubmitRequest>) -> Answer<wire::SubmitResponse> {
        let spec = spec_of(request.into_inner())?;
        let spec = checked(spec).await.map_err(status)?;
        match self.driver.request(move |request| Input::JobSubmitted { request, spec }).await.map_err(status)? {
            Reply::Submitted { job, existing, .. } => Ok(Response::new(wire::SubmitResponse { job: job.0, existing })),
            Reply::Refused { report, .. } => Err(status(report)),
            Reply::Cancelled { .. } => {
                Err(status(ErrorReport::internal("a submission was answered as a cancellation")))
            }
        }
    }

    async fn get(&self, request: Request<wire::JobRequest>) -> Answer<wire::Job> {
        let job = JobId(request.into_inner().job);
        Ok(Response::new(self.snapshot(job).await.map_err(status)?))
    }

    async fn list(&self, request: Request<wire::ListJobsRequest>) -> Answer<wire::ListJobsResponse> {
        let jobs = match request.into_inner().all {
            true => self.list_all().await,
            false => self.driver.query(|state| list(state, false)).await,
        };
        let jobs = jobs.map_err(status)?;
        Ok(Response::new(wire::ListJobsResponse { jobs }))
    }

    async fn why(&self, request: Request<wire::JobRequest>) -> Answer<wire::WhyResponse> {
        let job = JobId(request.into_inner().job);
        let reasons = match self.keeper(job).await.map_err(status)? {
            Keeper::This | Keeper::Earlier => {
                self.driver.query(move |state| why(state, job)).await.map_err(status)?.map_err(status)?
            }
            Keeper::Nobody => {
                let ended = self.archive.job(job).await.map_err(status)?;
                vec![format!("{job} has ended ({})", ended.state)]
            }
        };
        Ok(Response::new(wire::WhyResponse { reasons }))
    }

    async fn cancel(&self, request: Request<wire::JobRequest>) -> Answer<wire::Job> {
        let job = JobId(request.into_inner().job);
        match self.driver.request(move |request| Input::JobCancelled { request, job }).await.map_err(status)? {
            Reply::Cancelled { job, .. } => Ok(Response::new(self.snapshot(job).await.map_err(status)?)),
            Reply::Refused { report, .. } => Err(status(report)),
            Reply::Submitted { .. } => {
                Err(status(ErrorReport::internal("a cancellation was answered as a submission")))
            }
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<wire::Job, Status>> + Send>>;

    async fn watch(&self, request: Request<wire::JobRequest>) -> Answer<Self::WatchStream> {
        let job = JobId(request.into_inner().job);
        if self.keeper(job).await.map_err(status)? != Keeper::This {
            let ended = self.snapshot(job).await.map_err(status)?;
            return Ok(Response::new(Box::pin(stream::iter([Ok(ended)]))));
        }
        let snapshots = watch_job(self.driver.clone(), job).await.map_err(status)?;
        Ok(Response::new(Box::pin(snapshots.map(|snapshot| snapshot.map_err(status)))))
    }

    async fn explain(&self, request: Request<wire::SubmitRequest>) -> Answer<wire::ExplainResponse> {
        let spec = spec_of(request.into_inner())?;
        let cluster = self.driver.query(|state| state.scheduler.cluster_shape()).await.map_err(status)?;
        let text = self.planner.explain(spec, cluster.unwrap_or(NO_CLUSTER)).await.map_err(status)?;
        let note = if cluster.is_none() { "No worker has joined: planned for one worker with one slot.\n" } else { "" };
        Ok(Response::new(wire::ExplainResponse { text: format!("{note}{text}") }))
    }

    async fn get_result(&self, request: Request<wire::ResultRequest>) -> Answer<wire::ResultResponse> {
        let wire::ResultRequest { job, step } = request.into_inner();
        let job = JobId(job);
        recall(&self.archive, &self.driver, job).await.map_err(status)?;
        if self.keeper(job).await.map_err(status)? == Keeper::Nobody {
            let ended = self.archive.job(job).await.map_err(status)?;
            return Err(status(only_in_history(&ended, step)));
        }
        results::result(&self.driver, job, step).await.map(Response::new).map_err(status)
    }

    type ReadPartStream = Pieces;

    async fn read_part(&self, request: Request<wire::ReadPartRequest>) -> Answer<Self::ReadPartStream> {
        let wire::ReadPartRequest { output, worker, offset } = request.into_inner();
        let output = MapOutputId::try_from(required(output, "ReadPartRequest.output")?)?;
        self.relay.read(output, WorkerId(worker), offset).await.map(Response::new).map_err(status)
    }

    async fn report_unreachable(
        &self,
        request: Request<wire::UnreachableRequest>,
    ) -> Answer<wire::UnreachableResponse> {
        let request = request.into_inner();
        let output = MapOutputId::try_from(required(request.output, "UnreachableRequest.output")?)?;
        let worker = WorkerId(request.worker);
        tracing::warn!(task = %output.task, attempt = %output.attempt, %worker, "client could not read a part of a result");
        self.driver.send(Call::Input(Input::ResultUnreachable { output, worker })).await.map_err(status)?;
        Ok(Response::new(wire::UnreachableResponse {}))
    }

    async fn logs(&self, request: Request<wire::LogsRequest>) -> Answer<wire::LogsResponse> {
        let request = request.into_inner();
        let job = self.with_logs(JobId(request.job)).await.map_err(status)?;
        Ok(Response::new(logs(job, &request)))
    }

    async fn drain(&self, request: Request<wire::DrainRequest>) -> Answer<wire::DrainResponse> {
        let wire::DrainRequest { worker, within_ms } = request.into_inner();
        let (worker, within) = (WorkerId(worker), within_ms.map(Duration::from_millis));
        let look = move |state: &State| state.scheduler.worker(worker).map(|view| snapshot::worker(state, view));
        self.driver.query(look).await.map_err(status)?.ok_or_else(|| status(no_such_worker(worker)))?;
        self.driver.send(Call::Input(Input::DrainRequested { worker, within })).await.map_err(status)?;
        let worker = self.driver.query(look).await.map_err(status)?;
        Ok(Response::new(wire::DrainResponse { worker }))
    }

    async fn list_workers(&self, _: Request<wire::ListWorkersRequest>) -> Answer<wire::ListWorkersResponse> {
        let list = |state: &State| state.scheduler.workers().map(|view| snapshot::worker(state, view)).collect();
        let workers = self.driver.query(list).await.map_err(status)?;
        Ok(Response::new(wire::ListWorkersResponse { workers }))
    }
}
