//! One line for each thing that passes between the shells and the core, for the event log.

use std::fmt;

use windrow_scheduler::{Input, Message, Record};

/// Prints what matters of it.
pub(crate) struct Described<'a, T>(pub &'a T);

impl fmt::Display for Described<'_, Input> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Input::JobSubmitted { request, spec } => write!(f, "← {} submitted, request {}", spec.name, request.0),
            Input::JobCancelled { job, .. } => write!(f, "← {job} cancelled"),
            Input::StagesPlanned { job, step, plan } => {
                write!(f, "← step {step} of {job} planned: {:?},", plan.outcome)?;
                plan.stages.iter().try_for_each(|stage| {
                    let inputs: Vec<u32> = stage.inputs.iter().map(|input| input.stage).collect();
                    write!(f, " {}: {} tasks {:?} of {inputs:?};", stage.index, stage.tasks.len(), stage.determinism)
                })
            }
            Input::PlanFailed { job, step, .. } => write!(f, "← step {step} of {job} cannot be planned"),
            Input::CommitFinished { job, step, .. } => write!(f, "← step {step} of {job} is published"),
            Input::CommitFailed { job, step, .. } => write!(f, "← step {step} of {job} cannot be committed"),
            Input::WorkerRegistered { worker, spec } => {
                write!(f, "← {worker} at {} registered with {} slots", spec.name, spec.slots)
            }
            Input::WorkerReattached { worker, inventory, .. } => {
                write!(f, "← {worker} came back: runs")?;
                inventory.running.iter().try_for_each(|(task, attempt)| write!(f, " {attempt} of {task}"))?;
                f.write_str(", keeps")?;
                inventory.finished.iter().try_for_each(|(task, attempt, _)| write!(f, " {attempt} of {task}"))
            }
            Input::WorkerHeard { worker } => write!(f, "← {worker} heard"),
            Input::WorkerDisconnected { worker } => write!(f, "← {worker} disconnected"),
            Input::DrainRequested { worker, within } => write!(f, "← drain of {worker} within {within:?}"),
            Input::AttemptStarted { worker, attempt } => write!(f, "← {worker} started {attempt}"),
            Input::AttemptFinished { worker, attempt, .. } => write!(f, "← {worker} finished {attempt}"),
            Input::AttemptFailed { worker, attempt, failure } => {
                write!(f, "← {worker} failed {attempt}: {}", failure.name())
            }
            Input::AttemptProgressed { worker, progress } => {
                write!(f, "← {worker} progressed with {} attempts", progress.len())
            }
            Input::OutputsCopied { worker, from, outputs } => {
                write!(f, "← {worker} copied {} outputs of {from}", outputs.len())
            }
            Input::OutputsNotCopied { worker, from, outputs, .. } => {
                write!(f, "← {worker} could not copy {} outputs of {from}", outputs.len())
            }
            Input::ResultUnreachable { output, worker } => write!(f, "← {output} unreachable on {worker}"),
            Input::Tick => f.write_str("← tick"),
        }
    }
}

impl fmt::Display for Described<'_, Message> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Message::RunTask(run) => {
                write!(f, "run {} as {}, try {}", run.task, run.attempt, run.try_number)?;
                write!(f, ", {} slots, {} inputs", run.slots, run.inputs.len())
            }
            Message::CancelAttempt { attempt } => write!(f, "cancel {attempt}"),
            Message::ReleaseStages { stages } => {
                f.write_str("release")?;
                stages.iter().try_for_each(|stage| write!(f, " {stage}"))
            }
            Message::ReleaseJob { job } => write!(f, "release {job}"),
            Message::CopyOutputs { outputs, from } => {
                write!(f, "copy from {from}")?;
                outputs.iter().try_for_each(|output| write!(f, " {}={}", output.task, output.attempt))
            }
            Message::RepointInputs { attempt, inputs } => {
                write!(f, "repoint {attempt}")?;
                inputs.iter().try_for_each(|input| write!(f, " {} to {}", input.output.task, input.worker))
            }
            Message::Shutdown => f.write_str("shut down"),
        }
    }
}

impl fmt::Display for Described<'_, Record> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Record::JobSubmitted { job, spec, .. } => write!(f, "{job} is {}", spec.name),
            Record::JobAdmitted { job, .. } => write!(f, "{job} admitted"),
            Record::StagesPlanned { job, step, plan, .. } => {
                write!(f, "step {step} of {job} has {} stages", plan.stages.len())
            }
            Record::StageCoalesced { stage, tasks } => write!(f, "{stage} has {} tasks", tasks.len()),
            Record::TaskFinished { task, attempt, worker, .. } => write!(f, "{task} finished by {attempt} on {worker}"),
            Record::AttemptFailed { task, attempt, failure, .. } => {
                write!(f, "{attempt} of {task} failed: {}", failure.name())
            }
            Record::OutputsLost { outputs } => {
                f.write_str("lost")?;
                outputs.iter().try_for_each(|output| write!(f, " {}={}", output.task, output.attempt))
            }
            Record::OutputsMoved { outputs, to } => {
                write!(f, "moved to {to}")?;
                outputs.iter().try_for_each(|output| write!(f, " {}={}", output.task, output.attempt))
            }
            Record::CommitIntended { job, step, tasks, .. } => {
                write!(f, "commit of step {step} of {job} intended:")?;
                tasks.iter().try_for_each(|task| write!(f, " {}={}", task.task.index, task.attempt))
            }
            Record::StepFinished { job, step, .. } => write!(f, "step {step} of {job} finished"),
            Record::JobEnded { job, state, code, .. } => write!(f, "{job} {state}: {code}"),
            Record::ResultGivenUp { job, .. } => write!(f, "result of {job} given up"),
            Record::WorkerRegistered { worker, .. } => write!(f, "{worker} registered"),
            Record::WorkerLeft { worker, state, .. } => write!(f, "{worker} left: {state}"),
        }
    }
}

/// The name of a record's kind.
pub(crate) fn record_kind(record: &Record) -> &'static str {
    match record {
        Record::JobSubmitted { .. } => "job submitted",
        Record::JobAdmitted { .. } => "job admitted",
        Record::StagesPlanned { .. } => "stages planned",
        Record::StageCoalesced { .. } => "stage coalesced",
        Record::TaskFinished { run, .. } if run.speculative => "task finished speculatively",
        Record::TaskFinished { .. } => "task finished",
        Record::AttemptFailed { .. } => "attempt failed",
        Record::OutputsLost { .. } => "outputs lost",
        Record::OutputsMoved { .. } => "outputs moved",
        Record::CommitIntended { .. } => "commit intended",
        Record::StepFinished { .. } => "step finished",
        Record::JobEnded { .. } => "job ended",
        Record::ResultGivenUp { .. } => "result given up",
        Record::WorkerRegistered { .. } => "worker registered",
        Record::WorkerLeft { .. } => "worker left",
    }
}

/// The name of a message's kind.
pub(crate) fn message_kind(message: &Message) -> &'static str {
    match message {
        Message::RunTask(_) => "run task",
        Message::CancelAttempt { .. } => "cancel attempt",
        Message::ReleaseStages { .. } => "release stages",
        Message::ReleaseJob { .. } => "release job",
        Message::CopyOutputs { .. } => "copy outputs",
        Message::RepointInputs { .. } => "repoint inputs",
        Message::Shutdown => "shut down",
    }
}
