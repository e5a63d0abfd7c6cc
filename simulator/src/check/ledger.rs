//! The reference model: what the journal says, by the simplest rules that can be right.

use std::collections::{BTreeMap, BTreeSet};

use windrow_model::{
    AttemptId, InputShare, JobId, JobState, MapOutputId, StageId, StagePlan, StepOutcome, TaskId, TaskPlan, Timestamp,
    WorkerId, WorkerState,
};
use windrow_scheduler::{CommittedTask, Record, RunTask};

use crate::check::OBJECT_STORE;
use crate::truth::Truth;
use crate::workload::order_of;

#[derive(Default)]
pub(crate) struct Ledger {
    epoch: u64,
    pub jobs: BTreeMap<JobId, LedgerJob>,
    /// Every worker there was, with how it left.
    workers: BTreeMap<WorkerId, Option<WorkerState>>,
}

#[derive(Default)]
pub(crate) struct LedgerJob {
    order: Option<u32>,
    pub admitted_at: Option<Timestamp>,
    pub stages: Vec<StagePlan>,
    steps: Vec<LedgerStep>,
    /// The attempt whose output counts.
    pub outputs: BTreeMap<TaskId, AttemptId>,
    pub end: Option<JobState>,
    pub ended_at: Timestamp,
    pub result_given_up: bool,
}

struct LedgerStep {
    outcome: StepOutcome,
    is_last: bool,
    intent: Option<Vec<CommittedTask>>,
    is_finished: bool,
}

/// Fails with a text.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}

impl Ledger {
    /// S-10. `holders` are the attempts whose outputs workers have had.
    pub fn add(
        &mut self,
        epoch: u64,
        record: &Record,
        truth: &Truth,
        holders: &BTreeSet<(AttemptId, u32)>,
    ) -> Result<(), String> {
        ensure!(epoch >= self.epoch, "S-10: epoch {epoch} writes after epoch {}", self.epoch);
        self.epoch = epoch;
        match record {
            Record::JobSubmitted { job, spec, .. } => {
                let newest = self.jobs.last_key_value().map_or(0, |(newest, _)| newest.0);
                ensure!(job.0 > newest, "S-10: {job} is submitted after job-{newest}");
                self.jobs.insert(*job, LedgerJob { order: order_of(spec), ..LedgerJob::default() });
                Ok(())
            }
            Record::JobAdmitted { job, at } => {
                let job = self.open_job(*job, "is admitted")?;
                ensure!(job.admitted_at.is_none(), "S-10: a job is admitted twice");
                job.admitted_at = Some(*at);
                Ok(())
            }
            Record::StagesPlanned { job, step, plan, .. } => self.open_job(*job, "is planned")?.plan(*step, plan),
            Record::StageCoalesced { stage, tasks } => {
                self.open_job(stage.job, "coalesces a stage")?.coalesce(*stage, tasks)
            }
            Record::TaskFinished { task, attempt, worker, .. } => {
                let content = truth.content(*attempt);
                ensure!(content.is_some_and(|content| content.task == *task), "S-10: {attempt} has not written {task}");
                let has_it = truth.place(*worker).is_some_and(|index| holders.contains(&(*attempt, index)));
                ensure!(has_it, "S-10: {worker} has never had the output of {attempt}");
                self.known_job(task.stage.job)?.finish_task(epoch, *task, *attempt)
            }
            Record::OutputsLost { outputs } => self.lose(outputs),
            Record::OutputsMoved { outputs, to } => {
                let index = if *to == WorkerId::SHUFFLE_STORE { Some(OBJECT_STORE) } else { truth.place(*to) };
                let has_it =
                    |output: &MapOutputId| index.is_some_and(|index| holders.contains(&(output.attempt, index)));
                ensure!(outputs.iter().all(has_it), "S-10: {to} has never had all outputs that move to it");
                self.check_moved(outputs)
            }
            Record::CommitIntended { job, step, tasks, .. } => {
                let job = self.open_job(*job, "intends a commit")?;
                job.intend(*step, tasks)
            }
            Record::StepFinished { job, step, .. } => self.open_job(*job, "finishes a step")?.finish_step(*step),
            Record::JobEnded { job, state, at, .. } => {
                let ended = self.open_job(*job, "ends")?;
                let complete = ended.steps.last().is_some_and(|step| step.is_last && step.is_finished);
                ensure!(*state != JobState::Succeeded || complete, "S-10: {job} has succeeded and has steps to do");
                ended.end = Some(*state);
                ended.ended_at = *at;
                Ok(())
            }
            Record::ResultGivenUp { job, .. } => {
                self.known_job(*job)?.result_given_up = true;
                Ok(())
            }
            Record::WorkerRegistered { worker, .. } => {
                let newest = self.workers.last_key_value().map_or(0, |(newest, _)| newest.0);
                ensure!(worker.0 > newest, "S-10: {worker} registers after worker-{newest}");
                self.workers.insert(*worker, None);
                Ok(())
            }
            Record::WorkerLeft { worker, state, .. } => {
                let left = self.workers.get_mut(worker).filter(|left| left.is_none());
                *left.ok_or_else(|| format!("S-10: {worker} leaves and was not there"))? = Some(*state);
                Ok(())
            }
            Record::AttemptFailed { .. } => Ok(()),
        }
    }

