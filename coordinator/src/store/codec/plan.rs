//! Planned steps.

use bytes::Bytes;
use windrow_model::{Coalescing, Determinism, InputShare, StageInput, StagePlan, StepOutcome, StepPlan, TaskPlan};

use super::id::fragment_hash;
use super::invalid::{Invalid, all, each};
use super::pb;
use pb::outcome::Kind;

impl From<&StepPlan> for pb::StepPlan {
    fn from(plan: &StepPlan) -> Self {
        let StepPlan { stages, outcome, last } = plan;
        pb::StepPlan { stages: each(stages), outcome: Some(outcome.into()), last: *last }
    }
}

impl TryFrom<pb::StepPlan> for StepPlan {
    type Error = Invalid;

    fn try_from(plan: pb::StepPlan) -> Result<Self, Invalid> {
        Ok(StepPlan { stages: all(plan.stages)?, outcome: outcome(plan.outcome)?, last: plan.last })
    }
}

impl From<&StepOutcome> for pb::Outcome {
    fn from(outcome: &StepOutcome) -> Self {
        let kind = match *outcome {
            StepOutcome::Immediate => Kind::Immediate(pb::Nothing {}),
            StepOutcome::Result { stage } => Kind::ResultStage(stage),
            StepOutcome::Table { stage } => Kind::TableStage(stage),
            StepOutcome::Commit { stage } => Kind::CommitStage(stage),
            StepOutcome::Discard { stage } => Kind::DiscardStage(stage),
        };
        pb::Outcome { kind: Some(kind) }
    }
}

/// An outcome that this build does not know decodes as none at all.
fn outcome(outcome: Option<pb::Outcome>) -> Result<StepOutcome, Invalid> {
    let kind = outcome.and_then(|outcome| outcome.kind);
    let kind = kind.ok_or_else(|| Invalid::Unknown { field: "StepPlan.outcome", value: "outcome".to_owned() })?;
    Ok(match kind {
        Kind::Immediate(pb::Nothing {}) => StepOutcome::Immediate,
        Kind::ResultStage(stage) => StepOutcome::Result { stage },
        Kind::TableStage(stage) => StepOutcome::Table { stage },
        Kind::CommitStage(stage) => StepOutcome::Commit { stage },
        Kind::DiscardStage(stage) => StepOutcome::Discard { stage },
    })
}

impl From<&StagePlan> for pb::StagePlan {
    fn from(stage: &StagePlan) -> Self {
        let StagePlan { index, label, fragment, tasks, inputs, output_partitions, determinism, coalescing } = stage;
        pb::StagePlan {
            index: *index,
            label: label.clone(),
            fragment: Bytes::copy_from_slice(&fragment.0),
            tasks: each(tasks),
            inputs: inputs.iter().map(|StageInput { stage }| *stage).collect(),
            output_partitions: *output_partitions,
            determinism: pb::Determinism::from(*determinism).into(),
            coalescing: coalescing.clone().map(|Coalescing { target_bytes, in_order, shareable }| pb::Coalescing {
                target_bytes,
                in_order,
                shareable,
            }),
        }
    }
}

impl TryFrom<pb::StagePlan> for StagePlan {
    type Error = Invalid;

    fn try_from(stage: pb::StagePlan) -> Result<Self, Invalid> {
        Ok(StagePlan {
            determinism: determinism(stage.determinism)?,
            index: stage.index,
            label: stage.label,
            fragment: fragment_hash(&stage.fragment)?,
            tasks: stage.tasks.into_iter().map(Into::into).collect(),
            inputs: stage.inputs.into_iter().map(|stage| StageInput { stage }).collect(),
            output_partitions: stage.output_partitions,
            coalescing: stage.coalescing.map(|pb::Coalescing { target_bytes, in_order, shareable }| Coalescing {
                target_bytes,
                in_order,
                shareable,
            }),
        })
    }
}

impl From<&TaskPlan> for pb::TaskPlan {
    fn from(task: &TaskPlan) -> Self {
        let TaskPlan { partitions, share, slots, input_bytes } = task;
        let share = share.map(|InputShare { stage, index, of }| pb::InputShare { stage, index, of });
        pb::TaskPlan { partitions: partitions.clone(), share, slots: *slots, input_bytes: *input_bytes }
    }
}

impl From<pb::TaskPlan> for TaskPlan {
    fn from(task: pb::TaskPlan) -> Self {
        let pb::TaskPlan { partitions, share, slots, input_bytes } = task;
        let share = share.map(|pb::InputShare { stage, index, of }| InputShare { stage, index, of });
        TaskPlan { partitions, share, slots, input_bytes }
    }
}

impl From<Determinism> for pb::Determinism {
    fn from(determinism: Determinism) -> Self {
        match determinism {
            Determinism::Determinate => pb::Determinism::Determinate,
            Determinism::Unordered => pb::Determinism::Unordered,
            Determinism::Indeterminate => pb::Determinism::Indeterminate,
        }
    }
}

fn determinism(number: i32) -> Result<Determinism, Invalid> {
    match pb::Determinism::try_from(number) {
        Ok(pb::Determinism::Determinate) => Ok(Determinism::Determinate),
        Ok(pb::Determinism::Unordered) => Ok(Determinism::Unordered),
        Ok(pb::Determinism::Indeterminate) => Ok(Determinism::Indeterminate),
        Ok(pb::Determinism::Unspecified) => Err(Invalid::Missing { field: "StagePlan.determinism" }),
        Err(_) => Err(Invalid::Unknown { field: "StagePlan.determinism", value: number.to_string() }),
    }
}
