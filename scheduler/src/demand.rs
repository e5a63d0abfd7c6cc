//! Which stages are wanted, and what follows when that changes.
//!
//! A stage is *wanted* when all of its outputs have to be there:
//! it is what an unfinished step is for, or its outputs are kept (a result, a table), or a wanted stage that is not
//! complete reads it. Everything else follows from comparing that with what was wanted before:
//! a stage that becomes wanted queues every task without an output, a stage that is no longer wanted is cancelled
//! and released. Lost outputs of released stages are computed again, recursively, by the same rule.

use std::collections::{BTreeMap, BTreeSet};

use windrow_model::{JobId, JobState, MapOutputId, StageId, StageState, StepOutcome, WorkerId};

use crate::job::{Job, Reason, StepPhase, outcome_stage};
use crate::scheduler::Turn;
use crate::stage::Stage;
use crate::task::TaskState;
use crate::{CommitRequest, CommittedTask, Event, Message, Record, Scheduler};

/// Stages that each worker may forget.
type Releases = BTreeMap<WorkerId, BTreeSet<StageId>>;

impl Scheduler {
    /// Brings one job to rest after anything that may have changed what it wants.
    pub(crate) fn reconcile(&mut self, id: JobId, turn: &mut Turn<'_>) {
        if self.jobs.get(&id).is_none_or(|job| job.recovering) {
            return self.request_commit(id, turn);
        }
        // Watchers see a stage done before they see its job end.
        self.refresh_stages(id, turn);
        let mut releases = Releases::new();
        loop {
            let changed = self.update_wanted(id, &mut releases, turn);
            let advanced = self.advance(id, turn);
            if !changed && !advanced {
                break;
            }
        }
        self.coalesce(id, turn);
        self.refresh_stages(id, turn);
        self.request_commit(id, turn);
        self.release(id, releases, turn);
        self.line_up(id);
    }

    fn update_wanted(&mut self, id: JobId, releases: &mut Releases, turn: &mut Turn<'_>) -> bool {
        let Some(job) = self.jobs.get(&id) else { return false };
        let wanted = wanted_stages(job);
        let was: Vec<bool> = job.stages.iter().map(|stage| stage.wanted).collect();
        for (index, (&wanted, &was)) in (0..).zip(wanted.iter().zip(&was)) {
            let stage = StageId { job: id, index };
            match (was, wanted) {
                (false, true) => self.want(stage, turn),
                (true, false) => self.unwant(stage, releases, turn),
                // Only after a recovery: what was taken over and turns out not to be needed.
                (false, false) if self.stage_mut(stage).is_some_and(|stage| !stage.is_empty()) => {
                    self.unwant(stage, releases, turn);
                }
                (true, true) | (false, false) => {}
            }
        }
        wanted != was
    }

    fn want(&mut self, id: StageId, turn: &mut Turn<'_>) {
        let lost_at = self.newest_attempt();
        let Some(stage) = self.stage_mut(id) else { return };
        stage.wanted = true;
        stage.released = false;
        let mut again = Vec::new();
        for index in 0..stage.tasks.len() as u32 {
            let task_id = stage.task_id(index);
            let task = &mut stage.tasks[index as usize];
            if task.state != TaskState::Idle {
                continue;
            }
            // An output that was released, or that did not come back after a recovery, is needed after all.
            if let Some(attempt) = task.attempts.iter_mut().rev().find(|attempt| attempt.is_counted()) {
                attempt.lost_at = Some(lost_at);
                attempt.strip_output();
                again.push(MapOutputId { task: task_id, attempt: attempt.id });
            }
            stage.queue(index, turn.now, None);
        }
        self.record_loss(id.job, again, turn);
    }

    fn unwant(&mut self, id: StageId, releases: &mut Releases, turn: &mut Turn<'_>) {
        self.cancel_stage(id, turn);
        let Some(stage) = self.stage_mut(id) else { return };
        stage.wanted = false;
        stage.released = stage.ever_done;
        for index in 0..stage.tasks.len() as u32 {
            let Some(stage) = self.stage_mut(id) else { return };
            stage.unqueue(index);
            let task = stage.task_id(index);
            if let Some((_, worker)) = self.give_up_output(task, None) {
                releases.entry(worker).or_default().insert(id);
            }
        }
    }

