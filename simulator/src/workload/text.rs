//! The jobs file: one job a line.
//!
//! ```text
//! # when  stages and what they are for                     options
//! 0s      a=100x2s  b=20x5s<a -> files                     queue=etl priority=80 timeout=10m
//! 5s      s=40x1s!  t=40x1s  j=10x3s*4<s,t -> result
//! 9s      a=8x1s -> table ; b=4x1s<tables -> count
//! ```
//!
//! `b=20x5s*4!<a` is a stage of 20 tasks that take about 5 s on up to 4 slots each, whose re-runs may give other rows
//! (`!`), and that reads stage `a`. `<tables` reads the tables of all earlier statements of the job.
//! Statements are separated by `;` and end in `-> result`, `-> files`, `-> table` or `-> count`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use windrow_model::{Determinism, parse_duration};

use crate::workload::{JobShape, OutcomeShape, StageShape, StepShape, Workload};

/// A line of a jobs file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseJobsError {
    /// From 1.
    pub line: usize,
    pub text: String,
    pub wanted: &'static str,
}

impl fmt::Display for ParseJobsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the jobs file, `{}`, cannot be read; wanted is {}", self.line, self.text, self.wanted)
    }
}

impl std::error::Error for ParseJobsError {}

/// Tasks of one stage.
const TASKS_MAX: u32 = 10_000_000;

type Read<T> = Result<T, &'static str>;

impl FromStr for Workload {
    type Err = ParseJobsError;

    fn from_str(text: &str) -> Result<Workload, ParseJobsError> {
        let mut workload = Workload::default();
        for (number, line) in (1..).zip(text.lines()) {
            let content = line.split('#').next().unwrap_or_default().trim();
            if content.is_empty() {
                continue;
            }
            let error = |wanted| ParseJobsError { line: number, text: line.trim().to_owned(), wanted };
            workload.jobs.push(read_job(content).map_err(error)?);
        }
        Ok(workload)
    }
}

fn read_job(line: &str) -> Read<JobShape> {
    let (when, rest) = line.split_once(char::is_whitespace).ok_or("a time and at least one statement")?;
    let mut job = JobShape { submit_at: duration(when)?, steps: Vec::new(), ..JobShape::empty() };
    for statement in rest.split(';') {
        let (stages, outcome) =
            statement.split_once("->").ok_or("`-> result`, `-> files`, `-> table` or `-> count`")?;
        let mut words = outcome.split_whitespace();
        let outcome = outcome_of(words.next().unwrap_or_default())?;
        words.try_for_each(|word| read_option(word, &mut job))?;
        job.steps.push(StepShape { stages: read_stages(stages)?, outcome });
    }
    Ok(job)
}

fn outcome_of(word: &str) -> Read<OutcomeShape> {
    match word {
        "result" => Ok(OutcomeShape::Result),
        "files" => Ok(OutcomeShape::Files),
        "table" => Ok(OutcomeShape::Table),
        "count" => Ok(OutcomeShape::Count),
        _ => Err("`result`, `files`, `table` or `count` after `->`"),
    }
}

fn read_option(word: &str, job: &mut JobShape) -> Read<()> {
    match word.split_once('=') {
        Some(("queue", name)) => job.queue = name.to_owned(),
        Some(("priority", number)) => {
            let priority = number.parse().ok().filter(|priority| *priority <= 100);
            job.priority = priority.ok_or("a priority of 0 to 100")?;
        }
        Some(("timeout", text)) => job.timeout = Some(duration(text)?),
        Some(("cancel", text)) => job.cancel_after = Some(duration(text)?),
        _ => return Err("queue=, priority=, timeout= or cancel= after the outcome"),
    }
    Ok(())
}

fn read_stages(text: &str) -> Read<Vec<StageShape>> {
    let mut names: Vec<&str> = Vec::new();
    let mut stages = Vec::new();
    for word in text.split_whitespace() {
        let (name, shape) = word.split_once('=').ok_or("stages such as `a=100x2s`")?;
        if names.contains(&name) {
            return Err("another name for each stage of a statement");
        }
        stages.push(read_stage(shape, &names)?);
        names.push(name);
    }
    if stages.is_empty() { Err("at least one stage before `->`") } else { Ok(stages) }
}

/// `20x5s*4!<a,b`; `names` are the stages before it.
fn read_stage(text: &str, names: &[&str]) -> Read<StageShape> {
    let (size, inputs) = text.split_once('<').unwrap_or((text, ""));
    let (size, determinism) = match size.strip_suffix('!') {
        Some(size) => (size, Determinism::Indeterminate),
        None => (size, Determinism::Unordered),
    };
    let (size, slots) = size.split_once('*').unwrap_or((size, "1"));
    let (tasks, time) = size.split_once('x').ok_or("a stage's tasks and their time, such as `100x2s`")?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| "whole numbers of tasks and slots");
    let tasks =
        Some(number(tasks)?).filter(|tasks| *tasks <= TASKS_MAX).ok_or("at most 10,000,000 tasks in a stage")?;
    let mut stage = StageShape::new(tasks, duration(time)?);
    stage.slots = number(slots)?.max(1);
    stage.determinism = determinism;
    for input in inputs.split(',').filter(|input| !input.is_empty()) {
        match names.iter().position(|name| *name == input) {
            Some(index) => stage.inputs.push(index as u32),
            None if input == "tables" => stage.reads_tables = true,
            None => return Err("inputs that are stages before this one, or `tables`"),
        }
    }
    Ok(stage)
}

fn duration(text: &str) -> Read<Duration> {
    parse_duration(text).map_err(|_| "a time, such as `10s`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_job() {
        let text = "
            # two of them
            0s a=100x2s b=20x5s*4!<a -> files queue=etl priority=80
            9s a=8x1s -> table ; b=4x1s<tables -> count cancel=3s
        ";
        let workload: Workload = text.parse().expect("it reads");
        let [first, second] = &workload.jobs[..] else { panic!("{workload:?}") };
        assert_eq!((first.queue.as_str(), first.priority), ("etl", 80));
        let reduce = &first.steps[0].stages[1];
        assert_eq!((reduce.tasks, reduce.slots, reduce.task_time), (20, 4, Duration::from_secs(5)));
        assert_eq!((&reduce.inputs[..], reduce.determinism), (&[0][..], Determinism::Indeterminate));
        assert_eq!(second.steps.len(), 2);
        assert!(second.steps[1].stages[0].reads_tables);
        assert_eq!(second.cancel_after, Some(Duration::from_secs(3)));
        assert_eq!(workload.tasks(), 132);
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = "0s a=1x1s -> files\n0s a=1x1s<b -> files".parse::<Workload>().expect_err("there is no `b`");
        assert_eq!(error.line, 2);
        assert!(error.to_string().contains("inputs that are stages"), "{error}");
        for bad in
            ["0s a=1x1s", "0s a=1x1s a=1x1s -> files", "0s a=4000000000x1s -> files", "0s a=1x1s -> files priority=101"]
        {
            assert!(bad.parse::<Workload>().is_err(), "{bad}");
        }
    }
}
