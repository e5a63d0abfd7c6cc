//! Prints views and effects, one line each.

use std::fmt::Write;

use windrow_model::*;
use windrow_scheduler::*;

pub fn print_attempt(attempt: &AttemptView<'_>) -> String {
    let lost = if attempt.is_output_lost() { " (output lost)" } else { "" };
    let failure = attempt.failure().map_or(String::new(), |failure| format!(" ({})", failure.name()));
    format!("try {} #{} {} {}{failure}{lost}", attempt.try_number(), attempt.id().n, attempt.worker(), attempt.state())
}

pub fn print_worker(worker: &WorkerView<'_>) -> String {
    format!(
        "{} {} [{}] {}/{} slots free, holds {}\n",
        worker.id(),
        worker.state(),
        worker.reason().code,
        worker.slots_free(),
        worker.spec().slots,
        worker.outputs_held()
    )
}

pub fn print_record(text: &mut String, record: &Record) {
    let _ = match record {
        Record::JobSubmitted { job, spec, .. } => writeln!(text, "record: {job} submitted, `{}`", spec.name),
        Record::JobAdmitted { job, .. } => writeln!(text, "record: {job} admitted"),
        Record::StagesPlanned { job, step, plan, .. } => {
            writeln!(text, "record: {job} step {step} planned, {} stages", plan.stages.len())
        }
        Record::TaskFinished { task, attempt, worker, .. } => {
            writeln!(text, "record: {task} finished by #{} on {worker}", attempt.n)
        }
        Record::AttemptFailed { task, attempt, worker, failure, .. } => {
            writeln!(text, "record: {task} failed by #{} on {worker}: {}", attempt.n, failure.name())
        }
        Record::OutputsLost { outputs } => {
            writeln!(text, "record: outputs lost: {}", names(outputs))
        }
        Record::OutputsMoved { outputs, to } => writeln!(text, "record: outputs moved to {to}: {}", names(outputs)),
        Record::CommitIntended { job, step, tasks, .. } => {
            writeln!(text, "record: {job} step {step} commit intended {}", print_committed(tasks))
        }
        Record::StepFinished { job, step, .. } => writeln!(text, "record: {job} step {step} finished"),
        Record::JobEnded { job, state, report, .. } => match report {
            Some(report) => writeln!(text, "record: {job} {state}: {}: {report}", report.kind),
            None => writeln!(text, "record: {job} {state}"),
        },
        Record::ResultGivenUp { job, report } => writeln!(text, "record: result of {job} given up: {report}"),
        Record::WorkerRegistered { worker, .. } => writeln!(text, "record: {worker} registered"),
        Record::WorkerLeft { worker, state, .. } => writeln!(text, "record: {worker} left: {state}"),
    };
}

fn names(outputs: &[MapOutputId]) -> String {
    let names: Vec<String> = outputs.iter().map(|output| format!("{}#{}", output.task, output.attempt.n)).collect();
    names.join(" ")
}

pub fn print_committed(tasks: &[CommittedTask]) -> String {
    let names: Vec<String> =
        tasks.iter().map(|task| format!("{}#{} ({} files)", task.task, task.attempt.n, task.files.len())).collect();
    names.join(" ")
}

pub fn print_reply(text: &mut String, reply: &Reply) {
    let _ = match reply {
        Reply::Submitted { job, existing: false, .. } => writeln!(text, "reply: submitted {job}"),
        Reply::Submitted { job, existing: true, .. } => writeln!(text, "reply: {job} exists already"),
        Reply::Cancelled { job, .. } => writeln!(text, "reply: cancelled {job}"),
        Reply::Refused { report, .. } => writeln!(text, "reply: refused: {}: {report}", report.kind),
    };
}

pub fn print_message(text: &mut String, worker: WorkerId, message: &Message) {
    let _ = match message {
        Message::RunTask(run) => {
            let inputs: Vec<String> =
                run.inputs.iter().map(|input| format!("{}#{}", input.output.task, input.output.attempt.n)).collect();
            let reads = if inputs.is_empty() { String::new() } else { format!(" reads {}", inputs.join(" ")) };
            writeln!(
                text,
                "{worker} <- run {} #{} try {} slots {}{reads}",
                run.task, run.attempt.n, run.try_number, run.slots
            )
        }
        Message::CancelAttempt { attempt } => writeln!(text, "{worker} <- cancel #{}", attempt.n),
        Message::ReleaseStages { stages } => {
            let names: Vec<String> = stages.iter().map(StageId::to_string).collect();
            writeln!(text, "{worker} <- release {}", names.join(" "))
        }
        Message::ReleaseJob { job } => writeln!(text, "{worker} <- release all of {job}"),
        Message::CopyOutputs { outputs, from } => writeln!(text, "{worker} <- copy from {from}: {}", names(outputs)),
        Message::RepointInputs { attempt, inputs } => {
            let places: Vec<String> = inputs
                .iter()
                .map(|input| format!("{}#{} at {}", input.output.task, input.output.attempt.n, input.worker))
                .collect();
            writeln!(text, "{worker} <- repoint #{}: {}", attempt.n, places.join(" "))
        }
        Message::Shutdown => writeln!(text, "{worker} <- shut down"),
    };
}

pub fn print_event(text: &mut String, event: &Event) {
    let _ = match event {
        Event::JobChanged { job, state, .. } => writeln!(text, "event: {job} {state}"),
        Event::StepPlanned { job, step, outcome } => writeln!(text, "event: {job} step {step} planned {outcome:?}"),
        Event::StepFinished { job, step } => writeln!(text, "event: {job} step {step} finished"),
        Event::StageChanged { stage, state, tasks_done, tasks, rows, .. } => {
            writeln!(text, "event: {stage} {state} {tasks_done}/{tasks} {rows} rows")
        }
        Event::AttemptChanged { task, attempt, state, .. } => writeln!(text, "event: {task} #{} {state}", attempt.n),
        Event::WorkerChanged { worker, state, reason } => writeln!(text, "event: {worker} {state} {reason}"),
    };
}
