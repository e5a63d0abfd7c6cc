//! Bounds on everything the scheduler does, each with its reason.

use std::time::Duration;

use crate::{ErrorReport, parse_duration};

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
    /// Outputs of workers that leave go to an object store, which the shell knows, and not to other workers.
    pub shuffle_store: bool,
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
            shuffle_store: false,
        }
    }
}

/// A limit by the name that operators use, and where it is.
enum Place<'a> {
    Span(&'a mut Duration),
    Count(&'a mut u32),
    Length(&'a mut usize),
    Switch(&'a mut bool),
}

impl Limits {
    /// Names that [`Limits::set`] takes, with what they mean.
    pub const NAMES: [(&'static str, &'static str); 17] = [
        ("lease", "a worker that is silent for this long is lost"),
        ("no-worker-grace", "a running job without any worker fails after this"),
        ("recovery-window", "a new leader waits so long for the workers of its journal"),
        ("hang-timeout", "an attempt whose progress does not move for this long is tried elsewhere"),
        ("drain-deadline", "a draining worker may take this long"),
        ("result-ttl", "the rows of a SELECT are kept for this long"),
        ("retry-backoff", "first pause before a task is tried again"),
        ("attempts", "attempts of a task that may fail before its job fails"),
        ("stage-reruns", "times a stage may run again for lost outputs before its job fails"),
        ("worker-deaths", "workers that may die of a task before its job fails"),
        ("running-jobs", "jobs that run at once"),
        ("queued-jobs", "jobs that may wait"),
        ("ended-jobs", "ended jobs that the coordinator keeps in memory"),
        ("speculation", "`on` or `off`: a second attempt at a slow task"),
        ("speculation-after", "an attempt that has run shorter is never slow"),
        ("exclusion-losses", "losses of a worker within a minute that exclude its place"),
        ("exclusion", "how long a place is excluded at first"),
    ];

    /// Changes one limit, as in `lease=2s`. Errors name the limit and what can be written.
    pub fn set(&mut self, assignment: &str) -> Result<(), ErrorReport> {
        let wrong = |why: String| ErrorReport::invalid(format!("the limit `{assignment}` {why}"));
        let (name, value) = assignment
            .split_once('=')
            .ok_or_else(|| wrong("has no value".to_owned()).with_hint("write it like lease=10s"))?;
        let place = self.place(name.trim()).ok_or_else(|| {
            let names: Vec<&str> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            wrong("is not known".to_owned()).with_hint(format!("there are {}", names.join(", ")))
        })?;
        let (value, number) = (value.trim(), |_| wrong("is not a whole number".to_owned()));
        let nothing = || wrong("is nothing at all".to_owned()).with_hint("a limit of zero would stop the cluster");
        match place {
            Place::Span(span) => {
                let given = parse_duration(value).map_err(|error| wrong(format!("is no span: {error}")))?;
                *span = Some(given).filter(|given| !given.is_zero()).ok_or_else(nothing)?;
            }
            Place::Count(count) => {
                *count = Some(value.parse().map_err(number)?).filter(|n| *n > 0).ok_or_else(nothing)?
            }
            Place::Length(length) => {
                *length = Some(value.parse().map_err(number)?).filter(|n| *n > 0).ok_or_else(nothing)?;
            }
            Place::Switch(switch) => {
                *switch = match value {
                    "on" => true,
                    "off" => false,
                    _ => return Err(wrong("is neither on nor off".to_owned())),
                }
            }
        }
        Ok(())
    }

    fn place(&mut self, name: &str) -> Option<Place<'_>> {
        Some(match name {
            "lease" => Place::Span(&mut self.lease),
            "no-worker-grace" => Place::Span(&mut self.no_worker_grace),
            "recovery-window" => Place::Span(&mut self.recovery_window),
            "hang-timeout" => Place::Span(&mut self.hang_timeout),
            "drain-deadline" => Place::Span(&mut self.drain_deadline),
            "result-ttl" => Place::Span(&mut self.result_ttl),
            "retry-backoff" => Place::Span(&mut self.retry_backoff),
            "attempts" => Place::Count(&mut self.attempts_max),
            "stage-reruns" => Place::Count(&mut self.stage_reruns_max),
            "worker-deaths" => Place::Count(&mut self.worker_deaths_max),
            "running-jobs" => Place::Length(&mut self.running_jobs_max),
            "queued-jobs" => Place::Length(&mut self.queued_jobs_max),
            "ended-jobs" => Place::Length(&mut self.ended_jobs_max),
            "speculation" => Place::Switch(&mut self.speculation.enabled),
            "speculation-after" => Place::Span(&mut self.speculation.runtime_min),
            "exclusion-losses" => Place::Count(&mut self.exclusion.losses),
            "exclusion" => Place::Span(&mut self.exclusion.first),
            _ => return None,
        })
    }
}

impl Default for Speculation {
    fn default() -> Self {
        Speculation {
            enabled: true,
            finished_percent_min: 50,
            slower_than_median_percent: 200,
            runtime_min: Duration::from_millis(500),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_place() {
        let mut limits = Limits::default();
        for (name, _) in Limits::NAMES {
            assert!(limits.place(name).is_some(), "{name}");
        }
    }

    #[test]
    fn an_assignment_changes_one_limit_or_says_what_can_be_written() {
        let mut limits = Limits::default();
        limits.set("lease=2s").expect("a span");
        limits.set("speculation=off").expect("a switch");
        limits.set("attempts = 7").expect("a count");
        let mut wanted = Limits { lease: Duration::from_secs(2), attempts_max: 7, ..Limits::default() };
        wanted.speculation.enabled = false;
        assert_eq!(limits, wanted);
        for (text, part) in [
            ("leese=2s", "no-worker-grace"),
            ("lease", "lease=10s"),
            ("lease=soon", "soon"),
            ("lease=0s", "nothing"),
            ("attempts=0", "nothing"),
        ] {
            let report = limits.set(text).expect_err(text);
            let said = format!("{report} {}", report.hint);
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(limits, wanted);
    }
}
