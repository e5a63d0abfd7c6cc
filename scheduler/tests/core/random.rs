//! Random inputs: no invariant breaks, no deadline is left behind, recovery agrees with the journal,
//! and once the cluster is kind every job ends.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use windrow_model::*;
use windrow_scheduler::*;

use crate::cluster::{Cluster, LONG, read_spec, stage_plan};
use crate::lineage::Lineages;

/// What the random shell has been asked and has not answered.
struct World {
    cluster: Cluster,
    plans: Vec<PlanRequest>,
    commits: Vec<CommitRequest>,
    next_worker: u64,
    lineages: Lineages,
    epoch: u64,
}

type Choice = (u8, u32, u32);

impl World {
    fn new() -> Self {
        let limits = Limits {
            lease: Duration::from_secs(20),
            running_jobs_max: 3,
            queued_jobs_max: 4,
            ended_jobs_max: 5,
            result_ttl: Duration::from_secs(60),
            stage_reruns_max: 3,
            ..Limits::default()
        };
        World {
            cluster: Cluster::new(limits),
            plans: Vec::new(),
            commits: Vec::new(),
            next_worker: 0,
            lineages: Lineages::default(),
            epoch: 1,
        }
    }

    fn step(&mut self, input: Input) {
        let cancelled = matches!(input, Input::JobCancelled { .. });
        let lost: Vec<WorkerId> = self
            .cluster
            .core
            .workers()
            .filter(|worker| worker.state() == WorkerState::Lost)
            .map(|worker| worker.id())
            .collect();
        let outbox = self.cluster.step(input);
        assert!(!cancelled || outbox.replies.len() == 1);
        for (worker, message) in &outbox.messages {
            assert!(!lost.contains(worker), "{message:?} was sent to {worker}, which is lost");
            if let Message::RunTask(run) = message {
                self.check_run(run);
                self.lineages.run(run);
            }
        }
        outbox.commit_requests.iter().for_each(|request| self.lineages.commit(request));
        self.check_results();
        self.plans.extend(outbox.plan_requests);
        self.commits.extend(outbox.commit_requests);
    }

    /// What a task is told to read is complete.
    fn check_run(&self, run: &RunTask) {
        let job = self.cluster.core.job(run.task.stage.job).expect("the job of a task");
        let stage = job.stages().nth(run.task.stage.index as usize).expect("the stage of a task");
        let stages: Vec<StageView<'_>> = job.stages().collect();
        let expected: u32 = stage.inputs().map(|input| stages[input as usize].tasks_total()).sum();
        assert_eq!(run.inputs.len() as u32, expected, "{run:?}");
    }

    /// The parts of a result fit together.
    fn check_results(&self) {
        for job in self.cluster.core.jobs() {
            for step in job.result_steps() {
                let parts = self.cluster.core.result_outputs(job.id(), step).unwrap_or_default();
                self.lineages.union(parts.iter().map(|part| part.output.attempt));
            }
        }
    }

    fn present_workers(&self) -> Vec<WorkerId> {
        let present = |state| matches!(state, WorkerState::Active | WorkerState::Draining);
        self.cluster.core.workers().filter(|worker| present(worker.state())).map(|worker| worker.id()).collect()
    }

    fn register(&mut self, slots: u32) {
        self.next_worker += 1;
        let spec = WorkerSpec {
            slots,
            memory_bytes: u64::from(slots) << 30,
            host: "h".into(),
            name: format!("place {slots}"),
        };
        self.step(Input::WorkerRegistered { worker: WorkerId(self.next_worker), spec });
    }

    fn submit(&mut self, a: u32, b: u32) {
        let request = self.cluster.request();
        let queue = if a.is_multiple_of(3) { "x" } else { "default" };
        let mut options = BTreeMap::from([("queue", queue)]);
        if b.is_multiple_of(4) {
            options.insert("timeout", "100s");
        }
        let mut spec = read_spec("random", &options);
        spec.priority = (a % 101) as u8;
        spec.client_token = b.is_multiple_of(5).then(|| format!("token {}", a % 4));
        self.step(Input::JobSubmitted { request, spec });
    }

    fn answer_plan(&mut self, a: u32, b: u32) {
        if self.plans.is_empty() {
            return;
        }
        let request = self.plans.remove(a as usize % self.plans.len());
        let plan = random_plan(&request, self.cluster.core.job(request.job), a, b);
        self.lineages.planned(&request, &plan);
        self.step(Input::StagesPlanned { job: request.job, step: request.step, plan });
    }

    fn finish(&mut self, index: u32, b: u32) {
        let live = self.cluster.live();
        if live.is_empty() {
            return;
        }
        let (_, worker, attempt) = live[index as usize % live.len()];
        self.step(Input::AttemptStarted { worker, attempt });
        let output =
            TaskOutput { rows: 1, bytes: 8, inline: b.is_multiple_of(7).then(Vec::new), ..TaskOutput::default() };
        self.step(Input::AttemptFinished { worker, attempt, output });
    }

    fn fail(&mut self, index: u32, b: u32) {
        let live = self.cluster.live();
        if live.is_empty() {
            return;
        }
        let (task, worker, attempt) = live[index as usize % live.len()];
        let failure = self.random_failure(task, worker, b);
        self.step(Input::AttemptFailed { worker, attempt, failure });
    }

    fn random_failure(&self, task: TaskId, worker: WorkerId, b: u32) -> Failure {
        let report = ErrorReport::invalid("random");
        let peers: Vec<_> =
            self.cluster.attempts().into_iter().filter(|known| known.0.stage.job == task.stage.job).collect();
        let (blamed, peer, by, _) = peers[b as usize % peers.len()];
        let output = MapOutputId { task: blamed, attempt: by };
        match b % 12 {
            0 => Failure::Query(report),
            1 => Failure::OutOfMemory(report),
            2 => Failure::Unavailable(report),
            3 => Failure::Preempted { worker },
            4 => Failure::Panicked(report),
            5 => Failure::Corrupt { output, peer },
            _ => Failure::FetchFailed { output, peer, detail: "random".into() },
        }
    }

