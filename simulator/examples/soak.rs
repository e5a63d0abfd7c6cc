//! Runs new seeds for a while: `cargo run --release -p windrow-simulator --example soak -- --minutes 10`.
//!
//! `--first N` starts at seed N instead of at one that the clock chooses; `--seeds N` runs so many instead of for a time.
//! `--sabotage NAME` makes a shell misbehave on purpose, to see in how many seeds the checkers notice.

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use windrow_simulator::{Sabotage, Setup, Sweep, sweep};

/// Seeds of one sweep: a second or two.
const BATCH: u64 = 500;

struct Options {
    minutes: f64,
    first: u64,
    seeds: Option<u64>,
    sabotage: Option<Sabotage>,
}

fn main() -> ExitCode {
    let options = match read_options() {
        Ok(options) => options,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    std::panic::set_hook(Box::new(|_| {}));
    let found = soak(&options);
    found.counts.iter().for_each(|(name, count)| println!("{count:>10} {name}"));
    if found.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn soak(options: &Options) -> Sweep {
    let started = Instant::now();
    let setup = |seed| {
        let mut setup = Setup { sabotage: options.sabotage, ..Setup::of_seed(seed) };
        if std::env::var_os("PLAIN").is_some() {
            setup.may_reattach = false;
            setup.faults.attempt_hangs = 0.0;
            setup.faults.packet_swallowed = 0.0;
            setup.faults.packet_reordered = 0.0;
        }
        setup
    };
    let mut total = Sweep::default();
    loop {
        let first = options.first + total.seeds;
        let left = options.seeds.map_or(BATCH, |seeds| BATCH.min(seeds - total.seeds));
        let found = sweep(first..first + left, &setup);
        found.failures.iter().for_each(|failure| println!("{failure}"));
        total.seeds += found.seeds;
        total.events += found.events;
        total.hash = total.hash.wrapping_add(found.hash);
        for (name, count) in found.counts {
            *total.counts.entry(name).or_default() += count;
        }
        total.failures.extend(found.failures);
        let seconds = started.elapsed().as_secs_f64();
        let rate = total.seeds as f64 / seconds;
        let (seeds, events, failures) = (total.seeds, total.events, total.failures.len());
        println!("{seeds} seeds from {}, {events} events, {rate:.0} seeds/s, {failures} failures", options.first);
        println!("event logs {:016x}", total.hash);
        let out_of_time = started.elapsed() >= Duration::from_secs_f64(options.minutes * 60.0);
        if options.seeds.map_or(out_of_time, |seeds| total.seeds >= seeds) {
            return total;
        }
    }
}

fn read_options() -> Result<Options, String> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // Far from the seeds of the tests, and a day's seeds apart from yesterday's.
    let mut options = Options { minutes: 1.0, first: clock * 10_000, seeds: None, sabotage: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let bad = || format!("`{value}` is no value for {word}");
        match word.as_str() {
            "--minutes" => options.minutes = value.parse().map_err(|_| bad())?,
            "--first" => options.first = value.parse().map_err(|_| bad())?,
            "--seeds" => options.seeds = Some(value.parse().map_err(|_| bad())?),
            "--sabotage" => {
                let named = Sabotage::ALL.iter().find(|(name, _)| *name == value);
                options.sabotage = Some(named.ok_or_else(bad)?.1);
            }
            _ => return Err(format!("{word} is not an option; there are --minutes, --first, --seeds and --sabotage")),
        }
    }
    Ok(options)
}
