//! Publishes what a step has written, and removes what nobody will publish.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;
use windrow_engine::sink::{self, CommitError, Decided, OutputTarget};
use windrow_engine::stores::Stores;
use windrow_model::{ErrorKind, ErrorReport, JobId, WrittenFile};

use crate::call::{Call, ToDriver};

/// Pause before a commit is tried again; doubled up to the last.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LAST: Duration = Duration::from_secs(30);
/// Tries of a commit that nothing has come of yet, on a store that does not answer: about 16 s with the pauses.
const UNDECIDED_TRIES_MAX: u32 = 7;

/// Runs commits and aborts off the loop. There is at most one commit per running job, which bounds them.
#[derive(Clone)]
pub(crate) struct Committer {
    stores: Arc<Stores>,
    /// A shutdown waits for these: a commit that has begun is finished.
    tasks: TaskTracker,
}

impl Committer {
    pub(crate) fn new(stores: Arc<Stores>, tasks: TaskTracker) -> Committer {
        Committer { stores, tasks }
    }

    /// Publishes `files` (by task) and puts the outcome into the driver's inbox.
    ///
    /// A failure is only reported when nothing of the output is or will be visible: a commit that has been decided,
    /// or may have been, is tried until it ends, because its job would otherwise be submitted again and double it.
    /// `known` is what is known before: `Unknown` if an earlier leader has begun it.
    pub(crate) fn commit(
        &self,
        job: JobId,
        step: u32,
        target: OutputTarget,
        files: Vec<Vec<WrittenFile>>,
        known: Decided,
        driver: ToDriver,
    ) {
        let commit = Commit { job, step, target, files, stores: self.stores.clone(), driver: driver.clone() };
        self.tasks.spawn(async move {
            let outcome = Arc::new(commit).until_it_ends(known).await;
            // Fails only when the driver has ended; the files are published all the same.
            let _ = driver.send(Call::Committed { job, step, outcome }).await;
        });
    }

    /// Removes what was staged for these targets. A failure leaves files that no listing reader sees.
    pub(crate) fn abort_all(&self, job: JobId, targets: impl IntoIterator<Item = OutputTarget>) {
        for target in targets {
            let stores = self.stores.clone();
            self.tasks.spawn(async move {
                if let Err(report) = sink::abort(&target, &stores).await {
                    tracing::warn!(%job, location = %target.location, error = %report, "staged files were not removed");
                }
            });
        }
    }
}

/// One commit, tried again and again.
struct Commit {
    job: JobId,
    step: u32,
    target: OutputTarget,
    files: Vec<Vec<WrittenFile>>,
    stores: Arc<Stores>,
    driver: ToDriver,
}

impl Commit {
    async fn until_it_ends(self: Arc<Self>, mut known: Decided) -> Result<Vec<WrittenFile>, ErrorReport> {
        let mut wait = RETRY_FIRST;
        let mut tries = 1;
        loop {
            let CommitError { report, decided } = match Arc::clone(&self).once(known).await {
                Ok(published) => return Ok(published),
                Err(error) => error,
            };
            if !is_tried_again(&report, decided, tries) {
                return Err(report);
            }
            let (job, step) = (self.job, self.step);
            tracing::warn!(%job, step, ?decided, ?wait, error = %report, "commit is tried again");
            // Fails only when the driver has ended, and with it everybody who could ask.
            let _ = self.driver.send(Call::CommitDelayed { job, step, report }).await;
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_LAST);
            known = decided;
            tries += 1;
        }
    }

    /// A panic of the sink is a failure like any other, and not the job's wait for ever.
    async fn once(self: Arc<Self>, known: Decided) -> Result<Vec<WrittenFile>, CommitError> {
        let job = self.job;
        let tried = tokio::spawn(async move { sink::commit(&self.target, &self.files, known, &self.stores).await });
        tried.await.unwrap_or_else(|error| {
            let report = ErrorReport::internal(format!("the commit of {job} broke off"));
            Err(CommitError { report: report.with_detail(error.to_string()), decided: known })
        })
    }
}

fn is_tried_again(report: &ErrorReport, decided: Decided, tries: u32) -> bool {
    match (decided, report.kind) {
        // What was staged is gone: no try will bring it back.
        (_, ErrorKind::Corrupt) => false,
        (Decided::Yes | Decided::Unknown, _) => true,
        (Decided::No, ErrorKind::Unavailable) => tries < UNDECIDED_TRIES_MAX,
        (Decided::No, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_given_up_only_while_nothing_of_it_is_visible() {
        let report = |kind| ErrorReport::new(kind, "x");
        let (refused, silent) = (report(ErrorKind::PermissionDenied), report(ErrorKind::Unavailable));
        assert!(!is_tried_again(&refused, Decided::No, 1));
        assert!(is_tried_again(&silent, Decided::No, 1));
        assert!(!is_tried_again(&silent, Decided::No, UNDECIDED_TRIES_MAX));
        for decided in [Decided::Yes, Decided::Unknown] {
            assert!(is_tried_again(&refused, decided, 1_000_000) && is_tried_again(&silent, decided, 1_000_000));
            assert!(!is_tried_again(&report(ErrorKind::Corrupt), decided, 1));
        }
    }
}
