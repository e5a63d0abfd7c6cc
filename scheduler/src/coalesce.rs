//! Small reduce partitions are run together, in fewer tasks, and very large ones are shared among several.
//!
//! How many partitions an exchange has is guessed when a statement is planned; how large they are is known when all of
//! them are written. Then, once for each stage, before anything of it has been tried, its tasks are replaced: by fewer
//! ones of several partitions, the largest first, and by several for a partition that would keep one slot busy when all
//! others are idle, if most of it comes from an exchange whose rows may be shared (the probe side of a join): each reads
//! the outputs of some of its map tasks, and all of the other inputs. The decision is durable before any of the new
//! tasks is told, and a stage that a new leader takes over keeps the tasks it has: what a task is never changes once
//! somebody may know it. The partitions of a union of exchanges are more than those of each, and stay as they are.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use windrow_model::{Coalescing, InputShare, JobId, JobState, TaskPlan, Timestamp};

use crate::job::Job;
use crate::scheduler::Turn;
use crate::stage::Stage;
use crate::task::{Task, TaskState};
use crate::{Record, Scheduler};

/// Tasks that must be saved, at least: making the decision durable costs about as much as a few small tasks.
const SAVED_MIN: usize = 4;

/// Small partitions are spread over the slots as long as each task reads this part of the target.
const SPREAD_DIVISOR: u64 = 32;

/// A partition that is shared gives each slot this many tasks if it is nearly all that the stage reads.
const SHARES_PER_SLOT: u64 = 2;

/// A partition is shared if it has more than so many percent of what each slot has to do.
const SKEWED_PERCENT: u64 = 125;

/// And if it has more than this many times what a task should read.
const LARGE: u64 = 2;

/// What makes a partition too large for one task, and what each of those should read that share it, in bytes.
struct Skew {
    above: u64,
    fair: u64,
}

impl Scheduler {
    /// Settles the tasks of stages whose inputs have become complete.
    pub(crate) fn coalesce(&mut self, id: JobId, turn: &mut Turn<'_>) {
        let waits = |job: &Job| job.stages.iter().any(|stage| !stage.settled && job.is_runnable(stage));
        if !self.jobs.get(&id).is_some_and(waits) {
            return;
        }
        // Without workers there is time: how wide the cluster will be is not known.
        let Some(slots) = self.cluster_shape().map(|shape| shape.slots) else { return };
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.state == JobState::Running && !job.recovering) else {
            return;
        };
        for index in 0..job.stages.len() {
            let stage = &job.stages[index];
            if stage.settled || !job.is_runnable(stage) {
                continue;
            }
            let tasks = if stage.is_untouched() { job.better_tasks(stage, slots) } else { None };
            let stage = &mut job.stages[index];
            stage.settled = true;
            if let Some(tasks) = tasks {
                turn.record_first(Record::StageCoalesced { stage: stage.id, tasks: tasks.clone() });
                stage.replace_tasks(tasks, Some(turn.now));
            }
        }
    }
}

impl Job {
    /// The tasks of a stage by what they would read. `None`: as they were planned.
    fn better_tasks(&self, stage: &Stage, slots: u32) -> Option<Vec<TaskPlan>> {
        let how = stage.plan.coalescing.as_ref()?;
        let divided = self.divided_inputs(stage)?;
        let mut bytes = vec![0_u64; stage.tasks.len()];
        for input in &divided {
            bytes.iter_mut().zip(&input.partition_bytes).for_each(|(sum, part)| *sum += part);
        }
        let mut alone = Vec::new();
        let mut rest: Vec<(u32, u64)> = (0..).zip(bytes.iter().copied()).collect();
        if let Some(skew) = Skew::new(&bytes, how, slots) {
            rest.retain(|&(partition, bytes)| match shares(&divided, how, partition, bytes, &skew) {
                Some(shares) => {
                    alone.extend(shares.map(|share| stage.shared(partition, share)));
                    false
                }
                None => true,
            });
        }
        let grouped = groups(&rest, how, slots);
        if alone.is_empty() && grouped.is_none() {
            return None;
        }
        let grouped = grouped.unwrap_or_else(|| rest.iter().map(|(partition, _)| vec![*partition]).collect());
        Some(alone.into_iter().chain(grouped.into_iter().map(|partitions| stage.together(partitions))).collect())
    }

