//! Records. A new kind breaks the build here, and its number in `journal.proto` is for ever.

use windrow_model::{JobId, JobState, StageId, Timestamp, WorkerId, WorkerState};
use windrow_scheduler::Record;

use super::invalid::{Invalid, all, each, named, required};
use super::pb;
use pb::record::Kind;

impl From<&Record> for pb::Record {
    fn from(record: &Record) -> Self {
        let kind = match record {
            Record::JobSubmitted { job, spec, at } => {
                Kind::JobSubmitted(pb::JobSubmitted { job: job.0, spec: Some(spec.into()), at_us: at.0 })
            }
            Record::JobAdmitted { job, at } => Kind::JobAdmitted(pb::JobAdmitted { job: job.0, at_us: at.0 }),
            Record::StagesPlanned { job, step, plan, at } => {
                Kind::StagesPlanned(pb::StagesPlanned { job: job.0, step: *step, plan: Some(plan.into()), at_us: at.0 })
            }
            Record::TaskFinished { task, attempt, worker, output, run, at } => Kind::TaskFinished(pb::TaskFinished {
                task: Some(task.into()),
                attempt: Some(attempt.into()),
                worker: worker.0,
                output: Some(output.into()),
                run: Some(run.into()),
                at_us: at.0,
            }),
            Record::AttemptFailed { task, attempt, worker, failure, blamed, run, at } => {
                Kind::AttemptFailed(pb::AttemptFailed {
                    task: Some(task.into()),
                    attempt: Some(attempt.into()),
                    worker: worker.0,
                    failure: Some(failure.into()),
                    blamed: blamed.map(Into::into),
                    run: Some(run.into()),
                    at_us: at.0,
                })
            }
            Record::OutputsLost { outputs } => Kind::OutputsLost(pb::OutputsLost { outputs: each(outputs) }),
            Record::OutputsMoved { outputs, to } => {
                Kind::OutputsMoved(pb::OutputsMoved { outputs: each(outputs), to: to.0 })
            }
            Record::StageCoalesced { stage, tasks } => {
                Kind::StageCoalesced(pb::StageCoalesced { job: stage.job.0, stage: stage.index, tasks: each(tasks) })
            }
            Record::CommitIntended { job, step, tasks, at } => {
                Kind::CommitIntended(pb::CommitIntended { job: job.0, step: *step, tasks: each(tasks), at_us: at.0 })
            }
            Record::StepFinished { job, step, files, rows, bytes, at } => Kind::StepFinished(pb::StepFinished {
                job: job.0,
                step: *step,
                files: *files,
                rows: *rows,
                bytes: *bytes,
                at_us: at.0,
            }),
            Record::JobEnded { job, state, code, report, at } => Kind::JobEnded(pb::JobEnded {
                job: job.0,
                state: state.name().to_owned(),
                code: code.clone(),
                report: report.as_ref().map(Into::into),
                at_us: at.0,
            }),
            Record::ResultGivenUp { job, report } => {
                Kind::ResultGivenUp(pb::ResultGivenUp { job: job.0, report: Some(report.into()) })
            }
            Record::WorkerRegistered { worker, spec, at } => {
                Kind::WorkerRegistered(pb::WorkerRegistered { worker: worker.0, spec: Some(spec.into()), at_us: at.0 })
            }
            Record::WorkerLeft { worker, state, at } => {
                Kind::WorkerLeft(pb::WorkerLeft { worker: worker.0, state: state.name().to_owned(), at_us: at.0 })
            }
        };
        pb::Record { kind: Some(kind) }
    }
}

impl TryFrom<pb::Record> for Record {
    type Error = Invalid;

    fn try_from(record: pb::Record) -> Result<Self, Invalid> {
        match known_kind(record)? {
            Kind::JobSubmitted(submitted) => submitted.try_into(),
            Kind::JobAdmitted(admitted) => {
                Ok(Record::JobAdmitted { job: JobId(admitted.job), at: Timestamp(admitted.at_us) })
            }
            Kind::StagesPlanned(planned) => planned.try_into(),
            Kind::TaskFinished(finished) => finished.try_into(),
            Kind::AttemptFailed(failed) => failed.try_into(),
            Kind::OutputsLost(lost) => Ok(Record::OutputsLost { outputs: all(lost.outputs)? }),
            Kind::OutputsMoved(moved) => {
                Ok(Record::OutputsMoved { outputs: all(moved.outputs)?, to: WorkerId(moved.to) })
            }
            Kind::StageCoalesced(coalesced) => {
                let stage = StageId { job: JobId(coalesced.job), index: coalesced.stage };
                let tasks = coalesced.tasks.into_iter().map(Into::into).collect();
                Ok(Record::StageCoalesced { stage, tasks })
            }
            Kind::CommitIntended(intended) => intended.try_into(),
            Kind::StepFinished(finished) => Ok(finished.into()),
            Kind::JobEnded(ended) => ended.try_into(),
            Kind::ResultGivenUp(given_up) => given_up.try_into(),
            Kind::WorkerRegistered(registered) => registered.try_into(),
            Kind::WorkerLeft(left) => left.try_into(),
        }
    }
}

