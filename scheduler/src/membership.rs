//! Workers come, are heard, drain and go.

use std::collections::BTreeMap;
use std::time::Duration;

use windrow_model::{Failure, JobId, MapOutputId, Timestamp, WorkerId, WorkerState};

use crate::job::Reason;
use crate::scheduler::Turn;
use crate::worker::Worker;
use crate::{Event, Inventory, Message, Record, Scheduler, WorkerSpec};

/// Workers that are gone or lost and still listed, so that `windrow workers` can say why.
const DEPARTED_WORKERS_MAX: usize = 256;

impl Scheduler {
    /// An id that is known already is ignored: the shell never gives one twice.
    pub(crate) fn worker_registered(&mut self, id: WorkerId, spec: WorkerSpec, turn: &mut Turn<'_>) {
        if self.workers.contains_key(&id) {
            return;
        }
        self.worker_count = self.worker_count.max(id.0);
        turn.outbox.records.push(Record::WorkerRegistered { worker: id, spec: spec.clone(), at: turn.now });
        let worker = Worker::new(id, spec, turn.now, turn.now + self.limits.lease);
        turn.worker_changed(&worker);
        self.workers.insert(id, worker);
    }

    /// A worker that is still counted as present comes back, under its own id.
    pub(crate) fn worker_reattached(
        &mut self,
        id: WorkerId,
        _spec: WorkerSpec,
        _inventory: Inventory,
        turn: &mut Turn<'_>,
    ) {
        self.extend_lease(id, turn.now);
    }

    pub(crate) fn worker_heard(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        self.extend_lease(id, turn.now);
    }

    /// Any message is a sign of life.
    pub(crate) fn extend_lease(&mut self, id: WorkerId, now: Timestamp) {
        let lease = self.limits.lease;
        if let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.is_present()) {
            worker.lease_ends_at = worker.lease_ends_at.max(now + lease);
        }
    }

    pub(crate) fn worker_disconnected(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        self.worker_lost(id, Reason::new("disconnected", "its connection broke"), turn);
    }

    pub(crate) fn lease_ended(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        let text = format!("it was not heard for {:?}", self.limits.lease);
        self.worker_lost(id, Reason::new("silent", text), turn);
    }

    /// The one transition for every way of losing a worker: its attempts are lost, and so is what it held.
    fn worker_lost(&mut self, id: WorkerId, reason: Reason, turn: &mut Turn<'_>) {
        let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.is_present()) else {
            return;
        };
        let was_active = worker.is_active();
        worker.enter(WorkerState::Lost, reason, turn);
        let running = worker.running.clone();
        let outputs = std::mem::take(&mut worker.outputs);
        for attempt in running {
            self.fail_attempt(attempt, Failure::WorkerLost { worker: id }, turn);
        }
        for (job, outputs) in by_job(outputs) {
            self.lose_outputs(job, &outputs, turn);
        }
        self.departed(id, WorkerState::Lost, turn);
        if was_active {
            self.note_workerless(turn.now);
        }
    }

    pub(crate) fn drain_requested(&mut self, id: WorkerId, _within: Option<Duration>, turn: &mut Turn<'_>) {
        if let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.is_active()) {
            worker.enter(
                WorkerState::Draining,
                Reason::new("drain-requested", "it finishes what it runs and leaves"),
                turn,
            );
            self.note_workerless(turn.now);
        }
    }

    /// Lets draining workers go that run nothing and hold nothing that is needed.
    pub(crate) fn finish_drains(&mut self, turn: &mut Turn<'_>) {
        let idle = |worker: &&Worker| {
            worker.state == WorkerState::Draining && worker.running.is_empty() && worker.outputs.is_empty()
        };
        let leaving: Vec<WorkerId> = self.workers.values().filter(idle).map(|worker| worker.id).collect();
        for id in leaving {
            self.tell(id, Message::Shutdown, turn);
            if let Some(worker) = self.workers.get_mut(&id) {
                worker.enter(
                    WorkerState::Gone,
                    Reason::new("drained", "it ran nothing and held nothing that is needed"),
                    turn,
                );
            }
            self.departed(id, WorkerState::Gone, turn);
        }
    }

    fn departed(&mut self, id: WorkerId, state: WorkerState, turn: &mut Turn<'_>) {
        turn.outbox.records.push(Record::WorkerLeft { worker: id, state, at: turn.now });
        for job in self.jobs.values_mut() {
            job.participants.remove(&id);
        }
        self.departed.push_back(id);
        if self.departed.len() > DEPARTED_WORKERS_MAX
            && let Some(oldest) = self.departed.pop_front()
        {
            self.workers.remove(&oldest);
        }
    }

    /// Remembers when the last worker that accepts tasks went away.
    fn note_workerless(&mut self, now: Timestamp) {
        if !self.has_active_workers() {
            self.workerless_since = now;
        }
    }
}

impl Worker {
    fn enter(&mut self, state: WorkerState, reason: Reason, turn: &mut Turn<'_>) {
        self.state = state;
        self.since = turn.now;
        self.reason = reason;
        turn.worker_changed(self);
    }
}

impl Turn<'_> {
    fn worker_changed(&mut self, worker: &Worker) {
        let reason = worker.reason.text.clone();
        self.outbox.events.push(Event::WorkerChanged { worker: worker.id, state: worker.state, reason });
    }
}

fn by_job(outputs: impl IntoIterator<Item = MapOutputId>) -> BTreeMap<JobId, Vec<MapOutputId>> {
    let mut jobs: BTreeMap<JobId, Vec<MapOutputId>> = BTreeMap::new();
    for output in outputs {
        jobs.entry(output.task.stage.job).or_default().push(output);
    }
    jobs
}