    /// Finishes the current step, or starts its commit, when its outcome is there. Says whether it did.
    fn advance(&mut self, id: JobId, turn: &mut Turn<'_>) -> bool {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.state == JobState::Running) else {
            return false;
        };
        let Some(step) = job.current_step().filter(|step| step.phase == StepPhase::Running) else {
            return false;
        };
        let outcome = step.outcome;
        let root = outcome_stage(outcome).map(|index| &job.stages[index as usize]);
        let Some(root) = root else {
            self.finish_step(id, turn);
            return true;
        };
        if !root.wanted || !root.is_complete() {
            return false;
        }
        let root = root.id;
        match outcome {
            StepOutcome::Commit { .. } => self.intend_commit(root, turn),
            StepOutcome::Immediate
            | StepOutcome::Result { .. }
            | StepOutcome::Table { .. }
            | StepOutcome::Discard { .. } => self.finish_step(id, turn),
        }
        true
    }

    /// The attempts whose files count are fixed here, once and for all.
    fn intend_commit(&mut self, root: StageId, turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get_mut(&root.job) else {
            return;
        };
        let step = job.step_index();
        let sink = &job.stages[root.index as usize];
        let own = (0..).zip(&sink.tasks).map(|(index, task)| {
            let (attempt, _) = task.available().expect("I-4: a complete stage has all its outputs");
            CommittedTask { task: sink.task_id(index), attempt: attempt.id, files: attempt.output.files.clone() }
        });
        let others = job.stages.iter().filter(|stage| stage.step == step && stage.id != root);
        let tasks: Vec<CommittedTask> = own.chain(others.flat_map(written_aside)).collect();
        turn.record_first(Record::CommitIntended { job: root.job, step, tasks: tasks.clone(), at: turn.now });
        job.intend_commit(tasks, turn.now);
        turn.job_changed(job);
    }

    fn request_commit(&mut self, id: JobId, turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.state == JobState::Committing) else {
            return;
        };
        let step = job.step_index();
        let Some(current) = job.current_step_mut() else { return };
        if let StepPhase::Committing { tasks, requested: requested @ false } = &mut current.phase {
            *requested = true;
            turn.outbox.commit_requests.push(CommitRequest { job: id, step, tasks: tasks.clone() });
        }
    }

    pub(crate) fn refresh_stages(&mut self, id: JobId, turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        for index in 0..job.stages.len() {
            let inputs_ready = job.inputs_ready(&job.stages[index]);
            job.stages[index].refresh_state(inputs_ready, turn);
        }
    }

    /// Tells workers what they may forget: single stages while the job lives, all of it when nothing is kept on workers.
    fn release(&mut self, id: JobId, releases: Releases, turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.state.is_final() && !job.is_restoring() && !job.keeps_resident_outputs() {
            for worker in std::mem::take(&mut job.participants) {
                self.tell(worker, Message::ReleaseJob { job: id }, turn);
            }
            return;
        }
        for (worker, stages) in releases {
            // A new leader learns from workers what they have released. The shuffle store keeps all until the job's end.
            if worker == WorkerId::SHUFFLE_STORE {
                continue;
            }
            self.tell(worker, Message::ReleaseStages { stages: stages.into_iter().collect() }, turn);
        }
    }

    /// Gives up everything an ended job still runs or keeps, because the job is about to be forgotten.
    pub(crate) fn forget_outputs(&mut self, id: JobId, turn: &mut Turn<'_>) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.result_expires_at = None;
            job.end_recovery();
            self.reconcile(id, turn);
        }
    }

    pub(crate) fn stage_mut(&mut self, id: StageId) -> Option<&mut Stage> {
        self.jobs.get_mut(&id.job)?.stages.get_mut(id.index as usize)
    }
}

impl Job {
    pub(crate) fn intend_commit(&mut self, tasks: Vec<CommittedTask>, now: windrow_model::Timestamp) {
        if let Some(step) = self.current_step_mut() {
            step.phase = StepPhase::Committing { tasks, requested: false };
        }
        self.enter(
            JobState::Committing,
            Reason::new("outputs-written", "all files are written; they are being published"),
            now,
        );
    }
}

impl Stage {
    /// Derives the state from the facts and tells watchers about a change.
    pub(crate) fn refresh_state(&mut self, inputs_ready: bool, turn: &mut Turn<'_>) {
        let complete = self.wanted && self.is_complete();
        let state = if complete || (!self.wanted && self.released) {
            StageState::Done
        } else if !self.wanted {
            StageState::Waiting
        } else if self.running > 0 {
            StageState::Running
        } else if !inputs_ready {
            StageState::Waiting
        } else if self.available > 0 {
            StageState::Running
        } else {
            StageState::Ready
        };
        if state == self.state && !self.progressed {
            return;
        }
        if state != self.state {
            self.state = state;
            self.since = turn.now;
        }
        self.progressed = false;
        turn.outbox.events.push(Event::StageChanged {
            stage: self.id,
            state,
            tasks_done: self.tasks_done(),
            tasks: self.tasks.len() as u32,
            rows: self.rows,
            bytes: self.bytes,
        });
    }
}

/// The rule at the head of this file. Inputs have lower indices than their readers, so one backward pass settles it.
pub(crate) fn wanted_stages(job: &Job) -> Vec<bool> {
    let mut wanted = vec![false; job.stages.len()];
    for step in &job.steps {
        if let Some(root) = outcome_stage(step.outcome) {
            wanted[root as usize] = is_outcome_wanted(job, step.outcome, &step.phase);
        }
    }
    for index in (0..job.stages.len()).rev() {
        let stage = &job.stages[index];
        if wanted[index] && !stage.is_complete() {
            for input in &stage.plan.inputs {
                wanted[input.stage as usize] = true;
            }
        }
    }
    wanted
}

fn is_outcome_wanted(job: &Job, outcome: StepOutcome, phase: &StepPhase) -> bool {
    match (phase, outcome) {
        (StepPhase::Running, _) => !job.state.is_final(),
        (StepPhase::Committing { .. }, _) => false,
        (StepPhase::Finished, StepOutcome::Table { .. }) => !job.state.is_final(),
        (StepPhase::Finished, StepOutcome::Result { .. }) => {
            let kept =
                job.state == JobState::Succeeded && job.result_expires_at.is_some() && job.result_failure.is_none();
            !job.state.is_final() || kept
        }
        (StepPhase::Finished, StepOutcome::Commit { .. } | StepOutcome::Discard { .. } | StepOutcome::Immediate) => {
            false
        }
    }
}

/// Files that tasks of other stages than the last one have written: they belong to what these tasks have given, whether that
/// is still kept or not.
fn written_aside(stage: &Stage) -> impl Iterator<Item = CommittedTask> + '_ {
    (0..).zip(&stage.tasks).filter_map(|(index, task)| {
        let newest = task.last_success().filter(|newest| !newest.output.files.is_empty())?;
        Some(CommittedTask { task: stage.task_id(index), attempt: newest.id, files: newest.output.files.clone() })
    })
}
