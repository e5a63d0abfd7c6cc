//! What planning made and the core never sees: fragments, splits, schemas, immediate results, targets.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use prost::Message;
use windrow_engine::job::PlannedStep;
use windrow_engine::sink::OutputTarget;
use windrow_model::{ErrorKind, ErrorReport, FragmentHash, JobId, StepPlan, TaskId};

use crate::blobs::content_hash;
use crate::ipc;
use crate::store::{Blob, BlobKey, BlobName};

/// The artefacts of one step.
pub(crate) struct StepArtefacts {
    /// The statement, shortened for display.
    pub(crate) statement: String,
    pub(crate) schema: Option<SchemaRef>,
    pub(crate) answer: Answer,
    pub(crate) target: Option<Target>,
    fragments: BTreeMap<FragmentHash, Bytes>,
    splits: BTreeMap<(u32, u32), (FragmentHash, Bytes)>,
}

/// What the client gets for a step that the planner itself has answered, or whose metrics are the answer.
pub(crate) enum Answer {
    /// Rows of a result stage, or nothing.
    FromStages,
    /// Text to print as it is (`EXPLAIN`).
    Text(String),
    /// Rows (`SHOW`, `DESCRIBE`).
    Rows(Vec<RecordBatch>),
    /// The operators' metrics (`EXPLAIN ANALYZE`).
    Metrics,
}

/// Where a step's files go, and how far their commit is.
pub(crate) struct Target {
    pub(crate) output: OutputTarget,
    /// Where bad records go.
    pub(crate) asides: Vec<OutputTarget>,
    pub(crate) commit: CommitState,
}

