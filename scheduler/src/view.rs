//! Read-only views that the shell turns into answers.

use windrow_model::{
    AttemptId, AttemptState, ErrorReport, Failure, JobId, JobSpec, JobState, MapOutputId, StageId, StageState,
    StepOutcome, TaskId, TaskOutput, Timestamp, WorkerId, WorkerState,
};

use crate::job::{Job, Reason, Step, StepPhase, outcome_stage};
use crate::stage::{Attempt, Stage, Task, TaskState};
use crate::worker::Worker;
use crate::{Scheduler, WorkerSpec};

/// One job.
#[derive(Clone, Copy)]
pub struct JobView<'a> {
    job: &'a Job,
}

/// One planned statement of a job.
#[derive(Clone, Copy)]
pub struct StepView<'a> {
    index: u32,
    step: &'a Step,
}

/// One stage of a job.
#[derive(Clone, Copy)]
pub struct StageView<'a> {
    stage: &'a Stage,
}

/// One task of a stage, with every attempt at it.
#[derive(Clone, Copy)]
pub struct TaskView<'a> {
    id: TaskId,
    task: &'a Task,
}

/// One attempt at a task.
#[derive(Clone, Copy)]
pub struct AttemptView<'a> {
    attempt: &'a Attempt,
}

/// One worker, present or recently departed.
#[derive(Clone, Copy)]
pub struct WorkerView<'a> {
    worker: &'a Worker,
}

/// One output of a step's result, in task order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultPart<'a> {
    pub output: MapOutputId,
    /// Where to fetch it; `None` when the rows are inline.
    pub worker: Option<WorkerId>,
    pub inline: Option<&'a [u8]>,
    pub rows: u64,
    pub bytes: u64,
}

/// Whether the rows of a step can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResultState<'a> {
    /// The step does not exist or leaves no rows for the client.
    None,
    /// The step has not finished.
    Pending,
    Available,
    /// Rows were lost with a worker and are being computed again.
    Restoring,
    /// The result's lifetime is over, or the job failed or was cancelled after it.
    Released,
    /// Rows were lost and could not be computed again.
    Failed(&'a ErrorReport),
}

impl Scheduler {
    pub fn job(&self, id: JobId) -> Option<JobView<'_>> {
        self.jobs.get(&id).map(|job| JobView { job })
    }

    /// All jobs that are kept, in the order they were submitted.
    pub fn jobs(&self) -> impl DoubleEndedIterator<Item = JobView<'_>> {
        self.jobs.values().map(|job| JobView { job })
    }

    pub fn worker(&self, id: WorkerId) -> Option<WorkerView<'_>> {
        self.workers.get(&id).map(|worker| WorkerView { worker })
    }

    /// Workers that are present, and the most recent of those that are gone or lost.
    pub fn workers(&self) -> impl DoubleEndedIterator<Item = WorkerView<'_>> {
        self.workers.values().map(|worker| WorkerView { worker })
    }

    /// The rows of a finished step with `StepOutcome::Result`, ordered by task.
    /// `None` while not all of them are there; [`JobView::result`] says why.
    pub fn result_outputs(&self, job: JobId, step: u32) -> Option<Vec<ResultPart<'_>>> {
        let job = self.jobs.get(&job)?;
        if (JobView { job }).result(step) != ResultState::Available {
            return None;
        }
        let stage = &job.stages[outcome_stage(job.steps[step as usize].outcome)? as usize];
        Some((0..).zip(&stage.tasks).map(|(index, task)| result_part(stage, index, task)).collect())
    }
}

fn result_part<'a>(stage: &'a Stage, index: u32, task: &'a Task) -> ResultPart<'a> {
    let attempt = task.newest();
    ResultPart {
        output: MapOutputId { task: stage.task_id(index), attempt: attempt.id },
        worker: attempt.output.inline.is_none().then_some(attempt.worker),
        inline: attempt.output.inline.as_deref(),
        rows: attempt.output.rows,
        bytes: attempt.output.bytes,
    }
}

