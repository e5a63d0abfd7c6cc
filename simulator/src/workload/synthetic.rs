//! Synthetic jobs for `windrow simulate`, when no file describes others.

use crate::rng::Rng;
use crate::workload::{JobShape, OutcomeShape, StageShape, StepShape, Workload};

/// Tasks of one exchange side: what the planner makes at most of one exchange.
const REDUCE_TASKS_MAX: u64 = 256;

impl Workload {
    /// About `tasks` tasks in jobs of mixed sizes that arrive over five minutes: scans with a commit, map-reduce, and
    /// joins of two scans.
    pub fn synthetic(seed: u64, tasks: u64) -> Workload {
        let mut rng = Rng::for_purpose(seed, "synthetic jobs");
        let mut workload = Workload::default();
        let mut left = tasks;
        while left > 0 {
            let size = sized(&mut rng).min(left);
            let mut job = JobShape::single(synthetic_step(&mut rng, size));
            job.submit_at = rng.millis(0, 300_000);
            job.priority = rng.below(101) as u8;
            left = left.saturating_sub(job.steps[0].stages.iter().map(|stage| u64::from(stage.tasks)).sum());
            workload.jobs.push(job);
        }
        workload.jobs.sort_by_key(|job| job.submit_at);
        workload
    }
}

/// Many small jobs and a few that are a thousand times larger, as traces of real clusters show.
fn sized(rng: &mut Rng) -> u64 {
    match rng.below(10) {
        0..=5 => rng.between(1, 20),
        6..=8 => rng.between(20, 400),
        _ => rng.between(400, 4_000),
    }
}

fn synthetic_step(rng: &mut Rng, tasks: u64) -> StepShape {
    let time = |rng: &mut Rng| rng.millis(500, 20_000);
    let reduce = (tasks / 5).clamp(1, REDUCE_TASKS_MAX) as u32;
    let map = (tasks as u32).saturating_sub(reduce).max(1);
    match rng.below(3) {
        0 => StepShape { stages: vec![StageShape::new(tasks as u32, time(rng))], outcome: OutcomeShape::Files },
        1 => StepShape {
            stages: vec![StageShape::new(map, time(rng)), StageShape::new(reduce, time(rng)).reading(&[0])],
            outcome: OutcomeShape::Result,
        },
        _ => StepShape {
            stages: vec![
                StageShape::new(map.div_ceil(2), time(rng)),
                StageShape::new(map.div_ceil(2), time(rng)),
                StageShape::new(reduce, time(rng)).reading(&[0, 1]),
            ],
            outcome: OutcomeShape::Files,
        },
    }
}
