//! Simulates a cluster: `cargo run --release -p windrow-simulator --example cluster -- 1000 100000 [SEED]`
//! for 1,000 workers and 100,000 synthetic tasks. Files given after that are jobs (`.jobs`, `.tsv`) and chaos (`.chaos`).

use std::time::{Duration, Instant};

use windrow_simulator::{Script, SimulateOptions, Workload, simulate};

/// How much of a SWIM trace is used.
const TRACE_WITHIN: Duration = Duration::from_secs(3_600);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut numbers = words.iter().map_while(|word| word.parse::<u64>().ok());
    let workers = numbers.next().unwrap_or(1_000) as u32;
    let tasks = numbers.next().unwrap_or(100_000);
    let seed = numbers.next().unwrap_or(0);
    let mut options = SimulateOptions { workers, seed, ..SimulateOptions::default() };
    for file in words.iter().filter(|word| word.contains('.')) {
        let text = std::fs::read_to_string(file)?;
        match file.rsplit('.').next() {
            Some("chaos") => options.chaos = text.parse()?,
            Some("tsv") => options.jobs = Workload::from_swim(&text, TRACE_WITHIN)?,
            Some("json") => options.chaos = Script::from_spot_trace(&text, 0..workers / 2).ok_or("no spot trace")?,
            _ => options.jobs = text.parse()?,
        }
    }
    if options.jobs.jobs.is_empty() {
        options.jobs = Workload::synthetic(seed, tasks);
    }
    let started = Instant::now();
    println!("{}", simulate(&options));
    println!("took         {:.2} s", started.elapsed().as_secs_f64());
    Ok(())
}
