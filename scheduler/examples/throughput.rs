//! How many inputs the core takes in a second, and how much memory a task costs it.
//!
//! `cargo run --release -p windrow-scheduler --example throughput -- 1000000 100 4`
//! runs one stage of so many tasks on so many workers with so many slots. Every task is started and finished: two inputs.
//! Records and messages are built and dropped, as a shell would after it has sent them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use windrow_model::{
    AttemptId, Determinism, FragmentHash, JobId, JobSpec, Limits, Program, StagePlan, StepOutcome, StepPlan,
    TaskOutput, TaskPlan, Timestamp, WorkerId,
};
use windrow_scheduler::{Input, Message, Outbox, RequestId, Scheduler, WorkerSpec};

/// Virtual time between two inputs: a busy coordinator.
const STEP_US: u64 = 5;

struct Shell {
    core: Scheduler,
    now: Timestamp,
    outbox: Outbox,
    running: VecDeque<(WorkerId, AttemptId)>,
    inputs: u64,
}

impl Shell {
    fn step(&mut self, input: Input) {
        self.now = Timestamp(self.now.0 + STEP_US);
        self.core.step(self.now, input, &mut self.outbox);
        self.inputs += 1;
        for (worker, message) in self.outbox.messages.drain(..) {
            if let Message::RunTask(run) = message {
                self.running.push_back((worker, run.attempt));
            }
        }
        self.outbox.records.clear();
        self.outbox.replies.clear();
        self.outbox.plan_requests.clear();
        self.outbox.events.clear();
    }

    fn run(&mut self) {
        let mut heard = 0;
        while let Some((worker, attempt)) = self.running.pop_front() {
            self.step(Input::AttemptStarted { worker, attempt });
            let output = TaskOutput { rows: 1, bytes: 8, partition_bytes: vec![8], ..TaskOutput::default() };
            self.step(Input::AttemptFinished { worker, attempt, output });
            heard += 1;
            if heard % 1000 == 0 {
                self.step(Input::WorkerHeard { worker });
            }
        }
    }
}

fn main() {
    let numbers: Vec<u32> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let number = |index: usize, default: u32| numbers.get(index).copied().unwrap_or(default);
    let (tasks, workers, slots) = (number(0, 1_000_000), number(1, 100), number(2, 4));
    let mut shell = Shell {
        core: Scheduler::new(1, Limits::default()),
        now: Timestamp(0),
        outbox: Outbox::default(),
        running: VecDeque::new(),
        inputs: 0,
    };
    for worker in 1..=workers {
        let spec = WorkerSpec { slots, memory_bytes: 1 << 30, host: "h".into(), name: format!("place {worker}") };
        shell.step(Input::WorkerRegistered { worker: WorkerId(worker.into()), spec });
    }
    shell.step(Input::JobSubmitted { request: RequestId(1), spec: job() });

    let before = resident_bytes();
    let started = Instant::now();
    shell.step(Input::StagesPlanned { job: JobId(1), step: 0, plan: plan(tasks) });
    let planned = started.elapsed();
    shell.inputs = 0;
    let started = Instant::now();
    shell.run();
    let took = started.elapsed();
    let after = resident_bytes();

    let done = shell.core.job(JobId(1)).map_or(0, |job| job.stages().map(|stage| stage.tasks_done()).sum::<u32>());
    assert_eq!(done, tasks, "not all tasks are done");
    let rate = shell.inputs as f64 / took.as_secs_f64();
    println!("{tasks} tasks on {workers} workers of {slots} slots: planned in {planned:.2?}, run in {took:.2?}");
    println!("{rate:.0} inputs/s, {} bytes a task", after.saturating_sub(before) / u64::from(tasks.max(1)));
}

fn job() -> JobSpec {
    JobSpec {
        name: "throughput".into(),
        application: "bench".into(),
        queue: "default".into(),
        priority: 50,
        submitted_by: "me".into(),
        timeout: None,
        client_token: None,
        program: Program::Sql { script: String::new(), base: String::new(), tables: BTreeMap::new(), output: None },
    }
}

/// One stage whose outputs are kept on the workers.
fn plan(tasks: u32) -> StepPlan {
    let task = |partition| TaskPlan { partitions: vec![partition], slots: 1, input_bytes: 0 };
    let stage = StagePlan {
        index: 0,
        label: "no-op".into(),
        fragment: FragmentHash([0; 16]),
        tasks: (0..tasks).map(task).collect(),
        inputs: Vec::new(),
        output_partitions: 1,
        determinism: Determinism::Determinate,
    };
    StepPlan { stages: vec![stage], outcome: StepOutcome::Result { stage: 0 }, last: true }
}

/// Memory of this process that is in use; zero where `/proc` does not say.
fn resident_bytes() -> u64 {
    const PAGE_BYTES: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * PAGE_BYTES
}
