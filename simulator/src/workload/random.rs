//! Random jobs for the seeds: every shape of stage graph that the planner makes, small.

use std::time::Duration;

use windrow_model::{Coalescing, Determinism};

use crate::rng::Rng;
use crate::workload::{JobShape, OutcomeShape, StageShape, StepShape, Workload};

impl Workload {
    /// `jobs` jobs, submitted over `within`. A run has few kinds of job, so that some have many small ones.
    pub(crate) fn random(rng: &mut Rng, jobs: u64, within: Duration) -> Workload {
        let scale = Scale { tasks_max: *rng.pick(&[2, 4, 8, 12]), time_max: *rng.pick(&[300, 2_000, 8_000]) };
        let indeterminate = *rng.pick(&[0.0, 0.2, 0.6]);
        let jobs = (0..jobs).map(|_| random_job(rng, scale, indeterminate, within)).collect();
        Workload { jobs }
    }
}

#[derive(Clone, Copy)]
struct Scale {
    tasks_max: u64,
    /// Milliseconds of an average task.
    time_max: u64,
}

fn random_job(rng: &mut Rng, scale: Scale, indeterminate: f64, within: Duration) -> JobShape {
    let steps = *rng.pick(&[1, 1, 1, 2, 3]);
    JobShape {
        submit_at: rng.duration(Duration::ZERO, within),
        queue: rng.pick(&["default", "default", "etl"]).to_string(),
        priority: rng.below(101) as u8,
        timeout: rng.chance(0.05).then(|| rng.millis(5_000, 120_000)),
        cancel_after: rng.chance(0.06).then(|| rng.millis(0, 20_000)),
        steps: (0..steps).map(|_| random_step(rng, scale, indeterminate)).collect(),
    }
}

fn random_step(rng: &mut Rng, scale: Scale, indeterminate: f64) -> StepShape {
    if rng.chance(0.05) {
        return StepShape { stages: Vec::new(), outcome: OutcomeShape::Nothing };
    }
    let outcomes = [OutcomeShape::Result, OutcomeShape::Table, OutcomeShape::Files, OutcomeShape::Count];
    let count = *rng.pick(&[1, 2, 2, 3, 4, 5]);
    let mut stages: Vec<StageShape> = Vec::new();
    for index in 0..count {
        stages.push(random_stage(rng, scale, indeterminate, index));
    }
    read_what_nobody_reads(&mut stages);
    StepShape { stages, outcome: *rng.pick(&outcomes) }
}

fn random_stage(rng: &mut Rng, scale: Scale, indeterminate: f64, index: u32) -> StageShape {
    let time = Duration::from_millis(rng.between(10, scale.time_max));
    let mut stage = StageShape::new(rng.between(1, scale.tasks_max) as u32, time);
    stage.inputs = (0..index).filter(|_| rng.chance(0.4)).collect();
    stage.reads_tables = rng.chance(0.3);
    stage.slots = if rng.chance(0.1) { rng.between(2, 4) as u32 } else { 1 };
    stage.bytes = rng.between(1, 200 << 20);
    stage.determinism = match (rng.chance(indeterminate), rng.chance(0.5)) {
        (true, _) => Determinism::Indeterminate,
        (false, true) => Determinism::Unordered,
        (false, false) => Determinism::Determinate,
    };
    let shareable = stage.inputs.iter().copied().filter(|_| rng.chance(0.5)).collect();
    let coalescing = Coalescing { target_bytes: rng.between(1, 400 << 20), in_order: rng.chance(0.3), shareable };
    stage.coalescing = rng.chance(0.5).then_some(coalescing);
    stage
}

/// A stage that no other reads would never run, so the last one reads it.
fn read_what_nobody_reads(stages: &mut [StageShape]) {
    let Some(last) = stages.len().checked_sub(1) else { return };
    for index in 0..last as u32 {
        if !stages.iter().any(|stage| stage.inputs.contains(&index)) {
            stages[last].inputs.push(index);
        }
    }
    stages[last].inputs.sort_unstable();
}
