//! Small reduce partitions are run together, in fewer tasks.
//!
//! How many partitions an exchange has is guessed when a statement is planned; how large they are is known when all of
//! them are written. Then, once for each stage, before anything of it has been tried, its tasks are replaced by fewer
//! ones of several partitions, the largest first. The decision is durable before any of the new tasks is told, and a
//! stage that a new leader takes over keeps the tasks it has: what a task is never changes once somebody may know it.
//! The partitions of a union of exchanges are more than those of each, and stay as they are.

use std::collections::BTreeSet;

use windrow_model::{Coalescing, JobId, JobState, TaskPlan, Timestamp};

use crate::job::Job;
use crate::scheduler::Turn;
use crate::stage::Stage;
use crate::task::{Task, TaskState};
use crate::{Record, Scheduler};

/// Tasks that must be saved, at least: making the decision durable costs about as much as a few small tasks.
const SAVED_MIN: usize = 4;

/// Small partitions are spread over the slots as long as each task reads this part of the target.
const SPREAD_DIVISOR: u64 = 32;

impl Scheduler {
    /// Settles the tasks of stages whose inputs have become complete.
    pub(crate) fn coalesce(&mut self, id: JobId, turn: &mut Turn<'_>) {
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
            let tasks = if stage.is_untouched() { job.fewer_tasks(stage, slots) } else { None };
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
    fn fewer_tasks(&self, stage: &Stage, slots: u32) -> Option<Vec<TaskPlan>> {
        let groups = groups(&self.partition_bytes(stage)?, stage.plan.coalescing?, slots)?;
        let of_group = |partitions: Vec<u32>| {
            let of = |partition: &u32| &stage.plan.tasks[*partition as usize];
            TaskPlan {
                slots: partitions.iter().map(|partition| of(partition).slots).max().unwrap_or(1),
                input_bytes: partitions.iter().map(|partition| of(partition).input_bytes).sum(),
                partitions,
            }
        };
        Some(groups.into_iter().map(of_group).collect())
    }

    /// What each task of a stage reads of the exchanges that are divided among its tasks. `None` if that is not known.
    fn partition_bytes(&self, stage: &Stage) -> Option<Vec<u64>> {
        let count = stage.tasks.len();
        let planned = (0..).zip(&stage.plan.tasks).all(|(partition, task)| task.partitions == [partition]);
        let producers: BTreeSet<u32> = stage.plan.inputs.iter().map(|input| input.stage).collect();
        let producers = producers.into_iter().map(|index| &self.stages[index as usize]);
        let mut divided = producers.filter(|producer| producer.plan.output_partitions as usize == count).peekable();
        if !planned || count < 2 || divided.peek().is_none() {
            return None;
        }
        let mut bytes = vec![0_u64; count];
        for producer in divided {
            // Outputs that a worker brought back when it reconnected are not among the counted ones.
            let counted: u64 = producer.partition_bytes.iter().sum();
            if producer.partition_bytes.len() != count || counted < producer.bytes / 2 {
                return None;
            }
            bytes.iter_mut().zip(&producer.partition_bytes).for_each(|(sum, part)| *sum += part);
        }
        Some(bytes)
    }
}

impl Stage {
    /// All of its tasks wait and none was ever given to a worker.
    fn is_untouched(&self) -> bool {
        self.tasks.iter().all(|task| task.attempts.is_empty() && matches!(task.state, TaskState::Pending { .. }))
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

/// Which partitions, of so many `bytes` each, are run together. `None`: each alone, as it was planned.
fn groups(bytes: &[u64], how: Coalescing, slots: u32) -> Option<Vec<Vec<u32>>> {
    let count = bytes.len();
    let total: u64 = bytes.iter().sum();
    let (target, slots) = (how.target_bytes.max(1), u64::from(slots));
    let spread = total.div_ceil((target / SPREAD_DIVISOR).max(1)).min(2 * slots);
    let tasks = total.div_ceil(target).max(spread).max(slots).min(count as u64) as usize;
    // A few large partitions among small ones go first, lest one of them begins when everything else has ended.
    let is_skewed = total >= target && bytes.iter().max().is_some_and(|largest| largest / 2 > total / count as u64);
    if count - tasks < SAVED_MIN && (how.in_order || !is_skewed) {
        return None;
    }
    Some(if how.in_order { neighbours(bytes, total, tasks) } else { even(bytes, tasks) })
}

/// Neighbours together, so that all have about as many bytes.
fn neighbours(bytes: &[u64], total: u64, tasks: usize) -> Vec<Vec<u32>> {
    let mut groups: Vec<Vec<u32>> = Vec::new();
    let (mut before, mut last) = (0_u64, None);
    for (partition, bytes) in (0..).zip(bytes) {
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
fn even(bytes: &[u64], tasks: usize) -> Vec<Vec<u32>> {
    let mut order: Vec<u32> = (0..bytes.len() as u32).collect();
    order.sort_by_key(|partition| (std::cmp::Reverse(bytes[*partition as usize]), *partition));
    let mut groups: Vec<Vec<u32>> = vec![Vec::new(); tasks];
    // Bytes, partitions, and place of each group. Empty partitions are spread, too.
    let mut loads: BTreeSet<(u64, usize, usize)> = (0..tasks).map(|group| (0, 0, group)).collect();
    for partition in order {
        let Some((load, count, group)) = loads.pop_first() else { break };
        groups[group].push(partition);
        loads.insert((load + bytes[partition as usize], count + 1, group));
    }
    let mut ordered: Vec<_> = loads.into_iter().rev().map(|(_, _, group)| std::mem::take(&mut groups[group])).collect();
    ordered.iter_mut().for_each(|partitions| partitions.sort_unstable());
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Coalescing = Coalescing { target_bytes: 64, in_order: false };
    const ORDERED: Coalescing = Coalescing { in_order: true, ..FREE };

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
        let groups = groups(&bytes, FREE, 1).unwrap();
        assert_eq!(groups[0], [5]);
        assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), 16);
        let skewed = [64, 64, 64, 640, 64, 64];
        assert_eq!(super::groups(&skewed, FREE, 2).unwrap()[0], [3], "even where no task is saved");
        assert_eq!(super::groups(&skewed, ORDERED, 2), None);
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
