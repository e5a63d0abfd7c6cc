//! What follows from a failure: one pure table.
//!
//! | failure | decision | counts against |
//! |---|---|---|
//! | query | fail the job | |
//! | out of memory | once more on a whole worker, then fail | |
//! | disk full | elsewhere once; a second full disk on another worker fails the job | attempts |
//! | fetch failed, corrupt | re-run the producer, retry the reader | the producer's re-runs |
//! | the same after the output was replaced or has moved | retry the reader | |
//! | worker lost | retry; fail when the task was running on `worker_deaths_max` workers as they died | deaths |
//! | preempted | retry | |
//! | unavailable | retry elsewhere after a back-off | attempts |
//! | user code, panicked, internal, timed out | retry elsewhere | attempts |
//!
//! When an eighth of a stage, and more than have succeeded, have run out of memory, its waiting tasks get whole workers at
//! once (`stage`).
//!
//! While another attempt at the task is live, only a query error fails the job, and nothing is queued again.
//! The failure of a speculative attempt counts against nothing. A task that panics, or meets the same internal error, on
//! two workers is at fault itself: that is no sign against the workers (`exclusion`).

use std::time::Duration;

use windrow_model::{ErrorKind, ErrorReport, Failure, Limits, MapOutputId, WorkerId};

/// Doublings of `Limits::retry_backoff`: at most 64 times it.
const BACKOFF_DOUBLINGS_MAX: u32 = 6;

/// What to do about a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing is known against the worker or the task.
    Retry,
    /// Avoid the worker it failed on, and wait so long.
    RetryElsewhere {
        after: Duration,
    },
    /// Give the next attempt a worker to itself.
    RetryWithMoreMemory,
    /// This output is lost; the reader is tried again when it is back.
    RerunProducer {
        output: MapOutputId,
    },
    FailJob(ErrorReport),
}

/// What happened to the task before, this failure included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskHistory<'a> {
    /// Failures that count, see [`counts`].
    pub failures: u32,
    pub unavailable: u32,
    pub out_of_memory: u32,
    /// The failed attempt had all slots of its worker.
    pub had_whole_worker: bool,
    /// Workers that died while they ran the task.
    pub deaths: &'a [WorkerId],
    /// Workers that had no room for it, with the path; this failure included.
    pub full_disks: &'a [(WorkerId, String)],
    /// For a fetch failure: what is known about the blamed output.
    pub blamed: Option<Blamed>,
}

/// What is known about an output that a reader could not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blamed {
    /// It is the current output of its task, which has been blamed so often, this time included.
    Current { blames: u32 },
    /// It was lost after the reader had been assigned; somebody else reported it first.
    Replaced,
    /// The reader was never told to read it.
    Foreign,
}

/// The failure counts against `Limits::attempts_max`: the task itself may be at fault.
pub fn counts(failure: &Failure, blamed: Option<Blamed>) -> bool {
    match failure {
        Failure::UserCode(_)
        | Failure::Panicked(_)
        | Failure::Internal(_)
        | Failure::TimedOut { .. }
        | Failure::DiskFull { .. }
        | Failure::Unavailable(_) => true,
        Failure::FetchFailed { .. } | Failure::Corrupt { .. } => blamed == Some(Blamed::Foreign),
        Failure::Query(_) | Failure::OutOfMemory(_) | Failure::WorkerLost { .. } | Failure::Preempted { .. } => false,
    }
}

/// The table above.
pub fn decide(failure: &Failure, history: &TaskHistory<'_>, limits: &Limits) -> Decision {
    match failure {
        Failure::Query(report) => Decision::FailJob(report.clone()),
        Failure::OutOfMemory(report) if history.had_whole_worker || history.out_of_memory > 1 => {
            Decision::FailJob(out_of_memory(report))
        }
        Failure::OutOfMemory(_) => Decision::RetryWithMoreMemory,
        Failure::FetchFailed { output, .. } | Failure::Corrupt { output, .. } => {
            decide_fetch(failure, *output, history, limits)
        }
        Failure::WorkerLost { .. } if history.deaths.len() >= limits.worker_deaths_max as usize => {
            Decision::FailJob(poison(history.deaths))
        }
        Failure::WorkerLost { .. } | Failure::Preempted { .. } => Decision::Retry,
        Failure::Unavailable(_) => {
            let doublings = history.unavailable.saturating_sub(1).min(BACKOFF_DOUBLINGS_MAX);
            counted(failure, history, limits, limits.retry_backoff * (1 << doublings))
        }
        Failure::DiskFull { .. } if is_full_elsewhere(history.full_disks) => {
            Decision::FailJob(disks_full(history.full_disks))
        }
        Failure::UserCode(_)
        | Failure::Panicked(_)
        | Failure::Internal(_)
        | Failure::TimedOut { .. }
        | Failure::DiskFull { .. } => counted(failure, history, limits, Duration::ZERO),
    }
}

