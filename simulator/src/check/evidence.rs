//! What was really done to each job, and whether it explains how the job ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use windrow_model::{Failure, JobId, JobState, Limits, TaskId};

use crate::check::ledger::Ledger;

/// Full disks that fail a job.
const FULL_DISKS: u32 = 2;

#[derive(Default)]
pub(crate) struct Evidence {
    /// Failures that workers reported, by task and by the failure's name.
    failures: BTreeMap<TaskId, BTreeMap<&'static str, u32>>,
    /// Times that somebody could not read an output of the task.
    blames: BTreeMap<TaskId, u32>,
    /// Times that a worker's process ended while it ran the task.
    deaths: BTreeMap<TaskId, u32>,
    /// Attempts that hung, and attempts whose output vanished, perhaps before anybody heard of their end.
    hangs: BTreeMap<TaskId, u32>,
    /// The longest time for which the store did not answer.
    store_was_down: Duration,
    pub plans_failed: BTreeSet<JobId>,
    pub commits_refused: BTreeSet<(JobId, u32)>,
    /// Jobs whose client has asked to cancel them.
    pub cancelled: BTreeSet<JobId>,
}

impl Evidence {
    pub fn failed(&mut self, task: TaskId, failure: &Failure) {
        *self.failures.entry(task).or_default().entry(failure.name()).or_default() += 1;
        if let Failure::FetchFailed { output, .. } | Failure::Corrupt { output, .. } = failure {
            self.blamed(output.task);
        }
    }

    pub fn blamed(&mut self, producer: TaskId) {
        *self.blames.entry(producer).or_default() += 1;
    }

    pub fn died_while_running(&mut self, task: TaskId) {
        *self.deaths.entry(task).or_default() += 1;
    }

    pub fn vanished(&mut self, task: TaskId) {
        *self.hangs.entry(task).or_default() += 1;
    }

    pub fn hung(&mut self, task: TaskId) {
        *self.hangs.entry(task).or_default() += 1;
    }

    pub fn store_is_down(&mut self, lasts: Duration) {
        self.store_was_down = self.store_was_down.max(lasts);
    }

    /// S-13: the end follows from what was done to the job.
    pub fn explains(
        &self,
        job: JobId,
        state: JobState,
        code: &str,
        ledger: &Ledger,
        limits: &Limits,
    ) -> Result<(), String> {
        let explained = match (state, code) {
            (JobState::Succeeded, _) => true,
            (JobState::Cancelled, _) => self.cancelled.contains(&job),
            (_, "plan-failed") => self.plans_failed.contains(&job),
            (_, "commit-failed") => self.commits_refused.iter().any(|(refused, _)| *refused == job),
            (_, "query") => self.reported(job, "query") > 0,
            (_, "out-of-memory") => self.reported(job, "out-of-memory") > 0,
            (_, "fetch-failed" | "corrupt") => self.most_blamed(job) > limits.stage_reruns_max,
            (_, "worker-lost") => ledger.workers_lost() >= limits.worker_deaths_max as usize,
            (_, "timeout") => true,
            (_, "no-workers") => true,
            (_, "disk-full") => {
                self.reported(job, "disk-full") >= FULL_DISKS || self.most_failed(job) >= limits.attempts_max
            }
            // A leader whose store is silent tells nobody what it has decided. The real one's clock stands still
            // meanwhile; that of the simulated one goes on, so that it takes for hanging what was never told to run.
            (_, "timed-out") if self.store_was_down >= limits.hang_timeout => true,
            (_, "panicked" | "unavailable" | "timed-out" | "internal") => self.most_failed(job) >= limits.attempts_max,
            (JobState::Queued | JobState::Running | JobState::Committing | JobState::Failed, _) => false,
        };
        if explained { Ok(()) } else { Err("nothing that was done to it explains that".to_owned()) }
    }

    fn reported(&self, job: JobId, name: &str) -> u32 {
        let of_job = self.failures.iter().filter(|(task, _)| task.stage.job == job);
        of_job.filter_map(|(_, failures)| failures.get(name)).sum()
    }

    fn most_blamed(&self, job: JobId) -> u32 {
        let of_job = self.blames.iter().filter(|(task, _)| task.stage.job == job);
        of_job.map(|(_, blames)| *blames).max().unwrap_or(0)
    }

    /// Most failures, hangs and readings in vain of one task.
    fn most_failed(&self, job: JobId) -> u32 {
        let tasks = self.failures.keys().chain(self.hangs.keys()).filter(|task| task.stage.job == job);
        let count = |task: &TaskId| {
            let failures: u32 = self.failures.get(task).map_or(0, |failures| failures.values().sum());
            failures + self.hangs.get(task).copied().unwrap_or(0)
        };
        tasks.map(count).max().unwrap_or(0)
    }
}
