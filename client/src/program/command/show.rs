//! `windrow job`: everything about one job on one screen.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::Client;
use crate::rows::{Listing, RowFormat};
use windrow_model::JobId;
use windrow_proto::{Attempt, Job, Stage};

use crate::program::cli::{JobArgs, TextOutput};
use crate::program::follow::print_text;
use crate::program::outcome::{Outcome, printed, render};
use crate::program::view::{attempt_name, failure, job_object, size, span, worker_name};

pub async fn job(args: JobArgs) -> Outcome {
    let client = Client::connect(&args.cluster.coordinator).await?;
    let job = client.job(args.id).await?;
    let text = match args.output {
        TextOutput::Json => job_object(&job).to_string(),
        TextOutput::Table => describe(&job),
    };
    printed(print_text(&text, RowFormat::Table))
}

fn describe(job: &Job) -> String {
    let mut text = head(job);
    let mut section = |title: &str, listing: Option<Listing>| {
        if let Some(listing) = listing {
            let _ = write!(text, "\n{title}\n{}\n", indent(&listing.table()));
        }
    };
    section("stages", stages(job));
    section("attempts", attempts(job));
    section("attempts that are not listed", omitted(job));
    section("counters", counters(job));
    section("workers", workers(job));
    section("files", files(job));
    for note in &job.notes {
        let _ = write!(text, "\nnote: {note}");
    }
    text
}

fn head(job: &Job) -> String {
    let spec = job.spec.clone().unwrap_or_default();
    let mut text = format!("{} {} {}\n", JobId(job.id), spec.name, job.state);
    if !job.reason.is_empty() {
        let _ = writeln!(text, "  reason: {}", job.reason);
    }
    let _ = writeln!(
        text,
        "  submitted by {}, queue {}, priority {}, ran {}",
        spec.submitted_by,
        spec.queue,
        spec.priority,
        span(job.started_us, job.ended_us)
    );
    if let Some(report) = job.error.clone() {
        text.push_str(&render(&report.into()));
    }
    text
}

