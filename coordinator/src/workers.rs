//! The service for workers: one long-lived stream each, commands out, facts in.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use windrow_model::{AttemptId, ErrorKind, ErrorReport, Failure, MapOutputId, TaskId, TaskOutput, WorkerId};
use windrow_proto as wire;
use windrow_proto::from_worker::Kind;
use windrow_proto::workers_server::Workers;
use windrow_proto::{InvalidMessage, required, status_from_report};
use windrow_scheduler::{Input, Inventory, WorkerSpec};

use crate::call::{Attachment, Call, FinishedAttempt, SaidByAttempt, ToDriver};
use crate::fleet::{Link, LinkId};
use crate::outgoing::{COMMANDS_MAX, outgoing};

/// A connection that does not say who it is, and what it has, for so long is closed.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(10);
/// Pieces of an inventory, of some hundred outputs each.
const INVENTORY_MESSAGES_MAX: u32 = 65_536;

/// Numbers the streams of this process.
static LINKS: AtomicU64 = AtomicU64::new(0);

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
    WorkerSpec {
        slots: registration.slots,
        memory_bytes: registration.memory_bytes,
        host: registration.host.clone(),
        name: registration.name.clone(),
    }
}

#[tonic::async_trait]
impl Workers for WorkersService {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<wire::ToWorker, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<wire::FromWorker>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let mut incoming = request.into_inner();
        let introduction = tokio::time::timeout(REGISTER_TIMEOUT, self.introduction(&mut incoming)).await;
        let (registration, inventory) =
            introduction.map_err(|_| Status::deadline_exceeded("the worker did not register"))??;
        let (commands, queued) = mpsc::channel(COMMANDS_MAX);
        let broken = CancellationToken::new();
        let id = LinkId(LINKS.fetch_add(1, Ordering::Relaxed));
        let link = Link { id, commands, _reader: broken.clone().drop_guard() };
        let attached = self.register(registration, inventory, link).await;
        let Attachment { worker, resumed } = attached.map_err(|report| status_from_report(&report))?;
        let reader = Reader { driver: self.driver.clone(), worker, link: id };
        tokio::spawn(reader.run(incoming, broken));
        let welcome = stream::once(std::future::ready(self.welcome(worker, resumed)));
        Ok(Response::new(Box::pin(welcome.chain(outgoing(queued)).map(Ok))))
    }
}

impl WorkersService {
    /// The first messages, checked.
    async fn introduction(
        &self,
        incoming: &mut Streaming<wire::FromWorker>,
    ) -> Result<(wire::Register, Inventory), Status> {
        let first = incoming.message().await?;
        let Some(Kind::Register(registration)) = first.and_then(|message| message.kind) else {
            return Err(InvalidMessage::new("FromWorker.kind", "is not `register` in a stream's first message").into());
        };
        self.check(&registration).map_err(|report| status_from_report(&report))?;
        if registration.inventory_messages > INVENTORY_MESSAGES_MAX {
            return Err(InvalidMessage::new("Register.inventory_messages", "is too large").into());
        }
        let mut inventory = Inventory::default();
        for _ in 0..registration.inventory_messages {
            match incoming.message().await?.and_then(|message| message.kind) {
                Some(Kind::Inventory(piece)) => add_piece(&mut inventory, piece)?,
                _ => return Err(InvalidMessage::new("FromWorker.kind", "is not an announced `inventory`").into()),
            }
        }
        Ok((registration, inventory))
    }

    fn check(&self, registration: &wire::Register) -> Result<(), ErrorReport> {
        if registration.build != self.build {
            let what = format!("a worker on `{}` is of another build than the coordinator", registration.host);
            return Err(ErrorReport::invalid(what)
                .with_detail(format!("worker `{}`, coordinator `{}`", registration.build, self.build))
                .with_hint("start both from the same binary"));
        }
        if let Some(past) = registration.past.filter(|past| past.epoch > self.epoch) {
            let what = format!("a worker on `{}` has served a newer leader", registration.host);
            return Err(ErrorReport::new(ErrorKind::Unavailable, what)
                .with_detail(format!("epoch {}, and this coordinator has {}", past.epoch, self.epoch))
                .with_hint("this coordinator should have stopped; look at its log"));
        }
        if registration.slots == 0 {
            return Err(ErrorReport::invalid(format!("the worker on `{}` has no slots", registration.host))
                .with_hint("start it with --slots 1 or more"));
        }
        Ok(())
    }