    /// A report about any attempt there ever was.
    fn stale_report(&mut self, a: u32) {
        let attempts = self.cluster.attempts();
        if attempts.is_empty() {
            return;
        }
        let (task, worker, attempt, state) = attempts[a as usize % attempts.len()];
        if matches!(state, AttemptState::Assigned | AttemptState::Running) {
            return;
        }
        match a % 4 {
            0 => self.step(Input::AttemptStarted { worker, attempt }),
            1 => self.step(Input::AttemptFinished { worker, attempt, output: TaskOutput::default() }),
            2 => self.step(Input::AttemptFailed { worker, attempt, failure: Failure::TimedOut { after_ms: 1 } }),
            _ => self.step(Input::ResultUnreachable { output: MapOutputId { task, attempt }, worker }),
        }
    }

    fn commit(&mut self, a: u32, fails: bool) {
        if self.commits.is_empty() {
            return;
        }
        let CommitRequest { job, step, .. } = self.commits.remove(a as usize % self.commits.len());
        if fails {
            self.step(Input::CommitFailed { job, step, report: ErrorReport::invalid("random") });
        } else {
            self.step(Input::CommitFinished { job, step, files: Vec::new() });
        }
    }

    fn tick(&mut self, by: Duration) {
        self.cluster.now = self.cluster.now + by;
        self.step(Input::Tick);
    }

    fn act(&mut self, (kind, a, b): Choice) {
        let workers = self.present_workers();
        let worker = (!workers.is_empty()).then(|| workers[a as usize % workers.len()]);
        match (kind % 40, worker) {
            (0..=3, _) => self.submit(a, b),
            (4..=7, _) if workers.len() < 5 => self.register(1 + b % 4),
            (8..=12, _) => self.answer_plan(a, b),
            (13..=24, _) => self.finish(a, b),
            (25..=27, _) => self.fail(a, b),
            (28, Some(worker)) => self.step(Input::WorkerDisconnected { worker }),
            (29, Some(worker)) => self.step(Input::DrainRequested { worker, within: None }),
            (30 | 31, Some(worker)) => self.step(Input::WorkerHeard { worker }),
            (32, _) => self.tick(Duration::from_millis(u64::from(b % 30_000))),
            (33 | 34, _) => self.tick(Duration::from_millis(u64::from(b % 500))),
            (35 | 36, _) => self.stale_report(a),
            (37, _) => self.commit(a, b.is_multiple_of(4)),
            (38, _) => {
                let request = self.cluster.request();
                self.step(Input::JobCancelled { request, job: JobId(u64::from(a % 12)) });
            }
            (39, _) if b.is_multiple_of(3) => self.fail_over(),
            _ => {}
        }
    }

    /// The leader dies: a new one starts from the journal, and the workers come back under new ids.
    fn fail_over(&mut self) {
        self.epoch += 1;
        self.plans.clear();
        self.commits.clear();
        let limits = self.cluster.limits.clone();
        self.cluster.core = Scheduler::recover(self.cluster.now, self.epoch, &self.cluster.journal, limits);
        self.tick(Duration::ZERO);
    }

    /// Healthy workers, every attempt succeeds, every question is answered.
    fn be_kind(&mut self) {
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
            self.finish(0, 1);
            if self.cluster.live().is_empty() {
                self.tick(Duration::from_millis(100));
            }
            let resting = self.cluster.core.jobs().all(|job| job.state().is_final() && !job.is_restoring());
            if resting && self.cluster.live().is_empty() {
                return;
            }
            assert!(round < 9_999, "jobs do not end: {:#?}", self.waits());
        }
    }

    fn waits(&self) -> Vec<String> {
        let core = &self.cluster.core;
        core.jobs().flat_map(|job| core.why(job.id())).map(|reason| reason.to_string()).collect()
    }
}

/// Up to four stages that read earlier ones; one in three is indeterminate; later steps read tables of earlier ones.
fn random_plan(request: &PlanRequest, job: Option<JobView<'_>>, a: u32, b: u32) -> StepPlan {
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
fn durable(core: &Scheduler) -> Vec<(JobId, JobState, Vec<bool>, Option<ErrorReport>)> {
    // Admission is not recorded: a job without a plan may be queued or running.
    let state = |job: &JobView<'_>| match job.state() {
        JobState::Queued => JobState::Running,
        other => other,
    };
    core.jobs()
        .map(|job| (job.id(), state(&job), job.steps().map(|step| step.is_finished()).collect(), job.report().cloned()))
        .collect()
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
    fn random_inputs_break_no_invariant_and_a_kind_cluster_ends_every_job(choices in choices()) {
        let mut world = World::new();
        for choice in choices {
            world.act(choice);
        }
        world.be_kind();
    }

    #[test]
    fn recovery_agrees_with_what_was_recorded(choices in choices()) {
        let mut world = World::new();
        for choice in choices {
            world.act(choice);
        }
        let before = durable(&world.cluster.core);
        let limits = world.cluster.limits.clone();
        let recovered = Scheduler::recover(world.cluster.now, 1_000_000, &world.cluster.journal, limits);
        prop_assert_eq!(durable(&recovered), before);
    }

    #[test]
    fn the_same_inputs_give_the_same_journal(choices in choices()) {
        let journal = || {
            let mut world = World::new();
            choices.iter().for_each(|choice| world.act(*choice));
            world.tick(LONG);
            world.cluster.journal
        };
        prop_assert_eq!(journal(), journal());
    }
}
