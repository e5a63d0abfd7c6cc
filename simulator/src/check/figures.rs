//! Counts and sums of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use windrow_model::{JobState, TaskId, Timestamp};

/// What a run did, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub succeeded: u64,
    pub failed: u64,
    pub cancelled: u64,
    /// Attempts that workers have started.
    pub attempts: u64,
    /// Slots times the time that attempts held them.
    pub busy: Duration,
    /// The part of `busy` of the last successful attempt of each task.
    pub useful: Duration,
    /// Virtual time of the end of each job, by its place in the workload.
    pub ends: BTreeMap<u32, Timestamp>,
    /// Virtual time of the last end of a job.
    pub makespan: Duration,
    /// How often each kind of thing happened: records, messages, elections, ends by their reason.
    pub counts: Counts,
}

/// Occurrences by name.
pub type Counts = BTreeMap<String, u64>;

/// Sums up while the run goes on.
#[derive(Default)]
pub(crate) struct Counter {
    figures: Figures,
    useful: BTreeMap<TaskId, Duration>,
}

impl Counter {
    pub fn count(&mut self, group: &str, name: &str) {
        *self.figures.counts.entry(format!("{group}: {name}")).or_default() += 1;
    }

    pub fn attempt_started(&mut self) {
        self.figures.attempts += 1;
    }

    /// An attempt has held its slots for so long.
    pub fn attempt_ended(&mut self, task: TaskId, held: Duration, succeeded: bool) {
        self.figures.busy += held;
        if succeeded {
            self.useful.insert(task, held);
        }
    }

    pub fn job_ended(&mut self, order: Option<u32>, state: JobState, now: Timestamp) {
        match state {
            JobState::Succeeded => self.figures.succeeded += 1,
            JobState::Failed => self.figures.failed += 1,
            JobState::Cancelled => self.figures.cancelled += 1,
            JobState::Queued | JobState::Running | JobState::Committing => {}
        }
        self.figures.makespan = now.since(Timestamp(0));
        if let Some(order) = order {
            self.figures.ends.insert(order, now);
        }
    }

    pub fn figures(&self) -> Figures {
        Figures { useful: self.useful.values().sum(), ..self.figures.clone() }
    }
}
