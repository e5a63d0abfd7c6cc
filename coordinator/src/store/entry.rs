//! Groups a commit's records by what they are about, so that a job can be forgotten by deleting its keys.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use windrow_model::{ErrorReport, JobId, MapOutputId, WorkerId};
use windrow_scheduler::Record;

use super::head::{CommitId, Head};
use super::limits::COMMIT_BYTES_MAX;
use super::{Blob, History, StoreError, codec};

/// What a record is about: the range of keys that it is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    Cluster,
    Job(JobId),
    Worker(WorkerId),
}

/// The records of one commit in one scope. Its key is its scope and the sequence number of its first record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) scope: Scope,
    pub(super) first: u64,
    /// As the codec framed it.
    pub(super) bytes: Bytes,
}

/// A commit as stores write it.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) entries: Vec<Entry>,
    /// The journal's head when the commit is whole.
    pub(super) head: Head,
}

/// Numbers the records from `head` on, groups them, and checks every limit.
pub(super) fn pack(head: Head, commit: CommitId, records: &[Record], blobs: &[Blob]) -> Result<Packed, StoreError> {
    let mut scopes: BTreeMap<Scope, Vec<(u64, Cow<'_, Record>)>> = BTreeMap::new();
    let mut next = head.next(commit);
    for (scope, record) in records.iter().flat_map(scoped) {
        next.sequence += 1;
        match scope {
            Scope::Cluster => {}
            Scope::Job(job) => next.last_job = next.last_job.max(job.0),
            Scope::Worker(worker) => next.last_worker = next.last_worker.max(worker.0),
        }
        scopes.entry(scope).or_default().push((next.sequence, record));
    }
    let entries: Vec<Entry> = scopes.into_iter().map(|(scope, records)| encode(scope, &records)).collect();
    check_sizes(&entries, blobs)?;
    Ok(Packed { entries, head: next })
}

fn encode(scope: Scope, records: &[(u64, Cow<'_, Record>)]) -> Entry {
    let first = records[0].0;
    let bytes = codec::encode_entry(first, records.iter().map(|(sequence, record)| (*sequence, record.as_ref())));
    Entry { scope, first, bytes }
}

fn check_sizes(entries: &[Entry], blobs: &[Blob]) -> Result<(), StoreError> {
    blobs.iter().try_for_each(Blob::check_size)?;
    let records: u64 = entries.iter().map(|entry| entry.bytes.len() as u64).sum();
    let total = records + blobs.iter().map(|blob| blob.bytes.len() as u64).sum::<u64>();
    if total > COMMIT_BYTES_MAX {
        return Err(StoreError::too_large("a commit", total, COMMIT_BYTES_MAX));
    }
    Ok(())
}

/// The scopes of a record. Outputs may belong to several jobs; each job then gets a record about its own, which says
/// the same, because a record about outputs means each of them alone.
fn scoped(record: &Record) -> Vec<(Scope, Cow<'_, Record>)> {
    match record {
        Record::JobSubmitted { job, .. }
        | Record::JobAdmitted { job, .. }
        | Record::StagesPlanned { job, .. }
        | Record::CommitIntended { job, .. }
        | Record::StepFinished { job, .. }
        | Record::JobEnded { job, .. }
        | Record::ResultGivenUp { job, .. } => vec![(Scope::Job(*job), Cow::Borrowed(record))],
        Record::StageCoalesced { stage, .. } => vec![(Scope::Job(stage.job), Cow::Borrowed(record))],
        Record::TaskFinished { task, .. } | Record::AttemptFailed { task, .. } => {
            vec![(Scope::Job(task.stage.job), Cow::Borrowed(record))]
        }
        Record::WorkerRegistered { worker, .. } | Record::WorkerLeft { worker, .. } => {
            vec![(Scope::Worker(*worker), Cow::Borrowed(record))]
        }
        Record::OutputsLost { outputs } => by_job(record, outputs, |outputs| Record::OutputsLost { outputs }),
        Record::OutputsMoved { outputs, to } => {
            by_job(record, outputs, |outputs| Record::OutputsMoved { outputs, to: *to })
        }
    }
}

fn by_job<'a>(
    record: &'a Record,
    outputs: &[MapOutputId],
    part: impl Fn(Vec<MapOutputId>) -> Record,
) -> Vec<(Scope, Cow<'a, Record>)> {
    let mut jobs: BTreeMap<JobId, Vec<MapOutputId>> = BTreeMap::new();
    for output in outputs {
        jobs.entry(output.task.stage.job).or_default().push(*output);
    }
    match jobs.len() {
        0 => vec![(Scope::Cluster, Cow::Borrowed(record))],
        1 => jobs.into_keys().map(|job| (Scope::Job(job), Cow::Borrowed(record))).collect(),
        2.. => jobs.into_iter().map(|(job, outputs)| (Scope::Job(job), Cow::Owned(part(outputs)))).collect(),
    }
}

/// Puts the records of all entries into the order of their commits. Entries beyond the head do not count.
pub(super) fn unpack(head: Head, entries: impl IntoIterator<Item = Entry>) -> Result<History, StoreError> {
    let mut numbered = Vec::new();
    for entry in entries.into_iter().filter(|entry| entry.first <= head.sequence) {
        let what = format!("the journal's entry {} of {}", entry.first, entry.scope.name());
        numbered.extend(codec::decode_entry(entry.first, entry.bytes, &what).map_err(StoreError::Unreadable)?);
    }
    numbered.sort_by_key(|(sequence, _)| *sequence);
    check_order(head, &numbered).map_err(StoreError::Unreadable)?;
    Ok(History {
        records: numbered.into_iter().map(|(_, record)| record).collect(),
        last_job: JobId(head.last_job),
        last_worker: WorkerId(head.last_worker),
    })
}

fn check_order(head: Head, numbered: &[(u64, Record)]) -> Result<(), ErrorReport> {
    let twice = numbered.windows(2).find(|pair| pair[0].0 == pair[1].0).map(|pair| pair[0].0);
    let beyond = numbered.last().map(|(sequence, _)| *sequence).filter(|sequence| *sequence > head.sequence);
    match (twice, beyond) {
        (Some(sequence), _) => Err(codec::corrupt("the journal", format!("two records have number {sequence}"))),
        (None, Some(sequence)) => {
            Err(codec::corrupt("the journal", format!("record {sequence} is beyond the end {}", head.sequence)))
        }
        (None, None) => Ok(()),
    }
}

impl Scope {
    /// For people: `the cluster`, `job-7`, `worker-3`.
    pub(super) fn name(self) -> String {
        match self {
            Scope::Cluster => "the cluster".to_owned(),
            Scope::Job(job) => job.to_string(),
            Scope::Worker(worker) => worker.to_string(),
        }
    }
}
