//! Brings back what an earlier leader knew: the core from its records, and what planning had made from the blobs.

use std::collections::BTreeMap;

use bytes::Bytes;
use windrow_model::{ErrorReport, FragmentHash, JobId, Limits, Timestamp};
use windrow_scheduler::{JobView, Record, Scheduler, StepView};

use crate::artefacts::{CommitState, StepArtefacts};
use crate::clock::Clock;
use crate::dossier::Dossier;
use crate::state::State;
use crate::store::{BlobKey, BlobName, Store, StoreError};

/// The state of the leader before this one, and a clock that goes on from its last record.
///
/// Errors: the journal cannot be read, or what it holds is damaged.
pub(crate) async fn recover(store: &mut dyn Store, limits: Limits) -> Result<(State, Clock), ErrorReport> {
    let history = store.load().await?;
    let clock = Clock::start(history.records.iter().filter_map(at).max().unwrap_or_default());
    let mut scheduler = Scheduler::recover(clock.now(), store.epoch(), &history.records, limits);
    scheduler.skip_ids(history.last_job, history.last_worker);
    let mut dossiers = BTreeMap::new();
    for job in scheduler.jobs() {
        dossiers.insert(job.id(), dossier(job, store).await?);
    }
    if !history.records.is_empty() {
        let unfinished = scheduler.jobs().filter(|job| !job.state().is_final()).count();
        tracing::info!(records = history.records.len(), jobs = dossiers.len(), unfinished, "journal read");
    }
    Ok((State::new(scheduler, dossiers), clock))
}

async fn dossier(job: JobView<'_>, store: &dyn Store) -> Result<Dossier, ErrorReport> {
    let mut dossier = Dossier::new();
    dossier.inherited = true;
    for step in job.steps() {
        if let Some(artefacts) = artefacts(job.id(), step, store).await? {
            dossier.steps.insert(step.index(), artefacts);
        }
    }
    if job.state().is_final() {
        dossier.ended_before = true;
        dossier.changed.send_replace(true);
    }
    Ok(dossier)
}

/// `None` if they are not kept any more: the job has ended, and nothing of it will run again.
async fn artefacts(job: JobId, step: StepView<'_>, store: &dyn Store) -> Result<Option<StepArtefacts>, ErrorReport> {
    let Some(own) = store.blob(BlobKey { job, name: BlobName::Step(step.index()) }).await? else { return Ok(None) };
    let mut content: BTreeMap<FragmentHash, Bytes> = BTreeMap::new();
    for hash in StepArtefacts::content_named(&own) {
        let bytes: Result<Option<Bytes>, StoreError> = store.blob(BlobKey { job, name: BlobName::Content(hash) }).await;
        content.extend(bytes?.map(|bytes| (hash, bytes)));
    }
    let mut artefacts = StepArtefacts::decode(&own, &content)?;
    if let Some(target) = &mut artefacts.target {
        target.commit = match (step.is_finished(), step.is_committing()) {
            (true, _) => CommitState::Done,
            (false, true) => CommitState::Inherited,
            (false, false) => CommitState::NotAsked,
        };
    }
    Ok(Some(artefacts))
}

fn at(record: &Record) -> Option<Timestamp> {
    match record {
        Record::JobSubmitted { at, .. }
        | Record::JobAdmitted { at, .. }
        | Record::StagesPlanned { at, .. }
        | Record::TaskFinished { at, .. }
        | Record::AttemptFailed { at, .. }
        | Record::CommitIntended { at, .. }
        | Record::StepFinished { at, .. }
        | Record::JobEnded { at, .. }
        | Record::WorkerRegistered { at, .. }
        | Record::WorkerLeft { at, .. } => Some(*at),
        Record::StageCoalesced { .. }
        | Record::OutputsLost { .. }
        | Record::OutputsMoved { .. }
        | Record::ResultGivenUp { .. } => None,
    }
}
