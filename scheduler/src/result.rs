//! The rows that a step leaves for the client: whether they can be read, and where.

use windrow_model::{ErrorReport, JobId, MapOutputId, StepOutcome, WorkerId};

use crate::job::{StepPhase, outcome_stage};
use crate::stage::Stage;
use crate::task::Task;
use crate::{JobView, Scheduler};

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
    /// The rows of a finished step with `StepOutcome::Result`, ordered by task.
    /// `None` while not all of them are there; [`JobView::result`] says why.
    pub fn result_outputs(&self, job: JobId, step: u32) -> Option<Vec<ResultPart<'_>>> {
        let job = self.jobs.get(&job)?;
        if (JobView { job }).result(step) != ResultState::Available {
            return None;
        }
        let stage = &job.stages[outcome_stage(job.steps[step as usize].outcome)? as usize];
        (0..).zip(&stage.tasks).map(|(index, task)| result_part(stage, index, task)).collect()
    }
}

fn result_part<'a>(stage: &'a Stage, index: u32, task: &'a Task) -> Option<ResultPart<'a>> {
    let (attempt, worker) = task.available()?;
    Some(ResultPart {
        output: MapOutputId { task: stage.task_id(index), attempt: attempt.id },
        worker: attempt.output.inline.is_none().then_some(worker),
        inline: attempt.output.inline.as_deref(),
        rows: attempt.output.rows,
        bytes: attempt.output.bytes,
    })
}

impl<'a> JobView<'a> {
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
        if self.job.recovering && self.job.result_expires_at.is_some() {
            return if stage.is_complete() { ResultState::Available } else { ResultState::Restoring };
        }
        match (&planned.phase, stage.wanted) {
            (StepPhase::Running | StepPhase::Committing { .. }, true) => ResultState::Pending,
            (StepPhase::Finished, true) if stage.is_complete() => ResultState::Available,
            (StepPhase::Finished, true) => ResultState::Restoring,
            (_, false) => ResultState::Released,
        }
    }
}