fn decide_fetch(failure: &Failure, output: MapOutputId, history: &TaskHistory<'_>, limits: &Limits) -> Decision {
    match history.blamed {
        Some(Blamed::Current { blames }) if blames > limits.stage_reruns_max => {
            Decision::FailJob(unreadable(failure, blames))
        }
        Some(Blamed::Current { .. }) => Decision::RerunProducer { output },
        Some(Blamed::Replaced) => Decision::Retry,
        Some(Blamed::Foreign) | None => counted(failure, history, limits, Duration::ZERO),
    }
}

fn counted(failure: &Failure, history: &TaskHistory<'_>, limits: &Limits, after: Duration) -> Decision {
    if history.failures >= limits.attempts_max {
        Decision::FailJob(failure.report())
    } else {
        Decision::RetryElsewhere { after }
    }
}

/// Two workers had no room.
fn is_full_elsewhere(full: &[(WorkerId, String)]) -> bool {
    full.iter().any(|(worker, _)| Some(worker) != full.first().map(|(first, _)| first))
}

fn disks_full(full: &[(WorkerId, String)]) -> ErrorReport {
    let places: Vec<String> = full.iter().map(|(worker, path)| format!("`{path}` on {worker}")).collect();
    ErrorReport::new(ErrorKind::Exhausted, format!("no space left in {}", places.join(" and in ")))
        .with_detail("the task writes more than either of them has room for")
        .with_hint("free space there, or start the workers with another --work-dir")
}

fn out_of_memory(report: &ErrorReport) -> ErrorReport {
    let hint = if report.hint.is_empty() { "give the workers more --memory" } else { &report.hint };
    ErrorReport::new(ErrorKind::Exhausted, report.what.clone()).with_detail(report.detail.clone()).with_hint(hint)
}

fn poison(deaths: &[WorkerId]) -> ErrorReport {
    let names: Vec<String> = deaths.iter().map(WorkerId::to_string).collect();
    ErrorReport::new(ErrorKind::Exhausted, format!("{} were lost while they ran the same task", names.join(" and ")))
        .with_detail("the task probably kills its worker")
        .with_hint(
            "look at the ends of those workers' logs; often a limit outside Windrow killed them for their memory",
        )
}

