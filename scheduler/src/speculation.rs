//! Second attempts at slow tasks.
//!
//! When most of a stage has finished, nothing of its job waits for a place and slots are free, an attempt that has run
//! much longer than the median of its stage is raced by another one on another worker. The first success wins.
//! Stages that would give other rows are left alone: a new leader could not tell which of two runs a reader has seen.

use std::time::Duration;

use windrow_model::{Determinism, StageId, Timestamp, WorkerId};

use crate::Scheduler;
use crate::deadlines::Due;
use crate::dispatch::Assignment;
use crate::job::Job;
use crate::placement::{Ask, Choice, choose};
use crate::scheduler::Turn;
use crate::stage::Stage;
use crate::task::Task;

/// Wait before slow attempts that found no slot, or no room in the job's allowance, are looked at again.
const RETRY: Duration = Duration::from_millis(250);

/// Second attempts at one task: if even those are slow or fail, the task is slow by itself.
const PER_TASK_MAX: u32 = 2;

impl Scheduler {
    /// A look at a stage's slow attempts is due from the moment enough of its tasks have finished.
    pub(crate) fn watch_for_slowness(&mut self, id: StageId, turn: &mut Turn<'_>) {
        let limits = &self.limits.speculation;
        let (enabled, percent, at) = (limits.enabled, limits.finished_percent_min, turn.now);
        let Some(stage) = self.stage_mut(id) else { return };
        if enabled && !stage.watched && stage.running > 0 && is_well_known(stage, percent) {
            stage.watched = true;
            self.deadlines.add(at, Due::Slow(id));
        }
    }

    /// Starts second attempts where they are due. Comes after `dispatch`: slots that are free now are wanted by nobody.
    pub(crate) fn speculate(&mut self, turn: &mut Turn<'_>) {
        while let Some(id) = self.slow_stages.pop_first() {
            let next = self.speculate_stage(id, turn);
            let Some(stage) = self.stage_mut(id) else { continue };
            stage.watched = next.is_some();
            if let Some(at) = next {
                self.deadlines.add(at, Due::Slow(id));
            }
        }
    }

    /// Says when to look again; `None` when there is nothing to look at.
    fn speculate_stage(&mut self, id: StageId, turn: &mut Turn<'_>) -> Option<Timestamp> {
        let job = self.jobs.get(&id.job)?;
        let stage = job.stage(id)?;
        if stage.live.is_empty() || !is_well_known(stage, self.limits.speculation.finished_percent_min) {
            return None;
        }
        let retry_at = turn.now + RETRY;
        // A second attempt reads all inputs again, so those that the first one has read must still be there.
        if job.is_hungry() || !job.inputs_ready(stage) {
            return Some(retry_at);
        }
        let (slow, next) = self.slow_tasks(stage, turn.now)?;
        for index in slow {
            match self.place_second(id, index) {
                Some(assignment) => self.assign(assignment, turn),
                None => return Some(retry_at),
            }
        }
        // Medians move, so the next look is not later than the shortest run that may be slow.
        let at_most = turn.now + self.limits.speculation.runtime_min.max(RETRY);
        Some(next.map_or(at_most, |next| next.min(at_most)))
    }

    /// Tasks whose only attempt is slow, slowest first, and when the next one would be.
    fn slow_tasks(&self, stage: &Stage, now: Timestamp) -> Option<(Vec<u32>, Option<Timestamp>)> {
        let limits = &self.limits.speculation;
        let slower = stage.durations.median()? * limits.slower_than_median_percent / 100;
        let threshold = slower.max(limits.runtime_min);
        let candidates = stage.live.iter().filter_map(|index| {
            let task = &stage.tasks[*index as usize];
            Some((only_attempt_began_at(task)? + threshold, *index))
        });
        let (mut slow, later): (Vec<_>, Vec<_>) = candidates.partition(|(slow_at, _)| *slow_at <= now);
        slow.sort_unstable();
        let next = later.into_iter().map(|(slow_at, _)| slow_at).min();
        Some((slow.into_iter().map(|(_, index)| index).collect(), next))
    }

    /// Where a second attempt at a task may run, if the job's allowance and the free slots have room for it.
    fn place_second(&mut self, id: StageId, index: u32) -> Option<Assignment> {
        let percent = self.limits.speculation.live_max_per_job_percent;
        let job = self.jobs.get_mut(&id.job).filter(|job| has_allowance(job, percent))?;
        let inputs = job.inputs_of(id.index);
        let stage = &mut job.stages[id.index as usize];
        let running = stage.running;
        let wish = stage.wish(index);
        let task = &mut stage.tasks[index as usize];
        let not_on: Option<WorkerId> = task.live().next().map(|attempt| attempt.worker);
        let task_id = windrow_model::TaskId { stage: id, index };
        // A race that a slow worker enters is lost.
        let ask = Ask { task: task_id, wish: &wish, not_on, held: &inputs.held, waiting: 0, running };
        match choose(&self.roster, self.reservation, &ask) {
            Choice::Place { worker, slots } => {
                task.trouble_mut().speculations += 1;
                Some(Assignment { task: task_id, worker, slots, inputs, speculative: true })
            }
            Choice::Wait { .. } | Choice::LeftToOthers | Choice::Reserved { .. } | Choice::NoWorkers => None,
        }
    }
}

/// So many of its tasks have finished that their median says something; none of them runs twice with other rows.
fn is_well_known(stage: &Stage, percent: u32) -> bool {
    let enough = u64::from(stage.available) * 100 >= stage.tasks.len() as u64 * u64::from(percent);
    enough && stage.wanted && stage.plan.determinism != Determinism::Indeterminate
}

fn only_attempt_began_at(task: &Task) -> Option<Timestamp> {
    let mut live = task.live();
    let (first, second) = (live.next()?, live.next());
    let trouble = task.trouble();
    // What has run out of memory takes its time because it is large.
    let may = second.is_none() && trouble.speculations < PER_TASK_MAX && trouble.out_of_memory == 0;
    may.then_some(first.began_at())
}

fn has_allowance(job: &Job, percent: u32) -> bool {
    job.speculative < (job.live * percent / 100).max(1)
}