impl<'a> JobView<'a> {
    pub fn id(&self) -> JobId {
        self.job.id
    }

    pub fn spec(&self) -> &'a JobSpec {
        &self.job.spec
    }

    pub fn state(&self) -> JobState {
        self.job.state
    }

    /// When the state was entered.
    pub fn since(&self) -> Timestamp {
        self.job.since
    }

    /// Why it is in this state.
    pub fn reason(&self) -> &'a Reason {
        &self.job.reason
    }

    pub fn submitted_at(&self) -> Timestamp {
        self.job.submitted_at
    }

    /// When it was admitted; after a recovery, when the new leader took over.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.job.started_at
    }

    pub fn ended_at(&self) -> Option<Timestamp> {
        self.job.ended_at
    }

    /// Why it failed or was cancelled.
    pub fn report(&self) -> Option<&'a ErrorReport> {
        self.job.report.as_ref()
    }

    /// The step that is being worked on, from 0; the last one when the job has ended.
    pub fn step(&self) -> u32 {
        self.job.step_index()
    }

    /// Planned steps.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = StepView<'a>> + use<'a> {
        self.job.steps.iter().enumerate().map(|(index, step)| StepView { index: index as u32, step })
    }

    pub fn stages(&self) -> impl ExactSizeIterator<Item = StageView<'a>> + use<'a> {
        self.job.stages.iter().map(|stage| StageView { stage })
    }

    /// Slots that its attempts hold now.
    pub fn running_slots(&self) -> u32 {
        self.job.running_slots
    }

    /// It has succeeded, and computes lost rows of its result again.
    pub fn is_restoring(&self) -> bool {
        self.job.is_restoring()
    }

    pub fn result_expires_at(&self) -> Option<Timestamp> {
        self.job.result_expires_at
    }

    /// Steps that leave rows for the client, in order.
    pub fn result_steps(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.steps().filter(|step| matches!(step.outcome(), StepOutcome::Result { .. })).map(|step| step.index())
    }

    /// Whether the rows of a step can be read.
    pub fn result(&self, step: u32) -> ResultState<'a> {
        let Some(planned) = self.job.steps.get(step as usize) else {
            return ResultState::None;
        };
        let StepOutcome::Result { stage } = planned.outcome else {
            return ResultState::None;
        };
        if let Some(report) = &self.job.result_failure {
            return ResultState::Failed(report);
        }
        let stage = &self.job.stages[stage as usize];
        match (&planned.phase, stage.wanted) {
            (StepPhase::Running | StepPhase::Committing { .. }, true) => ResultState::Pending,
            (StepPhase::Finished, true) if stage.is_complete() => ResultState::Available,
            (StepPhase::Finished, true) => ResultState::Restoring,
            (_, false) => ResultState::Released,
        }
    }
}

impl<'a> StepView<'a> {
    pub fn index(&self) -> u32 {
        self.index
    }

    pub fn outcome(&self) -> StepOutcome {
        self.step.outcome
    }

    /// No statement follows.
    pub fn is_last(&self) -> bool {
        self.step.last
    }

    pub fn is_finished(&self) -> bool {
        self.step.phase == StepPhase::Finished
    }

    pub fn is_committing(&self) -> bool {
        self.step.phase.is_committing()
    }

    pub fn first_stage(&self) -> u32 {
        self.step.first_stage
    }

    /// Files, rows and bytes that the commit has published.
    pub fn committed(&self) -> (u64, u64, u64) {
        (self.step.files, self.step.rows, self.step.bytes)
    }
}

impl<'a> StageView<'a> {
    pub fn id(&self) -> StageId {
        self.stage.id
    }

    /// The step it belongs to.
    pub fn step(&self) -> u32 {
        self.stage.step
    }

