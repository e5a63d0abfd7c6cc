//! A random shell around the core: it answers questions, its workers do what they are told, and it dies now and then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use windrow_model::*;
use windrow_scheduler::*;

use crate::cluster::{Cluster, read_spec};
use crate::lineage::Lineages;

pub struct World {
    pub cluster: Cluster,
    /// What it has been asked and has not answered.
    pub plans: Vec<PlanRequest>,
    pub commits: Vec<CommitRequest>,
    next_worker: u64,
    lineages: Lineages,
    /// Every attempt that a worker was told to run.
    assigned: BTreeSet<AttemptId>,
    /// What each commit was asked to publish, and the commits that were acknowledged.
    promised: BTreeMap<(JobId, u32), Vec<CommittedTask>>,
    published: BTreeSet<(JobId, u32)>,
    /// Workers that live and have to come back: the leader has died, or their stream has.
    pub away: Vec<WorkerId>,
    /// The leader dies within this step, before it tells anybody.
    pub untold: bool,
    /// Tasks with an intact output that must not run again.
    pub intact: BTreeMap<TaskId, MapOutputId>,
    /// What the leader counted on when it died.
    pub counted_on: BTreeMap<TaskId, MapOutputId>,
}

pub type Choice = (u8, u32, u32);

impl World {
    pub fn new(shuffle_store: bool) -> Self {
        let limits = Limits {
            lease: Duration::from_secs(20),
            running_jobs_max: 3,
            queued_jobs_max: 4,
            ended_jobs_max: 5,
            result_ttl: Duration::from_secs(60),
            stage_reruns_max: 3,
            hang_timeout: Duration::from_secs(60),
            speculation: Speculation {
                finished_percent_min: 20,
                runtime_min: Duration::from_millis(50),
                ..Speculation::default()
            },
            drain_deadline: Duration::from_secs(5),
            shuffle_store,
            ..Limits::default()
        };
        World {
            cluster: Cluster::new(limits),
            plans: Vec::new(),
            commits: Vec::new(),
            next_worker: 0,
            lineages: Lineages::default(),
            assigned: BTreeSet::new(),
            promised: BTreeMap::new(),
            published: BTreeSet::new(),
            away: Vec::new(),
            untold: false,
            intact: BTreeMap::new(),
            counted_on: BTreeMap::new(),
        }
    }

    pub fn step(&mut self, input: Input) {
        let cancelled = matches!(input, Input::JobCancelled { .. });
        let lost = self.workers_in(|state| state == WorkerState::Lost);
        let outbox = if self.untold { self.cluster.step_untold(input) } else { self.cluster.step(input) };
        assert!(!cancelled || outbox.replies.len() == 1);
        if self.untold {
            return;
        }
        for (worker, message) in &outbox.messages {
            assert!(!lost.contains(worker), "{message:?} was sent to {worker}, which is lost");
            self.forget_dropped(message);
            if let Message::RunTask(run) = message {
                self.check_run(run);
                self.lineages.run(run);
            }
        }
        outbox.commit_requests.iter().for_each(|request| self.check_commit(request));
        self.check_results();
        self.plans.extend(outbox.plan_requests);
        self.commits.extend(outbox.commit_requests);
        self.start_over_departed();
    }

    /// A worker that was given up while its stream was broken starts over: it holds nothing and gets a new id.
    fn start_over_departed(&mut self) {
        let lost = self.workers_in(|state| matches!(state, WorkerState::Lost | WorkerState::Gone));
        for worker in lost {
            *self.cluster.fakes.get(worker) = Default::default();
            self.cluster.fakes.muted.remove(&worker);
            self.away.retain(|away| *away != worker);
        }
    }

    /// A task may run again when its output was given up because nobody needed it.
    fn forget_dropped(&mut self, message: &Message) {
        match message {
            Message::ReleaseStages { stages } => self.intact.retain(|task, _| !stages.contains(&task.stage)),
            Message::ReleaseJob { job } => self.intact.retain(|task, _| task.stage.job != *job),
            _ => {}
        }
    }

