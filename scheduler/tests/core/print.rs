//! Prints views and effects, one line each.

use std::fmt::Write;

use windrow_model::*;
use windrow_scheduler::*;

use crate::cluster::print_id;

pub fn print_attempt(attempt: &AttemptView<'_>) -> String {
    let lost = if attempt.is_output_lost() { " (output lost)" } else { "" };
    let failure = attempt.failure().map_or(String::new(), |failure| format!(" ({})", failure.name()));
    let second = if attempt.is_speculative() { " (speculative)" } else { "" };
    let (id, worker, state) = (print_id(attempt.id()), attempt.worker(), attempt.state());
    format!("try {} {id} {worker} {state}{second}{failure}{lost}", attempt.try_number())
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

/// All of it but the events.
pub fn print_outbox(outbox: &Outbox) -> String {
    let mut text = String::new();
    outbox.records.iter().for_each(|record| print_record(&mut text, record));
    outbox.replies.iter().for_each(|reply| print_reply(&mut text, reply));
    for PlanRequest { job, step, first_stage, cluster } in &outbox.plan_requests {
        let shape = format!("{} workers, {} slots, {} at most", cluster.workers, cluster.slots, cluster.slots_max);
        let _ = writeln!(text, "ask for plan: {job} step {step} from stage {first_stage} ({shape})");
    }
    for CommitRequest { job, step, tasks } in &outbox.commit_requests {
        let _ = writeln!(text, "ask for commit: {job} step {step} {}", print_committed(tasks));
    }
    outbox.messages.iter().for_each(|(worker, message)| print_message(&mut text, *worker, message));
    text
}

pub fn print_record(text: &mut String, record: &Record) {
    let _ = match record {
        Record::JobSubmitted { job, spec, .. } => writeln!(text, "record: {job} submitted, `{}`", spec.name),
        Record::JobAdmitted { job, .. } => writeln!(text, "record: {job} admitted"),
        Record::StagesPlanned { job, step, plan, .. } => {
            writeln!(text, "record: {job} step {step} planned, {} stages", plan.stages.len())
        }
        Record::StageCoalesced { stage, tasks } => {
            let print = |task: &TaskPlan| format!("{:?}{}", task.partitions, print_share(task.share));
            let tasks: Vec<String> = tasks.iter().map(print).collect();
            writeln!(text, "record: {stage} coalesced into {}", tasks.join(" "))
        }
        Record::TaskFinished { task, attempt, worker, .. } => {
            writeln!(text, "record: {task} finished by {} on {worker}", print_id(*attempt))
        }
        Record::AttemptFailed { task, attempt, worker, failure, .. } => {
            writeln!(text, "record: {task} failed by {} on {worker}: {}", print_id(*attempt), failure.name())
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
    let names: Vec<String> =
        outputs.iter().map(|output| format!("{}{}", output.task, print_id(output.attempt))).collect();
    names.join(" ")
}

pub fn print_committed(tasks: &[CommittedTask]) -> String {
    let names: Vec<String> = tasks
        .iter()
        .map(|task| format!("{}{} ({} files)", task.task, print_id(task.attempt), task.files.len()))
        .collect();
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

/// ` (1/3 of 0)`: the second of three shares of the outputs of stage 0.
fn print_share(share: Option<InputShare>) -> String {
    share.map_or(String::new(), |InputShare { stage, index, of }| format!(" ({index}/{of} of {stage})"))
}

pub fn print_message(text: &mut String, worker: WorkerId, message: &Message) {
    let _ = match message {
        Message::RunTask(run) => {
            let inputs: Vec<String> = run
                .inputs
                .iter()
                .map(|input| format!("{}{}", input.output.task, print_id(input.output.attempt)))
                .collect();
            let reads = if inputs.is_empty() { String::new() } else { format!(" reads {}", inputs.join(" ")) };
            writeln!(
                text,
                "{worker} <- run {}{} {} try {} slots {}{reads}",
                run.task,
                print_share(run.share),
                print_id(run.attempt),
                run.try_number,
                run.slots
            )
        }
        Message::CancelAttempt { attempt } => writeln!(text, "{worker} <- cancel {}", print_id(*attempt)),
        Message::ReleaseStages { stages } => {
            let names: Vec<String> = stages.iter().map(StageId::to_string).collect();
            writeln!(text, "{worker} <- release {}", names.join(" "))
        }
        Message::ReleaseJob { job } => writeln!(text, "{worker} <- release all of {job}"),
        Message::CopyOutputs { outputs, from } => writeln!(text, "{worker} <- copy from {from}: {}", names(outputs)),
        Message::RepointInputs { attempt, inputs } => {
            let places: Vec<String> = inputs
                .iter()
                .map(|input| format!("{}{} at {}", input.output.task, print_id(input.output.attempt), input.worker))
                .collect();
            writeln!(text, "{worker} <- repoint {}: {}", print_id(*attempt), places.join(" "))
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
        Event::AttemptChanged { task, attempt, state, .. } => {
            writeln!(text, "event: {task} {} {state}", print_id(*attempt))
        }
        Event::WorkerChanged { worker, state, reason } => writeln!(text, "event: {worker} {state} {reason}"),
    };
}
