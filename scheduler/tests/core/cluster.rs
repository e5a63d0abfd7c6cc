//! One scheduler under test, with its clock and its journal; every step checks the invariants.

use std::collections::BTreeMap;
use std::time::Duration;

use windrow_model::*;
use windrow_scheduler::*;

use crate::fakes::Fakes;
use crate::print::print_outbox;

pub struct Cluster {
    pub core: Scheduler,
    pub fakes: Fakes,
    pub epoch: u64,
    pub now: Timestamp,
    pub limits: Limits,
    pub journal: Vec<Record>,
    /// Records that were durable before something was told; the others may be lost with the leader.
    pub durable: usize,
    requests: u64,
    /// Scripts print events too.
    pub shows_events: bool,
    /// Scripts print how many lines of each kind there are instead of the lines.
    pub shows_counts: bool,
    /// Scripts say when records must be durable first.
    pub shows_durability: bool,
    /// `WINDROW_TRACE=1` prints every step, to look into a failing random test.
    traces: bool,
}

impl Cluster {
    pub fn new(limits: Limits) -> Self {
        Cluster {
            core: Scheduler::new(1, limits.clone()),
            fakes: Fakes::default(),
            epoch: 1,
            now: Timestamp(0),
            limits,
            journal: Vec::new(),
            durable: 0,
            requests: 0,
            shows_events: false,
            shows_counts: false,
            shows_durability: false,
            traces: std::env::var_os("WINDROW_TRACE").is_some(),
        }
    }

    /// One step, with the invariants checked.
    pub fn step(&mut self, input: Input) -> Outbox {
        let outbox = self.step_untold(input);
        for (worker, message) in &outbox.messages {
            self.fakes.obey(*worker, message);
        }
        outbox
    }

    /// One step whose messages reach nobody: the leader dies before it tells them.
    pub fn step_untold(&mut self, input: Input) -> Outbox {
        self.fakes.report(&input);
        let mut outbox = Outbox::default();
        if self.traces {
            println!("{} {input:?}", self.now);
        }
        self.core.step(self.now, input, &mut outbox);
        if self.traces {
            println!("{}", print_outbox(&outbox));
        }
        assert_eq!(self.core.check_invariants(), Ok(()));
        assert!(self.core.next_deadline().is_none_or(|deadline| deadline > self.now), "a passed deadline is left");
        self.journal.extend(outbox.records.iter().cloned());
        if outbox.persist_first {
            self.durable = self.journal.len();
        }
        outbox
    }

    /// A new leader starts from the first `records` of the journal.
    pub fn recover(&mut self, records: usize) {
        if self.traces {
            println!("a new leader takes over from {records} of {} records", self.journal.len());
        }
        self.journal.truncate(records);
        self.durable = records;
        self.epoch += 1;
        self.core = Scheduler::recover(self.now, self.epoch, &self.journal, self.limits.clone());
    }

    pub fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    /// The task and worker of an attempt.
    pub fn find(&self, id: AttemptId) -> Option<(TaskId, WorkerId)> {
        let mut attempts = self.attempts().into_iter();
        attempts.find(|(_, _, attempt, _)| *attempt == id).map(|(task, worker, _, _)| (task, worker))
    }

    /// Live attempts, in the order they were assigned.
    pub fn live(&self) -> Vec<(TaskId, WorkerId, AttemptId)> {
        let live = |state| matches!(state, AttemptState::Assigned | AttemptState::Running);
        let mut live: Vec<_> = self
            .attempts()
            .into_iter()
            .filter(|known| live(known.3))
            .map(|(task, worker, attempt, _)| (task, worker, attempt))
            .collect();
        live.sort_by_key(|(_, _, attempt)| *attempt);
        live
    }

    pub fn attempts(&self) -> Vec<(TaskId, WorkerId, AttemptId, AttemptState)> {
        let mut attempts = Vec::new();
        for stage in self.core.jobs().flat_map(|job| job.stages()) {
            for task in stage.tasks() {
                attempts.extend(task.attempts().map(|known| (task.id(), known.worker(), known.id(), known.state())));
            }
        }
        attempts
    }
}

pub fn read_spec(name: &str, options: &BTreeMap<&str, &str>) -> JobSpec {
    JobSpec {
        name: name.to_owned(),
        application: "test".to_owned(),
        queue: options.get("queue").unwrap_or(&"default").to_string(),
        priority: options.get("priority").map_or(50, |text| text.parse().expect("a priority")),
        submitted_by: options.get("by").unwrap_or(&"me").to_string(),
        timeout: options.get("timeout").map(|text| parse_duration(text).expect("a duration")),
        client_token: options.get("token").map(|text| text.to_string()),
        program: Program::Sql {
            script: String::new(),
            base: String::new(),
            tables: BTreeMap::new(),
            made: BTreeMap::new(),
            output: None,
        },
    }
}

pub fn stage_plan(index: u32, tasks: u32, slots: u32, inputs: Vec<u32>, determinism: Determinism) -> StagePlan {
    StagePlan {
        index,
        label: format!("stage {index}"),
        fragment: FragmentHash([index as u8; 16]),
        tasks: (0..tasks)
            .map(|partition| TaskPlan { partitions: vec![partition], slots, ..TaskPlan::default() })
            .collect(),
        inputs: inputs.into_iter().map(|stage| StageInput { stage }).collect(),
        output_partitions: 1,
        determinism,
        coalescing: None,
    }
}

/// `3` is attempt 3 of the first leader, `2/3` of the second one.
pub fn read_attempt(text: &str) -> Option<AttemptId> {
    let text = text.trim_start_matches('#');
    let (epoch, n) = text.split_once('/').unwrap_or(("1", text));
    Some(AttemptId { epoch: epoch.parse().ok()?, n: n.parse().ok()? })
}

pub fn print_id(attempt: AttemptId) -> String {
    if attempt.epoch == 1 { format!("#{}", attempt.n) } else { format!("#{attempt}") }
}

/// Time enough for anything that has a limit by default.
pub const LONG: Duration = Duration::from_secs(24 * 3600);
