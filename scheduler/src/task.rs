//! A task, every attempt at it, and what is held against it. Only state and counting.

use windrow_model::{AttemptId, AttemptState, Failure, TaskOutput, Timestamp, WorkerId};

use crate::backlog::{Urgency, Wish};
use crate::retry::counts;
use crate::{AttemptRun, Blamed};

/// Attempts of one task that are remembered. Counted failures end a job long before; only preemption can go on.
const ATTEMPTS_KEPT: usize = 64;

#[derive(Clone, Debug, Default)]
pub(crate) struct Task {
    pub state: TaskState,
    /// Oldest first.
    pub attempts: Vec<Attempt>,
    pub tries: u32,
    /// It has had an output at some time.
    pub produced: bool,
    /// Of the newest successful attempt.
    pub rows: u64,
    pub bytes: u64,
    /// `None` for the many tasks to which nothing ever happens.
    trouble: Option<Box<Trouble>>,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TaskState {
    /// Not asked for: never needed yet, or its output was released.
    #[default]
    Idle,
    Pending {
        since: Timestamp,
    },
    Delayed {
        until: Timestamp,
    },
    /// One attempt is live, or two when it is speculated.
    Live,
    /// The output of attempt `by` is there: on worker `at`, if it is resident.
    Available {
        by: AttemptId,
        at: WorkerId,
    },
    /// After a recovery: attempt `by` succeeded, and worker `at`, which is awaited, may still hold its output.
    Expected {
        by: AttemptId,
        at: WorkerId,
    },
}

/// What is held against a task or was learned from its failures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    /// Failures that count against `Limits::attempts_max`.
    pub failures: u32,
    pub out_of_memory: u32,
    pub unavailable: u32,
    /// Times its output was reported unreadable.
    pub blames: u32,
    /// Second attempts that were started while the first one ran.
    pub speculations: u32,
    /// Workers that died while they ran this task.
    pub deaths: Vec<WorkerId>,
    /// Workers that failed it.
    pub failed_on: Vec<WorkerId>,
    /// Workers that failed it or lost its output: others are preferred.
    pub avoid: Vec<WorkerId>,
    /// Workers that had no room for it, with the path.
    pub full_disks: Vec<(WorkerId, String)>,
    /// Panics and internal errors, as they were reported.
    pub crashes: Vec<(WorkerId, Failure)>,
    /// The next attempt gets a worker to itself.
    pub whole_worker: bool,
    /// Newest attempt given out when its output last moved: older ones may still look for it at the old place.
    pub moved_at: Option<AttemptId>,
}

static NO_TROUBLE: Trouble = Trouble {
    failures: 0,
    out_of_memory: 0,
    unavailable: 0,
    blames: 0,
    speculations: 0,
    deaths: Vec::new(),
    failed_on: Vec::new(),
    avoid: Vec::new(),
    full_disks: Vec::new(),
    crashes: Vec::new(),
    whole_worker: false,
    moved_at: None,
};

#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub id: AttemptId,
    pub worker: WorkerId,
    pub state: AttemptState,
    pub run: AttemptRun,
    pub ended_at: Option<Timestamp>,
    /// The number that its worker reported last, and when it last grew.
    pub progress: u64,
    pub progressed_at: Timestamp,
    pub failure: Option<Box<Failure>>,
    /// Figures and files stay; bytes are dropped when the output is given up.
    pub output: TaskOutput,
    /// Newest attempt given out when the output was lost: that one and older ones may still complain about it.
    pub lost_at: Option<AttemptId>,
}

impl Task {
    pub fn trouble(&self) -> &Trouble {
        self.trouble.as_deref().unwrap_or(&NO_TROUBLE)
    }

    pub fn trouble_mut(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }

    pub fn urgency(&self) -> Urgency {
        if self.produced { Urgency::Rerun } else { Urgency::Normal }
    }

    /// `slots` is what the plan says, `memory_bytes` what is known of its stage.
    pub fn wish(&self, slots: u32, memory_bytes: u64) -> Wish {
        let trouble = self.trouble();
        Wish { slots: slots.max(1), memory_bytes, whole_worker: trouble.whole_worker, avoid: trouble.avoid.clone() }
    }

    /// Remembers an attempt; the oldest one is forgotten if there are too many.
    pub fn push(&mut self, attempt: Attempt) -> Option<AttemptId> {
        let forgotten = (self.attempts.len() == ATTEMPTS_KEPT).then(|| self.attempts.remove(0).id);
        self.tries = self.tries.max(attempt.run.try_number);
        if self.attempts.is_empty() {
            // Nearly all tasks have one attempt.
            self.attempts.reserve_exact(1);
        }
        // The journal tells of attempts in the order in which they end.
        let place = self.attempts.partition_point(|older| older.id < attempt.id);
        self.attempts.insert(place, attempt);
        forgotten
    }

