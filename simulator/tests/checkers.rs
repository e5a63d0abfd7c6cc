//! Who watches the watchers: a shell that makes a mistake on purpose is noticed, and the seeds reach what they should.

use std::time::Duration;

use windrow_simulator::{Faults, Outcome, Sabotage, Setup, run, sweep};

/// Enough seeds for the rarest of the mistakes; see the table in `docs/TESTING.md`.
const SEEDS: u64 = 1_500;

fn is_noticed(sabotage: Sabotage) -> bool {
    let found = sweep(0..SEEDS, &|seed| Setup { sabotage: Some(sabotage), ..Setup::of_seed(seed) });
    !found.failures.is_empty()
}

#[test]
fn every_mistake_of_a_shell_is_noticed() {
    std::panic::set_hook(Box::new(|_| {}));
    for (name, sabotage) in Sabotage::ALL {
        // An old leader has to keep a worker for exactly long enough: see the next test.
        if sabotage != Sabotage::WorkerIgnoresEpochs {
            assert!(is_noticed(sabotage), "{name} was not noticed in {SEEDS} seeds");
        }
    }
}

/// The worker goes to the new leader while the old one is paused, and finds the old one when the new one is paused.
fn back_to_the_old_leader(sabotage: Option<Sabotage>) -> Outcome {
    let chaos = "
        5s    cut coordinator 0 -> store for 60s
        15s   pause coordinator 0 for 16s
        16s   break worker 0
        25s   pause coordinator 1 for 10s
        25.5s break worker 0
        70s   heal
    ";
    let mut setup = Setup::of_seed(0);
    setup.coordinators = 2;
    setup.slots = vec![2, 2];
    setup.faults = Faults::default();
    setup.chaos = chaos.parse().expect("the chaos reads");
    setup.workload = "0s a=2x60s -> count".parse().expect("the job reads");
    setup.leaders_watch_their_lease = false;
    setup.limits.lease = Duration::from_secs(60);
    setup.limits.recovery_window = Duration::from_secs(60);
    setup.sabotage = sabotage;
    run(&setup, true)
}

#[test]
fn a_worker_that_has_obeyed_a_newer_leader_refuses_the_old_one() {
    let outcome = back_to_the_old_leader(None);
    assert_eq!(outcome.violation, None);
    let refused = |line: &String| line.contains("w0 refuses c0 of epoch 1");
    assert!(outcome.trace.iter().any(refused), "{:#?}", outcome.trace);
    let outcome = back_to_the_old_leader(Some(Sabotage::WorkerIgnoresEpochs));
    assert!(outcome.violation.is_some_and(|violation| violation.text.starts_with("S-3")));
}

#[test]
fn the_seeds_reach_every_kind_of_record_and_message() {
    let found = sweep(0..SEEDS, &Setup::of_seed);
    let reached = [
        "record: job admitted",
        "record: stage coalesced",
        "record: attempt failed",
        "record: outputs lost",
        "record: outputs moved",
        "record: commit intended",
        "record: task finished speculatively",
        "record: result given up",
        "record: worker left",
        "message: cancel attempt",
        "message: release stages",
        "message: release job",
        "message: copy outputs",
        "message: repoint inputs",
        "message: shut down",
        "end: cancelled",
        "end: commit-failed",
        "end: finished",
        "end: out-of-memory",
        "end: plan-failed",
        "end: query",
        "end: timeout",
        "end: worker-lost",
        "worker: came back",
        "leader: elected",
    ];
    for name in reached {
        assert!(found.counts.contains_key(name), "no seed of {SEEDS} reaches `{name}`: {:#?}", found.counts);
    }
}
