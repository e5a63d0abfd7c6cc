//! A job and its steps. Only state; the transitions are in `lifecycle` and `demand`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use windrow_model::{
    ErrorReport, JobId, JobSpec, JobState, MapOutputId, StageId, StepOutcome, TaskId, Timestamp, WorkerId,
};

use crate::CommittedTask;
use crate::queue::Standing;
use crate::stage::Stage;
use crate::task::Task;

/// Why something is in the state it is in: a stable code for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub code: Cow<'static, str>,
    pub text: String,
}

impl Reason {
    /// Why a job has ended. `code` tells failures apart.
    pub(crate) fn ended(state: JobState, code: impl Into<Cow<'static, str>>, report: Option<&ErrorReport>) -> Self {
        match (state, report) {
            (JobState::Failed, Some(report)) => Reason::new(code, report.to_string()),
            (JobState::Cancelled, _) => Reason::new(code, "cancelled by its user"),
            (JobState::Succeeded, _) => Reason::new(code, "all statements have finished"),
            (JobState::Failed | JobState::Queued | JobState::Running | JobState::Committing, _) => {
                Reason::new(code, state.name())
            }
        }
    }

    pub fn new(code: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        Reason { code: code.into(), text: text.into() }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub id: JobId,
    pub spec: JobSpec,
    pub state: JobState,
    pub since: Timestamp,
    pub reason: Reason,
    pub submitted_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub report: Option<ErrorReport>,
    /// Planned steps; the last one may be unfinished.
    pub steps: Vec<Step>,
    /// A plan was asked for and has not come.
    pub planning: bool,
    pub stages: Vec<Stage>,
    /// Taken over from an earlier leader, whose workers have not all come back: nothing of it is started or released.
    pub recovering: bool,
    /// Live workers that were given a task of this job and hold something of it.
    pub participants: BTreeSet<WorkerId>,
    pub running_slots: u32,
    /// Changed by `queue` only, as are the slots and the service.
    pub standing: Standing,
    /// Stages of which tasks wait and may be placed, when it was last looked.
    pub hungry: BTreeSet<u32>,
    /// Live attempts, and how many of them are speculative.
    pub live: u32,
    pub speculative: u32,
    /// Virtual time of fair sharing; see `queue`.
    pub service: u64,
    /// Set when the job has succeeded and keeps rows for its client.
    pub result_expires_at: Option<Timestamp>,
    /// The kept rows were lost and could not be computed again.
    pub result_failure: Option<ErrorReport>,
}

/// One planned statement.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub outcome: StepOutcome,
    pub last: bool,
    pub first_stage: u32,
    pub phase: StepPhase,
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StepPhase {
    Running,
    Committing { tasks: Vec<CommittedTask>, requested: bool },
    Finished,
}

impl Job {
    pub fn new(id: JobId, spec: JobSpec, now: Timestamp) -> Self {
        Job {
            id,
            spec,
            state: JobState::Queued,
            since: now,
            reason: Reason::new("submitted", "waits to be admitted"),
            submitted_at: now,
            started_at: None,
            ended_at: None,
            report: None,
            steps: Vec::new(),
            planning: false,
            stages: Vec::new(),
            recovering: false,
            participants: BTreeSet::new(),
            running_slots: 0,
            standing: Standing::Out,
            hungry: BTreeSet::new(),
            live: 0,
            speculative: 0,
            service: 0,
            result_expires_at: None,
            result_failure: None,
        }
    }

    /// 1 to 11: the share of slots relative to other jobs of the same queue.
    pub fn weight(&self) -> u64 {
        1 + u64::from(self.spec.priority.min(100)) / 10
    }

    /// The step that is being worked on, or the next one to plan.
    pub fn step_index(&self) -> u32 {
        match self.steps.last() {
            Some(step) if step.phase == StepPhase::Finished && !step.last => self.steps.len() as u32,
            Some(_) => self.steps.len() as u32 - 1,
            None => 0,
        }
    }

    /// The next thing this job needs is a plan that has not been asked for.
    pub fn needs_plan(&self) -> bool {
        self.state == JobState::Running && !self.planning && self.step_index() as usize == self.steps.len()
    }

    pub fn current_step(&self) -> Option<&Step> {
        self.steps.last().filter(|step| step.phase != StepPhase::Finished)
    }

    pub fn current_step_mut(&mut self) -> Option<&mut Step> {
        self.steps.last_mut().filter(|step| step.phase != StepPhase::Finished)
    }

    pub fn stage(&self, id: StageId) -> Option<&Stage> {
        self.stages.get(id.index as usize)
    }

    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.stage(id.stage)?.tasks.get(id.index as usize)
    }

    /// All outputs this stage reads are there.
    pub fn inputs_ready(&self, stage: &Stage) -> bool {
        stage.plan.inputs.iter().all(|input| self.stages[input.stage as usize].is_complete())
    }

    /// Tasks of this stage may be placed.
    pub fn is_runnable(&self, stage: &Stage) -> bool {
        stage.wanted && self.inputs_ready(stage)
    }

    /// Tasks of it wait and may be placed.
    pub fn is_hungry(&self) -> bool {
        self.stages.iter().any(|stage| self.is_stage_hungry(stage))
    }

    fn is_stage_hungry(&self, stage: &Stage) -> bool {
        !stage.backlog.is_empty() && self.is_runnable(stage)
    }

    /// Looks which stages have tasks that wait and may be placed.
    pub fn find_hungry(&mut self) {
        let hungry = self.stages.iter().filter(|stage| self.is_stage_hungry(stage));
        self.hungry = hungry.map(|stage| stage.id.index).collect();
    }

    /// It goes on: what is wanted is decided from what has come back.
    pub fn end_recovery(&mut self) {
        if self.recovering {
            self.recovering = false;
            for stage in &mut self.stages {
                stage.released = stage.ever_done;
            }
        }
    }

    /// A succeeded job that computes lost rows of its result again.
    pub fn is_restoring(&self) -> bool {
        let missing = |stage: &Stage| stage.expected > 0 || (stage.wanted && !stage.is_complete());
        self.state == JobState::Succeeded && self.stages.iter().any(missing)
    }

    /// The output is there now.
    pub fn has_output(&self, output: MapOutputId) -> bool {
        let available = self.task(output.task).and_then(Task::available);
        available.is_some_and(|(attempt, _)| attempt.id == output.attempt)
    }

    /// Rows kept for the client that sit on workers.
    pub fn keeps_resident_outputs(&self) -> bool {
        let holds = |stage: &&Stage| stage.available > 0;
        self.stages.iter().filter(holds).any(|stage| (0..stage.tasks.len() as u32).any(|i| stage.resident(i).is_some()))
    }
}

impl StepPhase {
    pub fn is_committing(&self) -> bool {
        matches!(self, StepPhase::Committing { .. })
    }
}

/// The stage whose outputs are what the step leaves behind.
pub(crate) fn outcome_stage(outcome: StepOutcome) -> Option<u32> {
    match outcome {
        StepOutcome::Immediate => None,
        StepOutcome::Result { stage }
        | StepOutcome::Table { stage }
        | StepOutcome::Commit { stage }
        | StepOutcome::Discard { stage } => Some(stage),
    }
}
