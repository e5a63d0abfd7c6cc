//! S-15: the leader's view, the reference model and a new leader's view are one.

use windrow_model::{ErrorReport, JobId, JobState, Timestamp};
use windrow_scheduler::{JobView, Scheduler};

use crate::check::ledger::Ledger;

/// What a person may see of a job.
#[derive(Debug, PartialEq)]
struct Seen {
    job: JobId,
    state: JobState,
    submitted_at: Timestamp,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    code: Option<String>,
    report: Option<ErrorReport>,
    steps: Vec<(bool, (u64, u64, u64))>,
}

fn seen(job: JobView<'_>) -> Seen {
    Seen {
        job: job.id(),
        state: job.state(),
        submitted_at: job.submitted_at(),
        started_at: job.started_at(),
        ended_at: job.ended_at(),
        code: job.state().is_final().then(|| job.reason().code.to_string()),
        report: job.report().cloned(),
        steps: job.steps().map(|step| (step.is_finished(), step.committed())).collect(),
    }
}

/// Every job of the journal is shown as the journal says, and no other.
/// Of jobs that have ended, at most `ended_jobs_max` are remembered.
pub(crate) fn compare_with_ledger(core: &Scheduler, ledger: &Ledger, ended_jobs_max: usize) -> Result<(), String> {
    for (id, recorded) in &ledger.jobs {
        let Some(job) = core.job(*id) else {
            if recorded.end.is_some() && ledger.jobs.len() > ended_jobs_max {
                continue;
            }
            return Err(format!("S-15: {id} is not shown"));
        };
        let shown = Some(job.state()).filter(|state| state.is_final());
        if shown != recorded.end {
            return Err(format!("S-15: {id} is shown as {}, the journal says {:?}", job.state(), recorded.end));
        }
    }
    match core.jobs().find(|job| !ledger.jobs.contains_key(&job.id())) {
        Some(job) => Err(format!("S-15: {} is shown and is not in the journal", job.id())),
        None => Ok(()),
    }
}

/// `recovered` was made from the journal that `core` has written.
pub(crate) fn compare_with_recovered(core: &Scheduler, recovered: &Scheduler) -> Result<(), String> {
    let (mine, theirs): (Vec<Seen>, Vec<Seen>) =
        (core.jobs().map(seen).collect(), recovered.jobs().map(seen).collect());
    if mine.len() != theirs.len() {
        return Err(format!("S-15: {} jobs are shown, {} after a recovery", mine.len(), theirs.len()));
    }
    match mine.iter().zip(&theirs).find(|(mine, theirs)| mine != theirs) {
        Some((mine, theirs)) => Err(format!("S-15: shown {mine:?}, after a recovery {theirs:?}")),
        None => Ok(()),
    }
}
