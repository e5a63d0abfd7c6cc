//! Fair sharing: which job may place the next task.
//!
//! Queues form a tree: the root shares between its leaves, a leaf shares between its jobs.
//! At each level the one with the fewest running slots for its weight goes first.
//! Ties go to the one that was served least, in virtual time (start-time fair queueing, Goyal et al. 1996):
//! without it, the older of two jobs on a cluster of one slot would run to its end before the younger starts.

use std::collections::{BTreeMap, BTreeSet};

use windrow_model::JobId;

use crate::job::Job;

/// Fixed-point one: virtual time of one slot at weight 1.
const ONE: u64 = 1 << 20;

/// The root of the tree and its leaves. A leaf exists once a job has named it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queues {
    leaves: BTreeMap<String, Leaf>,
    clock: u64,
}

#[derive(Clone, Debug, Default)]
struct Leaf {
    running_slots: u32,
    /// Virtual time at which this leaf was served last, among the leaves.
    service: u64,
    /// Virtual time within the leaf: the start of the newest grant.
    clock: u64,
}

impl Queues {
    /// The job, out of `candidates`, whose turn it is.
    pub fn next(&self, jobs: &BTreeMap<JobId, Job>, candidates: &BTreeSet<JobId>) -> Option<JobId> {
        let candidates = || candidates.iter().filter_map(|id| jobs.get(id));
        let names: BTreeSet<&str> = candidates().map(|job| job.spec.queue.as_str()).collect();
        let queue = names.into_iter().min_by_key(|name| {
            let leaf = self.leaves.get(*name);
            (leaf.map_or(0, |leaf| leaf.running_slots), leaf.map_or(0, |leaf| leaf.service))
        })?;
        candidates()
            .filter(|job| job.spec.queue == queue)
            .min_by_key(|job| (u64::from(job.running_slots) * ONE / job.weight(), job.service))
            .map(|job| job.id)
    }

    /// Counts slots given to an attempt of `job`.
    pub fn charge(&mut self, job: &mut Job, slots: u32) {
        if !self.leaves.contains_key(&job.spec.queue) {
            self.leaves.insert(job.spec.queue.clone(), Leaf::default());
        }
        let Some(leaf) = self.leaves.get_mut(&job.spec.queue) else { return };
        let cost = u64::from(slots) * ONE;
        leaf.running_slots += slots;
        job.running_slots += slots;
        self.clock = self.clock.max(leaf.service);
        leaf.service = self.clock + cost;
        leaf.clock = leaf.clock.max(job.service);
        job.service = leaf.clock + cost / job.weight();
    }

    /// Counts slots that an attempt of `job` has given back.
    pub fn refund(&mut self, job: &mut Job, slots: u32) {
        job.running_slots -= slots;
        if let Some(leaf) = self.leaves.get_mut(&job.spec.queue) {
            leaf.running_slots -= slots;
        }
    }

    /// Slots held by all jobs of all queues.
    pub fn running_slots(&self) -> u32 {
        self.leaves.values().map(|leaf| leaf.running_slots).sum()
    }
}

/// The queued job to admit next: from the queue with the fewest admitted jobs, the oldest.
pub(crate) fn next_admission(
    jobs: &BTreeMap<JobId, Job>,
    queued: &BTreeSet<JobId>,
    active: &BTreeSet<JobId>,
) -> Option<JobId> {
    let queue_of = |id: &JobId| jobs.get(id).map(|job| job.spec.queue.as_str());
    let mut admitted: BTreeMap<&str, usize> = BTreeMap::new();
    for queue in active.iter().filter_map(queue_of) {
        *admitted.entry(queue).or_default() += 1;
    }
    let mut oldest: BTreeMap<&str, JobId> = BTreeMap::new();
    for id in queued {
        if let Some(queue) = queue_of(id) {
            oldest.entry(queue).or_insert(*id);
        }
    }
    oldest.into_iter().min_by_key(|(queue, id)| (admitted.get(queue).copied().unwrap_or(0), *id)).map(|(_, id)| id)
}