    fn known_job(&mut self, id: JobId) -> Result<&mut LedgerJob, String> {
        self.jobs.get_mut(&id).ok_or_else(|| format!("S-10: {id} is not known"))
    }

    fn open_job(&mut self, id: JobId, verb: &str) -> Result<&mut LedgerJob, String> {
        let job = self.known_job(id)?;
        match job.end {
            Some(end) => Err(format!("S-10: {id} {verb} after it was {end}")),
            None => Ok(job),
        }
    }

    fn lose(&mut self, outputs: &[MapOutputId]) -> Result<(), String> {
        for output in outputs {
            let job = self.known_job(output.task.stage.job)?;
            let counted = job.outputs.remove(&output.task);
            ensure!(counted == Some(output.attempt), "S-10: the {output} is lost and did not count");
        }
        Ok(())
    }

    fn check_moved(&mut self, outputs: &[MapOutputId]) -> Result<(), String> {
        for output in outputs {
            let job = self.known_job(output.task.stage.job)?;
            let counted = job.outputs.get(&output.task);
            ensure!(counted == Some(&output.attempt), "S-10: the {output} moves and does not count");
        }
        Ok(())
    }

    pub fn order_of(&self, job: JobId) -> Option<u32> {
        self.jobs.get(&job)?.order
    }

    pub fn end_of(&self, job: JobId) -> Option<JobState> {
        self.jobs.get(&job)?.end
    }

    pub fn outcome(&self, job: JobId, step: u32) -> Option<StepOutcome> {
        self.jobs.get(&job)?.steps.get(step as usize).map(|step| step.outcome)
    }

    pub fn steps_finished(&self, job: JobId) -> u32 {
        self.jobs.get(&job).map_or(0, |job| job.steps.iter().filter(|step| step.is_finished).count() as u32)
    }

    /// The job has ended, and no rows of it are kept for its client.
    pub fn is_needless(&self, job: JobId) -> bool {
        self.jobs.get(&job).is_some_and(|job| {
            let has_rows = job.steps.iter().any(|step| matches!(step.outcome, StepOutcome::Result { .. }));
            job.end.is_some() && !(job.end == Some(JobState::Succeeded) && has_rows)
        })
    }

    /// Workers that were lost, ever.
    pub fn workers_lost(&self) -> usize {
        self.workers.values().filter(|left| **left == Some(WorkerState::Lost)).count()
    }

    /// S-7: the task is one of the plan that is durable.
    pub fn admits(&self, run: &RunTask) -> Result<(), String> {
        let StageId { job, index } = run.task.stage;
        let stage = self.jobs.get(&job).and_then(|job| job.stages.get(index as usize));
        let Some(stage) = stage else { return Err(format!("{} is run before its plan is durable", run.task)) };
        ensure!(stage.fragment == run.fragment, "{} is run with a fragment of another plan", run.task);
        let planned = stage.tasks.get(run.task.index as usize);
        let same = planned.is_some_and(|task| task.partitions == run.partitions && task.share == run.share);
        ensure!(same, "{} is run with partitions of another task", run.task);
        Ok(())
    }

    /// S-8, S-11.
    pub fn check_commit(&self, id: JobId, step: u32, tasks: &[CommittedTask], truth: &Truth) -> Result<(), String> {
        let job = self.jobs.get(&id).ok_or_else(|| format!("S-8: {id} commits and is not in the journal"))?;
        ensure!(job.end.is_none(), "S-8: {id} commits step {step} after its end");
        let planned = job.steps.get(step as usize);
        let intent = planned.and_then(|step| step.intent.as_deref());
        ensure!(intent == Some(tasks), "S-8: step {step} of {id} commits what was not intended");
        let Some(StepOutcome::Commit { stage }) = planned.map(|step| step.outcome) else {
            return Err(format!("S-8: step {step} of {id} commits and is not meant to"));
        };
        let attempts: Vec<(TaskId, AttemptId)> = tasks.iter().map(|task| (task.task, task.attempt)).collect();
        let rows = job.check_rows(stage, &attempts, truth);
        rows.map_err(|text| format!("S-11: the files of step {step} of {id}: {text}"))
    }

