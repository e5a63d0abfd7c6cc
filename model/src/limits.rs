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
    /// How long a new leader waits for the workers in its journal to come back with what they run and hold.
    pub recovery_window: Duration,
    pub speculation: Speculation,
    /// A live attempt whose progress does not move for this long is stopped and tried elsewhere.
    pub hang_timeout: Duration,
    pub exclusion: Exclusion,
    /// How long a draining worker may take, unless the request says otherwise; what is left then is given up.
    pub drain_deadline: Duration,
}

/// When a second attempt at a task is started while the first one still runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speculation {
    pub enabled: bool,
    /// Share of a stage's tasks that must have finished: before, their median says little.
    pub finished_percent_min: u32,
    /// An attempt is slow when it has run longer than this percentage of the median of its stage's successful attempts.
    pub slower_than_median_percent: u32,
    /// Shorter attempts are never slow: a second one would hardly end earlier.
    pub runtime_min: Duration,
    /// Speculative attempts of a job that may live at once, as a percentage of its live attempts; always at least one.
    pub live_max_per_job_percent: u32,
}

/// When a place that keeps losing workers, or that fails what works elsewhere, gets no tasks for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// Losses of workers of one name, within `within`, after which the name is excluded.
    pub losses: u32,
    /// Distinct tasks that failed on a worker and succeeded elsewhere, within `within`, after which it is excluded.
    pub failures: u32,
    pub within: Duration,
    /// The first exclusion lasts this long; each further one doubles it.
    pub first: Duration,
    /// The longest exclusion.
    pub max: Duration,
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
            recovery_window: Duration::from_secs(10),
            speculation: Speculation::default(),
            hang_timeout: Duration::from_secs(600),
            exclusion: Exclusion::default(),
            drain_deadline: Duration::from_secs(30),
        }
    }
}

impl Default for Speculation {
    fn default() -> Self {
        Speculation {
            enabled: true,
            finished_percent_min: 50,
            slower_than_median_percent: 200,
            runtime_min: Duration::from_secs(2),
            live_max_per_job_percent: 10,
        }
    }
}

impl Default for Exclusion {
    fn default() -> Self {
        Exclusion {
            losses: 3,
            failures: 4,
            within: Duration::from_secs(60),
            first: Duration::from_secs(30),
            max: Duration::from_secs(600),
        }
    }
}