fn indent(table: &str) -> String {
    table.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// `None` leaves the section out.
fn stages(job: &Job) -> Option<Listing> {
    let mut listing =
        Listing::new(&["stage", "state", "tasks", "rows", "bytes", "spilled", "re-runs", "reads", "what"]);
    for stage in &job.stages {
        let inputs: Vec<String> = stage.inputs.iter().map(u32::to_string).collect();
        listing.push_row(vec![
            stage.index.to_string(),
            stage.state.clone(),
            tasks(stage),
            stage.rows.to_string(),
            size(stage.bytes),
            size(stage.spill_bytes),
            stage.reruns.to_string(),
            inputs.join(","),
            stage.label.clone(),
        ]);
    }
    (!job.stages.is_empty()).then_some(listing)
}

/// `2/4 of 16`: done, all, and the partitions that were put together into them; `2/8 of 4` where tasks share some.
fn tasks(stage: &Stage) -> String {
    let tasks = format!("{}/{}", stage.tasks_done, stage.tasks);
    if stage.partitions > 0 && stage.partitions != stage.tasks {
        format!("{tasks} of {}", stage.partitions)
    } else {
        tasks
    }
}

fn attempts(job: &Job) -> Option<Listing> {
    let columns = ["task", "attempt", "worker", "state", "took", "rows", "bytes", "memory", "why"];
    let mut listing = Listing::new(&columns);
    for stage in &job.stages {
        for attempt in &stage.attempts {
            listing.push_row(vec![
                format!("{}.{}", stage.index, attempt.task),
                attempt_name(attempt),
                worker_name(attempt.worker),
                attempt.state.clone(),
                span(attempt.started_us, attempt.ended_us),
                attempt.rows.to_string(),
                size(attempt.bytes),
                size(attempt.memory_bytes_peak),
                why(stage, attempt),
            ]);
        }
    }
    job.stages.iter().any(|stage| !stage.attempts.is_empty()).then_some(listing)
}

/// Large stages list what failed, was lost or ran again, and only some of the rest.
fn omitted(job: &Job) -> Option<Listing> {
    let mut listing = Listing::new(&["stage", "listed", "attempts"]);
    for stage in job.stages.iter().filter(|stage| stage.attempts_total as usize > stage.attempts.len()) {
        let listed = stage.attempts.len().to_string();
        listing.push_row(vec![stage.index.to_string(), listed, stage.attempts_total.to_string()]);
    }
    job.stages.iter().any(|stage| stage.attempts_total as usize > stage.attempts.len()).then_some(listing)
}

/// Why the attempt failed, or that it did work a second time.
fn why(stage: &Stage, attempt: &Attempt) -> String {
    if let Some((name, report)) = failure(attempt) {
        return format!("{name}: {}", report.what);
    }
    let earlier = stage.attempts.iter().filter(|other| other.task == attempt.task && started_before(other, attempt));
    match earlier.count() {
        0 => String::new(),
        earlier => format!("re-run (try {})", earlier + 1),
    }
}

fn started_before(other: &Attempt, attempt: &Attempt) -> bool {
    let number = |attempt: &Attempt| attempt.id.map(|id| (id.epoch, id.n));
    number(other) < number(attempt)
}

/// Of the user's code, of attempts whose rows count.
fn counters(job: &Job) -> Option<Listing> {
    let mut listing = Listing::new(&["stage", "counter", "sum"]);
    for stage in &job.stages {
        let counters: BTreeMap<_, _> = stage.counters.iter().collect();
        for (name, sum) in counters {
            listing.push_row(vec![stage.index.to_string(), name.clone(), sum.to_string()]);
        }
    }
    job.stages.iter().any(|stage| !stage.counters.is_empty()).then_some(listing)
}

fn workers(job: &Job) -> Option<Listing> {
    let mut listing = Listing::new(&["worker", "host", "attempts", "cpu", "rss peak"]);
    for usage in &job.workers {
        listing.push_row(vec![
            worker_name(usage.worker),
            usage.host.clone(),
            usage.attempts.to_string(),
            format!("{:.2} s", usage.cpu_us as f64 / 1e6),
            size(usage.rss_peak_bytes),
        ]);
    }
    (!job.workers.is_empty()).then_some(listing)
}

fn files(job: &Job) -> Option<Listing> {
    let mut listing = Listing::new(&["file", "rows", "bytes"]);
    for file in &job.files {
        listing.push_row(vec![file.path.clone(), file.rows.to_string(), size(file.bytes)]);
    }
    (!job.files.is_empty()).then_some(listing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use windrow_model::Failure;
    use windrow_proto::{AttemptId, JobSpec};

    fn attempt(n: u64, worker: u64, state: &str) -> Attempt {
        let id = Some(AttemptId { epoch: 1, n });
        Attempt { id, worker, state: state.into(), started_us: 1, ended_us: 500_001, rows: 10, ..Attempt::default() }
    }

    #[test]
    fn a_rerun_names_its_worker_and_its_reason() {
        let lost = Failure::WorkerLost { worker: windrow_model::WorkerId(1) };
        let first = Attempt { failure: Some(lost.into()), ..attempt(1, 1, "lost") };
        let attempts = vec![first, attempt(2, 2, "succeeded")];
        let stage = Stage {
            state: "done".into(),
            tasks: 1,
            tasks_done: 1,
            label: "scan t".into(),
            attempts,
            ..Stage::default()
        };
        let spec =
            JobSpec { name: "q9".into(), submitted_by: "ada".into(), queue: "default".into(), ..JobSpec::default() };
        let job = Job { id: 3, spec: Some(spec), state: "succeeded".into(), stages: vec![stage], ..Job::default() };
        expect![[r#"
            job-3 q9 succeeded
              submitted by ada, queue default, priority 0, ran -

            stages
              STAGE  STATE  TASKS  ROWS  BYTES  SPILLED  RE-RUNS  READS  WHAT
              0      done   1/1    0     -      -        0               scan t

            attempts
              TASK  ATTEMPT  WORKER    STATE      TOOK    ROWS  BYTES  MEMORY  WHY
              0.0   1/1      worker-1  lost       0.50 s  10    -      -       worker-lost: worker-1 was lost while it ran the task
              0.0   1/2      worker-2  succeeded  0.50 s  10    -      -       re-run (try 2)
        "#]].assert_eq(&describe(&job));
    }
}
