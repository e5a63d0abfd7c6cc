//! The service for workers: one long-lived stream each, commands out, facts in.

use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use windrow_model::{ErrorKind, ErrorReport, Failure, TaskOutput, WorkerId};
use windrow_proto as wire;
use windrow_proto::from_worker::Kind;
use windrow_proto::workers_server::Workers;
use windrow_proto::{InvalidMessage, required, status_from_report};
use windrow_scheduler::{Input, WorkerSpec};

use crate::call::{Call, FinishedAttempt, ToDriver};
use crate::fleet::Link;
use crate::outgoing::{COMMANDS_MAX, outgoing};

/// A connection that does not say who it is for so long is closed.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct WorkersService {
    pub(crate) driver: ToDriver,
    /// Of this process; plans are only exchanged between equal builds.
    pub(crate) build: String,
    pub(crate) epoch: u64,
    pub(crate) lease: Duration,
}

/// What the core needs to know of a worker that registers.
pub(crate) fn worker_spec(registration: &wire::Register) -> WorkerSpec {
    WorkerSpec { slots: registration.slots, memory_bytes: registration.memory_bytes, host: registration.host.clone() }
}

#[tonic::async_trait]
impl Workers for WorkersService {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<wire::ToWorker, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<wire::FromWorker>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let mut incoming = request.into_inner();
        let registration = self.registration(&mut incoming).await?;
        let (commands, queued) = mpsc::channel(COMMANDS_MAX);
        let broken = CancellationToken::new();
        let link = Link { commands, _reader: broken.clone().drop_guard() };
        let worker = self.register(registration, link).await.map_err(|report| status_from_report(&report))?;
        let reader = Reader { driver: self.driver.clone(), worker };
        tokio::spawn(reader.run(incoming, broken));
        let welcome = stream::once(std::future::ready(self.welcome(worker)));
        Ok(Response::new(Box::pin(welcome.chain(outgoing(queued)).map(Ok))))
    }
}

impl WorkersService {
    /// The first message, checked.
    async fn registration(&self, incoming: &mut Streaming<wire::FromWorker>) -> Result<wire::Register, Status> {
        let first = tokio::time::timeout(REGISTER_TIMEOUT, incoming.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("the worker did not register"))??;
        match first.and_then(|message| message.kind) {
            Some(Kind::Register(registration)) => {
                self.check(&registration).map_err(|report| status_from_report(&report))?;
                Ok(registration)
            }
            _ => Err(InvalidMessage::new("FromWorker.kind", "is not `register` in a stream's first message").into()),
        }
    }

    fn check(&self, registration: &wire::Register) -> Result<(), ErrorReport> {
        if registration.build != self.build {
            let what = format!("a worker on `{}` is of another build than the coordinator", registration.host);
            return Err(ErrorReport::invalid(what)
                .with_detail(format!("worker `{}`, coordinator `{}`", registration.build, self.build))
                .with_hint("start both from the same binary"));
        }
        if registration.slots == 0 {
            return Err(ErrorReport::invalid(format!("the worker on `{}` has no slots", registration.host))
                .with_hint("start it with --slots 1 or more"));
        }
        Ok(())
    }

    async fn register(&self, registration: wire::Register, link: Link) -> Result<WorkerId, ErrorReport> {
        let (answer, worker) = oneshot::channel();
        let (host, address, slots) = (registration.host.clone(), registration.address.clone(), registration.slots);
        self.driver.send(Call::Attach { registration, link, answer }).await?;
        let worker =
            worker.await.map_err(|_| ErrorReport::new(ErrorKind::Unavailable, "the coordinator is shutting down"))?;
        tracing::info!(%worker, host, address, slots, "worker attached");
        Ok(worker)
    }

    fn welcome(&self, worker: WorkerId) -> wire::ToWorker {
        let lease_ms = u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX);
        let welcome = wire::Welcome { worker: worker.0, epoch: self.epoch, lease_ms };
        wire::ToWorker { kind: Some(wire::to_worker::Kind::Welcome(welcome)) }
    }
}

/// Turns what one worker says into calls, until its stream ends or its link is dropped.
struct Reader {
    driver: ToDriver,
    worker: WorkerId,
}

impl Reader {
    async fn run(self, mut incoming: Streaming<wire::FromWorker>, broken: CancellationToken) {
        let why = tokio::select! {
            why = self.read(&mut incoming) => why,
            () = broken.cancelled() => return,
        };
        // Fails only when the driver has ended, and with it all links.
        let _ = self.driver.send(Call::Detached { worker: self.worker, why }).await;
    }

    /// Returns why there is nothing more to read.
    async fn read(&self, incoming: &mut Streaming<wire::FromWorker>) -> String {
        loop {
            let message = match incoming.message().await {
                Ok(Some(message)) => message,
                Ok(None) => return "the worker closed it".to_owned(),
                Err(status) => return format!("it broke: {}", status.message()),
            };
            match self.call(message) {
                Ok(call) => {
                    if self.driver.send(call).await.is_err() {
                        return "the coordinator is shutting down".to_owned();
                    }
                }
                Err(invalid) => {
                    tracing::error!(worker = %self.worker, error = %invalid, "worker sent an invalid message");
                    return invalid.to_string();
                }
            }
        }
    }

    fn call(&self, message: wire::FromWorker) -> Result<Call, InvalidMessage> {
        let worker = self.worker;
        Ok(match required(message.kind, "FromWorker.kind")? {
            Kind::Register(_) => return Err(InvalidMessage::new("FromWorker.kind", "is `register` for a second time")),
            Kind::Heartbeat(heartbeat) => Call::Heartbeat { worker, heartbeat },
            Kind::Started(attempt) => Call::Input(Input::AttemptStarted { worker, attempt: attempt.into() }),
            Kind::Finished(finished) => Call::Finished(self.finished(finished)?),
            Kind::Failed(failed) => Call::Input(self.failed(failed)?),
            Kind::Leaving(wire::Leaving {}) => Call::Input(Input::DrainRequested { worker }),
        })
    }

    fn finished(&self, finished: wire::AttemptFinished) -> Result<FinishedAttempt, InvalidMessage> {
        Ok(FinishedAttempt {
            worker: self.worker,
            attempt: required(finished.attempt, "AttemptFinished.attempt")?.into(),
            output: TaskOutput::from(required(finished.output, "AttemptFinished.output")?),
            operators: finished.operators,
            cpu_us: finished.cpu_us,
            rss_peak_bytes: finished.rss_peak_bytes,
        })
    }

    fn failed(&self, failed: wire::AttemptFailed) -> Result<Input, InvalidMessage> {
        Ok(Input::AttemptFailed {
            worker: self.worker,
            attempt: required(failed.attempt, "AttemptFailed.attempt")?.into(),
            failure: Failure::try_from(required(failed.failure, "AttemptFailed.failure")?)?,
        })
    }
}
