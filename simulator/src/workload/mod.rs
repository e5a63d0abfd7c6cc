//! The jobs of a run: what is submitted when, and what planning makes of it.

mod plan;
mod random;
mod swim;
mod synthetic;
mod text;

use std::time::Duration;

use windrow_model::{Coalescing, Determinism};

pub use text::ParseJobsError;

pub(crate) use plan::{order_of, plan_step, spec_of};

/// All jobs of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    pub jobs: Vec<JobShape>,
}

/// One job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobShape {
    /// After the start of the run.
    pub submit_at: Duration,
    pub queue: String,
    pub priority: u8,
    pub timeout: Option<Duration>,
    /// After the submission was answered.
    pub cancel_after: Option<Duration>,
    pub steps: Vec<StepShape>,
}

/// One statement. Its last stage is what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepShape {
    pub stages: Vec<StageShape>,
    pub outcome: OutcomeShape,
}

/// What a statement leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeShape {
    /// Planning does all there is to do; no stages.
    Nothing,
    Result,
    Table,
    Files,
    Count,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageShape {
    pub tasks: u32,
    /// Slots that a task can use.
    pub slots: u32,
    /// Of an average task.
    pub task_time: Duration,
    /// Encoded bytes that a task writes.
    pub bytes: u64,
    /// Stages of the same statement, by their place in it.
    pub inputs: Vec<u32>,
    /// Reads the tables of all earlier statements too.
    pub reads_tables: bool,
    pub determinism: Determinism,
    /// Small partitions may be run together. The stages it reads divide their rows among its tasks.
    pub coalescing: Option<Coalescing>,
}

impl Workload {
    /// Tasks of all jobs, if each runs once.
    pub fn tasks(&self) -> u64 {
        let stages = self.jobs.iter().flat_map(|job| &job.steps).flat_map(|step| &step.stages);
        stages.map(|stage| u64::from(stage.tasks)).sum()
    }
}

impl JobShape {
    /// A job of one statement, submitted at the start.
    pub fn single(step: StepShape) -> JobShape {
        JobShape { steps: vec![step], ..JobShape::empty() }
    }

    fn empty() -> JobShape {
        JobShape {
            submit_at: Duration::ZERO,
            queue: "default".to_owned(),
            priority: 50,
            timeout: None,
            cancel_after: None,
            steps: Vec::new(),
        }
    }
}

impl StageShape {
    pub fn new(tasks: u32, task_time: Duration) -> StageShape {
        StageShape {
            tasks,
            slots: 1,
            task_time,
            bytes: 1 << 20,
            inputs: Vec::new(),
            reads_tables: false,
            determinism: Determinism::Unordered,
            coalescing: None,
        }
    }

    pub fn reading(self, inputs: &[u32]) -> StageShape {
        StageShape { inputs: inputs.to_vec(), ..self }
    }
}