    /// What a task is told to read is complete and where it is said to be, its number is new, and it had to run.
    fn check_run(&mut self, run: &RunTask) {
        let job = self.cluster.core.job(run.task.stage.job).expect("the job of a task");
        let stage = job.stages().nth(run.task.stage.index as usize).expect("the stage of a task");
        let stages: Vec<StageView<'_>> = job.stages().collect();
        let expected: u32 = stage.inputs().map(|input| stages[input as usize].tasks_total()).sum();
        assert_eq!(run.inputs.len() as u32, expected, "{run:?}");
        for input in run.inputs.iter() {
            assert!(self.cluster.fakes.holds(input.worker, input.output), "{input:?} is not there");
        }
        assert!(self.assigned.insert(run.attempt), "{} was given out twice", run.attempt);
        assert!(!self.intact.contains_key(&run.task), "{} runs again, and its output is intact", run.task);
    }

    /// A commit is asked for again only with the same files, and not after it was acknowledged.
    fn check_commit(&mut self, request: &CommitRequest) {
        self.lineages.commit(request);
        let key = (request.job, request.step);
        assert!(!self.published.contains(&key), "{key:?} is committed twice");
        let promised = self.promised.entry(key).or_insert_with(|| request.tasks.clone());
        assert_eq!(*promised, request.tasks, "the files of {key:?} have changed");
    }

    /// The parts of a result fit together and are where they are said to be.
    fn check_results(&self) {
        for job in self.cluster.core.jobs() {
            for step in job.result_steps() {
                let parts = self.cluster.core.result_outputs(job.id(), step).unwrap_or_default();
                self.lineages.union(parts.iter().map(|part| part.output.attempt));
                for part in parts {
                    let there = part.worker.is_none_or(|worker| self.cluster.fakes.holds(worker, part.output));
                    assert!(there, "{part:?} is not there");
                }
            }
        }
    }

    pub fn workers_in(&self, accept: impl Fn(WorkerState) -> bool) -> Vec<WorkerId> {
        self.cluster.core.workers().filter(|worker| accept(worker.state())).map(|worker| worker.id()).collect()
    }

    /// Workers that can be heard.
    pub fn present_workers(&self) -> Vec<WorkerId> {
        let present = self.workers_in(|state| matches!(state, WorkerState::Active | WorkerState::Draining));
        present.into_iter().filter(|worker| !self.away.contains(worker)).collect()
    }

