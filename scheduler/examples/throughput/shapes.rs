//! The shapes of work that are measured: each is large in another direction.

use std::collections::BTreeMap;

use windrow_model::{
    Determinism, FragmentHash, JobSpec, Limits, Program, StageInput, StagePlan, StepOutcome, StepPlan, TaskPlan,
};

pub struct Shape {
    pub name: &'static str,
    pub workers: u32,
    pub slots: u32,
    pub jobs: Vec<Job>,
    pub limits: Limits,
    pub losses: Losses,
    /// What is measured is how a new leader takes the finished work over.
    pub recovers: bool,
}

/// What goes wrong, by counts of finished attempts. Zero stands for never.
#[derive(Clone, Copy, Default)]
pub struct Losses {
    /// A worker is lost and another one comes.
    pub worker_every: u64,
    /// An attempt fails.
    pub attempt_every: u64,
    /// A reader cannot read one of its inputs.
    pub fetch_every: u64,
    /// A worker drains, and another one comes.
    pub drain_every: u64,
}

/// One job of one statement, whose last stage is what it is for.
#[derive(Clone)]
pub struct Job {
    pub queue: String,
    pub priority: u8,
    pub stages: Vec<Stage>,
    pub outcome: Outcome,
}

#[derive(Clone, Copy)]
pub enum Outcome {
    /// Rows that stay on the workers.
    Result,
    Count,
}

#[derive(Clone)]
pub struct Stage {
    pub tasks: u32,
    pub slots: u32,
    pub inputs: Vec<u32>,
    pub partitions: u32,
}

impl Shape {
    pub fn all() -> Vec<Shape> {
        vec![
            Shape::new("one-stage", 100, 4, vec![Job::new(Outcome::Result, [Stage::new(1_000_000)])]),
            Shape::new("many-workers", 10_000, 4, vec![Job::new(Outcome::Result, [Stage::new(1_000_000)])]),
            Shape::many_jobs(),
            Shape::short_jobs(),
            Shape::wide_jobs(),
            Shape::many_stages(),
            Shape::shuffle(),
            Shape::losses(),
            Shape::drains(),
            Shape {
                recovers: true,
                ..Shape::new("new-leader", 100, 4, vec![Job::new(Outcome::Result, [Stage::new(1_000_000)])])
            },
        ]
    }

    fn new(name: &'static str, workers: u32, slots: u32, jobs: Vec<Job>) -> Shape {
        Shape { name, workers, slots, jobs, limits: Limits::default(), losses: Losses::default(), recovers: false }
    }

    /// A thousand jobs of several priorities in ten queues take turns.
    fn many_jobs() -> Shape {
        let job = |n: u32| Job {
            queue: format!("queue {}", n % 10),
            priority: (n % 101) as u8,
            ..Job::new(Outcome::Count, [Stage::new(500)])
        };
        let limits = Limits { running_jobs_max: 1_000, ..Limits::default() };
        Shape { limits, ..Shape::new("many-jobs", 100, 4, (0..1_000).map(job).collect()) }
    }

    /// Jobs of one task: nearly all of them wait to be admitted.
    fn short_jobs() -> Shape {
        let limits = Limits { queued_jobs_max: 200_000, ..Limits::default() };
        let jobs = vec![Job::new(Outcome::Count, [Stage::new(1)]); 100_000];
        Shape { limits, ..Shape::new("short-jobs", 100, 4, jobs) }
    }

    /// A thousand jobs wait for whole workers while narrow tasks keep most workers partly busy.
    fn wide_jobs() -> Shape {
        let wide = Stage { slots: 4, ..Stage::new(200) };
        let mut jobs = vec![Job::new(Outcome::Count, [wide]); 1_000];
        jobs.push(Job { priority: 100, ..Job::new(Outcome::Count, [Stage::new(100_000)]) });
        let limits = Limits { running_jobs_max: 2_000, ..Limits::default() };
        Shape { limits, ..Shape::new("wide-jobs", 100, 6, jobs) }
    }

