//! A new leader makes history and journal agree: what the last one did not come to write is written, and what only
//! history knows of unfinished jobs is taken over.

use std::time::Duration;

use windrow_model::{ErrorReport, JobId, Timestamp};

use super::archive::Archive;
use crate::call::{Call, ToDriver};
use crate::clock::wall_clock;
use crate::state::State;

/// A job is shown without what history knows of it when that does not come within this.
const RECALL_PATIENCE: Duration = Duration::from_secs(10);

/// A job of the journal, as far as this is concerned.
struct Known {
    job: JobId,
    submitted_at: Timestamp,
    /// When it ended, if it has.
    ended_at: Option<Timestamp>,
}

/// Runs beside the driver, once. What cannot be read stays unknown: nothing depends on it.
pub(crate) async fn reconcile(archive: Archive, driver: ToDriver) {
    archive.ready().await;
    if let Err(report) = try_reconcile(&archive, &driver).await {
        tracing::debug!(%report, "the driver has ended before history and journal agreed");
    }
}

async fn try_reconcile(archive: &Archive, driver: &ToDriver) -> Result<(), ErrorReport> {
    for known in driver.query(inherited).await? {
        let Known { job, submitted_at, ended_at } = known;
        let (logged, ends) = archive.has(job, submitted_at);
        if ends {
            continue;
        }
        if logged {
            take_over(archive, driver, job, submitted_at).await?;
        }
        if ended_at.is_some_and(|at| is_kept(at, archive.retention())) {
            driver.query(move |state| state.record_end(job)).await?;
        }
    }
    Ok(())
}

fn inherited(state: &State) -> Vec<Known> {
    let inherited = state.scheduler.jobs().filter(|view| is_inherited(state, view.id()));
    let known =
        inherited.map(|view| Known { job: view.id(), submitted_at: view.submitted_at(), ended_at: view.ended_at() });
    known.collect()
}

fn is_inherited(state: &State, job: JobId) -> bool {
    state.dossiers.get(&job).is_some_and(|dossier| dossier.inherited)
}

/// A job that is older would be removed again.
fn is_kept(ended_at: Timestamp, retention: Duration) -> bool {
    wall_clock().since(ended_at) < retention
}

async fn take_over(
    archive: &Archive,
    driver: &ToDriver,
    job: JobId,
    submitted_at: Timestamp,
) -> Result<(), ErrorReport> {
    match archive.memory(job, submitted_at).await {
        Ok(memory) => driver.send(Call::Remembered { job, memory }).await,
        Err(report) => {
            tracing::warn!(%job, error = %report, "what an earlier leader noted about a job cannot be read");
            Ok(())
        }
    }
}

/// Before somebody looks at an ended job of an earlier leader: history knows more about it than the journal.
pub(crate) async fn recall(archive: &Archive, driver: &ToDriver, job: JobId) -> Result<(), ErrorReport> {
    let look = move |state: &State| {
        let view = state.scheduler.job(job).filter(|view| view.state().is_final() && is_inherited(state, job));
        view.map(|view| view.submitted_at())
    };
    match driver.query(look).await? {
        Some(submitted_at) => {
            let taken = tokio::time::timeout(RECALL_PATIENCE, take_over(archive, driver, job, submitted_at)).await;
            taken.unwrap_or(Ok(()))
        }
        None => Ok(()),
    }
}
