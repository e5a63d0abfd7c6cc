//! Random inputs: no invariant breaks, no deadline is left behind, recovery agrees with the journal,
//! and once the cluster is kind every job ends.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use windrow_model::*;
use windrow_scheduler::*;

use crate::cluster::{LONG, stage_plan};
use crate::world::{Choice, World};

impl World {
    /// Healthy workers, every attempt succeeds, every question is answered.
    fn be_kind(&mut self) {
        while !self.away.is_empty() {
            self.come_back(0);
        }
        self.register(4);
        self.register(2);
        for round in 0..10_000 {
            for worker in self.present_workers() {
                self.step(Input::WorkerHeard { worker });
            }
            while !self.plans.is_empty() {
                self.answer_plan(0, 1);
            }
            self.commit(0, false);
            self.copy(0, false);
            self.finish(0, 1);
            if self.running().is_empty() {
                self.tick(Duration::from_millis(100));
            }
            let resting = self.cluster.core.jobs().all(|job| job.state().is_final() && !job.is_restoring());
            if resting && self.cluster.live().is_empty() {
                return self.check_totals();
            }
            assert!(round < 9_999, "jobs do not end: {:#?}", self.waits());
        }
    }

    /// Every task of a stage that is done counts once: each attempt has written one row.
    fn check_totals(&self) {
        for stage in self.cluster.core.jobs().flat_map(|job| job.stages()) {
            if stage.state() == StageState::Done {
                assert_eq!(stage.rows(), u64::from(stage.tasks_total()), "the rows of {}", stage.id());
            }
        }
    }

    /// Like `act`, and nothing fails.
    fn act_kindly(&mut self, (kind, a, b): Choice) {
        let active = self.workers_in(|state| state == WorkerState::Active);
        match kind % 10 {
            0 if active.len() > 1 => {
                let worker = active[a as usize % active.len()];
                self.step(Input::DrainRequested { worker, within: Some(LONG) });
            }
            1 => self.register(1 + b % 4),
            2 => self.act((b as u8 % 4, a, b)),
            3 => self.answer_plan(a, b),
            4 => self.copy(a, false),
            5 => self.commit(a, false),
            6 => self.tick(Duration::from_millis(u64::from(b % 100))),
            _ => self.finish(a, b),
        }
        for worker in self.present_workers() {
            self.step(Input::WorkerHeard { worker });
        }
    }

    fn waits(&self) -> Vec<String> {
        let core = &self.cluster.core;
        core.jobs().flat_map(|job| core.why(job.id())).map(|reason| reason.to_string()).collect()
    }
}

/// Up to four stages that read earlier ones; one in three is indeterminate; later steps read tables of earlier ones.
pub fn random_plan(request: &PlanRequest, job: Option<JobView<'_>>, a: u32, b: u32) -> StepPlan {
    let first = request.first_stage;
    let mut seed = u64::from(a) << 32 | u64::from(b);
    let mut next = |below: u32| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u32 % below
    };
    let last = request.step >= 2 || next(2) == 0;
    let count = next(5);
    if count == 0 {
        return StepPlan { stages: Vec::new(), outcome: StepOutcome::Immediate, last };
    }
    let tables: Vec<u32> = job
        .into_iter()
        .flat_map(|job| job.steps())
        .filter_map(|step| match step.outcome() {
            StepOutcome::Table { stage } => Some(stage),
            _ => None,
        })
        .collect();
    let mut stages = Vec::new();
    for index in first..first + count {
        let mut inputs: Vec<u32> = (first..index).filter(|_| next(2) == 0).collect();
        inputs.extend(tables.iter().filter(|_| next(2) == 0));
        let determinism = if next(3) == 0 { Determinism::Indeterminate } else { Determinism::Unordered };
        stages.push(stage_plan(index, next(4), 1 + next(4), inputs, determinism));
    }
    let stage = first + count - 1;
    let outcome = match next(4) {
        0 => StepOutcome::Result { stage },
        1 => StepOutcome::Table { stage },
        2 => StepOutcome::Commit { stage },
        _ => StepOutcome::Discard { stage },
    };
    StepPlan { stages, outcome, last }
}

/// What must be the same before and after a failover.
fn durable(core: &Scheduler) -> Vec<String> {
    let steps = |job: &JobView<'_>| job.steps().map(|step| step.is_finished()).collect::<Vec<bool>>();
    let facts = |job: JobView<'_>| {
        format!("{} {} {:?} {:?} {:?}", job.id(), job.state(), steps(&job), job.report(), job.started_at())
    };
    core.jobs().map(facts).collect()
}

