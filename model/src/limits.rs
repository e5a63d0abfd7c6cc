//! Bounds on everything the scheduler does, each with its reason.

use std::time::Duration;

/// Limits of the scheduling core. All are configurable; none is infinite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attempts that may fail for a task's own reasons before its job fails.
    pub attempts_max: u32,
    /// Times one stage may be re-run because outputs were lost or unreadable, before its job fails.
    pub stage_reruns_max: u32,
    /// A worker that is silent for this long is lost.
    pub lease: Duration,
    /// A task that was running on this many workers when they died fails its job: it is the likely killer.
    pub worker_deaths_max: u32,
    /// Jobs that run at once; later ones wait in the queue.
    pub running_jobs_max: usize,
    /// Jobs that wait; a submission beyond it is refused with `Exhausted`.
    pub queued_jobs_max: usize,
    /// How long the result of a `SELECT` is kept after the job has ended.
    pub result_ttl: Duration,
    /// How long a running job waits when there is no worker at all before it fails.
    pub no_worker_grace: Duration,
    /// Wait before a task is tried again after `Unavailable`; doubled on each try, up to 64 times this.
    pub retry_backoff: Duration,
    /// Ended jobs that are kept in memory for `windrow jobs`.
    pub ended_jobs_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            attempts_max: 4,
            stage_reruns_max: 8,
            lease: Duration::from_secs(10),
            worker_deaths_max: 2,
            running_jobs_max: 64,
            queued_jobs_max: 10_000,
            result_ttl: Duration::from_secs(3600),
            no_worker_grace: Duration::from_secs(300),
            retry_backoff: Duration::from_millis(250),
            ended_jobs_max: 1_000,
        }
    }
}
