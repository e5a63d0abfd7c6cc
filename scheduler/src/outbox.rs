//! What one step asks the shell to do: persist `records`, and deliver the rest.

use std::sync::Arc;

use windrow_model::{
    AttemptId, AttemptState, ClusterShape, ErrorReport, Failure, FragmentHash, InputShare, JobId, JobSpec, JobState,
    MapOutputId, StageId, StageState, StepOutcome, StepPlan, TaskId, TaskOutput, TaskPlan, Timestamp, WorkerId,
    WorkerState, WrittenFile,
};

use crate::{Blamed, RequestId, WorkerSpec};

/// The effects of one or more steps, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    /// To be made durable, in this order and after all earlier ones.
    pub records: Vec<Record>,
    /// `records` must be durable before anything else here is told to anyone. Otherwise the rest may be told at once
    /// and the records may become durable with the next batch: a new leader rebuilds them from what workers hold.
    pub persist_first: bool,
    pub messages: Vec<(WorkerId, Message)>,
    pub replies: Vec<Reply>,
    pub plan_requests: Vec<PlanRequest>,
    pub commit_requests: Vec<CommitRequest>,
    /// What watchers see. Soft: never persisted, may be dropped.
    pub events: Vec<Event>,
}

/// The exact list of what survives a failover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    JobSubmitted {
        job: JobId,
        spec: JobSpec,
        at: Timestamp,
    },
    JobAdmitted {
        job: JobId,
        at: Timestamp,
    },
    StagesPlanned {
        job: JobId,
        step: u32,
        plan: StepPlan,
        at: Timestamp,
    },
    /// The stage has these tasks instead of the planned ones.
    StageCoalesced {
        stage: StageId,
        tasks: Vec<TaskPlan>,
    },
    TaskFinished {
        task: TaskId,
        attempt: AttemptId,
        worker: WorkerId,
        output: TaskOutput,
        run: AttemptRun,
        at: Timestamp,
    },
    /// Keeps what counts against a task, and its history for people.
    AttemptFailed {
        task: TaskId,
        attempt: AttemptId,
        worker: WorkerId,
        failure: Failure,
        /// For a failed fetch: what was known about the output.
        blamed: Option<Blamed>,
        run: AttemptRun,
        at: Timestamp,
    },
    /// Outputs that are gone; their tasks run again where they are needed.
    OutputsLost {
        outputs: Vec<MapOutputId>,
    },
    /// Outputs that another worker holds now.
    OutputsMoved {
        outputs: Vec<MapOutputId>,
        to: WorkerId,
    },
    CommitIntended {
        job: JobId,
        step: u32,
        tasks: Vec<CommittedTask>,
        at: Timestamp,
    },
    /// With what the commit has published; zeros when the step commits nothing.
    StepFinished {
        job: JobId,
        step: u32,
        files: u64,
        rows: u64,
        bytes: u64,
        at: Timestamp,
    },
    JobEnded {
        job: JobId,
        state: JobState,
        /// Reason code.
        code: String,
        report: Option<ErrorReport>,
        at: Timestamp,
    },
    /// Rows that a succeeded job kept for its client were lost and cannot be computed again.
    ResultGivenUp {
        job: JobId,
        report: ErrorReport,
    },
    WorkerRegistered {
        worker: WorkerId,
        spec: WorkerSpec,
        at: Timestamp,
    },
    WorkerLeft {
        worker: WorkerId,
        /// `Gone` or `Lost`.
        state: WorkerState,
        at: Timestamp,
    },
}

/// How an attempt came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptRun {
    /// 1 for the first try.
    pub try_number: u32,
    /// Slots it held.
    pub slots: u32,
    /// It was started while another attempt at the same task was live.
    pub speculative: bool,
    pub assigned_at: Timestamp,
    /// `None` if the worker never said that it had started.
    pub started_at: Option<Timestamp>,
}

/// Commands to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    RunTask(RunTask),
    CancelAttempt {
        attempt: AttemptId,
    },
    /// The outputs of these stages are no longer needed by anyone.
    ReleaseStages {
        stages: Vec<StageId>,
    },
    /// Nothing of this job is needed any more: outputs, fragments, staged files of failed attempts.
    ReleaseJob {
        job: JobId,
    },
    /// Fetch these whole map outputs from a draining peer and keep them under the same ids,
    /// then answer for each of them, with `OutputsCopied` or `OutputsNotCopied`: one that was released meanwhile does not
    /// keep the others. Told to `WorkerId::SHUFFLE_STORE`, it is the peer that writes them to the object store.
    CopyOutputs {
        outputs: Vec<MapOutputId>,
        from: WorkerId,
    },
    /// These inputs of a running attempt are now elsewhere; the old place may vanish.
    RepointInputs {
        attempt: AttemptId,
        inputs: Vec<InputRef>,
    },
    /// Leave: everything the worker held has been handed over or is not needed.
    Shutdown,
}

/// Everything a worker needs beyond the fragment and its splits, which the shell adds from its own store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunTask {
    pub task: TaskId,
    pub attempt: AttemptId,
    /// 1 for the first try.
    pub try_number: u32,
    pub fragment: FragmentHash,
    pub partitions: Vec<u32>,
    /// Which part of an input it reads, if others share its partition.
    pub share: Option<InputShare>,
    /// Slots granted, at least 1.
    pub slots: u32,
    pub output_partitions: u32,
    /// The stage's rows go to the client: small outputs are returned inline.
    pub is_result: bool,
    /// All outputs of all input stages, ordered by (stage, task). Shared by the tasks of a stage.
    pub inputs: Arc<[InputRef]>,
    /// How large they are together, by stage, in the same order.
    pub input_sizes: Arc<[StageSize]>,
}

/// All outputs of one stage together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageSize {
    pub stage: StageId,
    pub rows: u64,
    /// As they are stored.
    pub bytes: u64,
}

/// Where one map output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputRef {
    pub output: MapOutputId,
    pub worker: WorkerId,
}

/// Answers to callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Submitted { request: RequestId, job: JobId, existing: bool },
    Cancelled { request: RequestId, job: JobId },
    Refused { request: RequestId, report: ErrorReport },
}

/// Plan the next statement of a job, then answer with `StagesPlanned` or `PlanFailed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanRequest {
    pub job: JobId,
    /// 0 for the first statement.
    pub step: u32,
    /// Index to give to the first new stage.
    pub first_stage: u32,
    pub cluster: ClusterShape,
}

/// Publish the files of these attempts and no others: those of the last stage, and what others have written aside, then answer with `CommitFinished` or `CommitFailed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRequest {
    pub job: JobId,
    pub step: u32,
    pub tasks: Vec<CommittedTask>,
}

/// The one attempt of a task whose files count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedTask {
    pub task: TaskId,
    pub attempt: AttemptId,
    pub files: Vec<WrittenFile>,
}

/// A change that a person may want to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    JobChanged { job: JobId, state: JobState, report: Option<ErrorReport> },
    StepPlanned { job: JobId, step: u32, outcome: StepOutcome },
    StepFinished { job: JobId, step: u32 },
    StageChanged { stage: StageId, state: StageState, tasks_done: u32, tasks: u32, rows: u64, bytes: u64 },
    AttemptChanged { task: TaskId, attempt: AttemptId, worker: WorkerId, state: AttemptState, failure: Option<Failure> },
    WorkerChanged { worker: WorkerId, state: WorkerState, reason: String },
}
