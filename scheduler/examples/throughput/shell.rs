//! The smallest shell that keeps the core's contract: it answers every question at once, and ends every attempt in the
//! order in which it was told to run it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use windrow_model::{AttemptId, ErrorReport, Failure, JobId, MapOutputId, TaskOutput, Timestamp, WorkerId};
use windrow_scheduler::{
    Input, InputRef, Inventory, Message, Outbox, PlanRequest, Record, RequestId, Scheduler, WorkerSpec,
};

use crate::shapes::{Losses, Shape};

/// Virtual time between two inputs: a busy coordinator.
const STEP_US: u64 = 5;

/// Attempts that end between two signs of life of a worker.
const ENDS_PER_HEARTBEAT: u64 = 1_000;

pub struct Shell<'a> {
    core: Scheduler,
    shape: &'a Shape,
    now: Timestamp,
    outbox: Outbox,
    plans: VecDeque<PlanRequest>,
    /// Receiver, and what it is to copy from whom.
    copies: VecDeque<(WorkerId, WorkerId, Vec<MapOutputId>)>,
    running: VecDeque<Attempt>,
    /// Workers that are there, those that are heard next first.
    workers: VecDeque<WorkerId>,
    lost: BTreeSet<WorkerId>,
    inputs: u64,
    attempts: u64,
    ended: u64,
    step_max: Duration,
    /// Kept only for a new leader.
    records: Vec<Record>,
}

struct Attempt {
    worker: WorkerId,
    id: AttemptId,
    partitions: u32,
    /// One of the outputs that it reads.
    reads: Option<InputRef>,
}

impl<'a> Shell<'a> {
    /// A cluster whose workers have registered.
    pub fn new(shape: &'a Shape) -> Self {
        let mut shell = Shell {
            core: Scheduler::new(1, shape.limits.clone()),
            shape,
            now: Timestamp(0),
            outbox: Outbox::default(),
            plans: VecDeque::new(),
            copies: VecDeque::new(),
            running: VecDeque::new(),
            workers: VecDeque::new(),
            lost: BTreeSet::new(),
            inputs: 0,
            attempts: 0,
            ended: 0,
            step_max: Duration::ZERO,
            records: Vec::new(),
        };
        for _ in 0..shape.workers {
            shell.add_worker();
        }
        (shell.inputs, shell.step_max) = (0, Duration::ZERO);
        shell
    }

    pub fn inputs(&self) -> u64 {
        self.inputs
    }

    pub fn attempts(&self) -> u64 {
        self.attempts
    }

    pub fn step_max(&self) -> Duration {
        self.step_max
    }

    /// Tasks of all jobs that are done; those of jobs that succeeded and were forgotten since count too.
    pub fn tasks_done(&self) -> u64 {
        let tasks = |id: JobId| -> u64 {
            self.shape.jobs[id.0 as usize - 1].stages.iter().map(|stage| u64::from(stage.tasks)).sum()
        };
        let done = |id: JobId| match self.core.job(id) {
            Some(job) => job.stages().map(|stage| u64::from(stage.tasks_done())).sum(),
            None => tasks(id),
        };
        (1..=self.shape.jobs.len() as u64).map(|id| done(JobId(id))).sum()
    }

    /// Submits all jobs, and ends attempts until none is left.
    pub fn run(&mut self) {
        for (request, job) in (0..).zip(&self.shape.jobs) {
            self.step(Input::JobSubmitted { request: RequestId(request), spec: job.spec() });
        }
        loop {
            if let Some(request) = self.plans.pop_front() {
                let plan = self.shape.jobs[request.job.0 as usize - 1].plan();
                self.step(Input::StagesPlanned { job: request.job, step: request.step, plan });
            } else if let Some((worker, from, outputs)) = self.copies.pop_front() {
                self.step(Input::OutputsCopied { worker, from, outputs });
            } else if let Some(attempt) = self.running.pop_front() {
                self.end(attempt);
            } else {
                return;
            }
        }
    }

