//! The end of a run: the last checks, and what came out.

use windrow_scheduler::Scheduler;

use crate::check::{compare_with_ledger, compare_with_recovered};
use crate::coordinator::{Coordinator, Leader};
use crate::setup::Outcome;
use crate::world::World;

impl World {
    pub(super) fn finish(mut self) -> Outcome {
        if self.cx.judge.violation.is_none() && self.done_at.is_some() {
            self.check_views();
            self.check_workers();
            self.cx.judge.check_explanations(self.cx.now);
        }
        let unfinished = if self.done_at.is_none() { self.clients.unfinished() } else { Vec::new() };
        Outcome {
            hash: self.cx.trace.hash(),
            events: self.events,
            ended_at: self.cx.now,
            violation: self.cx.judge.violation.take(),
            unfinished,
            waits: self.waits(),
            figures: self.cx.judge.figures(),
            trace: self.cx.trace.into_lines(),
        }
    }

    /// What the jobs of the leader wait for.
    fn waits(&self) -> Vec<String> {
        let cores = self.coordinators.iter().filter_map(|coordinator| Some(&coordinator.leader.as_ref()?.core));
        let open = cores.flat_map(|core| core.jobs().map(move |job| (core, job)));
        let open = open.filter(|(_, job)| !job.state().is_final());
        open.flat_map(|(core, job)| core.why(job.id()).into_iter().map(move |why| format!("{}: {why}", job.id())))
            .collect()
    }

    /// S-16.
    fn check_workers(&mut self) {
        let Some(leader) = newest_leader(&self.coordinators) else { return };
        for worker in self.workers.iter().filter(|worker| worker.paused.is_none()) {
            let process =
                worker.process.as_ref().filter(|process| leader.is_heard_by(worker.node(), process, &self.cx));
            if let Some(process) = process {
                self.cx.judge.left_over(worker.index, process, self.cx.now);
            }
        }
    }

    /// S-15.
    fn check_views(&mut self) {
        let Some(leader) = newest_leader(&self.coordinators) else { return };
        let recovered = Scheduler::recover(self.cx.now, u64::MAX, &self.store.journal, self.cx.setup.limits.clone());
        let views = compare_with_ledger(&leader.core, &self.cx.judge.ledger, self.cx.setup.limits.ended_jobs_max)
            .and_then(|()| compare_with_recovered(&leader.core, &recovered));
        if let Err(text) = views {
            let now = self.cx.now;
            self.cx.judge.accuse(now, format_args!("{text}"));
        }
    }
}

fn newest_leader(coordinators: &[Coordinator]) -> Option<&Leader> {
    let leaders = coordinators.iter().filter_map(|coordinator| coordinator.leader.as_deref());
    leaders.max_by_key(|leader| leader.epoch)
}