    pub fn label(&self) -> &'a str {
        &self.stage.plan.label
    }

    pub fn state(&self) -> StageState {
        self.stage.state
    }

    pub fn since(&self) -> Timestamp {
        self.stage.since
    }

    /// Indices of the stages it reads.
    pub fn inputs(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.stage.plan.inputs.iter().map(|input| input.stage)
    }

    pub fn tasks_total(&self) -> u32 {
        self.stage.tasks.len() as u32
    }

    pub fn tasks_done(&self) -> u32 {
        self.stage.tasks_done()
    }

    pub fn tasks_running(&self) -> u32 {
        self.stage.running
    }

    /// Rows written by the newest successful attempt of each task.
    pub fn rows(&self) -> u64 {
        self.stage.rows
    }

    /// Encoded bytes written by the newest successful attempt of each task.
    pub fn bytes(&self) -> u64 {
        self.stage.bytes
    }

    /// Times a task was queued again after its output had been there.
    pub fn reruns(&self) -> u32 {
        self.stage.reruns
    }

    /// It was done and its outputs were given up because nobody needed them.
    pub fn is_released(&self) -> bool {
        self.stage.released
    }

    pub fn tasks(&self) -> impl ExactSizeIterator<Item = TaskView<'a>> + use<'a> {
        let stage = self.stage;
        stage.tasks.iter().enumerate().map(move |(index, task)| TaskView { id: stage.task_id(index as u32), task })
    }
}

impl<'a> TaskView<'a> {
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Its output is there now.
    pub fn is_available(&self) -> bool {
        self.task.state == TaskState::Available
    }

    /// All attempts, oldest first (the newest 64 if there were more).
    pub fn attempts(&self) -> impl ExactSizeIterator<Item = AttemptView<'a>> + use<'a> {
        self.task.attempts.iter().map(|attempt| AttemptView { attempt })
    }
}

impl<'a> AttemptView<'a> {
    pub fn id(&self) -> AttemptId {
        self.attempt.id
    }

    /// 1 for the first try.
    pub fn try_number(&self) -> u32 {
        self.attempt.try_number
    }

    pub fn worker(&self) -> WorkerId {
        self.attempt.worker
    }

    pub fn state(&self) -> AttemptState {
        self.attempt.state
    }

    pub fn slots(&self) -> u32 {
        self.attempt.slots
    }

    pub fn assigned_at(&self) -> Timestamp {
        self.attempt.assigned_at
    }

    pub fn started_at(&self) -> Option<Timestamp> {
        self.attempt.started_at
    }

    pub fn ended_at(&self) -> Option<Timestamp> {
        self.attempt.ended_at
    }

    pub fn failure(&self) -> Option<&'a Failure> {
        self.attempt.failure.as_ref()
    }

    /// Rows, bytes and memory of a successful attempt; zeros before. Inline bytes are there only while they are kept.
    pub fn output(&self) -> &'a TaskOutput {
        &self.attempt.output
    }

    /// It succeeded, and its output was lost or became stale later: the task ran again if it was needed.
    pub fn is_output_lost(&self) -> bool {
        self.attempt.lost_at.is_some()
    }
}

impl<'a> WorkerView<'a> {
    pub fn id(&self) -> WorkerId {
        self.worker.id
    }

    pub fn spec(&self) -> &'a WorkerSpec {
        &self.worker.spec
    }

    pub fn state(&self) -> WorkerState {
        self.worker.state
    }

    pub fn since(&self) -> Timestamp {
        self.worker.since
    }

    pub fn reason(&self) -> &'a Reason {
        &self.worker.reason
    }

    pub fn slots_free(&self) -> u32 {
        self.worker.slots_free
    }

    pub fn lease_ends_at(&self) -> Timestamp {
        self.worker.lease_ends_at
    }

    /// Attempts that hold its slots.
    pub fn running(&self) -> impl ExactSizeIterator<Item = AttemptId> + use<'a> {
        self.worker.running.iter().copied()
    }

    /// Outputs it holds that somebody still needs.
    pub fn outputs_held(&self) -> usize {
        self.worker.outputs.len()
    }
}
