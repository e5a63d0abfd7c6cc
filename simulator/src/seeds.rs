//! Runs seeds and says what is wrong with one, with the command that replays it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::scenario::GRACE;
use crate::setup::{Outcome, Setup};
use crate::world::World;

/// A seed that found something.
#[derive(Clone, Debug)]
pub struct SeedFailure {
    pub seed: u64,
    pub text: String,
}

impl fmt::Display for SeedFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.text)?;
        write!(f, "replay: WINDROW_SEED={} cargo test -p windrow-simulator --test seeds -- --nocapture", self.seed)
    }
}

/// Runs one setup to its end.
pub fn run(setup: &Setup, keep_trace: bool) -> Outcome {
    World::new(setup.clone(), keep_trace).run()
}

/// Runs a setup and checks it; the outcome of the run, or what is wrong with it.
pub fn check(setup: &Setup) -> Result<Outcome, SeedFailure> {
    let failure = |text: String| SeedFailure { seed: setup.seed, text };
    let outcome = catching(|| run(setup, false)).map_err(|text| failure(format!("the core panicked: {text}")))?;
    if let Some(violation) = &outcome.violation {
        return Err(failure(format!("at {}: {}", violation.at, violation.text)));
    }
    if outcome.unfinished.is_empty() {
        return Ok(outcome);
    }
    check_liveness(setup).map_err(failure)
}

/// S-14, for a run that was not over after the repair and the grace: ten times the time without faults is given too.
fn check_liveness(setup: &Setup) -> Result<Outcome, String> {
    let kind = catching(|| run(&setup.without_faults(), false))?;
    if let Some(text) = trouble(&kind) {
        return Err(format!("without faults: {text}"));
    }
    let horizon = setup.horizon + 10 * kind.figures.makespan;
    let outcome = catching(|| run(&Setup { horizon, ..setup.clone() }, false))?;
    match trouble(&outcome) {
        Some(text) => Err(format!("S-14: after {GRACE:?} and ten times {:?}: {text}", kind.figures.makespan)),
        None => Ok(outcome),
    }
}

/// A world without faults is perfect: every job succeeds, and no task runs twice.
pub fn check_without_faults(setup: &Setup) -> Result<Outcome, SeedFailure> {
    let kind = setup.without_faults();
    let outcome = check(&kind)?;
    let failure = |text: String| SeedFailure { seed: setup.seed, text: format!("without faults: {text}") };
    if outcome.figures.failed > 0 && kind.workload.jobs.iter().all(|job| job.timeout.is_none()) {
        return Err(failure(format!("{} jobs failed", outcome.figures.failed)));
    }
    Ok(outcome)
}

fn trouble(outcome: &Outcome) -> Option<String> {
    if let Some(violation) = &outcome.violation {
        return Some(format!("at {}: {}", violation.at, violation.text));
    }
    let (unfinished, waits) = (&outcome.unfinished, &outcome.waits);
    (!unfinished.is_empty()).then(|| format!("not ended: {unfinished:?}, waiting: {waits:?}"))
}

/// Turns a broken assertion into a text.
fn catching(run: impl FnOnce() -> Outcome) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string())).unwrap_or_default()
    })
}
