//! The workers as the shell knows them: their streams, addresses and soft measurements.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;
use windrow_model::{AttemptId, JobId, TaskId, WorkerId};
use windrow_proto as wire;

use crate::outgoing::Command;

/// The sending half of a worker's stream. Dropping it ends the stream in both directions.
#[derive(Debug)]
pub(crate) struct Link {
    /// Tells the streams of one worker apart.
    pub(crate) id: LinkId,
    pub(crate) commands: mpsc::Sender<Command>,
    /// Stops the task that reads what the worker sends.
    pub(crate) _reader: DropGuard,
}

/// Counts streams through a coordinator's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkId(pub(crate) u64);

/// A worker that is, or was recently, attached.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) registration: wire::Register,
    pub(crate) rss_bytes: u64,
    pub(crate) rss_peak_bytes: u64,
    /// Attempts that were dispatched and have not ended, with their last progress.
    pub(crate) running: BTreeMap<AttemptId, Running>,
    /// Attempts that were told to end, with the heartbeats since that did not name them.
    cancelled: BTreeMap<AttemptId, (TaskId, u32)>,
    link: Option<Link>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    pub(crate) task: TaskId,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// Heartbeats without a cancelled attempt after which it has surely ended. The first may have been on its way before
/// the worker even heard of the attempt.
const HEARTBEATS_WITHOUT: u32 = 2;

/// The command could not be queued: the worker is gone or does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkBroken;

/// All workers the core still knows.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    workers: BTreeMap<WorkerId, Attached>,
    /// Where `WorkerId::SHUFFLE_STORE` is.
    pub(crate) shuffle_store: Option<String>,
}

impl Fleet {
    /// A stream of `worker`, in place of the one it may have had; `running` are the attempts it says that it runs.
    pub(crate) fn attach(
        &mut self,
        worker: WorkerId,
        registration: wire::Register,
        link: Link,
        running: &[(TaskId, AttemptId)],
    ) {
        let running = running.iter().map(|(task, attempt)| (*attempt, Running { task: *task, rows: 0, bytes: 0 }));
        let attached = Attached {
            registration,
            rss_bytes: 0,
            rss_peak_bytes: 0,
            running: running.collect(),
            cancelled: BTreeMap::new(),
            link: Some(link),
        };
        self.workers.insert(worker, attached);
    }

    pub(crate) fn get(&self, worker: WorkerId) -> Option<&Attached> {
        self.workers.get(&worker)
    }

    pub(crate) fn get_mut(&mut self, worker: WorkerId) -> Option<&mut Attached> {
        self.workers.get_mut(&worker)
    }

    /// Where the worker's outputs are served; empty if it is not known any more, which its readers find out.
    pub(crate) fn address(&self, worker: WorkerId) -> String {
        if worker == WorkerId::SHUFFLE_STORE {
            return self.shuffle_store.clone().unwrap_or_default();
        }
        self.workers.get(&worker).map(|attached| attached.registration.address.clone()).unwrap_or_default()
    }

    /// Ends the worker's stream if it is still this one. Says whether it was.
    pub(crate) fn detach_link(&mut self, worker: WorkerId, link: LinkId) -> bool {
        let current = self.workers.get(&worker).and_then(|attached| attached.link.as_ref());
        current.is_some_and(|current| current.id == link) && self.detach(worker)
    }

    /// Ends the worker's stream. Says whether it was still open.
    pub(crate) fn detach(&mut self, worker: WorkerId) -> bool {
        let Some(attached) = self.workers.get_mut(&worker) else { return false };
        attached.running.clear();
        attached.cancelled.clear();
        attached.link.take().is_some()
    }

    /// Queues a command without waiting.
    pub(crate) fn send(&mut self, worker: WorkerId, command: Command) -> Result<(), LinkBroken> {
        let link = self.workers.get(&worker).and_then(|attached| attached.link.as_ref()).ok_or(LinkBroken)?;
        link.commands.try_send(command).map_err(|_| LinkBroken)
    }

    pub(crate) fn progress(&self, worker: WorkerId, attempt: AttemptId) -> Option<&Running> {
        self.workers.get(&worker)?.running.get(&attempt)
    }

