//! Jobs, stages, attempts and workers as objects for programs and as cells for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use windrow_model::{AttemptId, ErrorReport, Failure, JobId, WorkerId, format_bytes};
use windrow_proto::{Attempt, Job, Stage, Worker};

use crate::program::outcome::error_object;

/// The whole job.
pub fn job_object(job: &Job) -> Value {
    let mut object = job_line_object(job);
    let files: Vec<Value> =
        job.files.iter().map(|file| json!({ "path": file.path, "rows": file.rows, "bytes": file.bytes })).collect();
    let workers: Vec<Value> = job
        .workers
        .iter()
        .map(|usage| {
            json!({ "worker": worker_name(usage.worker), "host": usage.host, "attempts": usage.attempts,
                    "rss_peak_bytes": usage.rss_peak_bytes, "cpu_us": usage.cpu_us })
        })
        .collect();
    object["result_steps"] = json!(job.result_steps);
    object["stages"] = job.stages.iter().map(stage_object).collect();
    object["workers"] = json!(workers);
    object["files"] = json!(files);
    object["notes"] = json!(job.notes);
    object
}

/// The job without its stages, as a list shows it.
pub fn job_line_object(job: &Job) -> Value {
    let spec = job.spec.clone().unwrap_or_default();
    json!({
        "job": JobId(job.id).to_string(), "name": spec.name, "application": spec.application, "queue": spec.queue,
        "priority": spec.priority, "submitted_by": spec.submitted_by, "state": job.state, "reason": job.reason,
        "state_since_us": job.state_since_us, "submitted_us": job.submitted_us, "started_us": job.started_us,
        "ended_us": job.ended_us, "step": job.step,
        "error": job.error.clone().map(|report| error_object(&report.into())),
    })
}

fn stage_object(stage: &Stage) -> Value {
    let operators: Vec<Value> = stage
        .operators
        .iter()
        .map(|operator| {
            json!({ "depth": operator.depth, "name": operator.name, "detail": operator.detail, "rows": operator.rows,
                    "bytes": operator.bytes, "elapsed_ns": operator.elapsed_ns, "spill_bytes": operator.spill_bytes })
        })
        .collect();
    json!({
        "index": stage.index, "step": stage.step, "label": stage.label, "state": stage.state, "tasks": stage.tasks,
        "partitions": stage.partitions, "tasks_done": stage.tasks_done, "tasks_running": stage.tasks_running, "rows": stage.rows,
        "bytes": stage.bytes, "spill_bytes": stage.spill_bytes, "reruns": stage.reruns, "inputs": stage.inputs,
        "attempts_total": stage.attempts_total, "attempts": stage.attempts.iter().map(attempt_object).collect::<Vec<_>>(), "operators": operators,
        "counters": stage.counters.iter().collect::<std::collections::BTreeMap<_, _>>(),
    })
}

fn attempt_object(attempt: &Attempt) -> Value {
    json!({
        "attempt": attempt_name(attempt), "task": attempt.task, "try_number": attempt.try_number,
        "worker": worker_name(attempt.worker), "state": attempt.state, "started_us": attempt.started_us,
        "ended_us": attempt.ended_us, "rows": attempt.rows, "bytes": attempt.bytes,
        "memory_bytes_peak": attempt.memory_bytes_peak,
        "failure": failure(attempt).map(|(name, report)| json!({ "name": name, "error": error_object(&report) })),
    })
}

/// Name and report of the attempt's failure, if it failed.
pub fn failure(attempt: &Attempt) -> Option<(&'static str, ErrorReport)> {
    match Failure::try_from(attempt.failure.clone()?) {
        Ok(failure) => Some((failure.name(), failure.report())),
        Err(invalid) => Some(("unknown", invalid.into())),
    }
}

pub fn worker_object(worker: &Worker) -> Value {
    json!({
        "worker": worker_name(worker.id), "state": worker.state, "state_since_us": worker.state_since_us,
        "reason": worker.reason, "host": worker.host, "address": worker.address, "slots": worker.slots,
        "slots_free": worker.slots_free, "memory_bytes": worker.memory_bytes, "rss_bytes": worker.rss_bytes,
        "rss_peak_bytes": worker.rss_peak_bytes, "process_id": worker.process_id, "build": worker.build,
    })
}

pub fn worker_name(id: u64) -> String {
    WorkerId(id).to_string()
}

pub fn attempt_name(attempt: &Attempt) -> String {
    attempt.id.map_or_else(String::new, |id| AttemptId::from(id).to_string())
}

/// `-` for zero, which on the wire also means unknown.
pub fn size(bytes: u64) -> String {
    if bytes == 0 { "-".to_owned() } else { format_bytes(bytes) }
}

/// From one point in time to another, or to now if the other has not come.
pub fn span(from_us: u64, to_us: u64) -> String {
    if from_us == 0 {
        return "-".to_owned();
    }
    let to = if to_us == 0 { now_us() } else { to_us };
    short(Duration::from_micros(to.saturating_sub(from_us)))
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

fn short(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.2} s", time.as_secs_f64()),
        60..3600 => format!("{} m {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} m", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!(short(Duration::from_millis(1234)), "1.23 s");
        assert_eq!(short(Duration::from_secs(61)), "1 m 1 s");
        assert_eq!(short(Duration::from_secs(7260)), "2 h 1 m");
        assert_eq!(span(0, 5), "-");
        assert_eq!(span(1_000_000, 3_000_000), "2.00 s");
    }
}
