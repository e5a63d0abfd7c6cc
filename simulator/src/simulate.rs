//! `windrow simulate`: how a cluster would do with these jobs on this bad day.

use std::fmt;
use std::time::Duration;

use windrow_model::{Limits, Timestamp};

use crate::chaos::Script;
use crate::check::{Checks, Violation};
use crate::faults::Faults;
use crate::seeds::run;
use crate::setup::Setup;
use crate::workload::Workload;

/// Virtual time after which a simulation is given up.
const HORIZON: Duration = Duration::from_secs(30 * 24 * 3600);

/// What to simulate.
#[derive(Clone, Debug)]
pub struct SimulateOptions {
    pub workers: u32,
    /// Slots of each worker.
    pub slots: u32,
    pub coordinators: u32,
    pub jobs: Workload,
    pub chaos: Script,
    pub faults: Faults,
    pub limits: Limits,
    pub seed: u64,
}

impl Default for SimulateOptions {
    fn default() -> Self {
        SimulateOptions {
            workers: 1_000,
            slots: 4,
            coordinators: 2,
            jobs: Workload::default(),
            chaos: Script::default(),
            faults: Faults::default(),
            limits: Limits { queued_jobs_max: usize::MAX, ..Limits::default() },
            seed: 0,
        }
    }
}

/// What came out of it. The same options give the same report.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulationReport {
    pub workers: u32,
    pub slots: u64,
    pub jobs: u64,
    pub tasks: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub cancelled: u64,
    /// Jobs that had not ended when the simulation was given up.
    pub unfinished: u64,
    /// Virtual time from the start to the end of the last job.
    pub makespan: Duration,
    /// Share of all slots' time that attempts held, 0 to 1.
    pub utilisation: f64,
    /// Slots times the time that attempts held them.
    pub busy: Duration,
    /// The part of it that was spent in vain: failed, cancelled, lost and repeated attempts.
    pub wasted: Duration,
    /// `wasted` as a share of `busy`, 0 to 1.
    pub waste: f64,
    pub attempts: u64,
    pub events: u64,
    /// Of the event log.
    pub hash: u64,
    /// What must not have happened: a bug in Windrow.
    pub violation: Option<Violation>,
}

/// Runs the simulation. Takes a fraction of a second for a hundred jobs, seconds for a hundred thousand tasks.
pub fn simulate(options: &SimulateOptions) -> SimulationReport {
    let setup = setup_of(options);
    let outcome = run(&setup, false);
    let figures = &outcome.figures;
    let slots = u64::from(options.workers) * u64::from(options.slots);
    let offered = slots as f64 * figures.makespan.as_secs_f64();
    let wasted = figures.busy.saturating_sub(figures.useful);
    SimulationReport {
        workers: options.workers,
        slots,
        jobs: options.jobs.jobs.len() as u64,
        tasks: options.jobs.tasks(),
        succeeded: figures.succeeded,
        failed: figures.failed,
        cancelled: figures.cancelled,
        unfinished: outcome.unfinished.len() as u64,
        makespan: figures.makespan,
        utilisation: share(figures.busy.as_secs_f64(), offered),
        busy: figures.busy,
        wasted,
        waste: share(wasted.as_secs_f64(), figures.busy.as_secs_f64()),
        attempts: figures.attempts,
        events: outcome.events,
        hash: outcome.hash,
        violation: outcome.violation,
    }
}

fn setup_of(options: &SimulateOptions) -> Setup {
    let horizon = Timestamp(0) + HORIZON;
    // The seeds of the tests check the invariants; here they would take most of the time.
    let checks = Checks { invariants: false, slots: true, leaks: false, explanations: false };
    Setup {
        seed: options.seed,
        coordinators: options.coordinators,
        slots: vec![options.slots; options.workers as usize],
        skew: Duration::ZERO,
        drift_ppm: 0,
        workload: options.jobs.clone(),
        chaos: options.chaos.clone(),
        faults: options.faults.clone(),
        limits: options.limits.clone(),
        horizon,
        checks,
        may_reattach: true,
        leaders_watch_their_lease: true,
        sabotage: None,
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

impl fmt::Display for SimulationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "workers      {} with {} slots", self.workers, self.slots)?;
        writeln!(f, "jobs         {} with {} tasks", self.jobs, self.tasks)?;
        let Self { succeeded, failed, cancelled, unfinished, .. } = self;
        writeln!(f, "ended        {succeeded} succeeded, {failed} failed, {cancelled} cancelled, {unfinished} not")?;
        writeln!(f, "makespan     {:.1} s", self.makespan.as_secs_f64())?;
        let (busy, wasted) = (self.busy.as_secs_f64(), self.wasted.as_secs_f64());
        writeln!(f, "utilisation  {:.1} % of all slots' time: {busy:.1} slot-seconds", 100.0 * self.utilisation)?;
        writeln!(f, "waste        {:.1} % of that: {wasted:.1} slot-seconds", 100.0 * self.waste)?;
        writeln!(f, "attempts     {}", self.attempts)?;
        write!(f, "event log    {} events, {:016x}", self.events, self.hash)?;
        match &self.violation {
            Some(Violation { at, text }) => write!(f, "\nbug          at {at}: {text}"),
            None => Ok(()),
        }
    }
}