    /// A new leader reads the journal, and every worker comes back with what it holds.
    pub fn recover(&mut self) {
        let mut inventories: BTreeMap<WorkerId, Inventory> = BTreeMap::new();
        for record in &self.records {
            if let Record::TaskFinished { task, attempt, worker, output, .. } = record {
                inventories.entry(*worker).or_default().finished.push((*task, *attempt, output.clone()));
            }
        }
        let records = std::mem::take(&mut self.records);
        self.inputs = records.len() as u64;
        let started = Instant::now();
        self.core = Scheduler::recover(self.now, 2, records, self.shape.limits.clone());
        self.step_max = started.elapsed();
        for (worker, inventory) in inventories {
            let spec = self.worker_spec(worker);
            self.step(Input::WorkerReattached { worker, spec, inventory });
        }
    }

    fn end(&mut self, Attempt { worker, id, partitions, reads }: Attempt) {
        if self.lost.contains(&worker) {
            return;
        }
        self.step(Input::AttemptStarted { worker, attempt: id });
        self.ended += 1;
        let Losses { worker_every, attempt_every, fetch_every, drain_every } = self.shape.losses;
        let due = |every: u64| every > 0 && self.ended.is_multiple_of(every);
        let failure = match reads {
            _ if due(attempt_every) => Some(Failure::Internal(ErrorReport::internal(format!("attempt {}", id.n)))),
            Some(input) if due(fetch_every) => {
                let detail = "no route to host".to_owned();
                Some(Failure::FetchFailed { output: input.output, peer: input.worker, detail, unreached: false })
            }
            _ => None,
        };
        let (lose_worker, drain_worker) = (due(worker_every), due(drain_every));
        match failure {
            Some(failure) => self.step(Input::AttemptFailed { worker, attempt: id, failure }),
            None => {
                let partition_bytes = vec![8; partitions as usize];
                let output = TaskOutput { rows: 1, bytes: 8, partition_bytes, ..TaskOutput::default() };
                self.step(Input::AttemptFinished { worker, attempt: id, output });
            }
        }
        if lose_worker {
            self.lose_worker();
        }
        if drain_worker {
            self.drain_worker();
        }
        if self.ended.is_multiple_of(ENDS_PER_HEARTBEAT)
            && let Some(worker) = self.workers.pop_front()
        {
            self.step(Input::WorkerHeard { worker });
            self.workers.push_back(worker);
        }
    }

    /// The worker that was heard least recently is lost, and another one takes its place.
    fn lose_worker(&mut self) {
        let Some(worker) = self.workers.pop_front() else { return };
        self.lost.insert(worker);
        self.step(Input::WorkerDisconnected { worker });
        self.add_worker();
    }

    fn drain_worker(&mut self) {
        let Some(worker) = self.workers.pop_front() else { return };
        self.add_worker();
        self.step(Input::DrainRequested { worker, within: None });
    }

    fn add_worker(&mut self) {
        let worker = self.core.next_worker_id();
        self.workers.push_back(worker);
        self.step(Input::WorkerRegistered { worker, spec: self.worker_spec(worker) });
    }

    fn worker_spec(&self, worker: WorkerId) -> WorkerSpec {
        let name = format!("place {}", worker.0);
        WorkerSpec { slots: self.shape.slots, memory_bytes: 1 << 30, host: "h".into(), name }
    }

    fn step(&mut self, input: Input) {
        self.now = Timestamp(self.now.0 + STEP_US);
        let started = Instant::now();
        self.core.step(self.now, input, &mut self.outbox);
        self.step_max = self.step_max.max(started.elapsed());
        self.inputs += 1;
        for (worker, message) in self.outbox.messages.drain(..) {
            match message {
                Message::RunTask(run) => {
                    let reads = run.inputs.get(self.attempts as usize % run.inputs.len().max(1)).copied();
                    self.attempts += 1;
                    let (id, partitions) = (run.attempt, run.output_partitions);
                    self.running.push_back(Attempt { worker, id, partitions, reads });
                }
                Message::CopyOutputs { outputs, from } => self.copies.push_back((worker, from, outputs)),
                _ => {}
            }
        }
        self.plans.extend(self.outbox.plan_requests.drain(..));
        if self.shape.recovers {
            self.records.append(&mut self.outbox.records);
        }
        self.outbox.records.clear();
        self.outbox.replies.clear();
        self.outbox.events.clear();
    }
}
