//! Measures a shape and prints what came of it.

use std::time::{Duration, Instant};

use crate::shapes::Shape;
use crate::shell::Shell;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Table,
    Json,
}

pub struct Report {
    shape: Shape,
    inputs: u64,
    took: Duration,
    step_max: Duration,
    /// Attempts beyond one for each task.
    reruns: u64,
    /// `None` for a new leader, which takes the place of the old one.
    bytes_per_task: Option<u64>,
}

impl Report {
    /// Runs a shape to its end. Submitting and planning count, registering the workers does not.
    pub fn of(shape: Shape) -> Report {
        let mut shell = Shell::new(&shape);
        if shape.recovers {
            shell.run();
        }
        let before = resident_bytes();
        let started = Instant::now();
        if shape.recovers {
            shell.recover()
        } else {
            shell.run()
        }
        let took = started.elapsed();
        let after = resident_bytes();
        let done = shell.tasks_done();
        assert_eq!(done, shape.tasks(), "`{}`: not all tasks are done", shape.name);
        let (inputs, step_max, reruns) = (shell.inputs(), shell.step_max(), shell.attempts() - done);
        drop(shell);
        let bytes_per_task = (!shape.recovers).then(|| after.saturating_sub(before) / done.max(1));
        Report { shape, inputs, took, step_max, reruns, bytes_per_task }
    }

    pub fn header(format: Format) -> Option<String> {
        let table = || {
            let names = "| shape | jobs | tasks | workers | run again | inputs | seconds | inputs/s | longest step, ms | bytes a task |";
            format!("{names}\n|---|{}", "---:|".repeat(9))
        };
        (format == Format::Table).then(table)
    }

    pub fn line(&self, format: Format) -> String {
        let Report { shape, inputs, took, step_max, reruns, bytes_per_task } = self;
        let (name, jobs, tasks, workers, slots) =
            (shape.name, shape.jobs.len(), shape.tasks(), shape.workers, shape.slots);
        let (seconds, rate) = (took.as_secs_f64(), *inputs as f64 / took.as_secs_f64());
        let step_ms = 1_000.0 * step_max.as_secs_f64();
        let bytes = |none: &str| bytes_per_task.map_or(none.to_owned(), |bytes| bytes.to_string());
        match format {
            Format::Table => format!(
                "| {name} | {jobs} | {tasks} | {workers} x {slots} | {reruns} | {inputs} | {seconds:.2} | {rate:.0} | {step_ms:.1} | {} |",
                bytes("-")
            ),
            Format::Json => format!(
                "{{\"shape\":\"{name}\",\"jobs\":{jobs},\"tasks\":{tasks},\"workers\":{workers},\"slots_per_worker\":{slots},\"tasks_run_again\":{reruns},\"inputs\":{inputs},\"seconds\":{seconds:.3},\"inputs_per_second\":{rate:.0},\"step_max_ms\":{step_ms:.3},\"bytes_per_task\":{}}}",
                bytes("null")
            ),
        }
    }
}

/// Memory of this process that is in use; zero where `/proc` does not say.
fn resident_bytes() -> u64 {
    const PAGE_BYTES: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * PAGE_BYTES
}
