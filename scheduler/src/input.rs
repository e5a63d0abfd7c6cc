//! Everything that can happen to the scheduler, as past-tense facts.

use std::time::Duration;

use windrow_model::{
    AttemptId, ErrorReport, Failure, JobId, JobSpec, MapOutputId, StepPlan, TaskId, TaskOutput, WorkerId, WrittenFile,
};

/// Names a caller that waits for a [`crate::Reply`]. Chosen by the shell, echoed by the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What a worker offers when it registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSpec {
    pub slots: u32,
    /// The worker's memory pool, in bytes.
    pub memory_bytes: u64,
    /// Workers with the same host share a page cache; used to place tasks and to explain.
    pub host: String,
    /// Stable name of the place it runs at. A process that restarts there registers as a new worker of the same name.
    pub name: String,
}

/// What a worker runs and holds when it comes back under its own id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    pub running: Vec<(TaskId, AttemptId)>,
    /// Every successful attempt that the worker has not been told to drop, reported before or not: map outputs, result
    /// rows, staged files, and the figures of those that leave nothing else.
    pub finished: Vec<(TaskId, AttemptId, TaskOutput)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Answered by `Reply::Submitted` or `Reply::Refused`.
    JobSubmitted {
        request: RequestId,
        spec: JobSpec,
    },
    /// Answered by `Reply::Cancelled` or `Reply::Refused`.
    JobCancelled {
        request: RequestId,
        job: JobId,
    },
    /// Answers a [`crate::PlanRequest`].
    StagesPlanned {
        job: JobId,
        step: u32,
        plan: StepPlan,
    },
    PlanFailed {
        job: JobId,
        step: u32,
        report: ErrorReport,
    },
    /// Answers a [`crate::CommitRequest`]: the output is published.
    CommitFinished {
        job: JobId,
        step: u32,
        files: Vec<WrittenFile>,
    },
    CommitFailed {
        job: JobId,
        step: u32,
        report: ErrorReport,
    },
    /// The shell has checked the build and given the id, which is never used twice.
    WorkerRegistered {
        worker: WorkerId,
        spec: WorkerSpec,
    },
    /// A worker for which [`crate::Scheduler::may_reattach`] holds comes back under its own id.
    WorkerReattached {
        worker: WorkerId,
        spec: WorkerSpec,
        inventory: Inventory,
    },
    /// Any sign of life; extends the lease.
    WorkerHeard {
        worker: WorkerId,
    },
    /// The stream broke and did not come back within the shell's short reconnect window.
    WorkerDisconnected {
        worker: WorkerId,
    },
    /// The worker gets nothing new, finishes or hands over what it has, and leaves.
    DrainRequested {
        worker: WorkerId,
        /// `None` stands for `Limits::drain_deadline`.
        within: Option<Duration>,
    },
    AttemptStarted {
        worker: WorkerId,
        attempt: AttemptId,
    },
    AttemptFinished {
        worker: WorkerId,
        attempt: AttemptId,
        output: TaskOutput,
    },
    AttemptFailed {
        worker: WorkerId,
        attempt: AttemptId,
        failure: Failure,
    },
    /// How far attempts have come; a number grows while its attempt moves (rows and bytes, in and out).
    /// Soft: it is not persisted, and extends the lease as any message does.
    AttemptProgressed {
        worker: WorkerId,
        progress: Vec<(AttemptId, u64)>,
    },
    /// Answers [`crate::Message::CopyOutputs`]: this worker now holds the outputs too.
    OutputsCopied {
        worker: WorkerId,
        from: WorkerId,
        outputs: Vec<MapOutputId>,
    },
    /// Answers [`crate::Message::CopyOutputs`]: it holds none of them.
    OutputsNotCopied {
        worker: WorkerId,
        from: WorkerId,
        outputs: Vec<MapOutputId>,
        detail: String,
    },
    /// A client could not read a part of a result.
    ResultUnreachable {
        output: MapOutputId,
        worker: WorkerId,
    },
    /// Time has passed; see [`crate::Scheduler::next_deadline`].
    Tick,
}
