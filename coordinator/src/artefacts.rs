//! What planning made and the core never sees: fragments, splits, schemas, immediate results, targets.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use windrow_engine::job::PlannedStep;
use windrow_engine::sink::OutputTarget;
use windrow_model::{ErrorReport, FragmentHash, StepPlan, TaskId};

use crate::blobs::content_hash;

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
    pub(crate) commit: CommitState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CommitState {
    NotAsked,
    Running,
    /// It met this error and is tried again.
    Delayed(ErrorReport),
    Done,
    /// Failed or given up; what was staged has been, or is being, removed.
    Abandoned,
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
            target: planned.target.map(|output| Target { output, commit: CommitState::NotAsked }),
            fragments: planned.fragments,
            splits: splits.collect(),
        };
        (artefacts, planned.plan, planned.notes)
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
