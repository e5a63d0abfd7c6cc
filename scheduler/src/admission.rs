//! Which queued job is admitted next: from the queue with the fewest admitted jobs, the oldest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windrow_model::JobId;

use crate::job::Job;

/// Jobs that wait to be admitted, and those that are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admission {
    queued: BTreeSet<JobId>,
    /// Jobs that run or commit.
    admitted: BTreeSet<JobId>,
    /// Those queues that have any such job.
    queues: BTreeMap<Arc<str>, Queue>,
    /// Admitted jobs, the oldest queued one, and the name, of queues in which one waits.
    order: BTreeSet<(usize, JobId, Arc<str>)>,
}

#[derive(Clone, Debug, Default)]
struct Queue {
    queued: BTreeSet<JobId>,
    admitted: usize,
}

impl Admission {
    pub fn queued(&self) -> &BTreeSet<JobId> {
        &self.queued
    }

    pub fn admitted(&self) -> &BTreeSet<JobId> {
        &self.admitted
    }

    pub fn next(&self) -> Option<JobId> {
        self.order.first().map(|(_, job, _)| *job)
    }

    /// The job waits to be admitted.
    pub fn enqueue(&mut self, job: &Job) {
        let id = job.id;
        self.queued.insert(id);
        self.change(job, |queue| {
            queue.queued.insert(id);
        });
    }

    /// The job has been waiting, and may run now.
    pub fn admit(&mut self, job: &Job) {
        let id = job.id;
        self.leave(job);
        self.admitted.insert(id);
        self.change(job, |queue| queue.admitted += 1);
    }

    /// The job neither waits nor runs any more.
    pub fn leave(&mut self, job: &Job) {
        let id = job.id;
        self.queued.remove(&id);
        let was_admitted = self.admitted.remove(&id);
        self.change(job, |queue| {
            queue.queued.remove(&id);
            queue.admitted -= usize::from(was_admitted);
        });
    }

    fn change(&mut self, job: &Job, change: impl FnOnce(&mut Queue)) {
        let name = job.spec.queue.as_str();
        let (name, mut queue) = self.queues.remove_entry(name).unwrap_or_else(|| (name.into(), Queue::default()));
        if let Some(oldest) = queue.queued.first() {
            self.order.remove(&(queue.admitted, *oldest, name.clone()));
        }
        change(&mut queue);
        if let Some(oldest) = queue.queued.first() {
            self.order.insert((queue.admitted, *oldest, name.clone()));
        }
        if queue.admitted > 0 || !queue.queued.is_empty() {
            self.queues.insert(name, queue);
        }
    }

    /// `Err` says who is next by the rule at the head of this file, word by word, if somebody else is.
    pub fn check(&self, jobs: &BTreeMap<JobId, Job>) -> Result<(), String> {
        let mut admitted: BTreeMap<&str, usize> = BTreeMap::new();
        for id in &self.admitted {
            *admitted.entry(queue_of(jobs, *id)).or_default() += 1;
        }
        let among = |id: &JobId| admitted.get(queue_of(jobs, *id)).copied().unwrap_or(0);
        let scanned = self.queued.iter().copied().min_by_key(|id| (among(id), *id));
        if self.next() == scanned { Ok(()) } else { Err(format!("{:?} is next, not {scanned:?}", self.next())) }
    }
}

fn queue_of(jobs: &BTreeMap<JobId, Job>, id: JobId) -> &str {
    jobs.get(&id).map_or("", |job| job.spec.queue.as_str())
}