    async fn register(
        &self,
        registration: wire::Register,
        inventory: Inventory,
        link: Link,
    ) -> Result<Attachment, ErrorReport> {
        let (answer, attached) = oneshot::channel();
        let (host, address, slots) = (registration.host.clone(), registration.address.clone(), registration.slots);
        self.driver.send(Call::Attach { registration, inventory, link, answer }).await?;
        let attached =
            attached.await.map_err(|_| ErrorReport::new(ErrorKind::Unavailable, "the coordinator is shutting down"))?;
        tracing::info!(worker = %attached.worker, resumed = attached.resumed, host, address, slots, "worker attached");
        Ok(attached)
    }

    fn welcome(&self, worker: WorkerId, resumed: bool) -> wire::ToWorker {
        let lease_ms = u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX);
        let welcome = wire::Welcome { worker: worker.0, epoch: self.epoch, lease_ms, resumed };
        wire::ToWorker { kind: Some(wire::to_worker::Kind::Welcome(welcome)) }
    }
}

fn add_piece(inventory: &mut Inventory, piece: wire::Inventory) -> Result<(), InvalidMessage> {
    for running in piece.running {
        inventory.running.push(named(running)?);
    }
    for kept in piece.finished {
        let (task, attempt) = named(required(kept.attempt, "KeptOutput.attempt")?)?;
        let output = TaskOutput::from(required(kept.output, "KeptOutput.output")?);
        inventory.finished.push((task, attempt, output));
    }
    Ok(())
}

fn named(attempt: wire::TaskAttempt) -> Result<(TaskId, AttemptId), InvalidMessage> {
    let task = required(attempt.task, "TaskAttempt.task")?.into();
    Ok((task, required(attempt.attempt, "TaskAttempt.attempt")?.into()))
}

/// Turns what one worker says into calls, until its stream ends or its link is dropped.
struct Reader {
    driver: ToDriver,
    worker: WorkerId,
    link: LinkId,
}

impl Reader {
    async fn run(self, mut incoming: Streaming<wire::FromWorker>, broken: CancellationToken) {
        let why = tokio::select! {
            why = self.read(&mut incoming) => why,
            () = broken.cancelled() => return,
        };
        // Fails only when the driver has ended, and with it all links.
        let _ = self.driver.send(Call::Detached { worker: self.worker, link: self.link, why }).await;
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
            Kind::Said(said) => Call::Said(self.said(said)?),
            Kind::Failed(failed) => Call::Input(self.failed(failed)?),
            Kind::Leaving(wire::Leaving {}) => Call::Input(Input::DrainRequested { worker, within: None }),
            Kind::Inventory(_) => return Err(InvalidMessage::new("FromWorker.kind", "is an `inventory` too late")),
            Kind::OutputsCopied(copied) => Call::Input(self.copied(copied)?),
        })
    }

    fn copied(&self, copied: wire::OutputsCopied) -> Result<Input, InvalidMessage> {
        let from = WorkerId(copied.from);
        let worker = match copied.stored {
            true if from != self.worker => {
                return Err(InvalidMessage::new("OutputsCopied.from", "is not the worker that has stored them"));
            }
            true => WorkerId::SHUFFLE_STORE,
            false => self.worker,
        };
        let outputs = copied.outputs.into_iter().map(MapOutputId::try_from).collect::<Result<_, _>>()?;
        Ok(match copied.failure {
            None => Input::OutputsCopied { worker, from, outputs },
            Some(detail) => Input::OutputsNotCopied { worker, from, outputs, detail },
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

    fn said(&self, said: wire::AttemptSaid) -> Result<SaidByAttempt, InvalidMessage> {
        Ok(SaidByAttempt {
            task: required(said.task, "AttemptSaid.task")?.into(),
            attempt: required(said.attempt, "AttemptSaid.attempt")?.into(),
            said: said.said.unwrap_or_default(),
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
