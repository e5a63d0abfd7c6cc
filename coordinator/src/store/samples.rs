//! One record of every kind, for tests.

use std::collections::BTreeMap;
use std::time::Duration;

use windrow_model::{
    AttemptId, Determinism, ErrorKind, ErrorReport, Failure, FragmentHash, JobId, JobSpec, JobState, MapOutputId,
    OutputMode, OutputSpec, Program, StageId, StageInput, StagePlan, StepOutcome, StepPlan, TableFormat, TableSpec,
    TaskId, TaskOutput, TaskPlan, Timestamp, WorkerId, WorkerState, WrittenFile,
};
use windrow_scheduler::{AttemptRun, Blamed, CommittedTask, Record, WorkerSpec};

/// The kinds of records there are. [`kind`] does not compile when one is missing there; add it here too.
pub(super) const KINDS: [&str; 14] = [
    "JobSubmitted",
    "JobAdmitted",
    "StagesPlanned",
    "StageCoalesced",
    "TaskFinished",
    "AttemptFailed",
    "OutputsLost",
    "OutputsMoved",
    "CommitIntended",
    "StepFinished",
    "JobEnded",
    "ResultGivenUp",
    "WorkerRegistered",
    "WorkerLeft",
];

pub(super) fn kind(record: &Record) -> &'static str {
    match record {
        Record::JobSubmitted { .. } => "JobSubmitted",
        Record::JobAdmitted { .. } => "JobAdmitted",
        Record::StagesPlanned { .. } => "StagesPlanned",
        Record::StageCoalesced { .. } => "StageCoalesced",
        Record::TaskFinished { .. } => "TaskFinished",
        Record::AttemptFailed { .. } => "AttemptFailed",
        Record::OutputsLost { .. } => "OutputsLost",
        Record::OutputsMoved { .. } => "OutputsMoved",
        Record::CommitIntended { .. } => "CommitIntended",
        Record::StepFinished { .. } => "StepFinished",
        Record::JobEnded { .. } => "JobEnded",
        Record::ResultGivenUp { .. } => "ResultGivenUp",
        Record::WorkerRegistered { .. } => "WorkerRegistered",
        Record::WorkerLeft { .. } => "WorkerLeft",
    }
}

pub(super) fn task(job: u64, index: u32) -> TaskId {
    TaskId { stage: StageId { job: JobId(job), index: 1 }, index }
}

pub(super) fn output(job: u64, index: u32) -> MapOutputId {
    MapOutputId { task: task(job, index), attempt: AttemptId { epoch: 3, n: 1_000 + u64::from(index) } }
}

/// As most records of a busy journal are: a map task of a stage with 16 reduce partitions.
pub(super) fn task_finished(job: u64, index: u32) -> Record {
    let MapOutputId { task, attempt } = output(job, index);
    Record::TaskFinished {
        task,
        attempt,
        worker: WorkerId(12),
        output: TaskOutput {
            rows: 104_000,
            bytes: 3_200_000,
            partition_bytes: vec![200_000; 16],
            rows_in: 750_000,
            bytes_in: 24_000_000,
            memory_bytes_peak: 64 << 20,
            ..TaskOutput::default()
        },
        run: run(),
        at: at(3),
    }
}

pub(super) fn job_submitted(job: u64) -> Record {
    Record::JobSubmitted { job: JobId(job), spec: spec(), at: at(0) }
}

/// Every kind once, in an order in which they could have been written. `job` is a job's number.
pub(super) fn every_kind(job: u64) -> Vec<Record> {
    vec![
        Record::WorkerRegistered { worker: WorkerId(12), spec: worker_spec(), at: at(0) },
        job_submitted(job),
        Record::JobAdmitted { job: JobId(job), at: at(1) },
        Record::StagesPlanned { job: JobId(job), step: 0, plan: plan(), at: at(2) },
        Record::StageCoalesced {
            stage: task(job, 0).stage,
            tasks: vec![TaskPlan { partitions: vec![0, 1], share: None, slots: 1, input_bytes: 0 }],
        },
        task_finished(job, 0),
        attempt_failed(job),
        Record::OutputsMoved { outputs: vec![output(job, 0)], to: WorkerId(13) },
        Record::OutputsLost { outputs: vec![output(job, 0), output(job, 1)] },
        Record::CommitIntended { job: JobId(job), step: 0, tasks: vec![committed_task(job)], at: at(5) },
        Record::StepFinished { job: JobId(job), step: 0, files: 1, rows: 10, bytes: 2_000, at: at(6) },
        Record::ResultGivenUp { job: JobId(job), report: report() },
        Record::JobEnded {
            job: JobId(job),
            state: JobState::Failed,
            code: "task-failed".into(),
            report: Some(report()),
            at: at(7),
        },
        Record::WorkerLeft { worker: WorkerId(12), state: WorkerState::Lost, at: at(8) },
    ]
}

