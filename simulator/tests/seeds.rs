//! Seeds: random clusters, jobs and faults, each run through virtual time and checked.
//!
//! `WINDROW_SEEDS` says how many (10,000); `WINDROW_SEED` runs one, and prints its event log with `--nocapture`.

use windrow_simulator::{Setup, check, run, sweep};

/// CI runs at least so many.
const SEEDS: u64 = 10_000;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

#[test]
fn every_seed_keeps_what_the_cluster_promises() {
    if let Some(seed) = number("WINDROW_SEED") {
        return replay(seed);
    }
    let seeds = number("WINDROW_SEEDS").unwrap_or(SEEDS);
    let started = std::time::Instant::now();
    // What a seed's panic has to say is in its failure.
    std::panic::set_hook(Box::new(|_| {}));
    let found = sweep(0..seeds, &Setup::of_seed);
    drop(std::panic::take_hook());
    let seconds = started.elapsed().as_secs_f64();
    println!("{} seeds, {} events in {seconds:.1} s", found.seeds, found.events);
    found.failures.iter().for_each(|failure| println!("{failure}"));
    assert!(found.failures.is_empty(), "{} of {} seeds failed", found.failures.len(), found.seeds);
}

fn replay(seed: u64) {
    let mut setup = Setup::of_seed(seed);
    if std::env::var_os("PLAIN").is_some() {
        setup.may_reattach = false;
        setup.faults.attempt_hangs = 0.0;
        setup.faults.packet_swallowed = 0.0;
        setup.faults.packet_reordered = 0.0;
    }
    println!("{setup:#?}");
    let outcome = std::panic::catch_unwind(|| run(&setup.clone(), true));
    if let Ok(outcome) = &outcome {
        outcome.trace.iter().for_each(|line| println!("{line}"));
    }
    if let Err(failure) = check(&setup) {
        panic!("{failure}");
    }
}
