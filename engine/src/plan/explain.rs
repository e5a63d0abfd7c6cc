//! A distributed plan as text.

use std::fmt::Write;

use datafusion::physical_plan::displayable;
use windrow_model::{Coalescing, Determinism, format_bytes};

use super::{CutStage, Distributed, OutputPartitioning, Spread};

/// Stages with their tasks, inputs and exchanges, each with its operators, and why it is one worker or many.
pub fn explain(distributed: &Distributed, spread: &Spread) -> String {
    let mut text = match spread {
        Spread::Whole { why, .. } => format!("one worker: {why}\n"),
        Spread::Tasks { why, .. } => format!("many workers: {why}\n"),
    };
    for stage in &distributed.stages {
        let to = destination(stage, distributed.root);
        // Writing into a string cannot fail.
        let _ = writeln!(text, "stage {} ({}): {} → {to}", stage.plan.index, stage.plan.label, work(stage));
        let operators = displayable(stage.physical.as_ref()).indent(false).to_string();
        operators.lines().for_each(|line| {
            let _ = writeln!(text, "    {line}");
        });
    }
    text
}

/// `4 tasks, 1.2 MiB of files, reads stages 0 and 1, small partitions together up to 64.0 MiB, indeterminate`.
fn work(stage: &CutStage) -> String {
    let plan = &stage.plan;
    let tasks = plan.tasks.len();
    let mut work = if tasks == 1 { "1 task".to_owned() } else { format!("{tasks} tasks") };
    if let [task] = plan.tasks.as_slice()
        && task.slots > 1
    {
        let _ = write!(work, " of {} slots", task.slots);
    }
    let bytes: u64 = plan.tasks.iter().map(|task| task.input_bytes).sum();
    if bytes > 0 {
        let _ = write!(work, ", {} of files", format_bytes(bytes));
    }
    let inputs: Vec<String> = plan.inputs.iter().map(|input| input.stage.to_string()).collect();
    match inputs.as_slice() {
        [] => {}
        [one] => work.push_str(&format!(", reads stage {one}")),
        many => work.push_str(&format!(", reads stages {}", many.join(", "))),
    }
    if let Some(Coalescing { target_bytes, shareable, .. }) = &plan.coalescing {
        let _ = write!(work, ", small partitions together up to {}", format_bytes(*target_bytes));
        if !shareable.is_empty() {
            work.push_str(", large ones shared");
        }
    }
    if plan.determinism == Determinism::Indeterminate {
        work.push_str(", indeterminate");
    }
    work
}

fn destination(stage: &CutStage, root: u32) -> String {
    match &stage.output {
        OutputPartitioning::Hash { exprs, partitions } => {
            let exprs: Vec<String> = exprs.iter().map(ToString::to_string).collect();
            format!("{partitions} partitions by hash of [{}]", exprs.join(", "))
        }
        OutputPartitioning::Ranges(ranges) => {
            format!("{} partitions by ranges of [{}]", ranges.partition_count(), ranges.ordering())
        }
        OutputPartitioning::Sink => "files".to_owned(),
        OutputPartitioning::Single if stage.plan.index == root => "result".to_owned(),
        OutputPartitioning::Single => "one partition".to_owned(),
    }
}
