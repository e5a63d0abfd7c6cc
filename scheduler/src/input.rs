//! Everything that can happen to the scheduler, as past-tense facts.

use windrow_model::{
    AttemptId, ErrorReport, Failure, JobId, JobSpec, MapOutputId, StepPlan, TaskOutput, WorkerId, WrittenFile,
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
    /// Any sign of life; extends the lease.
    WorkerHeard {
        worker: WorkerId,
    },
    /// The stream broke and did not come back within the shell's short reconnect window.
    WorkerDisconnected {
        worker: WorkerId,
    },
    /// The worker will finish what it runs and leave; it gets nothing new.
    DrainRequested {
        worker: WorkerId,
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
    /// A client could not read a part of a result.
    ResultUnreachable {
        output: MapOutputId,
        worker: WorkerId,
    },
    /// Time has passed; see [`crate::Scheduler::next_deadline`].
    Tick,
}
