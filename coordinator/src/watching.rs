//! A job as a stream of snapshots: the job now, then at every change, and last in its final state.

use std::time::Duration;

use futures::{Stream, stream};
use tokio::sync::watch;
use tokio::time::Instant;
use windrow_model::{ErrorReport, JobId};
use windrow_proto as wire;

use crate::call::ToDriver;
use crate::results::no_such_job;
use crate::snapshot::{self, Detail};
use crate::state::State;

/// Time between two snapshots for one watcher: smooth for a person, cheap for the loop.
const SNAPSHOT_INTERVAL: Duration = Duration::from_millis(100);
/// A snapshot of a large job takes long: each watcher leaves the loop so many times as long for its work.
const REST: u32 = 20;

struct Watcher {
    driver: ToDriver,
    job: JobId,
    changed: watch::Receiver<bool>,
    /// When the last snapshot was taken; `None` before the first.
    last: Option<Instant>,
    /// What the loop spent on it.
    took: Duration,
    done: bool,
}

/// Driven by the job's changes and by how fast the client reads; it ends when the client goes away.
pub(crate) async fn watch_job(
    driver: ToDriver,
    job: JobId,
) -> Result<impl Stream<Item = Result<wire::Job, ErrorReport>> + Send + 'static, ErrorReport> {
    let changed = driver.query(move |state| subscribe(state, job)).await??;
    let watcher = Watcher { driver, job, changed, last: None, took: Duration::ZERO, done: false };
    Ok(stream::unfold(watcher, |mut watcher| async {
        if watcher.done {
            return None;
        }
        let item = watcher.next().await;
        Some((item, watcher))
    }))
}

fn subscribe(state: &State, job: JobId) -> Result<watch::Receiver<bool>, ErrorReport> {
    state.dossiers.get(&job).map(|dossier| dossier.changed.subscribe()).ok_or_else(|| no_such_job(job))
}

impl Watcher {
    async fn next(&mut self) -> Result<wire::Job, ErrorReport> {
        if let Some(last) = self.last {
            // An error means that the job was forgotten; the snapshot below says so.
            let _ = self.changed.changed().await;
            // The end is told at once: somebody waits for it.
            let _ = tokio::time::timeout_at(
                last + SNAPSHOT_INTERVAL.max(self.took * REST),
                self.changed.wait_for(|ended| *ended),
            )
            .await;
        }
        // Changes up to here are in the snapshot; later ones wake this watcher again.
        self.changed.mark_unchanged();
        self.last = Some(Instant::now());
        let job = self.job;
        let looked = self.driver.query(move |state| look(state, job)).await.and_then(|found| found);
        self.done = looked.as_ref().map_or(true, |looked| looked.ended);
        let Looked { snapshot, took, .. } = looked?;
        self.took = took;
        Ok(snapshot)
    }
}

struct Looked {
    snapshot: wire::Job,
    ended: bool,
    took: Duration,
}

fn look(state: &State, job: JobId) -> Result<Looked, ErrorReport> {
    let began = Instant::now();
    let view = state.scheduler.job(job).ok_or_else(|| no_such_job(job))?;
    let snapshot = snapshot::job(state, view, Detail::Full);
    Ok(Looked { snapshot, ended: view.state().is_final(), took: began.elapsed() })
}
