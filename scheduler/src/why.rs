//! Why something is not happening: every wait has a reason that a person can ask for.

use std::fmt;
use std::time::Duration;

use windrow_model::{JobId, JobState, StageId, TaskId, Timestamp, WorkerId};

use crate::Scheduler;
use crate::job::{Job, StepPhase};
use crate::placement::Choice;
use crate::stage::Stage;
use crate::worker::Worker;

/// What a job, or one of its stages, is waiting for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// It has ended: nothing is going to happen.
    Ended { state: JobState },
    /// As many jobs run as are allowed; `ahead` jobs were queued earlier.
    RunningJobsMax { running: usize, max: usize, ahead: usize },
    /// There is no active worker since then; the job gives up `fails_in` after the scheduler's last step.
    NoWorkers { since: Timestamp, fails_in: Option<Duration> },
    /// The coordinator was replaced; the job goes on when its workers are back, or at `ends_at`.
    Recovering { awaited: usize, ends_at: Timestamp, left: Duration },
    /// The statement is being planned.
    Planning { step: u32 },
    /// The outputs of the statement are being published.
    Commit { step: u32 },
    /// Stages that this one reads are not done.
    InputStages { stage: StageId, inputs: Vec<u32> },
    /// Attempts are running: progress is being made.
    Attempts { stage: StageId, running: u32, tasks_done: u32, tasks: u32 },
    /// No worker has that many free slots; `free_max` is the most that one has.
    NoFreeSlot { stage: StageId, tasks: u32, needed: u32, free_max: u32 },
    /// Slow workers have room; the others are sooner through with the tasks that wait.
    SlowWorkers { stage: StageId, tasks: u32, workers: Vec<WorkerId> },
    /// The free slots are kept for a wide task that waited first.
    Reserved { stage: StageId, worker: WorkerId, holder: TaskId },
    /// Workers have room and get no tasks, because they kept failing or being lost; see their reasons.
    Excluded { stage: StageId, workers: Vec<WorkerId> },
    /// The last attempt failed on something that may pass; it is tried again `wait` after the scheduler's last step.
    Backoff { task: TaskId, wait: Duration },
    /// The job has succeeded; rows of its result were lost with a worker and are computed again.
    RestoringResult { job: JobId },
}

impl WaitReason {
    /// Short stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            WaitReason::Ended { .. } => "ended",
            WaitReason::RunningJobsMax { .. } => "running-jobs-max",
            WaitReason::NoWorkers { .. } => "no-workers",
            WaitReason::Recovering { .. } => "recovering",
            WaitReason::Planning { .. } => "planning",
            WaitReason::Commit { .. } => "commit",
            WaitReason::InputStages { .. } => "input-stages",
            WaitReason::Attempts { .. } => "attempts",
            WaitReason::NoFreeSlot { .. } => "no-free-slot",
            WaitReason::SlowWorkers { .. } => "slow-workers",
            WaitReason::Reserved { .. } => "reserved",
            WaitReason::Excluded { .. } => "excluded",
            WaitReason::Backoff { .. } => "backoff",
            WaitReason::RestoringResult { .. } => "restoring-result",
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitReason::Ended { state } => write!(f, "the job has ended: {state}"),
            WaitReason::RunningJobsMax { running, max, ahead } => {
                write!(f, "{running} jobs run and {max} may; {ahead} queued before this one")
            }
            WaitReason::NoWorkers { fails_in: Some(left), .. } => {
                write!(f, "no worker accepts tasks; start one with `windrow worker` (the job gives up in {left:.0?})")
            }
            WaitReason::NoWorkers { fails_in: None, .. } => {
                write!(f, "no worker accepts tasks; start one with `windrow worker`")
            }
            WaitReason::Recovering { awaited, left, .. } => {
                let workers = count(*awaited as u32, "worker");
                write!(f, "the coordinator was replaced; {workers} may still come back, for {left:.0?} at most")
            }
            WaitReason::Planning { step } => write!(f, "statement {} is being planned", step + 1),
            WaitReason::Commit { step } => write!(f, "the output of statement {} is being committed", step + 1),
            WaitReason::InputStages { stage, inputs } => {
                let names: Vec<String> = inputs.iter().map(|index| format!("{}.{index}", stage.job)).collect();
                write!(f, "{stage} waits for the outputs of {}", names.join(", "))
            }
            WaitReason::Attempts { stage, running, tasks_done, tasks } => {
                let live = count(*running, "live attempt");
                write!(f, "{stage} is running: {live}, {tasks_done} of {tasks} tasks done")
            }
            WaitReason::NoFreeSlot { stage, tasks, needed, free_max } => {
                let (tasks, slots) = (count(*tasks, "task"), count(*needed, "free slot"));
                write!(f, "{stage} has {tasks} waiting for {slots} on one worker; the most free are {free_max}")
            }
            WaitReason::SlowWorkers { stage, tasks, workers } => {
                let (tasks, names) = (count(*tasks, "task"), names(workers));
                write!(f, "{stage} has {tasks} waiting for others than {names}, which would be through later")
            }
            WaitReason::Reserved { stage, worker, holder } => {
                write!(
                    f,
                    "{stage} waits because the free slots of {worker} are kept for {holder}, which needs more of them"
                )
            }
            WaitReason::Excluded { stage, workers } => {
                let names = names(workers);
                write!(f, "{stage} would fit on {names}, excluded for failures; `windrow workers` says until when")
            }
            WaitReason::Backoff { task, wait } => {
                write!(f, "{task} is tried again in {wait:.1?}, after an outside service did not answer")
            }
            WaitReason::RestoringResult { job } => {
                write!(f, "{job} has succeeded; a part of its result was lost with a worker and is computed again")
            }
        }
    }
}

