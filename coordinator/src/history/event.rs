//! The lines of a log: events as JSON objects. What they say about a job is what the wire says, in the same words.

use serde::{Deserialize, Serialize};
use windrow_model::ErrorReport;
use windrow_proto as wire;

use super::name::LogName;

/// Grows when an older reader would misread a log, not when it would only miss something.
pub(crate) const VERSION: u32 = 1;

/// One line.
///
/// While a job runs, its log says what a later leader would not find in the journal. When it ends, everything follows
/// in one go: `job`, each `stage`, each `attempt`, and `ended`, which says how many they were. Unknown events and
/// fields are skipped by readers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The first line of a file or object.
    Log {
        version: u32,
        job: u64,
        submitted_us: u64,
        epoch: u64,
    },
    Submitted {
        at_us: u64,
        spec: Box<wire::JobSpec>,
    },
    StateChanged {
        at_us: u64,
        state: String,
        error: Option<wire::ErrorReport>,
    },
    /// `notes` are those that this step has added.
    StepPlanned {
        at_us: u64,
        step: u32,
        notes: Vec<String>,
    },
    /// `files` are those that this step has published.
    StepFinished {
        at_us: u64,
        step: u32,
        files: Vec<wire::PublishedFile>,
    },
    /// Without attempts. `workers` have done so much for the job so far. A stage that runs again is done again.
    StageDone {
        at_us: u64,
        stage: Box<wire::Stage>,
        workers: Vec<wire::WorkerUse>,
    },
    /// The whole job without its stages: from here on comes its end.
    Job {
        job: Box<wire::Job>,
    },
    /// Without attempts.
    Stage {
        stage: Box<wire::Stage>,
    },
    Attempt {
        stage: u32,
        attempt: Box<wire::Attempt>,
    },
    /// The last line: the job as a list shows it. It repeats the version for those who read nothing else.
    Ended {
        at_us: u64,
        version: u32,
        stages: u64,
        attempts: u64,
        job: Box<wire::Job>,
    },
    #[serde(other)]
    Unknown,
}

pub(crate) fn head(log: LogName) -> Event {
    Event::Log { version: VERSION, job: log.job.0, submitted_us: log.submitted_at.0, epoch: log.epoch }
}

/// A job as a list shows it: without its script, stages and whatever else only a look at the one job shows.
pub(crate) fn summary(job: &wire::Job) -> wire::Job {
    let spec = job.spec.as_ref().map(|spec| wire::JobSpec { program: None, ..spec.clone() });
    wire::Job {
        id: job.id,
        spec,
        state: job.state.clone(),
        state_since_us: job.state_since_us,
        reason: job.reason.clone(),
        submitted_us: job.submitted_us,
        started_us: job.started_us,
        ended_us: job.ended_us,
        error: job.error.clone(),
        step: job.step,
        result_steps: job.result_steps.clone(),
        ..wire::Job::default()
    }
}

/// The end of a log, from a whole job. Moves what is large.
pub(crate) fn end(at_us: u64, mut job: wire::Job) -> Vec<Event> {
    let (summary, stages) = (summary(&job), std::mem::take(&mut job.stages));
    let (stages_count, mut attempts_count) = (stages.len() as u64, 0);
    let mut events = vec![Event::Job { job: Box::new(job) }];
    for mut stage in stages {
        let (index, attempts) = (stage.index, std::mem::take(&mut stage.attempts));
        attempts_count += attempts.len() as u64;
        events.push(Event::Stage { stage: Box::new(stage) });
        events.extend(attempts.into_iter().map(|attempt| Event::Attempt { stage: index, attempt: Box::new(attempt) }));
    }
    let job = Box::new(summary);
    events.push(Event::Ended { at_us, version: VERSION, stages: stages_count, attempts: attempts_count, job });
    events
}

/// Appends the event and a newline.
pub(crate) fn write_line(event: &Event, lines: &mut Vec<u8>) -> Result<(), ErrorReport> {
    serde_json::to_writer(&mut *lines, event)
        .map_err(|error| ErrorReport::internal("an event cannot be written as JSON").with_detail(error.to_string()))?;
    lines.push(b'\n');
    Ok(())
}
