//! Fair sharing: which job may place the next task.
//!
//! Queues form a tree: the root shares between its leaves, a leaf shares between its jobs.
//! At each level the one with the fewest running slots for its weight goes first.
//! Ties go to the one that was served least, in virtual time (start-time fair queueing, Goyal et al. 1996):
//! without it, the older of two jobs on a cluster of one slot would run to its end before the younger starts.
//!
//! Jobs stand in line in the order of their turns, so whose turn it is costs the same for one job and for a thousand.
//! A job that finds no place is turned away: it is not asked again before something has changed that may help it.

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
    /// A task of it may wait and fit.
    InLine,
    TurnedAway(Need),
}

/// What it takes to place a task of a job that was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// No task of it fits a worker with fewer free slots.
    pub slots: u32,
    /// It waits for width, and would have a worker kept for it if none is kept for another task.
    pub reserves: bool,
}

impl Need {
    /// What it takes to place the one task or the other.
    pub fn or(self, other: Option<Need>) -> Need {
        let other = other.unwrap_or(self);
        Need { slots: self.slots.min(other.slots), reserves: self.reserves || other.reserves }
    }
}

/// The root of the tree and its leaves. A leaf exists once a job has named it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queues {
    leaves: BTreeMap<Arc<str>, Leaf>,
    clock: u64,
    in_line: BTreeSet<LeafTurn>,
    /// Of jobs that were turned away and would reserve.
    wide: BTreeSet<LeafTurn>,
    /// All jobs that were turned away, by the slots that they need.
    away: BTreeSet<(u32, JobId)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Leaf {
    name: Arc<str>,
    running_slots: u32,
    /// Virtual time at which this leaf was served last, among the leaves.
    service: u64,
    /// Virtual time within the leaf: the start of the newest grant.
    clock: u64,
    in_line: BTreeSet<JobTurn>,
    wide: BTreeSet<JobTurn>,
}

/// Running slots, virtual time of service, and the name, for the order of leaves in which jobs wait.
type LeafTurn = (u32, u64, Arc<str>);

/// Running slots for its weight, virtual time of service, and the id, for the order of jobs within a leaf.
type JobTurn = (u64, u64, JobId);

impl Queues {
    /// The job whose turn it is, of those in line. With `wide`, those are asked too that were turned away and would
    /// reserve.
    pub fn next(&self, wide: bool) -> Option<JobId> {
        let in_line = self.in_line.first().and_then(|turn| Some((turn, self.leaves.get(&turn.2)?.in_line.first()?)));
        let wide = self.wide.first().filter(|_| wide);
        let wide = wide.and_then(|turn| Some((turn, self.leaves.get(&turn.2)?.wide.first()?)));
        in_line.into_iter().chain(wide).min().map(|(_, (_, _, job))| *job)
    }

    /// Tasks of the job may wait and fit.
    pub fn line_up(&mut self, job: &mut Job) {
        self.stand(job, Standing::InLine);
    }

    /// No task of the job fits now.
    pub fn turn_away(&mut self, job: &mut Job, need: Need) {
        self.stand(job, Standing::TurnedAway(need));
    }

    /// No task of the job waits for a place.
    pub fn step_out(&mut self, job: &mut Job) {
        self.stand(job, Standing::Out);
    }

    /// Jobs that were turned away and may fit a worker with so many free slots.
    pub fn turned_away(&self, slots: u32) -> Vec<JobId> {
        self.away.iter().take_while(|(needed, _)| *needed <= slots).map(|(_, job)| *job).collect()
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

    fn stand(&mut self, job: &mut Job, standing: Standing) {
        if job.standing == standing {
            return;
        }
        if let Standing::TurnedAway(need) = job.standing {
            self.away.remove(&(need.slots, job.id));
        }
        if let Standing::TurnedAway(need) = standing {
            self.away.insert((need.slots, job.id));
        }
        self.change(job, |_, _, job| job.standing = standing);
    }

    /// Changes what the order of turns depends on; everything else keeps its place.
    fn change(&mut self, job: &mut Job, change: impl FnOnce(&mut u64, &mut Leaf, &mut Job)) {
        let name = job.spec.queue.as_str();
        if !self.leaves.contains_key(name) {
            let name: Arc<str> = name.into();
            self.leaves.insert(name.clone(), Leaf::new(name));
        }
        let Some(leaf) = self.leaves.get_mut(name) else { return };
        if !leaf.in_line.is_empty() {
            self.in_line.remove(&leaf.turn());
        }
        if !leaf.wide.is_empty() {
            self.wide.remove(&leaf.turn());
        }
        if let Some(line) = leaf.line_of(job.standing) {
            line.remove(&turn(job));
        }
        change(&mut self.clock, leaf, job);
        if let Some(line) = leaf.line_of(job.standing) {
            line.insert(turn(job));
        }
        if !leaf.in_line.is_empty() {
            self.in_line.insert(leaf.turn());
        }
        if !leaf.wide.is_empty() {
            self.wide.insert(leaf.turn());
        }
    }

    /// `Err` says how the lines differ from what they are when they are made anew, or whose turn it is instead.
    pub fn check(&self, jobs: &BTreeMap<JobId, Job>) -> Result<(), String> {
        let mut fresh =
            Queues { in_line: BTreeSet::new(), wide: BTreeSet::new(), away: BTreeSet::new(), ..self.clone() };
        for leaf in fresh.leaves.values_mut() {
            leaf.in_line.clear();
            leaf.wide.clear();
        }
        for job in jobs.values() {
            let mut standing = Job { standing: Standing::Out, ..Job::new(job.id, job.spec.clone(), job.since) };
            (standing.running_slots, standing.service) = (job.running_slots, job.service);
            fresh.stand(&mut standing, job.standing);
        }
        if fresh != *self {
            return Err(format!("the lines are {self:?}, not {fresh:?}"));
        }
        let (next, scanned) = (self.next(false), self.scan(jobs));
        if next != scanned { Err(format!("it is the turn of {next:?}, not of {scanned:?}")) } else { Ok(()) }
    }

    /// Whose turn it is by the rule at the head of this file, word by word.
    fn scan(&self, jobs: &BTreeMap<JobId, Job>) -> Option<JobId> {
        let in_line = || jobs.values().filter(|job| job.standing == Standing::InLine);
        let names: BTreeSet<&str> = in_line().map(|job| job.spec.queue.as_str()).collect();
        let queue = names.into_iter().min_by_key(|name| {
            let leaf = self.leaves.get(*name);
            (leaf.map_or(0, |leaf| leaf.running_slots), leaf.map_or(0, |leaf| leaf.service))
        })?;
        in_line().filter(|job| job.spec.queue == queue).min_by_key(|job| turn(job)).map(|job| job.id)
    }
}

impl Leaf {
    fn new(name: Arc<str>) -> Self {
        Leaf { name, running_slots: 0, service: 0, clock: 0, in_line: BTreeSet::new(), wide: BTreeSet::new() }
    }

    fn turn(&self) -> LeafTurn {
        (self.running_slots, self.service, self.name.clone())
    }

    /// Where a job stands that has this standing.
    fn line_of(&mut self, standing: Standing) -> Option<&mut BTreeSet<JobTurn>> {
        match standing {
            Standing::InLine => Some(&mut self.in_line),
            Standing::TurnedAway(Need { reserves: true, .. }) => Some(&mut self.wide),
            Standing::TurnedAway(Need { reserves: false, .. }) | Standing::Out => None,
        }
    }
}

fn turn(job: &Job) -> JobTurn {
    (u64::from(job.running_slots) * ONE / job.weight(), job.service, job.id)
}
