//! Fair sharing: which job may place the next task.
//!
//! Queues form a tree: the root shares between its leaves, a leaf shares between its jobs.
//! At each level the one with the fewest running slots for its weight goes first.
//! Ties go to the one that was served least, in virtual time (start-time fair queueing, Goyal et al. 1996):
//! without it, the older of two jobs on a cluster of one slot would run to its end before the younger starts.
//!
//! Jobs stand in lines, each in the order of their turns, so that whose turn it is costs the same for one job and for a
//! thousand. A job that found no place stands in the line of those that need as much, and nobody asks that line before
//! a worker has so much free.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windrow_model::JobId;

use crate::job::Job;

/// Fixed-point one: virtual time of one slot at weight 1.
const ONE: u64 = 1 << 20;

/// Where a job stands with respect to the next task to place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No task of it waits for a place.
    #[default]
    Out,
    /// It has its turn when a worker may be large enough.
    InLine(Need),
    /// A worker has as much free as it needs, and it did not fit: it is asked again when something has changed.
    Stuck(Need),
}

/// What it takes at least to place a task of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    /// No task of it fits a worker with fewer free slots.
    pub slots: u32,
    /// It waits for width, and would have a worker kept for it if none is kept for another task.
    pub reserves: bool,
}

/// What there is for the next task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    /// The most free slots of a worker that is not kept.
    pub slots: u32,
    /// No worker is kept.
    pub may_reserve: bool,
}

impl Need {
    /// Of a job that has not been asked.
    pub const UNKNOWN: Need = Need { slots: 0, reserves: false };

    /// What it takes to place the one task or the other.
    pub fn or(self, other: Option<Need>) -> Need {
        let other = other.unwrap_or(self);
        Need { slots: self.slots.min(other.slots), reserves: self.reserves || other.reserves }
    }

    /// Asking the job may change something.
    pub fn is_met(self, offer: Offer) -> bool {
        self.slots <= offer.slots || (self.reserves && offer.may_reserve)
    }
}

/// The root of the tree and its leaves. A leaf exists once a job has named it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queues {
    leaves: BTreeMap<Arc<str>, Leaf>,
    clock: u64,
    /// The leaves of which jobs stand in each line.
    lines: BTreeMap<Need, BTreeSet<LeafTurn>>,
    stuck: BTreeSet<(u32, JobId)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Leaf {
    name: Arc<str>,
    running_slots: u32,
    /// Virtual time at which this leaf was served last, among the leaves.
    service: u64,
    /// Virtual time within the leaf: the start of the newest grant.
    clock: u64,
    lines: BTreeMap<Need, BTreeSet<JobTurn>>,
}

/// Running slots, virtual time of service, and the name, for the order of leaves in which jobs wait.
type LeafTurn = (u32, u64, Arc<str>);

/// Running slots for its weight, virtual time of service, and the id, for the order of jobs within a leaf.
type JobTurn = (u64, u64, JobId);

impl Queues {
    /// The job whose turn it is.
    pub fn next(&self, offer: Offer) -> Option<JobId> {
        let lines = self.lines.iter().filter(|(need, _)| need.is_met(offer));
        let first = lines.filter_map(|(need, leaves)| {
            let leaf = leaves.first()?;
            Some((leaf, self.leaves.get(&leaf.2)?.lines.get(need)?.first()?))
        });
        first.min().map(|(_, (_, _, job))| *job)
    }

    /// The job takes another standing.
    pub fn stand(&mut self, job: &mut Job, standing: Standing) {
        if job.standing == standing {
            return;
        }
        if let Standing::Stuck(need) = job.standing {
            self.stuck.remove(&(need.slots, job.id));
        }
        if let Standing::Stuck(need) = standing {
            self.stuck.insert((need.slots, job.id));
        }
        self.change(job, |_, _, job| job.standing = standing);
    }

    /// Jobs that are stuck and need no more slots than these.
    pub fn stuck(&self, slots: u32) -> Vec<JobId> {
        self.stuck.iter().take_while(|(needed, _)| *needed <= slots).map(|(_, job)| *job).collect()
    }

    /// Every job that stands in a line or is stuck.
    pub fn waiting(&self) -> Vec<JobId> {
        let lines = self.leaves.values().flat_map(|leaf| leaf.lines.values()).flatten();
        lines.map(|(_, _, job)| *job).chain(self.stuck(u32::MAX)).collect()
    }

