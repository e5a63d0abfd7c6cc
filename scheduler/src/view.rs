//! Read-only views that the shell turns into answers.

use windrow_model::{
    AttemptId, AttemptState, ErrorReport, Failure, JobId, JobSpec, JobState, StageId, StageState, StepOutcome, TaskId,
    TaskOutput, TaskPlan, Timestamp, WorkerId, WorkerState,
};

use crate::job::{Job, Reason, Step, StepPhase};
use crate::stage::Stage;
use crate::task::{Attempt, Task};
use crate::worker::Worker;
use crate::{Scheduler, WorkerSpec};

/// One job.
#[derive(Clone, Copy)]
pub struct JobView<'a> {
    pub(crate) job: &'a Job,
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

impl Scheduler {
    pub fn job(&self, id: JobId) -> Option<JobView<'_>> {
        self.jobs.get(&id).map(|job| JobView { job })
    }

    /// All jobs that are kept, in the order they were submitted.
    pub fn jobs(&self) -> impl DoubleEndedIterator<Item = JobView<'_>> {
        self.jobs.values().map(|job| JobView { job })
    }

    pub fn worker(&self, id: WorkerId) -> Option<WorkerView<'_>> {
        self.roster.get(id).map(|worker| WorkerView { worker })
    }

    /// Workers that are present, and the most recent of those that are gone or lost.
    pub fn workers(&self) -> impl DoubleEndedIterator<Item = WorkerView<'_>> {
        self.roster.values().map(|worker| WorkerView { worker })
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

    /// When it was admitted.
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

    /// It was taken over from an earlier leader, and waits for its workers to come back.
    pub fn is_recovering(&self) -> bool {
        self.job.recovering
    }

    /// It has succeeded, and computes lost rows of its result again.
    pub fn is_restoring(&self) -> bool {
        self.job.is_restoring()
    }

    pub fn result_expires_at(&self) -> Option<Timestamp> {
        self.job.result_expires_at
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

    /// Partitions that its tasks run: more than there are tasks if small ones are run together, and fewer if several
    /// tasks share one.
    pub fn partitions(&self) -> u32 {
        let first = |task: &&TaskPlan| task.share.is_none_or(|share| share.index == 0);
        self.stage.plan.tasks.iter().filter(first).map(|task| task.partitions.len() as u32).sum()
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

    /// Partitions of each of its outputs.
    pub fn output_partitions(&self) -> u32 {
        self.stage.plan.output_partitions
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
        self.task.is_available()
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
        self.attempt.run.try_number
    }

    pub fn worker(&self) -> WorkerId {
        self.attempt.worker
    }

    pub fn state(&self) -> AttemptState {
        self.attempt.state
    }

    /// It was started while another attempt at the task was live.
    pub fn is_speculative(&self) -> bool {
        self.attempt.run.speculative
    }

    /// Zero for one that an earlier leader started and nobody recorded.
    pub fn slots(&self) -> u32 {
        self.attempt.run.slots
    }

    pub fn assigned_at(&self) -> Timestamp {
        self.attempt.run.assigned_at
    }

    pub fn started_at(&self) -> Option<Timestamp> {
        self.attempt.run.started_at
    }

    pub fn ended_at(&self) -> Option<Timestamp> {
        self.attempt.ended_at
    }

    pub fn failure(&self) -> Option<&'a Failure> {
        self.attempt.failure.as_deref()
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
        self.worker.state()
    }

    pub fn since(&self) -> Timestamp {
        self.worker.since
    }

    pub fn reason(&self) -> &'a Reason {
        &self.worker.reason
    }

    pub fn slots_free(&self) -> u32 {
        self.worker.slots_free()
    }

    /// Until then it gets tasks only while there is no other worker.
    pub fn excluded_until(&self) -> Option<Timestamp> {
        self.worker.excluded_until()
    }

    /// When a draining worker gives up what it has not handed over.
    pub fn drain_ends_at(&self) -> Option<Timestamp> {
        self.worker.drain.as_ref().map(|drain| drain.ends_at)
    }

    pub fn lease_ends_at(&self) -> Timestamp {
        self.worker.lease_ends_at
    }

    /// Attempts that hold its slots.
    pub fn running(&self) -> impl ExactSizeIterator<Item = AttemptId> + use<'a> {
        self.worker.running.iter().copied()
    }

    /// Outputs it holds that somebody still needs; an awaited worker may hold them.
    pub fn outputs_held(&self) -> usize {
        self.worker.outputs.len()
    }
}