/// The report of an output that stayed unreadable however often it was written again.
pub(crate) fn unreadable(failure: &Failure, blames: u32) -> ErrorReport {
    let report = failure.report();
    let cause = if report.detail.is_empty() { String::new() } else { format!("; last: {}", report.detail) };
    let detail = format!("it was written again {} times{cause}", blames.saturating_sub(1));
    ErrorReport::new(ErrorKind::Exhausted, report.what).with_detail(detail).with_hint(report.hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use windrow_model::{AttemptId, JobId, StageId, TaskId};

    fn history(failures: u32) -> TaskHistory<'static> {
        TaskHistory {
            failures,
            unavailable: 0,
            out_of_memory: 0,
            had_whole_worker: false,
            deaths: &[],
            full_disks: &[],
            blamed: None,
        }
    }

    fn report() -> ErrorReport {
        ErrorReport::invalid("x")
    }

    fn output() -> MapOutputId {
        let task = TaskId { stage: StageId { job: JobId(1), index: 0 }, index: 0 };
        MapOutputId { task, attempt: AttemptId { epoch: 1, n: 1 } }
    }

    #[test]
    fn a_query_error_is_never_tried_again() {
        assert_eq!(decide(&Failure::Query(report()), &history(0), &Limits::default()), Decision::FailJob(report()));
    }

    #[test]
    fn a_counted_failure_is_tried_elsewhere_until_the_limit() {
        let limits = Limits::default();
        let failure = Failure::Panicked(report());
        let again = Decision::RetryElsewhere { after: Duration::ZERO };
        assert_eq!(decide(&failure, &history(limits.attempts_max - 1), &limits), again);
        assert_eq!(decide(&failure, &history(limits.attempts_max), &limits), Decision::FailJob(report()));
    }

    #[test]
    fn the_back_off_doubles_up_to_64_times() {
        let limits = Limits { attempts_max: 1000, ..Limits::default() };
        let wait = |unavailable| {
            let history = TaskHistory { unavailable, ..history(1) };
            match decide(&Failure::Unavailable(report()), &history, &limits) {
                Decision::RetryElsewhere { after } => after.as_millis() as u64,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!([wait(1), wait(2), wait(3), wait(7), wait(50)], [250, 500, 1000, 16_000, 16_000]);
    }

    #[test]
    fn memory_is_asked_for_once_and_not_when_all_of_it_was_given() {
        let limits = Limits::default();
        let failure = Failure::OutOfMemory(report());
        let first = TaskHistory { out_of_memory: 1, ..history(0) };
        assert_eq!(decide(&failure, &first, &limits), Decision::RetryWithMoreMemory);
        for last in [
            TaskHistory { out_of_memory: 2, ..history(0) },
            TaskHistory { out_of_memory: 1, had_whole_worker: true, ..history(0) },
        ] {
            assert!(matches!(decide(&failure, &last, &limits), Decision::FailJob(r) if r.kind == ErrorKind::Exhausted));
        }
    }

    #[test]
    fn a_full_disk_is_tried_elsewhere_once() {
        let limits = Limits::default();
        let failure = Failure::DiskFull { path: "/b".into() };
        let full = |workers: &[u64]| -> Vec<(WorkerId, String)> {
            workers.iter().map(|worker| (WorkerId(*worker), format!("/{worker}"))).collect()
        };
        let with =
            |full: &[(WorkerId, String)]| decide(&failure, &TaskHistory { full_disks: full, ..history(1) }, &limits);
        assert_eq!(with(&full(&[1])), Decision::RetryElsewhere { after: Duration::ZERO });
        assert_eq!(with(&full(&[1, 1])), Decision::RetryElsewhere { after: Duration::ZERO });
        let Decision::FailJob(report) = with(&full(&[1, 2])) else { panic!("tried again") };
        assert_eq!(report.kind, ErrorKind::Exhausted);
        assert!(report.what.contains("`/1` on worker-1 and in `/2` on worker-2"), "{report}");
    }

    #[test]
    fn a_fetch_failure_blames_the_producer_and_is_bounded() {
        let limits = Limits::default();
        let failure =
            Failure::FetchFailed { output: output(), peer: WorkerId(1), detail: "gone".into(), unreached: false };
        let with = |blamed| decide(&failure, &TaskHistory { blamed: Some(blamed), ..history(0) }, &limits);
        assert_eq!(with(Blamed::Current { blames: 8 }), Decision::RerunProducer { output: output() });
        assert!(matches!(with(Blamed::Current { blames: 9 }), Decision::FailJob(_)));
        assert_eq!(with(Blamed::Replaced), Decision::Retry);
        assert_eq!(with(Blamed::Foreign), Decision::RetryElsewhere { after: Duration::ZERO });
    }

    #[test]
    fn a_task_that_kills_its_workers_is_stopped() {
        let limits = Limits::default();
        let failure = Failure::WorkerLost { worker: WorkerId(2) };
        assert_eq!(decide(&failure, &TaskHistory { deaths: &[WorkerId(1)], ..history(0) }, &limits), Decision::Retry);
        let poison = TaskHistory { deaths: &[WorkerId(1), WorkerId(2)], ..history(0) };
        let Decision::FailJob(report) = decide(&failure, &poison, &limits) else { panic!("tried again") };
        assert!(report.what.contains("worker-1 and worker-2"), "{report}");
    }
}