    /// Counts slots given to an attempt of `job`.
    pub fn charge(&mut self, job: &mut Job, slots: u32) {
        self.change(job, |clock, leaf, job| {
            let cost = u64::from(slots) * ONE;
            leaf.running_slots += slots;
            job.running_slots += slots;
            *clock = (*clock).max(leaf.service);
            leaf.service = *clock + cost;
            leaf.clock = leaf.clock.max(job.service);
            job.service = leaf.clock + cost / job.weight();
        });
    }

    /// Counts slots that an attempt of `job` has given back.
    pub fn refund(&mut self, job: &mut Job, slots: u32) {
        self.change(job, |_, leaf, job| {
            leaf.running_slots -= slots;
            job.running_slots -= slots;
        });
    }

    /// Slots held by all jobs of all queues.
    pub fn running_slots(&self) -> u32 {
        self.leaves.values().map(|leaf| leaf.running_slots).sum()
    }

    /// Changes what the order of turns depends on; everything else keeps its place.
    fn change(&mut self, job: &mut Job, change: impl FnOnce(&mut u64, &mut Leaf, &mut Job)) {
        let name = job.spec.queue.as_str();
        if !self.leaves.contains_key(name) {
            let name: Arc<str> = name.into();
            self.leaves.insert(name.clone(), Leaf::new(name));
        }
        let Some(leaf) = self.leaves.get_mut(name) else { return };
        let before = (leaf.turn(), line_of(job), turn(job));
        change(&mut self.clock, leaf, job);
        let after = (leaf.turn(), line_of(job), turn(job));
        if before.0 != after.0 {
            for need in leaf.lines.keys() {
                let line = self.lines.entry(*need).or_default();
                line.remove(&before.0);
                line.insert(after.0.clone());
            }
        }
        if let Some(need) = before.1 {
            let line = leaf.lines.entry(need).or_default();
            line.remove(&before.2);
            if line.is_empty() && before.1 != after.1 {
                leaf.lines.remove(&need);
                let leaves = self.lines.entry(need).or_default();
                leaves.remove(&after.0);
                if leaves.is_empty() {
                    self.lines.remove(&need);
                }
            }
        }
        if let Some(need) = after.1 {
            leaf.lines.entry(need).or_default().insert(after.2);
            if before.1 != after.1 {
                self.lines.entry(need).or_default().insert(after.0);
            }
        }
    }

    /// `Err` says how the lines differ from what they are when they are made anew, or whose turn it is instead.
    pub fn check(&self, jobs: &BTreeMap<JobId, Job>) -> Result<(), String> {
        let mut fresh = Queues { lines: BTreeMap::new(), stuck: BTreeSet::new(), ..self.clone() };
        fresh.leaves.values_mut().for_each(|leaf| leaf.lines.clear());
        for job in jobs.values() {
            let mut standing = Job::new(job.id, job.spec.clone(), job.since);
            (standing.running_slots, standing.service) = (job.running_slots, job.service);
            fresh.stand(&mut standing, job.standing);
        }
        if fresh != *self {
            return Err(format!("the lines are {self:?}, not {fresh:?}"));
        }
        for slots in [0, 1, 2, 4, u32::MAX] {
            let offer = Offer { slots, may_reserve: slots % 2 == 0 };
            let (next, scanned) = (self.next(offer), self.scan(jobs, offer));
            if next != scanned {
                return Err(format!("it is the turn of {next:?}, not of {scanned:?}"));
            }
        }
        Ok(())
    }

    /// Whose turn it is by the rule at the head of this file, word by word.
    fn scan(&self, jobs: &BTreeMap<JobId, Job>, offer: Offer) -> Option<JobId> {
        let asked = || jobs.values().filter(|job| line_of(job).is_some_and(|need| need.is_met(offer)));
        let names: BTreeSet<&str> = asked().map(|job| job.spec.queue.as_str()).collect();
        let queue = names.into_iter().min_by_key(|name| {
            let leaf = self.leaves.get(*name);
            (leaf.map_or(0, |leaf| leaf.running_slots), leaf.map_or(0, |leaf| leaf.service))
        })?;
        asked().filter(|job| job.spec.queue == queue).min_by_key(|job| turn(job)).map(|job| job.id)
    }
}

impl Leaf {
    fn new(name: Arc<str>) -> Self {
        Leaf { name, running_slots: 0, service: 0, clock: 0, lines: BTreeMap::new() }
    }

    fn turn(&self) -> LeafTurn {
        (self.running_slots, self.service, self.name.clone())
    }
}

fn turn(job: &Job) -> JobTurn {
    (u64::from(job.running_slots) * ONE / job.weight(), job.service, job.id)
}

fn line_of(job: &Job) -> Option<Need> {
    match job.standing {
        Standing::InLine(need) => Some(need),
        Standing::Stuck(_) | Standing::Out => None,
    }
}