fn count(n: u32, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

fn names(workers: &[WorkerId]) -> String {
    let names: Vec<String> = workers.iter().map(WorkerId::to_string).collect();
    names.join(", ")
}

impl Scheduler {
    /// What the job is waiting for: one reason for the job, or the reasons of each of its unfinished stages.
    /// Empty for a job that is not known.
    pub fn why(&self, id: JobId) -> Vec<WaitReason> {
        let Some(job) = self.jobs.get(&id) else {
            return Vec::new();
        };
        match job.state {
            JobState::Queued => vec![WaitReason::RunningJobsMax {
                running: self.admission.admitted().len(),
                max: self.limits.running_jobs_max,
                ahead: self.admission.queued().range(..id).count(),
            }],
            JobState::Running => self.why_running(job),
            JobState::Committing => vec![WaitReason::Commit { step: job.step_index() }],
            JobState::Succeeded if job.is_restoring() => {
                let mut reasons = vec![WaitReason::RestoringResult { job: id }];
                reasons.extend(self.why_stages(job));
                reasons
            }
            JobState::Succeeded | JobState::Failed | JobState::Cancelled => {
                vec![WaitReason::Ended { state: job.state }]
            }
        }
    }

    fn why_running(&self, job: &Job) -> Vec<WaitReason> {
        let mut reasons = Vec::new();
        if let Some(ends_at) = self.recovery_ends_at.filter(|_| job.recovering) {
            let (awaited, left) = (self.roster.awaited().len(), ends_at.since(self.clock));
            return vec![WaitReason::Recovering { awaited, ends_at, left }];
        }
        if !self.roster.has_active() {
            reasons.push(WaitReason::NoWorkers {
                since: self.workerless_since,
                fails_in: self.gives_up_at(job).map(|at| at.since(self.clock)),
            });
        }
        if job.planning {
            reasons.push(WaitReason::Planning { step: job.step_index() });
        }
        if job.current_step().is_some_and(|step| step.phase == StepPhase::Running) {
            // Without workers that is the reason of each ready stage: it is said once, with the job's deadline.
            let said = |reason: &WaitReason| matches!(reason, WaitReason::NoWorkers { .. });
            reasons.extend(self.why_stages(job).into_iter().filter(|reason| !said(reason)));
        }
        reasons
    }

    fn why_stages(&self, job: &Job) -> Vec<WaitReason> {
        job.stages
            .iter()
            .filter(|stage| stage.wanted && !stage.is_complete())
            .flat_map(|stage| self.why_stage(job, stage))
            .collect()
    }

    fn why_stage(&self, job: &Job, stage: &Stage) -> Vec<WaitReason> {
        let mut reasons = Vec::new();
        if stage.running > 0 {
            reasons.push(WaitReason::Attempts {
                stage: stage.id,
                running: stage.running,
                tasks_done: stage.available,
                tasks: stage.tasks.len() as u32,
            });
        }
        if let Some(&(until, index)) = stage.delayed.first() {
            reasons.push(WaitReason::Backoff { task: stage.task_id(index), wait: until.since(self.clock) });
        }
        if stage.backlog.is_empty() {
            return reasons;
        }
        if job.inputs_ready(stage) {
            reasons.extend(self.why_pending(stage));
        } else {
            let missing = |input: &u32| !job.stages[*input as usize].is_complete();
            let inputs = stage.plan.inputs.iter().map(|input| input.stage).filter(missing).collect();
            reasons.push(WaitReason::InputStages { stage: stage.id, inputs });
        }
        reasons
    }

    fn why_pending(&self, stage: &Stage) -> Vec<WaitReason> {
        let tasks = stage.backlog.len() as u32;
        let Some(choice) = self.placement_of(stage) else { return Vec::new() };
        match choice {
            Choice::Wait { needed, free_max, .. } => {
                let mut reasons = vec![WaitReason::NoFreeSlot { stage: stage.id, tasks, needed, free_max }];
                reasons.extend(self.why_excluded(stage, needed));
                reasons
            }
            Choice::LeftToOthers => {
                let has_room = |worker: &&Worker| worker.slots_free() > 0;
                let workers = self.roster.slow_seats().filter(has_room).map(|worker| worker.id).collect();
                vec![WaitReason::SlowWorkers { stage: stage.id, tasks, workers }]
            }
            Choice::Reserved { kept, .. } => {
                vec![WaitReason::Reserved { stage: stage.id, worker: kept.worker, holder: kept.task }]
            }
            Choice::NoWorkers => vec![WaitReason::NoWorkers { since: self.workerless_since, fails_in: None }],
            // I-6: `dispatch` leaves no task behind that fits.
            Choice::Place { .. } => Vec::new(),
        }
    }

    /// Excluded workers that would have room.
    fn why_excluded(&self, stage: &Stage, needed: u32) -> Option<WaitReason> {
        if self.roster.excluded_free_max() < needed {
            return None;
        }
        let excluded = self.roster.values().filter(|worker| worker.is_active() && worker.excluded_until().is_some());
        let workers = excluded.filter(|worker| worker.slots_free() >= needed).map(|worker| worker.id).collect();
        Some(WaitReason::Excluded { stage: stage.id, workers })
    }
}
