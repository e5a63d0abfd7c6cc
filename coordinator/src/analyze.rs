//! The text of `EXPLAIN ANALYZE`: what each operator of each stage did, from the attempts' metrics.

use std::fmt::Write;
use std::time::Duration;

use windrow_model::format_bytes;
use windrow_proto as wire;

/// Renders the stages of one step, the last one (whose rows were counted) first, as a plan is read.
pub(crate) fn render(job: &wire::Job, step: u32) -> String {
    let mut text = String::new();
    let stages: Vec<&wire::Stage> = job.stages.iter().filter(|stage| stage.step == step).collect();
    for stage in stages.into_iter().rev() {
        // Writing to a string does not fail.
        let _ = write_stage(&mut text, stage);
    }
    text
}

fn write_stage(text: &mut String, stage: &wire::Stage) -> std::fmt::Result {
    write!(text, "stage {}: {}", stage.index, stage.label)?;
    if !stage.inputs.is_empty() {
        let inputs: Vec<String> = stage.inputs.iter().map(u32::to_string).collect();
        write!(text, " (reads stage {})", inputs.join(", "))?;
    }
    writeln!(text)?;
    write!(text, "  tasks={} attempts={} rows={}", stage.tasks, stage.attempts.len(), stage.rows)?;
    write!(text, " bytes={}", format_bytes(stage.bytes))?;
    if stage.spill_bytes > 0 {
        write!(text, " spilled={}", format_bytes(stage.spill_bytes))?;
    }
    writeln!(text)?;
    stage.operators.iter().try_for_each(|operator| write_operator(text, operator))
}

fn write_operator(text: &mut String, operator: &wire::OperatorMetrics) -> std::fmt::Result {
    let indent = 4 + 2 * operator.depth as usize;
    write!(text, "{:indent$}{}", "", operator.name)?;
    if !operator.detail.is_empty() {
        write!(text, ": {}", operator.detail)?;
    }
    write!(text, " [rows={}", operator.rows)?;
    if operator.bytes > 0 {
        write!(text, " bytes={}", format_bytes(operator.bytes))?;
    }
    write!(text, " time={:.1?}", Duration::from_nanos(operator.elapsed_ns))?;
    if operator.spill_bytes > 0 {
        write!(text, " spilled={}", format_bytes(operator.spill_bytes))?;
    }
    writeln!(text, "]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_followed_by_its_operators_as_a_tree() {
        let operator = |depth, name: &str, rows| wire::OperatorMetrics {
            depth,
            name: name.to_owned(),
            rows,
            elapsed_ns: 1_500_000,
            ..Default::default()
        };
        let stage = |index, step| wire::Stage {
            index,
            step,
            label: "scan".to_owned(),
            tasks: 2,
            rows: 4,
            operators: vec![operator(0, "FilterExec", 4), operator(1, "DataSourceExec", 9)],
            ..Default::default()
        };
        let job = wire::Job { stages: vec![stage(0, 0), stage(1, 1)], ..Default::default() };
        let expected = "stage 1: scan\n  tasks=2 attempts=0 rows=4 bytes=0 B\n    FilterExec [rows=4 time=1.5ms]\n      DataSourceExec [rows=9 time=1.5ms]\n";
        assert_eq!(render(&job, 1), expected);
    }
}