fn at(second: u64) -> Timestamp {
    Timestamp(1_795_000_000_000_000 + second * 1_000_000)
}

fn run() -> AttemptRun {
    AttemptRun { try_number: 1, slots: 2, speculative: false, assigned_at: at(2), started_at: Some(at(3)) }
}

fn report() -> ErrorReport {
    ErrorReport::new(ErrorKind::Exhausted, "the task ran out of memory").with_detail("sort").with_hint("add memory")
}

fn worker_spec() -> WorkerSpec {
    WorkerSpec { slots: 8, memory_bytes: 16 << 30, host: "node-a".into(), name: "node-a:/var/windrow".into() }
}

fn spec() -> JobSpec {
    let table = TableSpec {
        location: "./flights/".into(),
        format: TableFormat::Csv,
        options: BTreeMap::from([("format.has_header".into(), "true".into())]),
    };
    let output = OutputSpec {
        location: "./out/".into(),
        format: TableFormat::Parquet,
        mode: OutputMode::Append,
        partition_by: vec!["day".into()],
        options: BTreeMap::from([("compression".into(), "zstd".into())]),
    };
    JobSpec {
        name: "late-flights".into(),
        application: "default".into(),
        queue: "nightly".into(),
        priority: 50,
        submitted_by: "someone".into(),
        timeout: Some(Duration::from_millis(90_500)),
        client_token: Some("token".into()),
        program: Program::Sql {
            script: "SELECT carrier, count(*) FROM flights GROUP BY carrier".into(),
            base: "file:///jobs/".into(),
            tables: BTreeMap::from([("flights".into(), table)]),
            made: BTreeMap::new(),
            output: Some(output),
        },
    }
}

fn plan() -> StepPlan {
    let scan = StagePlan {
        index: 0,
        label: "scan flights → partial aggregate".into(),
        fragment: FragmentHash([7; 16]),
        tasks: vec![TaskPlan { partitions: vec![0, 1], share: None, slots: 2, input_bytes: 1 << 20 }],
        inputs: vec![],
        output_partitions: 4,
        determinism: Determinism::Determinate,
        coalescing: None,
    };
    let write = StagePlan {
        index: 1,
        label: "final aggregate → write".into(),
        fragment: FragmentHash([8; 16]),
        tasks: vec![TaskPlan { partitions: vec![0, 1, 2, 3], share: None, slots: 4, input_bytes: 0 }],
        inputs: vec![StageInput { stage: 0 }],
        output_partitions: 1,
        determinism: Determinism::Unordered,
        coalescing: None,
    };
    StepPlan { stages: vec![scan, write], outcome: StepOutcome::Commit { stage: 1 }, last: true }
}

fn attempt_failed(job: u64) -> Record {
    let MapOutputId { task, attempt } = output(job, 1);
    let (output, peer, detail) = (output(job, 0), WorkerId(12), "reset".into());
    let failure = Failure::FetchFailed { output, peer, detail, unreached: false };
    let blamed = Some(Blamed::Current { blames: 2 });
    Record::AttemptFailed { task, attempt, worker: WorkerId(13), failure, blamed, run: run(), at: at(4) }
}

fn committed_task(job: u64) -> CommittedTask {
    let MapOutputId { task, attempt } = output(job, 1);
    let file = WrittenFile {
        path: "day=1/part-0.parquet".into(),
        staged: "_windrow/u/3-1001".into(),
        parts: vec!["etag-1".into()],
        rows: 10,
        bytes: 2_000,
    };
    CommittedTask { task, attempt, files: vec![file] }
}
