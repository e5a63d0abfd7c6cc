//! Workers come, are heard and go.

use std::collections::BTreeMap;

use windrow_model::{Failure, JobId, MapOutputId, Timestamp, WorkerId, WorkerState};

use crate::deadlines::Due;
use crate::job::Reason;
use crate::scheduler::Turn;
use crate::worker::Worker;
use crate::{Event, Record, Scheduler, WorkerSpec};

/// Workers that are gone or lost and still listed, so that `windrow workers` can say why.
const DEPARTED_WORKERS_MAX: usize = 256;

impl Scheduler {
    /// An id that no worker has had, in this life or in the journal. The shell numbers workers with it.
    pub fn next_worker_id(&self) -> WorkerId {
        WorkerId(self.worker_count + 1)
    }

    /// An id that is known already is ignored: the shell never gives one twice.
    pub(crate) fn worker_registered(&mut self, id: WorkerId, spec: WorkerSpec, turn: &mut Turn<'_>) {
        if self.roster.get(id).is_some() {
            return;
        }
        turn.record_first(Record::WorkerRegistered { worker: id, spec: spec.clone(), at: turn.now });
        self.worker_count = self.worker_count.max(id.0);
        let lease_ends_at = turn.now + self.limits.lease;
        let worker = Worker::new(id, spec, WorkerState::Active, turn.now, lease_ends_at);
        turn.worker_changed(&worker);
        self.roster.insert(worker);
        self.deadlines.add(lease_ends_at, Due::Lease(id));
        self.exclude_if_due(id, turn);
    }

    /// It can be talked to. The shuffle store always can.
    pub(crate) fn is_there(&self, id: WorkerId) -> bool {
        id == WorkerId::SHUFFLE_STORE || self.roster.present(id).is_some_and(|worker| !worker.is_awaited())
    }

    /// Any message is a sign of life. An awaited worker has to come back first.
    pub(crate) fn worker_heard(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        self.extend_lease(id, turn.now);
        self.forget_stale_pace(id, turn);
    }

    pub(crate) fn extend_lease(&mut self, id: WorkerId, now: Timestamp) {
        let lease = self.limits.lease;
        if let Some(worker) = self.roster.get_mut(id).filter(|worker| worker.is_present() && !worker.is_awaited()) {
            worker.lease_ends_at = worker.lease_ends_at.max(now + lease);
        }
    }

    pub(crate) fn worker_disconnected(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        self.worker_lost(id, Reason::new("disconnected", "its connection broke"), turn);
    }

    pub(crate) fn lease_ended(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        let awaited = self.roster.get(id).is_some_and(Worker::is_awaited);
        let reason = if awaited {
            let window = self.limits.recovery_window;
            Reason::new("not-back", format!("it did not come back within {window:?} of a change of coordinators"))
        } else {
            Reason::new("silent", format!("it was not heard for {:?}", self.limits.lease))
        };
        self.worker_lost(id, reason, turn);
    }

    /// The one transition for every way of losing a worker: its attempts are lost, and so is what it held.
    fn worker_lost(&mut self, id: WorkerId, reason: Reason, turn: &mut Turn<'_>) {
        let Some(worker) = self.roster.present(id) else { return };
        let (was_active, was_awaited) = (worker.is_active(), worker.is_awaited());
        let (running, outputs, name) = (worker.running.clone(), worker.outputs.clone(), worker.spec.name.clone());
        self.enter_worker(id, WorkerState::Lost, reason, turn);
        for attempt in running {
            self.fail_attempt(attempt, Failure::WorkerLost { worker: id }, turn);
        }
        if was_awaited {
            self.give_up_expected(outputs);
        } else {
            for (job, outputs) in by_job(outputs) {
                self.lose_outputs(job, &outputs, turn);
            }
        }
        self.departed(id, WorkerState::Lost, turn);
        self.note_loss(&name, turn);
        if was_active {
            self.note_workerless(turn.now);
        }
        if was_awaited {
            self.end_recovery_if_complete();
        }
    }

    /// Nothing is asked of the worker, or expected of it, from now on.
    pub(crate) fn departed(&mut self, id: WorkerId, state: WorkerState, turn: &mut Turn<'_>) {
        turn.record(Record::WorkerLeft { worker: id, state, at: turn.now });
        self.unreached.forget(id);
        if let Some(worker) = self.roster.get_mut(id) {
            worker.drain = None;
        }
        let draining: Vec<WorkerId> = self.roster.draining().iter().copied().collect();
        for other in draining {
            if let Some(drain) = self.roster.get_mut(other).and_then(|worker| worker.drain.as_mut()) {
                drain.receiver_left(id);
            }
        }
        for job in self.jobs.values_mut() {
            job.participants.remove(&id);
        }
        self.list_departed(id);
    }

    pub(crate) fn list_departed(&mut self, id: WorkerId) {
        self.departed.push_back(id);
        if self.departed.len() > DEPARTED_WORKERS_MAX
            && let Some(oldest) = self.departed.pop_front()
        {
            self.roster.forget(oldest);
        }
    }

    /// Remembers when the last worker that accepts tasks went away.
    pub(crate) fn note_workerless(&mut self, now: Timestamp) {
        if !self.roster.has_active() {
            self.workerless_since = now;
        }
    }

    pub(crate) fn enter_worker(&mut self, id: WorkerId, state: WorkerState, reason: Reason, turn: &mut Turn<'_>) {
        self.roster.set_state(id, state);
        if let Some(worker) = self.roster.get_mut(id) {
            worker.since = turn.now;
        }
        self.explain_worker(id, reason, turn);
    }

    /// Says why a worker is as it is.
    pub(crate) fn explain_worker(&mut self, id: WorkerId, reason: Reason, turn: &mut Turn<'_>) {
        if let Some(worker) = self.roster.get_mut(id) {
            worker.reason = reason;
            turn.worker_changed(worker);
        }
    }
}

impl Turn<'_> {
    fn worker_changed(&mut self, worker: &Worker) {
        let reason = worker.reason.text.clone();
        self.outbox.events.push(Event::WorkerChanged { worker: worker.id, state: worker.state(), reason });
    }
}

pub(crate) fn by_job(outputs: impl IntoIterator<Item = MapOutputId>) -> BTreeMap<JobId, Vec<MapOutputId>> {
    let mut jobs: BTreeMap<JobId, Vec<MapOutputId>> = BTreeMap::new();
    for output in outputs {
        jobs.entry(output.task.stage.job).or_default().push(output);
    }
    jobs
}
