//! `windrow logs`: what the user's code has written to standard error.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde_json::json;
use windrow_model::JobState;
use windrow_proto::{LogsRequest, LogsResponse, StageAttempt};

use crate::Client;
use crate::program::cli::{LogsArgs, TextOutput};
use crate::program::follow::print_text;
use crate::program::outcome::{Outcome, printed};
use crate::program::view::{attempt_name, worker_name};
use crate::rows::RowFormat;

/// Between two looks. Workers tell what is new with their heartbeats.
const PAUSE: Duration = Duration::from_millis(500);

pub async fn run(args: LogsArgs) -> Outcome {
    let client = Client::connect(&args.cluster.coordinator).await?;
    let (stage, task) = args.task.map_or((None, None), |(stage, task)| (Some(stage), task));
    let mut shown = Shown::default();
    loop {
        let logs = client.logs(LogsRequest { job: args.id.0, stage, task }).await?;
        let is_over = JobState::from_name(&logs.state).is_none_or(JobState::is_final);
        let text = match args.output {
            TextOutput::Table => shown.news(&logs),
            TextOutput::Json => shown.objects(&logs),
        };
        if !text.is_empty() {
            printed(print_text(text.trim_end(), RowFormat::Table))?;
        }
        if is_over || !args.follow {
            if shown.is_empty() && !args.follow {
                eprintln!("the code of {} has said nothing so far", args.id);
            }
            return printed(Ok(()));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What has been printed of each attempt.
#[derive(Default)]
struct Shown(BTreeMap<(u64, u64), String>);

impl Shown {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn news(&mut self, logs: &LogsResponse) -> String {
        let mut text = String::new();
        for entry in &logs.attempts {
            let Some((id, log)) = log_of(entry) else { continue };
            let before = self.0.get(&id).map(String::as_str).unwrap_or_default();
            // A log that has lost its beginning meanwhile is shown again as a whole.
            let new = log.strip_prefix(before).unwrap_or(&log);
            if !new.is_empty() {
                let _ = writeln!(text, "==> {}", title(entry));
                text.push_str(new);
            }
            self.0.insert(id, log);
        }
        text
    }

    fn objects(&mut self, logs: &LogsResponse) -> String {
        let mut text = String::new();
        for entry in &logs.attempts {
            let Some((id, log)) = log_of(entry) else { continue };
            if self.0.get(&id) != Some(&log) {
                let _ = writeln!(text, "{}", object(entry, &log));
            }
            self.0.insert(id, log);
        }
        text
    }
}

fn log_of(entry: &StageAttempt) -> Option<((u64, u64), String)> {
    let attempt = entry.attempt.as_ref()?;
    let id = attempt.id?;
    Some(((id.epoch, id.n), attempt.said.as_ref()?.log.clone()))
}

fn title(entry: &StageAttempt) -> String {
    let Some(attempt) = &entry.attempt else { return String::new() };
    let status = attempt.said.as_ref().map(|said| said.status.as_str()).filter(|status| !status.is_empty());
    format!(
        "task {}.{} ({}), {} on {}, {}{}",
        entry.stage,
        attempt.task,
        entry.label,
        attempt_name(attempt),
        worker_name(attempt.worker),
        attempt.state,
        status.map(|status| format!(": {status}")).unwrap_or_default()
    )
}

fn object(entry: &StageAttempt, log: &str) -> serde_json::Value {
    let attempt = entry.attempt.clone().unwrap_or_default();
    let said = attempt.said.clone().unwrap_or_default();
    let counters: BTreeMap<String, i64> = said.counters.into_iter().collect();
    json!({
        "stage": entry.stage, "task": attempt.task, "label": entry.label, "attempt": attempt_name(&attempt),
        "worker": worker_name(attempt.worker), "state": attempt.state, "status": said.status, "counters": counters,
        "log": log,
    })
}
