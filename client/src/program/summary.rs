//! The one line at the end of a job.

use serde_json::{Value, json};
use windrow_model::{AttemptState, JobId, format_bytes};
use windrow_proto::{Job, Stage};

/// What a finished job cost and gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    job: u64,
    state: String,
    rows: u64,
    bytes: u64,
    seconds: f64,
    stages: usize,
    attempts: usize,
    /// Attempts that ended without success, for whatever reason.
    unsuccessful: usize,
    /// Stages that ran again because outputs were lost.
    reruns: u32,
    spill_bytes: u64,
    /// Worker and the highest resident set of its process.
    rss_peaks: Vec<(u64, u64)>,
}

impl Summary {
    /// `rows_printed` are the result rows that the client has read.
    pub fn new(job: &Job, rows_printed: u64) -> Summary {
        let attempts = || job.stages.iter().flat_map(|stage| &stage.attempts);
        let started = if job.started_us == 0 { job.submitted_us } else { job.started_us };
        let failed = [AttemptState::Failed.name(), AttemptState::Lost.name()];
        Summary {
            job: job.id,
            state: job.state.clone(),
            rows: rows_printed + job.files.iter().map(|file| file.rows).sum::<u64>(),
            bytes: job.stages.iter().map(|stage| stage.bytes).sum::<u64>()
                + job.files.iter().map(|file| file.bytes).sum::<u64>(),
            seconds: job.ended_us.saturating_sub(started) as f64 / 1e6,
            stages: job.stages.len(),
            attempts: job.stages.iter().map(|stage| stage.attempts_total as usize).sum(),
            unsuccessful: attempts().filter(|attempt| failed.contains(&attempt.state.as_str())).count(),
            reruns: job.stages.iter().map(|stage: &Stage| stage.reruns).sum(),
            spill_bytes: job.stages.iter().map(|stage| stage.spill_bytes).sum(),
            rss_peaks: job.workers.iter().map(|worker| (worker.worker, worker.rss_peak_bytes)).collect(),
        }
    }

    /// For people. Workers inside one process share its memory, which is then named once.
    pub fn line(&self, one_process: bool) -> String {
        let mut text = format!("{} {}: {} rows in {:.2} s", JobId(self.job), self.state, self.rows, self.seconds);
        text.push_str(&format!(
            ", {} written, {} attempts in {} stages",
            format_bytes(self.bytes),
            self.attempts,
            self.stages
        ));
        if self.unsuccessful > 0 || self.reruns > 0 {
            text.push_str(&format!(" ({} unsuccessful, {} re-runs)", self.unsuccessful, self.reruns));
        }
        if self.spill_bytes > 0 {
            text.push_str(&format!(", {} spilled", format_bytes(self.spill_bytes)));
        }
        let peaks = self.rss_peaks.iter().filter(|(_, bytes)| *bytes > 0);
        if one_process {
            if let Some(peak) = peaks.map(|(_, bytes)| *bytes).max() {
                text.push_str(&format!(", peak memory {}", format_bytes(peak)));
            }
            return text;
        }
        let peaks: Vec<String> = peaks.map(|(id, bytes)| format!("worker-{id} {}", format_bytes(*bytes))).collect();
        if !peaks.is_empty() {
            text.push_str(&format!(", peak memory {}", peaks.join(", ")));
        }
        text
    }

    /// For programs.
    pub fn object(&self) -> Value {
        let peaks: Vec<Value> = self
            .rss_peaks
            .iter()
            .map(|(worker, bytes)| json!({ "worker": format!("worker-{worker}"), "rss_peak_bytes": bytes }))
            .collect();
        json!({ "summary": {
            "job": JobId(self.job).to_string(), "state": self.state, "rows": self.rows, "bytes": self.bytes,
            "seconds": self.seconds, "stages": self.stages, "attempts": self.attempts,
            "unsuccessful": self.unsuccessful, "reruns": self.reruns, "spill_bytes": self.spill_bytes,
            "workers": peaks,
        }})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use windrow_proto::{Attempt, WorkerUse};

    fn job() -> Job {
        let attempt = |state: &str| Attempt { state: state.into(), ..Attempt::default() };
        let attempts = vec![attempt("succeeded"), attempt("lost"), attempt("succeeded")];
        let peak = |worker, rss_peak_bytes| WorkerUse { worker, rss_peak_bytes, ..WorkerUse::default() };
        Job {
            id: 7,
            state: "succeeded".into(),
            started_us: 1_000_000,
            ended_us: 3_500_000,
            stages: vec![Stage { attempts, attempts_total: 3, bytes: 2048, reruns: 1, ..Stage::default() }],
            workers: vec![peak(1, 100 << 20), peak(2, 120 << 20)],
            ..Job::default()
        }
    }

    #[test]
    fn the_last_line_says_what_the_job_cost() {
        expect!["job-7 succeeded: 14 rows in 2.50 s, 2.0 KiB written, 3 attempts in 1 stages (1 unsuccessful, 1 re-runs), peak memory worker-1 100.0 MiB, worker-2 120.0 MiB"]
            .assert_eq(&Summary::new(&job(), 14).line(false));
        assert!(Summary::new(&job(), 14).line(true).ends_with("peak memory 120.0 MiB"));
    }
}
