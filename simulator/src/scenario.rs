//! From a seed to a run: how large, with which jobs, and what goes wrong.

use std::time::Duration;

use windrow_model::{Exclusion, Limits, Speculation, Timestamp};

use crate::chaos::{Scope, Script};
use crate::check::Checks;
use crate::faults::Faults;
use crate::rng::Rng;
use crate::setup::Setup;
use crate::workload::Workload;

/// After everything is repaired a job ends within this, beside ten times its time without faults: leases, recovery,
/// hang and exclusion have to pass, some of them one after the other.
pub(crate) const GRACE: Duration = Duration::from_secs(600);

/// Longer than any of the small workloads takes.
const KIND_HORIZON: Duration = Duration::from_secs(24 * 3600);

impl Setup {
    /// The run of a seed.
    pub fn of_seed(seed: u64) -> Setup {
        let rng = &mut Rng::for_purpose(seed, "setup");
        let workers = workers(rng);
        let coordinators = *rng.pick(&[1, 1, 2, 3]);
        let lasts = rng.millis(5_000, 60_000);
        let jobs = if rng.chance(0.1) { rng.between(5, 20) } else { rng.between(1, 4) };
        let workload = Workload::random(rng, jobs, lasts / 2);
        let scope = Scope { workers, coordinators, lasts };
        let incidents_max = *rng.pick(&[0, 3, 8, 20]);
        let faults = if rng.chance(0.9) { Faults::random(rng) } else { Faults::default() };
        // The journal is never quite sure.
        let faults = Faults { store_unknown: faults.store_unknown.max(0.05), ..faults };
        let streams_work = faults.packet_reordered == 0.0 && faults.packet_swallowed == 0.0;
        Setup {
            seed,
            coordinators,
            slots: (0..workers).map(|_| rng.between(1, 4) as u32).collect(),
            skew: Duration::from_millis(*rng.pick(&[0, 0, 500, 5_000])),
            drift_ppm: *rng.pick(&[0, 200, 5_000]),
            workload,
            chaos: Script::random(rng, scope, incidents_max),
            limits: limits(rng),
            horizon: Timestamp(0) + lasts + GRACE,
            checks: Checks {
                invariants: !cfg!(debug_assertions),
                slots: streams_work,
                leaks: streams_work,
                explanations: streams_work,
            },
            faults,
            may_reattach: true,
            leaders_watch_their_lease: rng.chance(0.5),
            sabotage: None,
        }
    }

    /// A run in which leaders come and go, and nothing else goes wrong: no work may be repeated.
    pub fn of_takeover_seed(seed: u64) -> Setup {
        let setup = Setup::of_seed(seed);
        let rng = &mut Rng::for_purpose(seed, "takeovers");
        let lasts = Duration::from_secs(40);
        let jobs = rng.between(1, 4);
        let mut workload = Workload::random(rng, jobs, lasts / 2);
        for job in &mut workload.jobs {
            (job.timeout, job.cancel_after) = (None, None);
        }
        let mut chaos = Script { incidents: Vec::new(), heals_at: Some(Timestamp(0) + lasts) };
        chaos.add_takeovers(rng, setup.coordinators, lasts);
        let limits = Limits {
            // A second attempt would be one too many here, and every worker comes back in time.
            speculation: Speculation { enabled: false, ..Speculation::default() },
            recovery_window: Duration::from_secs(60),
            lease: Duration::from_secs(10),
            queued_jobs_max: 10_000,
            ended_jobs_max: 1_000,
            result_ttl: Duration::from_secs(3_600),
            ..setup.limits.clone()
        };
        let faults = Faults { store_unknown: 0.05, store_unavailable: 0.02, ..Faults::default() };
        let checks = Checks { slots: true, leaks: true, explanations: true, ..setup.checks };
        Setup { workload, chaos, faults, limits, checks, ..setup }
    }

    /// The same jobs on the same cluster when nothing goes wrong.
    pub fn without_faults(&self) -> Setup {
        let checks = Checks { slots: true, leaks: true, explanations: true, ..self.checks };
        let chaos = Script::default();
        Setup {
            horizon: Timestamp(0) + KIND_HORIZON,
            chaos,
            faults: Faults::default(),
            skew: Duration::ZERO,
            drift_ppm: 0,
            checks,
            ..self.clone()
        }
    }
}

/// Most seeds are small: small runs find most bugs, and are read more easily.
fn workers(rng: &mut Rng) -> u32 {
    let workers = match rng.below(20) {
        0..=13 => rng.between(1, 4),
        14..=18 => rng.between(4, 10),
        _ => rng.between(10, 40),
    };
    workers as u32
}

/// Short or low, so that every limit is met within a run.
fn limits(rng: &mut Rng) -> Limits {
    let seconds = Duration::from_secs;
    Limits {
        lease: seconds(rng.between(4, 10)),
        running_jobs_max: *rng.pick(&[2, 64, 64]),
        queued_jobs_max: *rng.pick(&[2, 10_000, 10_000, 10_000]),
        ended_jobs_max: *rng.pick(&[2, 1_000, 1_000, 1_000]),
        no_worker_grace: seconds(*rng.pick(&[15, 90])),
        attempts_max: *rng.pick(&[2, 4]),
        stage_reruns_max: *rng.pick(&[1, 8]),
        worker_deaths_max: *rng.pick(&[2, 3]),
        result_ttl: seconds(*rng.pick(&[15, 3_600, 3_600])),
        recovery_window: seconds(rng.between(2, 10)),
        speculation: Speculation {
            finished_percent_min: rng.between(20, 60) as u32,
            runtime_min: rng.millis(100, 2_000),
            ..Speculation::default()
        },
        hang_timeout: seconds(rng.between(20, 40)),
        drain_deadline: seconds(rng.between(3, 20)),
        shuffle_store: rng.chance(0.2),
        exclusion: Exclusion { first: seconds(rng.between(5, 30)), max: seconds(60), ..Exclusion::default() },
        ..Limits::default()
    }
}