    /// The exchanges that are divided among the tasks of a stage. `None` if what each task reads of them is not known.
    fn divided_inputs(&self, stage: &Stage) -> Option<Vec<&Stage>> {
        let count = stage.tasks.len();
        let planned = (0..).zip(&stage.plan.tasks).all(|(partition, task)| task.partitions == [partition]);
        let producers: BTreeSet<u32> = stage.plan.inputs.iter().map(|input| input.stage).collect();
        let producers = producers.into_iter().map(|index| &self.stages[index as usize]);
        let divided: Vec<&Stage> =
            producers.filter(|producer| producer.plan.output_partitions as usize == count).collect();
        // Outputs that a worker brought back when it reconnected are not among the counted ones.
        let is_known = |producer: &&Stage| {
            let counted: u64 = producer.partition_bytes.iter().sum();
            producer.partition_bytes.len() == count && counted >= producer.bytes / 2
        };
        (planned && count > 1 && !divided.is_empty() && divided.iter().all(is_known)).then_some(divided)
    }
}

impl Stage {
    /// All of its tasks wait and none was ever given to a worker.
    fn is_untouched(&self) -> bool {
        self.tasks.iter().all(|task| task.attempts.is_empty() && matches!(task.state, TaskState::Pending { .. }))
    }

    /// The task of these partitions.
    fn together(&self, partitions: Vec<u32>) -> TaskPlan {
        let of = |partition: &u32| &self.plan.tasks[*partition as usize];
        TaskPlan {
            slots: partitions.iter().map(|partition| of(partition).slots).max().unwrap_or(1),
            input_bytes: partitions.iter().map(|partition| of(partition).input_bytes).sum(),
            share: None,
            partitions,
        }
    }

    /// The task of one share of a partition.
    fn shared(&self, partition: u32, share: InputShare) -> TaskPlan {
        let whole = &self.plan.tasks[partition as usize];
        TaskPlan { share: Some(share), input_bytes: whole.input_bytes / u64::from(share.of), ..whole.clone() }
    }

    /// Nothing of the stage runs or was run. The new tasks wait, too, if it is `wanted` since some time.
    pub(crate) fn replace_tasks(&mut self, tasks: Vec<TaskPlan>, wanted: Option<Timestamp>) {
        for index in 0..self.tasks.len() as u32 {
            self.unqueue(index);
        }
        self.tasks = vec![Task::default(); tasks.len()];
        self.plan.tasks = tasks;
        self.progressed = true;
        if let Some(now) = wanted {
            (0..self.tasks.len() as u32).for_each(|index| self.queue(index, now, None));
        }
    }
}

impl Skew {
    /// For partitions of so many `bytes`; `None` if none of them may be shared.
    fn new(bytes: &[u64], how: &Coalescing, slots: u32) -> Option<Skew> {
        let slot: u64 = bytes.iter().sum::<u64>() / u64::from(slots.max(1));
        let above = (slot.saturating_mul(SKEWED_PERCENT) / 100).max(LARGE * how.target_bytes);
        let fair = (slot / SHARES_PER_SLOT).max(how.target_bytes).max(1);
        (slots > 1 && !how.in_order && bytes.iter().any(|bytes| *bytes > above)).then_some(Skew { above, fair })
    }
}

/// The shares of one input by which a partition of so many `bytes` is divided among tasks.
/// Each task reads the other inputs as a whole: together that may make half of what is shared.
fn shares(
    divided: &[&Stage],
    how: &Coalescing,
    partition: u32,
    bytes: u64,
    skew: &Skew,
) -> Option<impl Iterator<Item = InputShare> + use<>> {
    let part = |input: &Stage| input.partition_bytes[partition as usize];
    let may = divided.iter().filter(|input| how.shareable.contains(&input.id.index));
    let input = may.max_by_key(|input| (part(input), Reverse(input.id)))?;
    let (shared, rest) = (part(input), bytes - part(input));
    let affordable = (shared / 2).checked_div(rest).map_or(u64::MAX, |more| more + 1);
    let of = bytes.div_ceil(skew.fair).min(affordable).min(input.tasks.len() as u64);
    let (stage, of) = (input.id.index, u32::try_from(of).unwrap_or(u32::MAX));
    (bytes > skew.above && of > 1).then(|| (0..of).map(move |index| InputShare { stage, index, of }))
}

/// Which partitions are run together; they come with their bytes. `None`: each alone, as it was planned.
fn groups(parts: &[(u32, u64)], how: &Coalescing, slots: u32) -> Option<Vec<Vec<u32>>> {
    let count = parts.len();
    let bytes = || parts.iter().map(|(_, bytes)| *bytes);
    let total: u64 = bytes().sum();
    let (target, slots) = (how.target_bytes.max(1), u64::from(slots));
    let spread = total.div_ceil((target / SPREAD_DIVISOR).max(1)).min(2 * slots);
    let tasks = total.div_ceil(target).max(spread).max(slots).min(count as u64) as usize;
    // A few large partitions among small ones go first, lest one of them begins when everything else has ended.
    let is_skewed = total >= target && bytes().max().is_some_and(|largest| largest / 2 > total / count as u64);
    if count - tasks < SAVED_MIN && (how.in_order || !is_skewed) {
        return None;
    }
    Some(if how.in_order { neighbours(parts, total, tasks) } else { even(parts, tasks) })
}

