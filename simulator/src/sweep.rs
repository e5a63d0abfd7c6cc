//! Many seeds on all cores of this machine. The only threads of this crate: a seed itself runs on one.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::check::Counts;
use crate::seeds::{SeedFailure, check, check_without_faults};
use crate::setup::Setup;

/// One seed in so many is run a second time, to see that it gives the same event log.
const REPEATED: u64 = 100;

/// One seed in so many is run without its faults too.
const KIND: u64 = 10;

/// Failing seeds after which a sweep stops: more do not help.
const FAILURES_MAX: usize = 20;

/// What a sweep found.
#[derive(Debug, Default)]
pub struct Sweep {
    pub seeds: u64,
    /// Events of all runs.
    pub events: u64,
    /// What happened how often, in all first runs.
    pub counts: Counts,
    /// Of the event logs of all first runs: a change of the core that leaves every choice as it was leaves this too.
    pub hash: u64,
    /// By seed.
    pub failures: Vec<SeedFailure>,
}

impl Sweep {
    fn add(&mut self, seed: Checked) {
        let Checked { events, counts, hash } = seed;
        self.events += events;
        // Threads check seeds in any order.
        self.hash = self.hash.wrapping_add(hash);
        for (name, count) in counts {
            *self.counts.entry(name).or_default() += count;
        }
    }
}

/// What came of one seed.
struct Checked {
    events: u64,
    counts: Counts,
    hash: u64,
}

/// Checks every seed that `setup` turns into a run.
pub fn sweep(seeds: Range<u64>, setup: &(dyn Fn(u64) -> Setup + Sync)) -> Sweep {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(seeds.start);
    let found = Mutex::new(Sweep::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || found.lock().is_ok_and(|found| found.failures.len() >= FAILURES_MAX) {
                return;
            }
            let checked = check_seed(seed, setup);
            let mut found = found.lock().expect("S-18: a thread that checks seeds does not panic");
            found.seeds += 1;
            match checked {
                Ok(checked) => found.add(checked),
                Err(failure) => found.failures.push(failure),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut found = found.into_inner().expect("S-18: a thread that checks seeds does not panic");
    found.failures.sort_by_key(|failure| failure.seed);
    found
}

fn check_seed(seed: u64, setup: &(dyn Fn(u64) -> Setup + Sync)) -> Result<Checked, SeedFailure> {
    let setup = setup(seed);
    let outcome = check(&setup)?;
    let mut events = outcome.events;
    if seed.is_multiple_of(REPEATED) {
        let again = check(&setup)?;
        events += again.events;
        if again.hash != outcome.hash {
            let text = format!("two event logs: {:016x} and {:016x}", outcome.hash, again.hash);
            return Err(SeedFailure { seed, text });
        }
    }
    if seed.is_multiple_of(KIND) {
        events += check_without_faults(&setup)?.events;
    }
    Ok(Checked { events, counts: outcome.figures.counts, hash: outcome.hash })
}