/// A kind that this build does not know decodes as none at all.
fn known_kind(record: pb::Record) -> Result<Kind, Invalid> {
    record.kind.ok_or_else(|| Invalid::Unknown { field: "Record.kind", value: "record".to_owned() })
}

impl TryFrom<pb::JobSubmitted> for Record {
    type Error = Invalid;

    fn try_from(submitted: pb::JobSubmitted) -> Result<Self, Invalid> {
        Ok(Record::JobSubmitted {
            job: JobId(submitted.job),
            spec: required(submitted.spec, "JobSubmitted.spec")?.try_into()?,
            at: Timestamp(submitted.at_us),
        })
    }
}

impl TryFrom<pb::StagesPlanned> for Record {
    type Error = Invalid;

    fn try_from(planned: pb::StagesPlanned) -> Result<Self, Invalid> {
        Ok(Record::StagesPlanned {
            job: JobId(planned.job),
            step: planned.step,
            plan: required(planned.plan, "StagesPlanned.plan")?.try_into()?,
            at: Timestamp(planned.at_us),
        })
    }
}

impl TryFrom<pb::TaskFinished> for Record {
    type Error = Invalid;

    fn try_from(finished: pb::TaskFinished) -> Result<Self, Invalid> {
        Ok(Record::TaskFinished {
            task: required(finished.task, "TaskFinished.task")?.into(),
            attempt: required(finished.attempt, "TaskFinished.attempt")?.into(),
            worker: WorkerId(finished.worker),
            output: required(finished.output, "TaskFinished.output")?.into(),
            run: required(finished.run, "TaskFinished.run")?.into(),
            at: Timestamp(finished.at_us),
        })
    }
}

impl TryFrom<pb::AttemptFailed> for Record {
    type Error = Invalid;

    fn try_from(failed: pb::AttemptFailed) -> Result<Self, Invalid> {
        Ok(Record::AttemptFailed {
            task: required(failed.task, "AttemptFailed.task")?.into(),
            attempt: required(failed.attempt, "AttemptFailed.attempt")?.into(),
            worker: WorkerId(failed.worker),
            failure: required(failed.failure, "AttemptFailed.failure")?.try_into()?,
            blamed: failed.blamed.map(TryInto::try_into).transpose()?,
            run: required(failed.run, "AttemptFailed.run")?.into(),
            at: Timestamp(failed.at_us),
        })
    }
}

impl TryFrom<pb::CommitIntended> for Record {
    type Error = Invalid;

    fn try_from(intended: pb::CommitIntended) -> Result<Self, Invalid> {
        Ok(Record::CommitIntended {
            job: JobId(intended.job),
            step: intended.step,
            tasks: all(intended.tasks)?,
            at: Timestamp(intended.at_us),
        })
    }
}

impl From<pb::StepFinished> for Record {
    fn from(finished: pb::StepFinished) -> Self {
        Record::StepFinished {
            job: JobId(finished.job),
            step: finished.step,
            files: finished.files,
            rows: finished.rows,
            bytes: finished.bytes,
            at: Timestamp(finished.at_us),
        }
    }
}

impl TryFrom<pb::JobEnded> for Record {
    type Error = Invalid;

    fn try_from(ended: pb::JobEnded) -> Result<Self, Invalid> {
        Ok(Record::JobEnded {
            job: JobId(ended.job),
            state: named(JobState::from_name(&ended.state), "JobEnded.state", &ended.state)?,
            code: ended.code,
            report: ended.report.map(Into::into),
            at: Timestamp(ended.at_us),
        })
    }
}

impl TryFrom<pb::ResultGivenUp> for Record {
    type Error = Invalid;

    fn try_from(given_up: pb::ResultGivenUp) -> Result<Self, Invalid> {
        Ok(Record::ResultGivenUp {
            job: JobId(given_up.job),
            report: required(given_up.report, "ResultGivenUp.report")?.into(),
        })
    }
}

impl TryFrom<pb::WorkerRegistered> for Record {
    type Error = Invalid;

    fn try_from(registered: pb::WorkerRegistered) -> Result<Self, Invalid> {
        Ok(Record::WorkerRegistered {
            worker: WorkerId(registered.worker),
            spec: required(registered.spec, "WorkerRegistered.spec")?.into(),
            at: Timestamp(registered.at_us),
        })
    }
}

impl TryFrom<pb::WorkerLeft> for Record {
    type Error = Invalid;

    fn try_from(left: pb::WorkerLeft) -> Result<Self, Invalid> {
        Ok(Record::WorkerLeft {
            worker: WorkerId(left.worker),
            state: named(WorkerState::from_name(&left.state), "WorkerLeft.state", &left.state)?,
            at: Timestamp(left.at_us),
        })
    }
}
