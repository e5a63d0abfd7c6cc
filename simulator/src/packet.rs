//! What travels over links.

use std::rc::Rc;

use windrow_model::{
    AttemptId, ErrorReport, Failure, JobId, JobSpec, JobState, MapOutputId, TaskOutput, WorkerId, WrittenFile,
};
use windrow_scheduler::{CommittedTask, Inventory, Message, Record, WorkerSpec};

use crate::node::Node;

/// One thing that one node tells another.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub from: Node,
    pub to: Node,
    /// The connection it belongs to; 0 for single calls, which have no order.
    pub session: u64,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// The first packet of a worker's session.
    Hello(Box<Hello>),
    Heartbeat {
        progress: Vec<(AttemptId, u64)>,
    },
    Report(Box<Report>),
    /// A worker wants to leave, or was told that its node goes away `within` so long.
    Leaving {
        within: Option<std::time::Duration>,
    },
    /// The answer to `Hello`: its records are durable.
    Welcome {
        worker: WorkerId,
        epoch: u64,
    },
    Pong,
    Command(Box<Message>),
    /// The connection is closed, or was never known here.
    Reset,
    Ask {
        request: u64,
        question: Box<Question>,
    },
    Answer {
        request: u64,
        answer: Box<Answer>,
    },
    StoreCall {
        call: u64,
        request: StoreRequest,
    },
    StoreReply {
        call: u64,
        reply: StoreReply,
    },
    LocationCall {
        call: u64,
        request: LocationRequest,
    },
    LocationReply {
        call: u64,
        reply: LocationReply,
    },
}

/// Who a worker is and what it still has.
#[derive(Clone, Debug)]
pub(crate) struct Hello {
    pub spec: WorkerSpec,
    /// The id it was welcomed under, if it still has what it had then.
    pub id: Option<WorkerId>,
    pub inventory: Inventory,
}

/// Facts that a worker reports.
#[derive(Clone, Debug)]
pub(crate) enum Report {
    Started { attempt: AttemptId },
    Finished { attempt: AttemptId, output: TaskOutput },
    Failed { attempt: AttemptId, failure: Failure },
    Copied { from: WorkerId, outputs: Vec<MapOutputId> },
    NotCopied { from: WorkerId, outputs: Vec<MapOutputId>, detail: String },
}

/// What clients ask of the leader.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    Submit {
        spec: Box<JobSpec>,
    },
    Cancel {
        job: JobId,
    },
    State {
        job: JobId,
    },
    /// The parts of a step's result.
    Parts {
        job: JobId,
        step: u32,
    },
    Unreachable {
        output: MapOutputId,
        worker: WorkerId,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Submitted {
        job: JobId,
    },
    Cancelled {
        job: JobId,
    },
    Refused {
        report: ErrorReport,
    },
    /// `None` for a job that is not known (any more).
    State {
        state: Option<JobState>,
        result_steps: Vec<u32>,
    },
    Parts {
        parts: Parts,
    },
    Noted,
    /// This node does not lead.
    NotLeader,
}

/// Whether the rows of a result can be read.
#[derive(Clone, Debug)]
pub(crate) enum Parts {
    /// Where each part is; `None` for a part that came with the completion.
    Ready(Vec<(MapOutputId, Option<WorkerId>)>),
    NotNow,
    /// The rows are gone for good: expired, or they could not be computed again.
    Never,
}

/// The journal's calls. Each is applied at one moment.
#[derive(Clone, Debug)]
pub(crate) enum StoreRequest {
    /// Become the leader, if nobody else holds the lease.
    Acquire,
    Renew {
        epoch: u64,
    },
    /// Append `records` at position `at`, if `epoch` is the newest.
    Append {
        epoch: u64,
        at: u64,
        records: Rc<Vec<Record>>,
    },
    /// How long the journal is, if `epoch` is the newest.
    Length {
        epoch: u64,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum StoreReply {
    Acquired {
        epoch: u64,
    },
    Held,
    Renewed,
    Appended,
    /// Something else stands at that position.
    Conflict,
    Length {
        records: u64,
    },
    Fenced,
    Unavailable,
    /// It may have been applied or not.
    Unknown,
}

/// Calls to the place that holds outputs. Each can be repeated.
#[derive(Clone, Debug)]
pub(crate) enum LocationRequest {
    /// Create the manifest of this commit if it is absent: this decides.
    Create { job: JobId, step: u32, tasks: Rc<Vec<CommittedTask>> },
    /// Make the manifest's files visible.
    Publish { job: JobId, step: u32 },
    /// Remove everything a job has staged and not committed.
    Abort { job: JobId },
}

#[derive(Clone, Debug)]
pub(crate) enum LocationReply {
    /// The manifest is there and is this commit's.
    Decided,
    Published {
        files: Vec<WrittenFile>,
    },
    Aborted,
    /// The location does not take this commit, now or later.
    Refused,
    Unavailable,
    Unknown,
}
