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

    /// Publishes files and puts the outcome into the driver's inbox.
    ///
    /// A failure is only reported when nothing of the output is or will be visible: a commit that has been decided,
    /// or may have been, is tried until it ends, because its job would otherwise be submitted again and double it.
    /// `known` is what is known before: `Unknown` if an earlier leader has begun it.
    pub(crate) fn commit(&self, job: JobId, step: u32, publication: Publication, known: Decided, driver: ToDriver) {
        let commit = Commit { job, step, publication, stores: self.stores.clone(), driver: driver.clone() };
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

/// What a step publishes. Files are by task.
pub(crate) struct Publication {
    pub(crate) target: OutputTarget,
    /// Where bad records were written.
    pub(crate) asides: Vec<OutputTarget>,
    /// Those of the target and of what is aside.
    pub(crate) files: Vec<Vec<WrittenFile>>,
}

/// One commit, tried again and again.
struct Commit {
    job: JobId,
    step: u32,
    publication: Publication,
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
        let tried = tokio::spawn(async move { self.publication.commit(known, &self.stores).await });
        tried.await.unwrap_or_else(|error| {
            let report = ErrorReport::internal(format!("the commit of {job} broke off"));
            Err(CommitError { report: report.with_detail(error.to_string()), decided: known })
        })
    }
}

impl Publication {
    /// What is aside follows what it belongs to: once that is visible, it will be, too.
    async fn commit(&self, known: Decided, stores: &Stores) -> Result<Vec<WrittenFile>, CommitError> {
        let is_aside = |file: &WrittenFile| self.asides.iter().any(|aside| is_of(file, aside));
        let published = sink::commit(&self.target, &self.files_that(|file| !is_aside(file)), known, stores).await?;
        for aside in &self.asides {
            self.commit_aside(aside, stores).await?;
        }
        Ok(published)
    }

    /// Tried until it is done: the job cannot fail any more.
    async fn commit_aside(&self, aside: &OutputTarget, stores: &Stores) -> Result<(), CommitError> {
        let files = self.files_that(|file| is_of(file, aside));
        let location = &aside.location;
        if files.is_empty() {
            if let Err(report) = sink::abort(aside, stores).await {
                tracing::warn!(%location, error = %report, "staged files were not removed");
            }
            return Ok(());
        }
        match sink::commit(aside, &files, Decided::No, stores).await {
            Ok(_) => Ok(()),
            Err(CommitError { report, .. }) if report.kind == ErrorKind::Corrupt => {
                tracing::error!(%location, error = %report, "records that were put aside are gone");
                Ok(())
            }
            Err(error) => Err(CommitError { decided: Decided::Yes, ..error }),
        }
    }

    /// By task, of tasks that have any.
    fn files_that(&self, wanted: impl Fn(&WrittenFile) -> bool) -> Vec<Vec<WrittenFile>> {
        let of_task = |files: &Vec<WrittenFile>| files.iter().filter(|file| wanted(file)).cloned().collect();
        self.files.iter().map(of_task).filter(|files: &Vec<WrittenFile>| !files.is_empty()).collect()
    }
}

/// A file that is alone in its target has the target's name, and no mark.
fn is_of(file: &WrittenFile, aside: &OutputTarget) -> bool {
    file.path.rsplit('/').next().is_some_and(|name| name.contains(&aside.mark()))
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
