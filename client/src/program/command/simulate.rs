//! `windrow simulate`: the real scheduler on a simulated cluster.

use std::fmt::Display;
use std::path::Path;
use std::time::Instant;

use crate::rows::RowFormat;
use serde_json::{Value, json};
use windrow_model::{ErrorKind, ErrorReport, Limits};
use windrow_simulator::{Script, SimulateOptions, SimulationReport, Workload, simulate};

use crate::program::cli::{Jobs, SimulateArgs};
use crate::program::follow::print_text;
use crate::program::outcome::{Outcome, printed};

/// Where both kinds of files are described.
const SEE: &str = "docs/SIMULATE.md describes the format; examples/simulate/ has one of each";

pub fn run(args: SimulateArgs) -> Outcome {
    let options = options(&args)?;
    let started = Instant::now();
    let report = simulate(&options);
    let took = started.elapsed();
    if args.prints_json() {
        printed(print_text(&object(&report, &options).to_string(), RowFormat::Table))?;
    } else {
        printed(print_text(&report.to_string(), RowFormat::Table))?;
        eprintln!("simulated in {:.2} s", took.as_secs_f64());
    }
    match report.violation {
        None => Ok(()),
        Some(violation) => Err(ErrorReport::internal("the simulation has found a bug in Windrow")
            .with_detail(format!("at {}: {}", violation.at, violation.text))
            .with_hint("please report it, with these flags and files")),
    }
}

fn options(args: &SimulateArgs) -> Outcome<SimulateOptions> {
    let (workers, coordinators, seed) = (args.workers, args.coordinators, args.seed);
    let mut limits = Limits { queued_jobs_max: usize::MAX, ..Limits::default() };
    for assignment in &args.limits {
        limits.set(assignment)?;
    }
    let jobs = match &args.jobs {
        Jobs::Synthetic => Workload::synthetic(seed, args.tasks),
        Jobs::File(path) => read_jobs(path, args)?,
    };
    let chaos = args.chaos.as_deref().map(|path| read_chaos(path, args)).transpose()?.unwrap_or_default();
    Ok(SimulateOptions { workers, slots: args.slots, coordinators, jobs, chaos, limits, seed, ..Default::default() })
}

fn read_jobs(path: &Path, args: &SimulateArgs) -> Outcome<Workload> {
    let text = read(path, "jobs")?;
    let jobs = match extension(path) {
        "jobs" => text.parse().map_err(|error: windrow_simulator::ParseJobsError| {
            bad_line("jobs", path, error.line, &error.text, error.wanted)
        }),
        "tsv" => Workload::from_swim(&text, args.within)
            .map_err(|error| bad_line("jobs", path, error.line, &error.text, error.wanted)),
        _ => Err(unknown_kind("jobs", path, ".jobs, or .tsv for a SWIM trace")),
    }?;
    if jobs.jobs.is_empty() {
        return Err(ErrorReport::invalid(format!("the jobs file `{}` has no jobs", path.display())).with_hint(SEE));
    }
    Ok(jobs)
}

fn read_chaos(path: &Path, args: &SimulateArgs) -> Outcome<Script> {
    let text = read(path, "chaos")?;
    match extension(path) {
        "chaos" => Script::of_nodes(&text, args.workers, args.coordinators)
            .map_err(|error| bad_line("chaos", path, error.line, &error.text, error.wanted)),
        "json" => {
            let pool = 0..args.spot_workers.unwrap_or(args.workers / 2).min(args.workers);
            Script::from_spot_trace(&text, pool).ok_or_else(|| {
                ErrorReport::invalid(format!("`{}` is no trace of spot availability", path.display()))
                    .with_detail("wanted is {\"metadata\": {\"gap_seconds\": 60}, \"data\": [1, 1, 0, 1]}")
                    .with_hint(SEE)
            })
        }
        _ => Err(unknown_kind("chaos", path, ".chaos, or .json for a trace of spot availability")),
    }
}

fn read(path: &Path, kind: &str) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|error| {
        let what = format!("cannot read the {kind} file `{}`", path.display());
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            _ => ErrorKind::Invalid,
        };
        let hint = "paths are relative to the current folder; `--jobs synthetic` needs no file";
        ErrorReport::new(kind, what).with_detail(error.to_string()).with_hint(hint)
    })
}

fn bad_line(kind: &str, path: &Path, line: usize, text: &str, wanted: &str) -> ErrorReport {
    ErrorReport::invalid(format!("cannot read line {line} of the {kind} file `{}`", path.display()))
        .with_detail(format!("it is `{text}`; wanted is {wanted}"))
        .with_hint(SEE)
}

fn unknown_kind(kind: &str, path: &Path, known: impl Display) -> ErrorReport {
    ErrorReport::invalid(format!("`{}` does not say what kind of {kind} file it is", path.display()))
        .with_hint(format!("end its name in {known}"))
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

/// The report for programs; every unit is in its key.
fn object(report: &SimulationReport, options: &SimulateOptions) -> Value {
    json!({
        "workers": report.workers, "slots": report.slots, "coordinators": options.coordinators, "seed": options.seed,
        "jobs": report.jobs, "tasks": report.tasks, "attempts": report.attempts,
        "jobs_succeeded": report.succeeded, "jobs_failed": report.failed, "jobs_cancelled": report.cancelled,
        "jobs_unfinished": report.unfinished, "makespan_seconds": report.makespan.as_secs_f64(),
        "utilisation": report.utilisation, "busy_slot_seconds": report.busy.as_secs_f64(),
        "wasted_slot_seconds": report.wasted.as_secs_f64(), "waste": report.waste,
        "events": report.events, "event_log_hash": format!("{:016x}", report.hash),
        "violation": report.violation.as_ref().map(|violation| format!("at {}: {}", violation.at, violation.text)),
    })
}
