//! The stream between a worker and its coordinator: register, obey, report, until one of them leaves.

use std::time::Duration;

use futures::StreamExt;
use futures::future::FusedFuture;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use windrow_model::{AttemptId, ErrorKind, ErrorReport, JobId, TaskId, TaskOutput, WorkerId};
use windrow_proto::workers_client::WorkersClient;
use windrow_proto::{
    CONTROL_MESSAGE_BYTES_MAX, FromWorker, Heartbeat, KeptOutput, Leaving, Register, TaskAttempt, ToWorker, Welcome,
    from_worker, report_from_status, to_worker,
};

use crate::executor::{Executor, Inventory, failed};
use crate::process::resident;
use crate::session::{NotStarted, Session};

/// Reports that wait for the stream. Attempts that end faster than the coordinator listens wait for room.
pub const REPORTS_LEN: usize = 1024;

/// A coordinator on the same network answers within milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest wait for `Welcome` once the stream is open.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);

/// A silent coordinator is probed this often, and given up when it does not answer in time: well before its successor
/// stops to wait for the workers it knows.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Heartbeats per lease: one may be late and one lost.
const HEARTBEATS_PER_LEASE: u32 = 4;

/// A lease of zero would otherwise mean heartbeats without a pause.
const HEARTBEAT_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// Entries of one inventory message. An entry is a few hundred bytes, or an inline result of at most 64 KiB.
const INVENTORY_PIECE: usize = 256;

/// How long a leaving worker waits for its running attempts and for the coordinator's leave.
const LEAVE_PATIENCE: Duration = Duration::from_secs(30);

/// Why a session ended.
#[derive(Debug)]
pub enum Ended {
    /// The worker was told to leave, or has left on its own wish.
    Left,
    /// The stream broke; the coordinator may come back.
    Broken(ErrorReport),
}

/// An open stream on which the coordinator has accepted this worker.
pub struct Attached {
    pub worker: WorkerId,
    /// Of the leader that accepted it.
    pub epoch: u64,
    /// It goes on under the id it had, with what it runs and keeps.
    pub resumed: bool,
    lease: Duration,
    commands: Streaming<ToWorker>,
    reports: mpsc::Sender<FromWorker>,
}

/// Connects and registers, with the inventory of `executor` if there was a session before. `Unavailable` if the
/// coordinator cannot be reached (now), or is an older one than this worker knows; other kinds are its refusal.
pub async fn attach(coordinator: &str, register: Register, executor: &Executor) -> Result<Attached, ErrorReport> {
    let channel = connect(coordinator).await?;
    let past = register.past;
    let outgoing = executor.open_reports(|inventory| introduction(register, inventory));
    let reports = executor.reports().ok_or_else(|| ErrorReport::internal("a session without reports"))?;
    let mut client = WorkersClient::new(channel)
        .max_decoding_message_size(CONTROL_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(CONTROL_MESSAGE_BYTES_MAX);
    let welcome = async {
        let mut commands = client.attach(ReceiverStream::new(outgoing)).await?.into_inner();
        let first = commands.message().await?;
        Ok::<_, tonic::Status>((commands, first))
    };
    let silent = |_| unreachable(coordinator, "it accepted the connection but did not answer");
    let answer = tokio::time::timeout(WELCOME_TIMEOUT, welcome).await.map_err(silent)?;
    let (commands, first) = answer.map_err(|status| refusal(coordinator, &status))?;
    let Some(ToWorker { kind: Some(to_worker::Kind::Welcome(Welcome { worker, epoch, lease_ms, resumed })) }) = first
    else {
        return Err(unreachable(coordinator, "it answered with something else than a welcome"));
    };
    if let Some(past) = past.filter(|past| past.epoch > epoch) {
        let detail = format!("its epoch {epoch} is over: this worker has served epoch {}", past.epoch);
        return Err(unreachable(coordinator, &detail));
    }
    Ok(Attached { worker: WorkerId(worker), epoch, resumed, lease: Duration::from_millis(lease_ms), commands, reports })
}

/// The first messages of a stream: who this is, and what it has if it was here before.
fn introduction(mut register: Register, inventory: Inventory) -> Vec<FromWorker> {
    let pieces = if register.past.is_some() { pieces(inventory) } else { Vec::new() };
    register.inventory_messages = pieces.len() as u32;
    let first = from_worker::Kind::Register(register);
    let kinds = [first].into_iter().chain(pieces.into_iter().map(from_worker::Kind::Inventory));
    kinds.map(|kind| FromWorker { kind: Some(kind) }).collect()
}

/// An inventory in messages of at most [`INVENTORY_PIECE`] entries.
fn pieces(inventory: Inventory) -> Vec<windrow_proto::Inventory> {
    let name =
        |task: TaskId, attempt: AttemptId| TaskAttempt { task: Some(task.into()), attempt: Some(attempt.into()) };
    let running: Vec<TaskAttempt> = inventory.running.into_iter().map(|(task, attempt)| name(task, attempt)).collect();
    let kept = |(task, attempt, output): (TaskId, AttemptId, TaskOutput)| KeptOutput {
        attempt: Some(name(task, attempt)),
        output: Some(output.into()),
    };
    let finished: Vec<KeptOutput> = inventory.finished.into_iter().map(kept).collect();
    let running = running.chunks(INVENTORY_PIECE);
    let running = running.map(|piece| windrow_proto::Inventory { running: piece.to_vec(), finished: Vec::new() });
    let finished = finished.chunks(INVENTORY_PIECE);
    let finished = finished.map(|piece| windrow_proto::Inventory { running: Vec::new(), finished: piece.to_vec() });
    running.chain(finished).collect()
}

async fn connect(coordinator: &str) -> Result<Channel, ErrorReport> {
    let endpoint = Endpoint::from_shared(coordinator.to_owned()).map_err(|error| {
        ErrorReport::invalid(format!("`{coordinator}` is not a coordinator's address"))
            .with_detail(error.to_string())
            .with_hint("write it like http://127.0.0.1:7070")
    })?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PROBE_INTERVAL)
        .keep_alive_timeout(PROBE_TIMEOUT)
        .keep_alive_while_idle(true);
    endpoint.connect().await.map_err(|error| unreachable(coordinator, &chain(&error)))
}