impl Target {
    /// Nobody will publish its files; returns where they are.
    pub(crate) fn abandon(&mut self) -> Vec<OutputTarget> {
        self.commit = CommitState::Abandoned;
        [&self.output].into_iter().chain(&self.asides).cloned().collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CommitState {
    NotAsked,
    /// An earlier leader has asked for it, and may have come any way.
    Inherited,
    Running,
    /// It met this error and is tried again.
    Delayed(ErrorReport),
    Done,
    /// Failed or given up; what was staged has been, or is being, removed.
    Abandoned,
}

/// Raised when the message changes in a way that an older build would misread.
const VERSION: u32 = 1;

/// [`StepArtefacts`] as the journal keeps them.
#[derive(Clone, PartialEq, prost::Message)]
struct StepMessage {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(string, tag = "2")]
    statement: String,
    /// An Arrow IPC stream without batches; empty if there is no schema.
    #[prost(bytes = "bytes", tag = "3")]
    schema: Bytes,
    #[prost(enumeration = "AnswerKind", tag = "4")]
    answer: i32,
    #[prost(string, tag = "5")]
    text: String,
    /// An Arrow IPC stream.
    #[prost(bytes = "bytes", tag = "6")]
    rows: Bytes,
    #[prost(bytes = "bytes", tag = "7")]
    target: Bytes,
    #[prost(bytes = "vec", repeated, tag = "8")]
    fragments: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "9")]
    splits: Vec<SplitsMessage>,
    #[prost(bytes = "bytes", repeated, tag = "10")]
    asides: Vec<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SplitsMessage {
    #[prost(uint32, tag = "1")]
    stage: u32,
    #[prost(uint32, tag = "2")]
    task: u32,
    #[prost(bytes = "vec", tag = "3")]
    hash: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum AnswerKind {
    FromStages = 0,
    Text = 1,
    Rows = 2,
    Metrics = 3,
}

impl StepArtefacts {
    /// Separates what the core gets from what stays here; the third part is for people.
    pub(crate) fn take(planned: PlannedStep) -> (StepArtefacts, StepPlan, Vec<String>) {
        let answer = match (planned.text, planned.rows) {
            (Some(text), _) => Answer::Text(text),
            (None, Some(rows)) => Answer::Rows(rows),
            (None, None) if planned.analyze => Answer::Metrics,
            (None, None) => Answer::FromStages,
        };
        let splits = planned.splits.into_iter().map(|(task, bytes)| (task, (content_hash(&bytes), bytes)));
        let artefacts = StepArtefacts {
            statement: planned.statement,
            schema: planned.schema,
            answer,
            target: planned.target.map(|output| Target {
                output,
                asides: planned.asides,
                commit: CommitState::NotAsked,
            }),
            fragments: planned.fragments,
            splits: splits.collect(),
        };
        (artefacts, planned.plan, planned.notes)
    }

    /// What is to be durable before the step's plan is told to anyone: one blob for the shell, and one for each
    /// fragment and each task's splits.
    pub(crate) fn blobs(&self, job: JobId, step: u32) -> Result<Vec<Blob>, ErrorReport> {
        let content = |hash: FragmentHash, bytes: &Bytes| {
            let key = BlobKey { job, name: BlobName::Content(hash) };
            Blob { key, bytes: bytes.clone() }
        };
        let own = Blob { key: BlobKey { job, name: BlobName::Step(step) }, bytes: self.encode()? };
        let fragments = self.fragments.iter().map(|(hash, bytes)| content(*hash, bytes));
        let splits = self.splits.values().map(|(hash, bytes)| content(*hash, bytes));
        let mut blobs: Vec<Blob> = [own].into_iter().chain(fragments).chain(splits).collect();
        blobs.sort_by_key(|blob| blob.key);
        blobs.dedup_by_key(|blob| blob.key);
        Ok(blobs)
    }

    fn encode(&self) -> Result<Bytes, ErrorReport> {
        let schema = self.schema.as_ref().map(|schema| ipc::encode(schema, &[])).transpose()?;
        let (kind, text, rows) = match &self.answer {
            Answer::FromStages => (AnswerKind::FromStages, String::new(), Bytes::new()),
            Answer::Metrics => (AnswerKind::Metrics, String::new(), Bytes::new()),
            Answer::Text(text) => (AnswerKind::Text, text.clone(), Bytes::new()),
            Answer::Rows(rows) => {
                let own = rows.first().map(|batch| batch.schema());
                let schema = self.schema.clone().or(own).unwrap_or_else(|| Schema::empty().into());
                (AnswerKind::Rows, String::new(), ipc::encode(&schema, rows)?)
            }
        };
        let splits = self.splits.iter().map(|((stage, task), (hash, _))| SplitsMessage {
            stage: *stage,
            task: *task,
            hash: hash.0.to_vec(),
        });
        let message = StepMessage {
            version: VERSION,
            statement: self.statement.clone(),
            schema: schema.unwrap_or_default(),
            answer: kind as i32,
            text,
            rows,
            target: self.target.as_ref().map(|target| target.output.to_bytes()).unwrap_or_default().into(),
            fragments: self.fragments.keys().map(|hash| hash.0.to_vec()).collect(),
            splits: splits.collect(),
            asides: self.target.iter().flat_map(|target| &target.asides).map(|aside| aside.to_bytes().into()).collect(),
        };
        Ok(message.encode_to_vec().into())
    }

    /// Reads back what [`StepArtefacts::blobs`] made. `content` are the fragments and splits by their hash; those
    /// that are not there any more are left out.
    pub(crate) fn decode(bytes: &[u8], content: &BTreeMap<FragmentHash, Bytes>) -> Result<StepArtefacts, ErrorReport> {
        let damaged = |detail: String| {
            ErrorReport::new(ErrorKind::Corrupt, "what planning left for a step cannot be read").with_detail(detail)
        };
        let message = StepMessage::decode(bytes).map_err(|error| damaged(error.to_string()))?;
        if message.version != VERSION {
            return Err(damaged(format!("it has version {}, and this build reads {VERSION}", message.version)));
        }
        let schema = match message.schema.is_empty() {
            true => None,
            false => Some(ipc::decode(&message.schema)?.0),
        };
        let answer = match message.answer() {
            AnswerKind::FromStages => Answer::FromStages,
            AnswerKind::Metrics => Answer::Metrics,
            AnswerKind::Text => Answer::Text(message.text.clone()),
            AnswerKind::Rows => Answer::Rows(ipc::decode(&message.rows)?.1),
        };
        let output = match message.target.is_empty() {
            true => None,
            false => Some(OutputTarget::from_bytes(&message.target)?),
        };
        let kept = |hash: &[u8]| {
            let hash = FragmentHash(hash.try_into().map_err(|_| damaged("a hash has another length".to_owned()))?);
            Ok::<_, ErrorReport>(content.get(&hash).map(|bytes| (hash, bytes.clone())))
        };
        let mut fragments = BTreeMap::new();
        for hash in &message.fragments {
            fragments.extend(kept(hash)?);
        }
        let mut splits = BTreeMap::new();
        for named in &message.splits {
            splits.extend(kept(&named.hash)?.map(|kept| ((named.stage, named.task), kept)));
        }
        let asides = message.asides.iter().map(|bytes| OutputTarget::from_bytes(bytes)).collect::<Result<_, _>>()?;
        let target = output.map(|output| Target { output, asides, commit: CommitState::NotAsked });
        Ok(StepArtefacts { statement: message.statement, schema, answer, target, fragments, splits })
    }

    /// Hashes of the fragments and splits that a step's blob names.
    pub(crate) fn content_named(bytes: &[u8]) -> Vec<FragmentHash> {
        let message = StepMessage::decode(bytes).unwrap_or_default();
        let splits = message.splits.into_iter().map(|splits| splits.hash);
        let hashes = message.fragments.into_iter().chain(splits);
        let hashes: BTreeSet<FragmentHash> =
            hashes.filter_map(|hash| Some(FragmentHash(hash.try_into().ok()?))).collect();
        hashes.into_iter().collect()
    }

    pub(crate) fn fragment(&self, hash: FragmentHash) -> Option<&Bytes> {
        self.fragments.get(&hash)
    }

    /// Content hash and bytes of a task's splits; `None` if it has none.
    pub(crate) fn splits(&self, task: TaskId) -> Option<&(FragmentHash, Bytes)> {
        self.splits.get(&(task.stage.index, task.index))
    }

    /// No attempt of this step will ever be dispatched again.
    pub(crate) fn forget_blobs(&mut self) {
        self.fragments.clear();
        self.splits.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field};

    use super::*;

    fn artefacts(answer: Answer) -> StepArtefacts {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let splits = Bytes::from_static(b"splits");
        StepArtefacts {
            statement: "SELECT 1".to_owned(),
            schema: Some(schema),
            answer,
            target: None,
            fragments: BTreeMap::from([(FragmentHash([7; 16]), Bytes::from_static(b"plan"))]),
            splits: BTreeMap::from([
                ((0, 0), (content_hash(&splits), splits.clone())),
                ((0, 1), (content_hash(&splits), splits)),
            ]),
        }
    }

    fn read_back(artefacts: &StepArtefacts) -> StepArtefacts {
        let blobs = artefacts.blobs(JobId(1), 3).expect("encodes");
        let own = blobs.iter().find(|blob| blob.key.name == BlobName::Step(3)).expect("the step's own blob");
        let content: BTreeMap<FragmentHash, Bytes> = blobs
            .iter()
            .filter_map(|blob| match blob.key.name {
                BlobName::Content(hash) => Some((hash, blob.bytes.clone())),
                BlobName::Step(_) => None,
            })
            .collect();
        assert_eq!(content.keys().copied().collect::<Vec<_>>(), StepArtefacts::content_named(&own.bytes));
        StepArtefacts::decode(&own.bytes, &content).expect("decodes")
    }

    #[test]
    fn artefacts_read_back_as_they_were() {
        let before = artefacts(Answer::FromStages);
        let after = read_back(&before);
        assert_eq!(after.fragments, before.fragments);
        assert_eq!(after.splits, before.splits);
        assert_eq!((after.statement, after.schema), (before.statement, before.schema));
    }

    #[test]
    fn rows_and_texts_that_planning_answered_read_back() {
        let schema = artefacts(Answer::Metrics).schema.expect("a schema");
        let batch = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![1, 2]))]).expect("a batch");
        let Answer::Rows(rows) = read_back(&artefacts(Answer::Rows(vec![batch.clone()]))).answer else {
            panic!("no rows")
        };
        assert_eq!(rows, [batch]);
        let Answer::Text(text) = read_back(&artefacts(Answer::Text("a plan".to_owned()))).answer else {
            panic!("no text")
        };
        assert_eq!(text, "a plan");
        assert!(matches!(read_back(&artefacts(Answer::Metrics)).answer, Answer::Metrics));
    }

    #[test]
    fn a_step_of_a_later_version_is_refused() {
        let message = StepMessage { version: VERSION + 1, ..StepMessage::default() };
        let report = StepArtefacts::decode(&message.encode_to_vec(), &BTreeMap::new()).err().expect("refused");
        assert_eq!(report.kind, ErrorKind::Corrupt);
    }
}
