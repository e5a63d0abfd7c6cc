//! What the rim asks of the driver, and the handle it asks through.

use tokio::sync::{mpsc, oneshot};
use windrow_engine::job::{JobSession, PlannedStep};
use windrow_model::{AttemptId, ErrorKind, ErrorReport, JobId, TaskId, TaskOutput, WorkerId, WrittenFile};
use windrow_proto as wire;
use windrow_scheduler::{Input, Inventory, Reply, RequestId};

use crate::fleet::{Link, LinkId};
use crate::history::Memory;
use crate::state::State;

/// Calls that may wait for the driver. A few for each of a thousand workers; beyond it, callers wait, which
/// slows them down before memory fills up.
pub(crate) const INBOX_LEN: usize = 4096;

type BuildInput = Box<dyn FnOnce(RequestId) -> Input + Send>;
pub(crate) type Question = Box<dyn FnOnce(&State) + Send>;

/// One message to the driver.
#[expect(clippy::large_enum_variant, reason = "the inbox is short, and a planned step is rare beside heartbeats")]
pub(crate) enum Call {
    Input(Input),
    /// An input that the core answers.
    Request {
        input: BuildInput,
        answer: oneshot::Sender<Reply>,
    },
    /// A question about the state after everything before it is committed.
    Query(Question),
    Planned {
        job: JobId,
        step: u32,
        outcome: Result<(JobSession, PlannedStep), ErrorReport>,
    },
    Committed {
        job: JobId,
        step: u32,
        outcome: Result<Vec<WrittenFile>, ErrorReport>,
    },
    /// A commit met an error and is tried again.
    CommitDelayed {
        job: JobId,
        step: u32,
        report: ErrorReport,
    },
    /// What an earlier leader noted about a job, if anything.
    Remembered {
        job: JobId,
        memory: Option<Memory>,
    },
    Attach {
        registration: wire::Register,
        inventory: Inventory,
        link: Link,
        answer: oneshot::Sender<Attachment>,
    },
    Heartbeat {
        worker: WorkerId,
        heartbeat: wire::Heartbeat,
    },
    Finished(FinishedAttempt),
    Said(SaidByAttempt),
    /// This stream of the worker has ended.
    Detached {
        worker: WorkerId,
        link: LinkId,
        why: String,
    },
    /// Ends the driver after what came before.
    Stop,
}

/// How a worker was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) worker: WorkerId,
    /// Under the id it had; otherwise it starts with nothing.
    pub(crate) resumed: bool,
}

/// A success as its worker reports it.
pub(crate) struct FinishedAttempt {
    pub(crate) worker: WorkerId,
    pub(crate) attempt: AttemptId,
    pub(crate) output: TaskOutput,
    pub(crate) operators: Vec<wire::OperatorMetrics>,
    pub(crate) cpu_us: u64,
    pub(crate) rss_peak_bytes: u64,
}

/// What the user's code of an attempt has said so far.
pub(crate) struct SaidByAttempt {
    pub(crate) task: TaskId,
    pub(crate) attempt: AttemptId,
    pub(crate) said: wire::Said,
}

/// The way to the driver.
#[derive(Clone, Debug)]
pub(crate) struct ToDriver {
    calls: mpsc::Sender<Call>,
}

impl ToDriver {
    pub(crate) fn channel() -> (ToDriver, mpsc::Receiver<Call>) {
        let (calls, inbox) = mpsc::channel(INBOX_LEN);
        (ToDriver { calls }, inbox)
    }

    /// Fails only when the driver has ended.
    pub(crate) async fn send(&self, call: Call) -> Result<(), ErrorReport> {
        self.calls.send(call).await.map_err(|_| stopped())
    }

    /// Puts an input that the core answers, and waits for the answer.
    pub(crate) async fn request(
        &self,
        input: impl FnOnce(RequestId) -> Input + Send + 'static,
    ) -> Result<Reply, ErrorReport> {
        let (answer, reply) = oneshot::channel();
        self.send(Call::Request { input: Box::new(input), answer }).await?;
        reply.await.map_err(|_| stopped())
    }

    /// Runs a question inside the loop, where the state is; it must be short.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        question: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, ErrorReport> {
        let (answer, reply) = oneshot::channel();
        let question = move |state: &State| {
            // The caller may have gone away meanwhile.
            let _ = answer.send(question(state));
        };
        self.send(Call::Query(Box::new(question))).await?;
        reply.await.map_err(|_| stopped())
    }
}

fn stopped() -> ErrorReport {
    ErrorReport::new(ErrorKind::Unavailable, "the coordinator is shutting down")
        .with_hint("try again when it is back; look at its log if it did not stop on purpose")
}
