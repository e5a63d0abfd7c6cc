//! The object store that takes map outputs over from workers that leave. To the core it is a receiver of copies; here its
//! commands become those of the worker that has the outputs, and what nobody needs any more is removed.

use std::sync::Arc;
use std::time::Duration;

use windrow_engine::shuffle::ShuffleObjects;
use windrow_model::{ErrorReport, JobId, WorkerId};
use windrow_proto as wire;
use windrow_proto::to_worker::Kind;
use windrow_scheduler::Message;

use crate::call::ToDriver;
use crate::fleet::{Fleet, LinkBroken};
use crate::outgoing::Command;
use crate::state::State;

/// How often it is looked through for what a worker wrote after its job had ended, or a leader did not come to remove.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);

/// Does what the core wants of `WorkerId::SHUFFLE_STORE`. Waits for nothing. Errors with the worker that cannot be told.
pub(crate) fn obey(objects: &Arc<ShuffleObjects>, fleet: &mut Fleet, message: Message) -> Result<(), WorkerId> {
    match message {
        Message::CopyOutputs { outputs, from } => {
            let location = objects.location().to_owned();
            let outputs = outputs.into_iter().map(Into::into).collect();
            let store = Command::plain(Kind::StoreOutputs(wire::StoreOutputs { location, outputs }));
            return fleet.send(from, store).map_err(|LinkBroken| from);
        }
        Message::ReleaseStages { stages } => {
            for stage in stages {
                let objects = Arc::clone(objects);
                in_background(async move { objects.remove_stage(stage.job, stage.index).await });
            }
        }
        Message::ReleaseJob { job } => {
            let objects = Arc::clone(objects);
            in_background(async move { objects.remove_job(job).await });
        }
        // A single output that is stale goes with its stage.
        Message::CancelAttempt { .. } | Message::RunTask(_) | Message::RepointInputs { .. } | Message::Shutdown => {}
    }
    Ok(())
}

fn in_background(removal: impl Future<Output = Result<(), ErrorReport>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = removal.await {
            tracing::warn!(%error, "map outputs that nobody needs are left; they are looked for later");
        }
    });
}

/// Removes what is left of jobs that need nothing any more, now and then, until the driver has ended.
pub(crate) async fn sweep(objects: Arc<ShuffleObjects>, driver: ToDriver) {
    loop {
        match sweep_once(&objects, &driver).await {
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, location = objects.location(), "the shuffle store cannot be tidied"),
        }
        tokio::time::sleep(SWEEP_INTERVAL).await;
    }
}

async fn sweep_once(objects: &ShuffleObjects, driver: &ToDriver) -> Result<(), ErrorReport> {
    let found = objects.jobs().await?;
    if found.is_empty() {
        return Ok(());
    }
    for job in driver.query(move |state| unneeded(state, found)).await? {
        objects.remove_job(job).await?;
    }
    Ok(())
}

fn unneeded(state: &State, mut jobs: Vec<JobId>) -> Vec<JobId> {
    jobs.retain(|job| {
        let known = state.scheduler.job(*job);
        known.is_none_or(|job| job.state().is_final() && job.result_expires_at().is_none())
    });
    jobs
}
