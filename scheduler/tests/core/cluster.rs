//! One scheduler under test, with its clock and its journal; every step checks the invariants.

use std::collections::BTreeMap;
use std::time::Duration;

use windrow_model::*;
use windrow_scheduler::*;

pub struct Cluster {
    pub core: Scheduler,
    pub now: Timestamp,
    pub limits: Limits,
    pub journal: Vec<Record>,
    requests: u64,
    /// Scripts print events too.
    pub shows_events: bool,
}

impl Cluster {
    pub fn new(limits: Limits) -> Self {
        Cluster {
            core: Scheduler::new(1, limits.clone()),
            now: Timestamp(0),
            limits,
            journal: Vec::new(),
            requests: 0,
            shows_events: false,
        }
    }

    /// One step, with the invariants checked.
    pub fn step(&mut self, input: Input) -> Outbox {
        let mut outbox = Outbox::default();
        self.core.step(self.now, input, &mut outbox);
        assert_eq!(self.core.check_invariants(), Ok(()));
        assert!(self.core.next_deadline().is_none_or(|deadline| deadline > self.now), "a passed deadline is left");
        self.journal.extend(outbox.records.iter().cloned());
        outbox
    }

    pub fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    /// The task and worker of an attempt of the newest epoch that has this number.
    pub fn find(&self, n: u64) -> Option<(TaskId, WorkerId, AttemptId)> {
        let known = self.attempts().into_iter().filter(|(_, _, attempt, _)| attempt.n == n);
        known.max_by_key(|(_, _, attempt, _)| *attempt).map(|(task, worker, attempt, _)| (task, worker, attempt))
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
        program: Program::Sql { script: String::new(), base: String::new(), tables: BTreeMap::new(), output: None },
    }
}

pub fn stage_plan(index: u32, tasks: u32, slots: u32, inputs: Vec<u32>, determinism: Determinism) -> StagePlan {
    StagePlan {
        index,
        label: format!("stage {index}"),
        fragment: FragmentHash([index as u8; 16]),
        tasks: (0..tasks).map(|partition| TaskPlan { partitions: vec![partition], slots, input_bytes: 0 }).collect(),
        inputs: inputs.into_iter().map(|stage| StageInput { stage }).collect(),
        output_partitions: 1,
        determinism,
    }
}

/// Time enough for anything that has a limit by default.
pub const LONG: Duration = Duration::from_secs(24 * 3600);