    pub fn check_rows(
        &self,
        job: JobId,
        stage: u32,
        attempts: &[(TaskId, AttemptId)],
        truth: &Truth,
    ) -> Result<(), String> {
        self.jobs.get(&job).ok_or("the job is not known")?.check_rows(stage, attempts, truth)
    }
}

impl LedgerJob {
    fn plan(&mut self, step: u32, plan: &windrow_model::StepPlan) -> Result<(), String> {
        ensure!(step as usize == self.steps.len(), "S-10: step {step} is planned after {} steps", self.steps.len());
        ensure!(self.steps.iter().all(|step| step.is_finished), "S-10: a step is planned before the last one is done");
        self.stages.extend(plan.stages.iter().cloned());
        let (outcome, is_last) = (plan.outcome, plan.last);
        self.steps.push(LedgerStep { outcome, is_last, intent: None, is_finished: false });
        Ok(())
    }

    /// The same partitions, each once or with all shares of an input, in tasks of which nobody has done any.
    fn coalesce(&mut self, id: StageId, tasks: &[TaskPlan]) -> Result<(), String> {
        let stage = self.stages.get_mut(id.index as usize).ok_or_else(|| format!("S-10: {id} is not planned"))?;
        let each = |task: &TaskPlan| task.partitions.iter().map(|part| (*part, task.share)).collect::<Vec<_>>();
        let (planned, shared): (Vec<_>, Vec<_>) = tasks.iter().flat_map(each).partition(|(_, share)| share.is_none());
        let mut partitions: Vec<u32> = planned.into_iter().map(|(partition, _)| partition).collect();
        for (partition, share) in &shared {
            let Some(InputShare { stage: input, index, of }) = *share else { continue };
            let may = stage.coalescing.as_ref().is_some_and(|how| how.shareable.contains(&input));
            ensure!(may && index < of, "S-10: {id} shares what its tasks need as a whole");
            let others = (0..of).filter(|index| {
                let other = InputShare { stage: input, index: *index, of };
                shared.iter().filter(|shared| **shared == (*partition, Some(other))).count() == 1
            });
            ensure!(others.count() == of as usize, "S-10: partition {partition} of {id} is not shared as a whole");
            partitions.extend((index == 0).then_some(*partition));
        }
        partitions.sort_unstable();
        let mut before: Vec<u32> = stage.tasks.iter().flat_map(|task| task.partitions.iter().copied()).collect();
        before.sort_unstable();
        ensure!(partitions == before, "S-10: {id} is coalesced into other partitions");
        let touched = self.outputs.keys().any(|task| task.stage == id);
        ensure!(!touched, "S-10: {id} is coalesced when a task of it has been done");
        stage.tasks = tasks.to_vec();
        Ok(())
    }

    fn finish_task(&mut self, epoch: u64, task: TaskId, attempt: AttemptId) -> Result<(), String> {
        let stage = self.stages.get(task.stage.index as usize);
        ensure!(stage.is_some_and(|stage| (task.index as usize) < stage.tasks.len()), "S-10: {task} is not planned");
        let before = self.outputs.insert(task, attempt);
        // The loss of what an older leader has seen replaced may not have reached the journal.
        match before.filter(|_| attempt.epoch == epoch) {
            Some(before) => Err(format!("S-17: {attempt} has written {task}, and what {before} wrote still counts")),
            None => Ok(()),
        }
    }

    fn intend(&mut self, step: u32, tasks: &[CommittedTask]) -> Result<(), String> {
        let counted = tasks.iter().all(|task| self.outputs.get(&task.task) == Some(&task.attempt));
        ensure!(counted, "S-8: a commit is intended of attempts that do not count");
        let distinct: BTreeSet<TaskId> = tasks.iter().map(|task| task.task).collect();
        ensure!(distinct.len() == tasks.len(), "S-8: a commit is intended with a task twice");
        let step = self.steps.get_mut(step as usize).ok_or("S-8: a commit is intended of a step without a plan")?;
        ensure!(step.intent.is_none() && !step.is_finished, "S-8: a commit is intended twice");
        step.intent = Some(tasks.to_vec());
        Ok(())
    }

    fn finish_step(&mut self, step: u32) -> Result<(), String> {
        let at = step as usize;
        ensure!(self.steps.iter().take(at).all(|step| step.is_finished), "S-10: step {step} finishes before others");
        let finished = self.steps.get_mut(at).filter(|step| !step.is_finished);
        finished.ok_or_else(|| format!("S-10: step {step} finishes and was not open"))?.is_finished = true;
        Ok(())
    }
}