    /// Each stage reads the one before it.
    fn many_stages() -> Shape {
        let stage = |index: u32| Stage {
            inputs: index.checked_sub(1).into_iter().collect(),
            partitions: 100,
            ..Stage::new(100)
        };
        let job = Job::new(Outcome::Count, (0..1_000).map(stage));
        Shape::new("many-stages", 100, 4, vec![job])
    }

    /// Every task of one stage reads every task of the other, and says how much it wrote for each.
    fn shuffle() -> Shape {
        let map = Stage { partitions: 4_000, ..Stage::new(4_000) };
        let reduce = Stage { inputs: vec![0], ..Stage::new(4_000) };
        Shape::new("shuffle", 100, 4, vec![Job::new(Outcome::Result, [map, reduce]); 10])
    }

    /// Workers are lost with what they hold, attempts fail, and outputs cannot be read.
    fn losses() -> Shape {
        let map = Stage { partitions: 100, ..Stage::new(50_000) };
        let reduce = Stage { inputs: vec![0], ..Stage::new(100_000) };
        let limits = Limits { stage_reruns_max: 1_000, worker_deaths_max: 100, ..Limits::default() };
        let losses = Losses { worker_every: 2_000, attempt_every: 101, fetch_every: 997, drain_every: 0 };
        Shape { limits, losses, ..Shape::new("losses", 100, 4, vec![Job::new(Outcome::Result, [map, reduce])]) }
    }

    /// Workers leave, and hand over what they hold, while others read it.
    fn drains() -> Shape {
        let map = Stage { partitions: 100, ..Stage::new(50_000) };
        let reduce = Stage { inputs: vec![0], ..Stage::new(100_000) };
        let losses = Losses { drain_every: 2_000, ..Losses::default() };
        Shape { losses, ..Shape::new("drains", 100, 4, vec![Job::new(Outcome::Result, [map, reduce])]) }
    }

    pub fn tasks(&self) -> u64 {
        self.jobs.iter().flat_map(|job| &job.stages).map(|stage| u64::from(stage.tasks)).sum()
    }
}

impl Job {
    fn new(outcome: Outcome, stages: impl IntoIterator<Item = Stage>) -> Job {
        Job { queue: "default".to_owned(), priority: 50, stages: stages.into_iter().collect(), outcome }
    }

    pub fn spec(&self) -> JobSpec {
        JobSpec {
            name: "throughput".into(),
            application: "bench".into(),
            queue: self.queue.clone(),
            priority: self.priority,
            submitted_by: "me".into(),
            timeout: None,
            client_token: None,
            program: Program::Sql {
                script: String::new(),
                base: String::new(),
                tables: BTreeMap::new(),
                made: BTreeMap::new(),
                output: None,
            },
        }
    }

    pub fn plan(&self) -> StepPlan {
        let stages: Vec<StagePlan> = (0..).zip(&self.stages).map(|(index, stage)| stage.plan(index)).collect();
        let last = stages.len() as u32 - 1;
        let outcome = match self.outcome {
            Outcome::Result => StepOutcome::Result { stage: last },
            Outcome::Count => StepOutcome::Discard { stage: last },
        };
        StepPlan { stages, outcome, last: true }
    }
}

impl Stage {
    fn new(tasks: u32) -> Stage {
        Stage { tasks, slots: 1, inputs: Vec::new(), partitions: 1 }
    }

    fn plan(&self, index: u32) -> StagePlan {
        let task = |partition| TaskPlan { partitions: vec![partition], slots: self.slots, ..TaskPlan::default() };
        StagePlan {
            index,
            label: "no-op".into(),
            fragment: FragmentHash([index as u8; 16]),
            tasks: (0..self.tasks).map(task).collect(),
            inputs: self.inputs.iter().map(|stage| StageInput { stage: *stage }).collect(),
            output_partitions: self.partitions,
            determinism: Determinism::Determinate,
            coalescing: None,
        }
    }
}