    pub fn find(&self, id: AttemptId) -> Option<&Attempt> {
        self.attempts.iter().rev().find(|attempt| attempt.id == id)
    }

    pub fn find_mut(&mut self, id: AttemptId) -> Option<&mut Attempt> {
        self.attempts.iter_mut().rev().find(|attempt| attempt.id == id)
    }

    pub fn live(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter().filter(|attempt| attempt.is_live())
    }

    /// The attempt whose output is there.
    pub fn available(&self) -> Option<(&Attempt, WorkerId)> {
        match self.state {
            TaskState::Available { by, at } => Some((self.find(by)?, at)),
            TaskState::Idle
            | TaskState::Pending { .. }
            | TaskState::Delayed { .. }
            | TaskState::Live
            | TaskState::Expected { .. } => None,
        }
    }

    pub fn is_available(&self) -> bool {
        self.available().is_some()
    }

    /// The newest attempt that ever succeeded, whether its output is still there or not. Its rows count: where rows may
    /// differ, everybody who had read those of an earlier one has run again.
    pub fn last_success(&self) -> Option<&Attempt> {
        self.attempts.iter().rev().find(|attempt| attempt.state == AttemptState::Succeeded)
    }

    /// Counts a failure and keeps what it teaches. What follows from it is decided in `retry`.
    /// A speculative attempt counts against nothing.
    pub fn learn(&mut self, worker: WorkerId, failure: &Failure, blamed: Option<Blamed>, run: &AttemptRun) {
        if run.speculative {
            return;
        }
        let counted = counts(failure, blamed);
        let died = matches!(failure, Failure::WorkerLost { .. }) && run.started_at.is_some();
        if !counted && !died && !matches!(failure, Failure::OutOfMemory(_)) {
            return;
        }
        let trouble = self.trouble_mut();
        trouble.failures += u32::from(counted);
        if counted {
            add(&mut trouble.failed_on, worker);
            add(&mut trouble.avoid, worker);
        }
        trouble.note(worker, failure, died);
    }
}

impl Trouble {
    fn note(&mut self, worker: WorkerId, failure: &Failure, died: bool) {
        match failure {
            Failure::OutOfMemory(_) => {
                self.out_of_memory += 1;
                self.whole_worker = true;
            }
            Failure::Unavailable(_) => self.unavailable += 1,
            Failure::DiskFull { path } => self.full_disks.push((worker, path.clone())),
            Failure::Panicked(_) | Failure::Internal(_) => self.crashes.push((worker, failure.clone())),
            Failure::WorkerLost { .. } => {
                if died {
                    add(&mut self.deaths, worker);
                }
            }
            Failure::Query(_)
            | Failure::UserCode(_)
            | Failure::FetchFailed { .. }
            | Failure::Preempted { .. }
            | Failure::TimedOut { .. }
            | Failure::Corrupt { .. } => {}
        }
    }

    /// The same crash on two workers is the task's fault, not theirs.
    pub fn is_own_fault(&self) -> bool {
        self.crashes
            .iter()
            .any(|(worker, crash)| self.crashes.iter().any(|(other, same)| other != worker && same == crash))
    }
}

pub(crate) fn add(workers: &mut Vec<WorkerId>, worker: WorkerId) {
    if !workers.contains(&worker) {
        workers.push(worker);
    }
}

impl Attempt {
    pub fn new(id: AttemptId, worker: WorkerId, state: AttemptState, run: AttemptRun, now: Timestamp) -> Self {
        Attempt {
            id,
            worker,
            state,
            run,
            ended_at: None,
            progress: 0,
            progressed_at: now,
            failure: None,
            output: TaskOutput::default(),
            lost_at: None,
        }
    }

    pub fn is_live(&self) -> bool {
        match self.state {
            AttemptState::Assigned | AttemptState::Running => true,
            AttemptState::Succeeded | AttemptState::Failed | AttemptState::Cancelled | AttemptState::Lost => false,
        }
    }

    /// When it started to run, or was assigned if it has not.
    pub fn began_at(&self) -> Timestamp {
        self.run.started_at.unwrap_or(self.run.assigned_at)
    }

    /// It succeeded and its output was never lost, although it may have been released.
    pub fn is_counted(&self) -> bool {
        self.state == AttemptState::Succeeded && self.lost_at.is_none()
    }

    /// Files stay: they outlive the worker, and a commit may count on them.
    pub fn strip_output(&mut self) {
        self.output.inline = None;
    }
}
