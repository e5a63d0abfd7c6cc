//! Random chaos for the seeds.

use std::time::Duration;

use crate::chaos::{Action, Cut, Script};
use crate::node::Node;
use crate::rng::Rng;

/// How large the cluster is that breaks, and for how long it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    pub workers: u32,
    pub coordinators: u32,
    pub lasts: Duration,
}

type Kind = fn(&mut Rng, Scope) -> Action;

const KINDS: [(u64, Kind); 11] = [
    (6, crash_worker),
    (3, pause_worker),
    (3, drain_worker),
    (3, preempt_worker),
    (2, wipe_worker),
    (4, break_link),
    (5, crash_coordinator),
    (4, pause_coordinator),
    (5, partition),
    (2, store_down),
    (1, location_down),
];

impl Script {
    /// Up to `incidents_max` incidents of a random subset of the kinds; everything is repaired at the end.
    pub(crate) fn random(rng: &mut Rng, scope: Scope, incidents_max: u64) -> Script {
        let mut script = Script { incidents: Vec::new(), heals_at: Some(windrow_model::Timestamp(0) + scope.lasts) };
        let mut kinds: Vec<Kind> = Vec::new();
        for (weight, kind) in KINDS {
            if rng.chance(0.5) {
                kinds.extend((0..weight).map(|_| kind));
            }
        }
        if kinds.is_empty() {
            return script;
        }
        for _ in 0..rng.between(0, incidents_max) {
            let kind = *rng.pick(&kinds);
            let at = rng.duration(Duration::ZERO, scope.lasts);
            // Nodes of one zone go together.
            let together = if rng.chance(0.15) { rng.between(1, u64::from(scope.workers)) } else { 1 };
            for _ in 0..together {
                let action = kind(rng, scope);
                script.add(at, action);
            }
        }
        if scope.coordinators > 1 && rng.chance(0.2) {
            script.split_brain(rng, scope);
        }
        if scope.workers > 2 && rng.chance(0.2) {
            script.isolate(rng, scope);
        }
        script.incidents.sort_by_key(|(at, _)| *at);
        script
    }
}

impl Script {
    /// Leaders crash, or stand still for less than a lease.
    pub(crate) fn add_takeovers(&mut self, rng: &mut Rng, coordinators: u32, lasts: Duration) {
        for _ in 0..rng.between(1, 8) {
            let coordinator = rng.below(u64::from(coordinators)) as u32;
            let at = rng.duration(Duration::ZERO, lasts);
            let action = if rng.chance(0.8) {
                Action::CrashCoordinator { coordinator, restart: Some(rng.millis(100, 8_000)) }
            } else {
                Action::PauseCoordinator { coordinator, lasts: rng.millis(100, 3_000) }
            };
            self.add(at, action);
        }
        self.incidents.sort_by_key(|(at, _)| *at);
    }

    /// The other workers do not reach one of them, which the coordinators hear.
    fn isolate(&mut self, rng: &mut Rng, scope: Scope) {
        let (at, lasts) = (rng.duration(Duration::ZERO, scope.lasts / 2), rng.millis(10_000, 90_000));
        let alone = worker(rng, scope);
        for other in (0..scope.workers).filter(|other| *other != alone) {
            let cut = Cut { from: Some(Node::Worker(alone)), to: Some(Node::Worker(other)) };
            self.add(at, Action::Partition { cut, lasts });
        }
    }

    /// A leader that cannot reach the journal goes on, while another one is elected and workers go back and forth.
    fn split_brain(&mut self, rng: &mut Rng, scope: Scope) {
        let start = rng.duration(Duration::ZERO, scope.lasts / 2);
        let lasts = rng.millis(15_000, 40_000);
        let cut = Cut { from: Some(Node::Coordinator(0)), to: Some(Node::Store) };
        self.add(start, Action::Partition { cut, lasts });
        let rest = (start + Duration::from_secs(7), start + lasts);
        for _ in 0..rng.between(1, 2 * u64::from(scope.workers)) {
            let at = rng.duration(rest.0, rest.1);
            self.add(at, break_link(rng, scope));
        }
        let at = rng.duration(rest.0, rest.1);
        self.add(at, Action::PauseCoordinator { coordinator: 1, lasts: rng.millis(500, 5_000) });
    }
}

fn worker(rng: &mut Rng, scope: Scope) -> u32 {
    rng.below(u64::from(scope.workers)) as u32
}

fn coordinator(rng: &mut Rng, scope: Scope) -> u32 {
    rng.below(u64::from(scope.coordinators)) as u32
}

/// Short enough to be over before a lease ends, or long enough that it is not.
fn outage(rng: &mut Rng) -> Duration {
    if rng.chance(0.5) { rng.millis(100, 5_000) } else { rng.millis(5_000, 40_000) }
}

fn maybe(rng: &mut Rng, lasts: Duration) -> Option<Duration> {
    rng.chance(0.8).then_some(lasts)
}

fn crash_worker(rng: &mut Rng, scope: Scope) -> Action {
    let (power, outage) = (rng.chance(0.4), outage(rng));
    Action::CrashWorker { worker: worker(rng, scope), power, restart: maybe(rng, outage) }
}

fn pause_worker(rng: &mut Rng, scope: Scope) -> Action {
    Action::PauseWorker { worker: worker(rng, scope), lasts: outage(rng) }
}

fn drain_worker(rng: &mut Rng, scope: Scope) -> Action {
    let within = rng.chance(0.5).then(|| rng.millis(500, 20_000));
    let back = outage(rng);
    Action::DrainWorker { worker: worker(rng, scope), within, back: maybe(rng, back) }
}

fn preempt_worker(rng: &mut Rng, scope: Scope) -> Action {
    let (notice, back) = (rng.millis(0, 10_000), outage(rng));
    Action::PreemptWorker { worker: worker(rng, scope), notice, back: maybe(rng, back) }
}

fn wipe_worker(rng: &mut Rng, scope: Scope) -> Action {
    Action::WipeWorker { worker: worker(rng, scope) }
}

fn break_link(rng: &mut Rng, scope: Scope) -> Action {
    Action::BreakLink { worker: worker(rng, scope) }
}

fn crash_coordinator(rng: &mut Rng, scope: Scope) -> Action {
    let outage = outage(rng);
    Action::CrashCoordinator { coordinator: coordinator(rng, scope), restart: maybe(rng, outage) }
}

fn pause_coordinator(rng: &mut Rng, scope: Scope) -> Action {
    Action::PauseCoordinator { coordinator: coordinator(rng, scope), lasts: outage(rng) }
}

fn partition(rng: &mut Rng, scope: Scope) -> Action {
    let here = Node::Worker(worker(rng, scope));
    let other = match rng.below(3) {
        0 => Some(Node::Worker(worker(rng, scope))),
        1 => Some(Node::Coordinator(coordinator(rng, scope))),
        _ => None,
    };
    let (here, other) = match rng.below(5) {
        0 => (Some(Node::Coordinator(coordinator(rng, scope))), Some(Node::Store)),
        1 => (Some(Node::Coordinator(coordinator(rng, scope))), None),
        _ => (Some(here), other),
    };
    let cut = if rng.chance(0.5) { Cut { from: here, to: other } } else { Cut { from: other, to: here } };
    Action::Partition { cut, lasts: outage(rng) }
}

fn store_down(rng: &mut Rng, _: Scope) -> Action {
    Action::StoreDown { lasts: outage(rng) }
}

fn location_down(rng: &mut Rng, _: Scope) -> Action {
    Action::LocationDown { lasts: outage(rng) }
}
