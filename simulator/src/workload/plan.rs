//! Planning: from the shape of a statement to the stages that the core is given.

use std::collections::BTreeMap;

use windrow_model::{
    Coalescing, FragmentHash, JobId, JobSpec, Program, StageInput, StagePlan, StepOutcome, StepPlan, TaskPlan,
};
use windrow_scheduler::{JobView, PlanRequest};

use crate::truth::Fragment;
use crate::workload::{JobShape, OutcomeShape, StageShape, StepShape};

/// What is known about fragments by their hash.
pub(crate) type Fragments = BTreeMap<FragmentHash, Fragment>;

/// The specification under which a shape is submitted. The token makes a repeated submission the same job.
pub(crate) fn spec_of(order: u32, shape: &JobShape) -> JobSpec {
    JobSpec {
        name: format!("order-{order}"),
        application: "simulation".to_owned(),
        queue: shape.queue.clone(),
        priority: shape.priority,
        submitted_by: "simulator".to_owned(),
        timeout: shape.timeout,
        client_token: Some(order.to_string()),
        program: Program::Sql {
            script: String::new(),
            base: String::new(),
            tables: BTreeMap::new(),
            made: BTreeMap::new(),
            output: None,
        },
    }
}

/// The order that a specification was made for.
pub(crate) fn order_of(spec: &JobSpec) -> Option<u32> {
    spec.client_token.as_ref()?.parse().ok()
}

/// Plans one statement. `nonce` differs between two plannings of the same statement, as real plans do:
/// whoever mixes them up runs fragments that the journal does not know.
pub(crate) fn plan_step(
    shape: &JobShape,
    request: &PlanRequest,
    job: Option<JobView<'_>>,
    nonce: u64,
    fragments: &mut Fragments,
) -> StepPlan {
    let last = request.step as usize + 1 >= shape.steps.len();
    let Some(step) = shape.steps.get(request.step as usize) else {
        return StepPlan { stages: Vec::new(), outcome: StepOutcome::Immediate, last };
    };
    let tables = tables_of(job);
    let mut stages = Vec::new();
    for (place, stage) in (0..).zip(&step.stages) {
        let index = request.first_stage + place;
        let fragment = hash_of(request.job, index, nonce);
        fragments.insert(fragment, fragment_of(step, stage));
        let readers = step.stages.iter().filter(|reader| reader.inputs.contains(&place) && reader.coalescing.is_some());
        let output_partitions = readers.map(|reader| reader.tasks).next().unwrap_or(1);
        let plan = plan_stage(stage, index, request.first_stage, &tables, fragment);
        stages.push(StagePlan { output_partitions, ..plan });
    }
    StepPlan { outcome: outcome_of(step, request.first_stage), stages, last }
}

fn tables_of(job: Option<JobView<'_>>) -> Vec<u32> {
    let table = |outcome| match outcome {
        StepOutcome::Table { stage } => Some(stage),
        StepOutcome::Immediate
        | StepOutcome::Result { .. }
        | StepOutcome::Commit { .. }
        | StepOutcome::Discard { .. } => None,
    };
    job.into_iter().flat_map(|job| job.steps()).filter_map(|step| table(step.outcome())).collect()
}

fn outcome_of(step: &StepShape, first_stage: u32) -> StepOutcome {
    let Some(last) = (step.stages.len() as u32).checked_sub(1) else { return StepOutcome::Immediate };
    let stage = first_stage + last;
    match step.outcome {
        OutcomeShape::Nothing => StepOutcome::Immediate,
        OutcomeShape::Result => StepOutcome::Result { stage },
        OutcomeShape::Table => StepOutcome::Table { stage },
        OutcomeShape::Files => StepOutcome::Commit { stage },
        OutcomeShape::Count => StepOutcome::Discard { stage },
    }
}

fn fragment_of(step: &StepShape, stage: &StageShape) -> Fragment {
    let is_last = step.stages.last().is_some_and(|last| std::ptr::eq(last, stage));
    Fragment {
        determinism: stage.determinism,
        task_time: stage.task_time,
        bytes: stage.bytes,
        writes_files: is_last && step.outcome == OutcomeShape::Files,
    }
}

fn plan_stage(stage: &StageShape, index: u32, first_stage: u32, tables: &[u32], fragment: FragmentHash) -> StagePlan {
    let own = stage.inputs.iter().map(|input| first_stage + input);
    let tables = tables.iter().copied().filter(|_| stage.reads_tables);
    let task =
        |partition| TaskPlan { partitions: vec![partition], share: None, slots: stage.slots, input_bytes: stage.bytes };
    StagePlan {
        index,
        label: format!("stage {index}"),
        fragment,
        tasks: (0..stage.tasks).map(task).collect(),
        inputs: own.chain(tables).map(|stage| StageInput { stage }).collect(),
        output_partitions: 1,
        determinism: stage.determinism,
        coalescing: coalescing(stage, first_stage),
    }
}

/// Stages of this step are named by their places until it is planned.
fn coalescing(stage: &StageShape, first_stage: u32) -> Option<Coalescing> {
    let how = stage.coalescing.clone()?;
    Some(Coalescing { shareable: how.shareable.iter().map(|place| first_stage + place).collect(), ..how })
}

fn hash_of(job: JobId, stage: u32, nonce: u64) -> FragmentHash {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&nonce.to_le_bytes());
    bytes[8..12].copy_from_slice(&(job.0 as u32).to_le_bytes());
    bytes[12..].copy_from_slice(&stage.to_le_bytes());
    FragmentHash(bytes)
}