/// Everything that is shown of jobs that have ended and keep nothing. Cancelled attempts are not recorded, and `first`
/// leaders only know when all outputs of a stage were there at once: a later one may miss some without a loss.
pub fn ended_jobs(core: &Scheduler, first: bool) -> BTreeMap<JobId, String> {
    let over = |job: &JobView<'_>| job.state().is_final() && job.result_expires_at().is_none() && !job.is_recovering();
    let over = core.jobs().filter(over);
    over.map(|job| (job.id(), print_ended(&job, first))).collect()
}

fn print_ended(job: &JobView<'_>, first: bool) -> String {
    let times = (job.submitted_at(), job.started_at(), job.ended_at(), job.since());
    let mut text = format!("{:?} {:?} {:?} {:?} {times:?}\n", job.state(), job.reason(), job.report(), job.spec());
    for step in job.steps() {
        text += &format!("{} {:?} {:?}\n", step.index(), step.outcome(), (step.is_finished(), step.committed()));
    }
    for stage in job.stages() {
        let figures = (stage.tasks_running(), stage.rows(), stage.bytes(), stage.reruns());
        let done = first.then(|| (stage.state(), stage.tasks_done(), stage.is_released()));
        text += &format!("{} {figures:?} {done:?}\n", stage.id());
        for task in stage.tasks() {
            for attempt in task.attempts().filter(|attempt| attempt.state() != AttemptState::Cancelled) {
                text += &print_attempt(&attempt);
            }
        }
    }
    text
}

fn print_attempt(attempt: &AttemptView<'_>) -> String {
    let run = (attempt.try_number(), attempt.slots(), attempt.is_speculative());
    let times = (attempt.assigned_at(), attempt.started_at(), attempt.ended_at());
    let end = (attempt.state(), attempt.failure(), attempt.is_output_lost(), attempt.output());
    format!("{} {} {run:?} {times:?} {end:?}\n", attempt.id(), attempt.worker())
}

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    prop::collection::vec((any::<u8>(), any::<u32>(), any::<u32>()), 0..200)
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    ProptestConfig { cases: if asked { default.cases } else { 300 }, failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_inputs_break_no_invariant_and_a_kind_cluster_ends_every_job(choices in choices(), stores in any::<bool>()) {
        let mut world = World::new(stores);
        for choice in choices {
            world.act(choice);
        }
        world.be_kind();
    }

    #[test]
    fn recovery_agrees_with_what_was_recorded(choices in choices(), stores in any::<bool>()) {
        let mut world = World::new(stores);
        for choice in choices {
            world.act(choice);
        }
        let before = durable(&world.cluster.core);
        let limits = world.cluster.limits.clone();
        let recovered = Scheduler::recover(world.cluster.now, 1_000_000, &world.cluster.journal, limits);
        prop_assert_eq!(durable(&recovered), before);
    }

    /// Nothing that has completed on a worker that lives runs again because the leader died.
    #[test]
    fn a_failover_repeats_no_work(
        choices in choices(),
        stores in any::<bool>(),
        last in (any::<u8>(), any::<u32>(), any::<u32>()),
        returns in prop::collection::vec((any::<bool>(), any::<u32>(), any::<u32>()), 0..20),
    ) {
        let mut world = World::new(stores);
        for choice in choices {
            world.act(choice);
        }
        while !world.away.is_empty() {
            world.come_back(0);
        }
        // Those that an earlier failover has killed are noticed.
        world.tick(world.cluster.limits.recovery_window);
        if last.1.is_multiple_of(2) {
            world.die(last.2);
        } else {
            world.die_within(last, last.2);
        }
        world.intact = std::mem::take(&mut world.counted_on);
        for (finishes, a, b) in returns {
            if finishes { world.finish_unheard(a, b) } else { world.come_back(a) }
        }
        world.be_kind();
    }

    /// With workers that answer, however many of them leave: nothing is lost, and nothing is stopped.
    #[test]
    fn a_drain_repeats_no_work(choices in choices(), stores in any::<bool>()) {
        let mut world = World::new(stores);
        world.cluster.limits.result_ttl = LONG;
        world.cluster.core = Scheduler::new(1, world.cluster.limits.clone());
        for choice in choices {
            world.act_kindly(choice);
        }
        world.be_kind();
        let lost = world.cluster.journal.iter().find(|record| match record {
            Record::OutputsLost { .. } | Record::AttemptFailed { .. } => true,
            Record::WorkerLeft { state, .. } => *state == WorkerState::Lost,
            _ => false,
        });
        prop_assert_eq!(lost, None);
    }

    #[test]
    fn the_same_inputs_give_the_same_journal(choices in choices(), stores in any::<bool>()) {
        let journal = || {
            let mut world = World::new(stores);
            choices.iter().for_each(|choice| world.act(*choice));
            world.tick(LONG);
            world.cluster.journal
        };
        prop_assert_eq!(journal(), journal());
    }
}