    /// Whether an attempt of the job may still be doing something somewhere.
    pub(crate) fn may_run(&self, job: JobId) -> bool {
        self.workers.values().any(|attached| attached.tasks().any(|task| task.stage.job == job))
    }

    /// Forgets workers that the core does not keep any more; returns them.
    pub(crate) fn forget(&mut self, is_gone: impl Fn(WorkerId) -> bool) -> Vec<WorkerId> {
        self.workers.extract_if(.., |worker, _| is_gone(*worker)).map(|(worker, _)| worker).collect()
    }
}

impl Attached {
    /// Tasks with an attempt that has not ended for sure.
    fn tasks(&self) -> impl Iterator<Item = TaskId> {
        let cancelled = self.cancelled.values().map(|(task, _)| *task);
        self.running.values().map(|running| running.task).chain(cancelled)
    }

    /// Notes that the worker was told to end an attempt. Workers do not answer that; their heartbeats show it.
    pub(crate) fn cancelled(&mut self, attempt: AttemptId) {
        if let Some(running) = self.running.remove(&attempt) {
            self.cancelled.insert(attempt, (running.task, 0));
        }
    }

    /// Takes over a heartbeat's measurements.
    pub(crate) fn measured(&mut self, heartbeat: &wire::Heartbeat) {
        self.rss_bytes = heartbeat.rss_bytes;
        self.rss_peak_bytes = self.rss_peak_bytes.max(heartbeat.rss_peak_bytes);
        self.cancelled.values_mut().for_each(|(_, without)| *without += 1);
        for progress in &heartbeat.progress {
            let Some(attempt) = progress.attempt.map(AttemptId::from) else { continue };
            if let Some((_, without)) = self.cancelled.get_mut(&attempt) {
                *without = 0;
            }
            if let Some(running) = self.running.get_mut(&attempt) {
                running.rows = progress.rows;
                running.bytes = progress.bytes;
            }
        }
        self.cancelled.retain(|_, (_, without)| *without < HEARTBEATS_WITHOUT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::sync::CancellationToken;
    use windrow_model::StageId;

    const JOB: JobId = JobId(7);
    const ATTEMPT: AttemptId = AttemptId { epoch: 1, n: 1 };

    fn fleet_that_runs() -> (Fleet, WorkerId) {
        let mut fleet = Fleet::default();
        let task = TaskId { stage: StageId { job: JOB, index: 0 }, index: 0 };
        fleet.attach(WorkerId(1), wire::Register::default(), link(1), &[(task, ATTEMPT)]);
        (fleet, WorkerId(1))
    }

    fn link(id: u64) -> Link {
        Link { id: LinkId(id), commands: mpsc::channel(1).0, _reader: CancellationToken::new().drop_guard() }
    }

    #[test]
    fn the_end_of_an_older_stream_does_not_end_the_newer_one() {
        let (mut fleet, worker) = fleet_that_runs();
        fleet.attach(worker, wire::Register::default(), link(2), &[]);
        assert!(!fleet.detach_link(worker, LinkId(1)));
        assert!(fleet.detach_link(worker, LinkId(2)));
    }

    fn heartbeat(names_it: bool) -> wire::Heartbeat {
        let progress = wire::Progress { attempt: Some(ATTEMPT.into()), ..Default::default() };
        wire::Heartbeat { progress: names_it.then_some(progress).into_iter().collect(), ..Default::default() }
    }

    #[test]
    fn a_cancelled_attempt_may_run_until_heartbeats_leave_it_out() {
        let (mut fleet, worker) = fleet_that_runs();
        let attached = fleet.get_mut(worker).expect("attached");
        attached.cancelled(ATTEMPT);
        attached.measured(&heartbeat(false));
        attached.measured(&heartbeat(true));
        attached.measured(&heartbeat(false));
        assert!(fleet.may_run(JOB));
        fleet.get_mut(worker).expect("attached").measured(&heartbeat(false));
        assert!(!fleet.may_run(JOB));
    }

    #[test]
    fn nothing_runs_on_a_worker_without_a_stream() {
        let (mut fleet, worker) = fleet_that_runs();
        assert!(fleet.may_run(JOB));
        assert!(fleet.detach(worker));
        assert!(!fleet.may_run(JOB) && !fleet.detach(worker));
    }
}