/// A coordinator that refuses says so in a report; anything else comes from a connection that broke.
fn refusal(coordinator: &str, status: &Status) -> ErrorReport {
    let broken = matches!(status.code(), Code::Unknown | Code::Internal | Code::Cancelled | Code::DeadlineExceeded);
    if broken && status.details().is_empty() {
        return unreachable(coordinator, &chain(status));
    }
    report_from_status(status)
}

fn unreachable(coordinator: &str, detail: &str) -> ErrorReport {
    ErrorReport::new(ErrorKind::Unavailable, format!("cannot reach the coordinator at {coordinator}"))
        .with_detail(detail)
        .with_hint("is it running? `windrow coordinator` starts one; --coordinator names another")
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl Attached {
    /// Obeys the coordinator until the session ends. When `shutdown` ends, the worker finishes what runs and leaves.
    pub async fn serve(mut self, session: &Session, shutdown: &mut (impl FusedFuture<Output = ()> + Unpin)) -> Ended {
        let mut heartbeat = tokio::time::interval((self.lease / HEARTBEATS_PER_LEASE).max(HEARTBEAT_INTERVAL_MIN));
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let leave_by = tokio::time::sleep(Duration::MAX);
        tokio::pin!(leave_by);
        let mut leaving = false;
        loop {
            tokio::select! {
                command = self.commands.next() => match command {
                    Some(Ok(ToWorker { kind: Some(to_worker::Kind::Shutdown(_)) })) => return Ended::Left,
                    Some(Ok(command)) => self.obey(session, command).await,
                    Some(Err(_)) | None if leaving => return Ended::Left,
                    Some(Err(status)) => return Ended::Broken(report_from_status(&status)),
                    None => return Ended::Broken(ErrorReport::new(ErrorKind::Unavailable, "the coordinator closed the stream")),
                },
                _ = heartbeat.tick() => self.beat(session).await,
                () = &mut *shutdown, if !leaving => {
                    leaving = true;
                    leave_by.as_mut().reset(tokio::time::Instant::now() + LEAVE_PATIENCE);
                    self.report(from_worker::Kind::Leaving(Leaving {})).await;
                }
                () = &mut leave_by, if leaving => {
                    tracing::warn!(idle = session.executor().is_idle(), "leaving without the coordinator's word");
                    return Ended::Left;
                }
            }
        }
    }

    /// Reports once more what an earlier session may have reported.
    pub async fn report_again(&self, reports: Vec<from_worker::Kind>) {
        for kind in reports {
            self.report(kind).await;
        }
    }

    async fn obey(&self, session: &Session, command: ToWorker) {
        match command.kind {
            Some(to_worker::Kind::Blob(blob)) => {
                if let Err(report) = session.accept(blob) {
                    tracing::error!(%report, "a fragment could not be kept");
                }
            }
            Some(to_worker::Kind::Run(run)) => self.start(session, run).await,
            Some(to_worker::Kind::Cancel(attempt)) => session.cancel(attempt.into()),
            Some(to_worker::Kind::ReleaseStages(release)) => {
                session.release_stages(JobId(release.job), &release.stages);
            }
            Some(to_worker::Kind::ReleaseJob(job)) => session.release_job(JobId(job)),
            Some(to_worker::Kind::CopyOutputs(copy)) => session.copy(copy, self.reports.clone()),
            Some(to_worker::Kind::StoreOutputs(store)) => session.store(store, self.reports.clone()),
            Some(to_worker::Kind::RepointInputs(repoint)) => session.repoint(repoint),
            Some(to_worker::Kind::Welcome(_) | to_worker::Kind::Shutdown(_)) | None => {
                tracing::error!("the coordinator sent a command that has no place here");
            }
        }
    }

    async fn start(&self, session: &Session, run: windrow_proto::RunTask) {
        match session.start(run) {
            Ok(()) => {}
            Err(NotStarted::Named(attempt, failure)) => {
                self.report(from_worker::Kind::Failed(failed(attempt, failure))).await;
            }
            Err(NotStarted::Unnamed(error)) => tracing::error!(%error, "the coordinator sent a task without a name"),
        }
    }

    async fn beat(&self, session: &Session) {
        let resident = resident();
        let heartbeat = Heartbeat {
            rss_bytes: resident.bytes,
            rss_peak_bytes: resident.peak_bytes,
            progress: session.executor().progress(),
        };
        self.report(from_worker::Kind::Heartbeat(heartbeat)).await;
        for said in session.executor().said() {
            let _ = self.reports.send(said).await;
        }
    }

    async fn report(&self, kind: from_worker::Kind) {
        // A stream that takes nothing any more ends; `serve` sees that as the end of its commands.
        let _ = self.reports.send(FromWorker { kind: Some(kind) }).await;
    }
}
