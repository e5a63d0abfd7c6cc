//! A dead leader costs time and no work: what has been computed is not computed again, what runs goes on.

use windrow_simulator::{Setup, check, run};

const SEEDS: u64 = 1_000;

/// `WINDROW_TAKEOVER_SEED` runs one, and prints its event log with `--nocapture`.
fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("WINDROW_TAKEOVER_SEED") else { return 0..SEEDS };
    let seed = text.parse().expect("WINDROW_TAKEOVER_SEED is a number");
    run(&Setup::of_takeover_seed(seed), true).trace.iter().for_each(|line| println!("{line}"));
    seed..seed + 1
}

#[test]
fn a_new_leader_repeats_no_work() {
    for seed in seeds() {
        let setup = Setup::of_takeover_seed(seed);
        let outcome = check(&setup).unwrap_or_else(|failure| panic!("{failure}"));
        let figures = &outcome.figures;
        assert_eq!(figures.succeeded, setup.workload.jobs.len() as u64, "seed {seed}: {figures:?}");
        let count = |name: &str| figures.counts.get(name).copied().unwrap_or_default();
        let tasks = setup.workload.tasks() + count("task: added by shares");
        assert_eq!(figures.attempts + count("task: put together"), tasks, "seed {seed}: {figures:?}");
    }
}
