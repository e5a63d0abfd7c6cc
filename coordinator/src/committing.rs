//! Publishes what a step has written, and removes what nobody will publish.

use std::future::Future;
use std::sync::Arc;

use tokio_util::task::TaskTracker;
use windrow_engine::sink::{self, OutputTarget};
use windrow_engine::stores::Stores;
use windrow_model::{ErrorReport, JobId, WrittenFile};

use crate::call::{Call, ToDriver};

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
    pub(crate) fn commit(
        &self,
        job: JobId,
        step: u32,
        target: OutputTarget,
        files: Vec<Vec<WrittenFile>>,
        driver: ToDriver,
    ) {
        let stores = self.stores.clone();
        let publish = async move { sink::commit(&target, &files, &stores).await };
        self.tasks.spawn(async move {
            let outcome = unless_panicked(job, publish).await;
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

/// A panic of the sink ends its job with a report, and not the job's wait for ever.
async fn unless_panicked<T: Send + 'static>(
    job: JobId,
    work: impl Future<Output = Result<T, ErrorReport>> + Send + 'static,
) -> Result<T, ErrorReport> {
    tokio::spawn(work).await.unwrap_or_else(|error| {
        Err(ErrorReport::internal(format!("the commit of {job} broke off")).with_detail(error.to_string()))
    })
}