    pub fn register(&mut self, slots: u32) {
        self.next_worker = (self.next_worker + 1).max(self.cluster.core.next_worker_id().0);
        let name = format!("place {}", self.next_worker % 4);
        let spec = WorkerSpec { slots, memory_bytes: u64::from(slots) << 30, host: "h".into(), name };
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

    pub fn answer_plan(&mut self, a: u32, b: u32) {
        if self.plans.is_empty() {
            return;
        }
        let request = self.plans.remove(a as usize % self.plans.len());
        let plan = crate::random::random_plan(&request, self.cluster.core.job(request.job), a, b);
        self.lineages.planned(&request, &plan);
        self.step(Input::StagesPlanned { job: request.job, step: request.step, plan });
    }

    /// Attempts that run on workers that can be heard, wanted or not.
    pub fn running(&mut self) -> Vec<(TaskId, WorkerId, AttemptId)> {
        let mut running = Vec::new();
        for worker in self.present_workers() {
            let fake = self.cluster.fakes.get(worker);
            running.extend(fake.running.iter().map(|(attempt, task)| (*task, worker, *attempt)));
        }
        running.sort_by_key(|(_, _, attempt)| *attempt);
        running
    }

    pub fn finish(&mut self, index: u32, b: u32) {
        let running = self.running();
        if running.is_empty() {
            return;
        }
        let (_, worker, attempt) = running[index as usize % running.len()];
        self.step(Input::AttemptStarted { worker, attempt });
        if self.cluster.fakes.get(worker).running.contains_key(&attempt) {
            self.step(Input::AttemptFinished { worker, attempt, output: random_output(b) });
        }
    }

    fn fail(&mut self, index: u32, b: u32) {
        let running = self.running();
        if running.is_empty() {
            return;
        }
        let (task, worker, attempt) = running[index as usize % running.len()];
        if let Some(failure) = self.random_failure(task, worker, b) {
            self.step(Input::AttemptFailed { worker, attempt, failure });
        }
    }

    fn random_failure(&self, task: TaskId, worker: WorkerId, b: u32) -> Option<Failure> {
        let report = ErrorReport::invalid("random");
        let peers: Vec<_> =
            self.cluster.attempts().into_iter().filter(|known| known.0.stage.job == task.stage.job).collect();
        let (blamed, peer, by, _) = *peers.get(b as usize % peers.len().max(1))?;
        let output = MapOutputId { task: blamed, attempt: by };
        Some(match b % 14 {
            0 => Failure::Query(report),
            1 => Failure::OutOfMemory(report),
            2 => Failure::Unavailable(report),
            3 => Failure::Preempted { worker },
            4 => Failure::Panicked(report),
            5 => Failure::Corrupt { output, peer },
            6 => Failure::DiskFull { path: "/spill".into() },
            7 => Failure::Internal(report),
            _ => Failure::FetchFailed { output, peer, detail: "random".into(), unreached: b & (1 << 31) != 0 },
        })
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

    pub fn commit(&mut self, a: u32, fails: bool) {
        if self.commits.is_empty() {
            return;
        }
        let CommitRequest { job, step, .. } = self.commits.remove(a as usize % self.commits.len());
        if fails {
            self.step(Input::CommitFailed { job, step, report: ErrorReport::invalid("random") });
            return;
        }
        self.step(Input::CommitFinished { job, step, files: Vec::new() });
        if !self.untold {
            self.published.insert((job, step));
        }
    }

    /// A receiver answers for a batch.
    pub fn copy(&mut self, a: u32, fails: bool) {
        let workers = self.present_workers().into_iter().chain([WorkerId::SHUFFLE_STORE]);
        let copying = |world: &mut Self, worker: &WorkerId| !world.cluster.fakes.get(*worker).copying.is_empty();
        let copying: Vec<WorkerId> = workers.filter(|worker| copying(self, worker)).collect();
        if copying.is_empty() {
            return;
        }
        let worker = copying[a as usize % copying.len()];
        let fakes = &mut self.cluster.fakes;
        let answers = if fails { fakes.refuse_copy(worker) } else { fakes.copy(worker) };
        answers.into_iter().for_each(|answer| self.step(answer));
    }

    fn progress(&mut self, a: u32) {
        let running = self.running();
        if let Some((_, worker, attempt)) = running.get(a as usize % running.len().max(1)).copied() {
            self.step(Input::AttemptProgressed { worker, progress: vec![(attempt, u64::from(a))] });
        }
    }

    pub fn tick(&mut self, by: Duration) {
        self.cluster.now = self.cluster.now + by;
        self.step(Input::Tick);
    }

    pub fn act(&mut self, (kind, a, b): Choice) {
        let workers = self.present_workers();
        let worker = (!workers.is_empty()).then(|| workers[a as usize % workers.len()]);
        match (kind % 50, worker) {
            (0..=3, _) => self.submit(a, b),
            (4..=7, _) if workers.len() < 5 => self.register(1 + b % 4),
            (8..=12, _) => self.answer_plan(a, b),
            (13..=24, _) => self.finish(a, b),
            (25..=27, _) => self.fail(a, b),
            (28, Some(worker)) => self.step(Input::WorkerDisconnected { worker }),
            (29, Some(worker)) => {
                let within = b.is_multiple_of(2).then(|| Duration::from_millis(u64::from(b % 3_000)));
                self.step(Input::DrainRequested { worker, within });
            }
            (30 | 31, Some(worker)) => self.step(Input::WorkerHeard { worker }),
            (32, _) => self.tick(Duration::from_millis(u64::from(b % 30_000))),
            (33 | 34, _) => self.tick(Duration::from_millis(u64::from(b % 500))),
            (35 | 36, _) => self.stale_report(a),
            (37, _) => self.commit(a, b.is_multiple_of(4)),
            (38, _) => {
                let request = self.cluster.request();
                self.step(Input::JobCancelled { request, job: JobId(u64::from(a % 12)) });
            }
            (39, _) if b.is_multiple_of(3) => self.fail_over(a, b),
            (40..=42, _) => self.copy(a, b.is_multiple_of(5)),
            (43, _) => self.progress(a),
            (44, Some(worker)) if b.is_multiple_of(3) => self.break_stream(worker),
            (45 | 46, _) => self.come_back(a),
            (47, _) => self.finish_unheard(a, b),
            _ => {}
        }
    }
}

pub fn random_output(b: u32) -> TaskOutput {
    // Up to one and a half times what a slot has of the memory.
    let memory_bytes_held = if b.is_multiple_of(5) { u64::from(b % 7) << 28 } else { 0 };
    TaskOutput {
        rows: 1,
        bytes: 8,
        memory_bytes_held,
        inline: b.is_multiple_of(7).then(Vec::new),
        ..TaskOutput::default()
    }
}