/// Neighbours together, so that all have about as many bytes.
fn neighbours(parts: &[(u32, u64)], total: u64, tasks: usize) -> Vec<Vec<u32>> {
    let mut groups: Vec<Vec<u32>> = Vec::new();
    let (mut before, mut last) = (0_u64, None);
    for &(partition, bytes) in parts {
        // By the middle of the partition, on a line that `tasks` groups share. If all are empty, one task has them.
        let middle = u128::from(before + bytes / 2) * tasks as u128 / u128::from(total.max(1));
        let group = Some(middle.min(tasks as u128 - 1));
        before += bytes;
        match groups.last_mut().filter(|_| group == last) {
            Some(partitions) => partitions.push(partition),
            None => groups.push(vec![partition]),
        }
        last = group;
    }
    groups
}

/// The largest first, each into the group that has least so far (Graham's rule of 1969: at most a third above the best).
fn even(parts: &[(u32, u64)], tasks: usize) -> Vec<Vec<u32>> {
    let mut order = parts.to_vec();
    order.sort_by_key(|&(partition, bytes)| (Reverse(bytes), partition));
    let mut groups: Vec<Vec<u32>> = vec![Vec::new(); tasks];
    // Bytes, partitions, and place of each group. Empty partitions are spread, too.
    let mut loads: BTreeSet<(u64, usize, usize)> = (0..tasks).map(|group| (0, 0, group)).collect();
    for (partition, bytes) in order {
        let Some((load, count, group)) = loads.pop_first() else { break };
        groups[group].push(partition);
        loads.insert((load + bytes, count + 1, group));
    }
    let mut ordered: Vec<_> = loads.into_iter().rev().map(|(_, _, group)| std::mem::take(&mut groups[group])).collect();
    ordered.iter_mut().for_each(|partitions| partitions.sort_unstable());
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Coalescing = Coalescing { target_bytes: 64, in_order: false, shareable: Vec::new() };
    const ORDERED: Coalescing = Coalescing { target_bytes: 64, in_order: true, shareable: Vec::new() };

    fn groups(bytes: &[u64], how: Coalescing, slots: u32) -> Option<Vec<Vec<u32>>> {
        let parts: Vec<(u32, u64)> = (0..).zip(bytes.iter().copied()).collect();
        super::groups(&parts, &how, slots)
    }

    #[test]
    fn a_task_reads_the_target_and_every_slot_has_one() {
        assert_eq!(groups(&[8; 16], FREE, 1).map(|groups| groups.len()), Some(2));
        assert_eq!(groups(&[8; 16], FREE, 2).map(|groups| groups.len()), Some(4));
        let empty = groups(&[0; 16], FREE, 3).unwrap();
        assert_eq!(empty.iter().map(Vec::len).collect::<Vec<_>>(), [6, 5, 5]);
    }

    #[test]
    fn too_little_to_save_changes_nothing() {
        assert_eq!(groups(&[64; 16], FREE, 2), None);
        assert_eq!(groups(&[8; 6], FREE, 3), None);
    }

    #[test]
    fn large_ones_are_alone_and_first() {
        let mut bytes = [8; 16];
        bytes[5] = 100;
        let grouped = groups(&bytes, FREE, 1).unwrap();
        assert_eq!(grouped[0], [5]);
        assert_eq!(grouped.iter().map(Vec::len).sum::<usize>(), 16);
        let skewed = [64, 64, 64, 640, 64, 64];
        assert_eq!(groups(&skewed, FREE, 2).unwrap()[0], [3], "even where no task is saved");
        assert_eq!(groups(&skewed, ORDERED, 2), None);
    }

    #[test]
    fn a_partition_is_too_large_when_the_other_slots_would_wait_for_it() {
        let above = |bytes: &[u64], slots| Skew::new(bytes, &FREE, slots).map(|skew| (skew.above, skew.fair));
        assert_eq!(above(&[420, 410], 2), None, "as even as can be");
        assert_eq!(above(&[100, 700], 2), Some((500, 200)));
        assert_eq!(above(&[10, 120], 2), None, "too small to be worth it");
        assert_eq!(above(&[100, 700], 1), None, "nobody else is there");
        assert!(Skew::new(&[100, 700], &ORDERED, 2).is_none());
    }

    #[test]
    fn neighbours_stay_in_order() {
        assert_eq!(
            groups(&[10, 10, 10, 10, 60, 0, 0, 30], ORDERED, 1),
            Some(vec![vec![0, 1, 2, 3], vec![4], vec![5, 6, 7]]),
        );
        assert_eq!(groups(&[0; 8], ORDERED, 1), Some(vec![(0..8).collect()]));
    }
}
