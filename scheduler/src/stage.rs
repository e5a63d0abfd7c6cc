//! A stage, its tasks and every attempt at them. Only state and counting: who decides is in `demand` and `attempt`.

use std::collections::BTreeSet;

use windrow_model::{
    AttemptId, AttemptState, Failure, MapOutputId, StageId, StagePlan, StageState, TaskId, TaskOutput, Timestamp,
    WorkerId,
};

/// Attempts of one task that are remembered. Counted failures end a job long before; only preemption can go on.
const ATTEMPTS_KEPT: usize = 64;

/// What becomes of a stage's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StageRole {
    /// Read by other stages of the same step.
    Inner,
    /// Rows for the client.
    Result,
    /// Rows for later steps.
    Table,
    /// Files for the commit; they live at the target, not on a worker.
    Sink,
    /// Only counts.
    Count,
}

#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub id: StageId,
    pub step: u32,
    pub role: StageRole,
    pub plan: StagePlan,
    /// Stages that read this one, in index order.
    pub consumers: Vec<u32>,
    pub state: StageState,
    pub since: Timestamp,
    /// Somebody needs all outputs of this stage: see `demand`.
    pub wanted: bool,
    /// It was done once and its outputs were given up because nobody needed them.
    pub released: bool,
    pub ever_done: bool,
    pub tasks: Vec<Task>,
    /// Tasks that can be placed when the inputs are there: re-runs first, then by index.
    pub pending: BTreeSet<(Urgency, u32)>,
    /// Tasks that wait for their back-off to end.
    pub delayed: BTreeSet<(Timestamp, u32)>,
    /// Tasks whose output is there.
    pub available: u32,
    /// Live attempts.
    pub running: u32,
    /// Times a task of this stage was queued again after its output had been there.
    pub reruns: u32,
    /// Of the newest successful attempt of each task.
    pub rows: u64,
    pub bytes: u64,
    /// A task has finished since watchers were told.
    pub progressed: bool,
}

/// Order of pending tasks within a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// Its output was there and is gone: others wait for it.
    Rerun,
    Normal,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Task {
    pub state: TaskState,
    pub attempts: Vec<Attempt>,
    pub tries: u32,
    /// Failures that count against `Limits::attempts_max`.
    pub failures: u32,
    pub out_of_memory: u32,
    pub unavailable: u32,
    /// Times its output was reported unreadable.
    pub blames: u32,
    /// Workers that died while they ran this task.
    pub deaths: Vec<WorkerId>,
    /// Workers that failed it; others are preferred.
    pub avoid: Vec<WorkerId>,
    /// The next attempt gets a worker to itself.
    pub whole_worker: bool,
    /// It has had an output at some time.
    pub produced: bool,
    pub rows: u64,
    pub bytes: u64,
}

/// Where a task stands. `Live` and `Available` speak of its newest attempt (I-3).
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
    Live,
    Available,
}

#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub id: AttemptId,
    pub try_number: u32,
    pub worker: WorkerId,
    pub state: AttemptState,
    pub slots: u32,
    pub assigned_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub failure: Option<Failure>,
    /// Figures stay; bytes and files are dropped when the output is given up.
    pub output: TaskOutput,
    /// Attempt counter when the output was lost: attempts with a smaller number may still complain about it.
    pub lost_at: Option<u64>,
}

impl Stage {
    pub fn new(id: StageId, step: u32, role: StageRole, plan: StagePlan, now: Timestamp) -> Self {
        let tasks = vec![Task::default(); plan.tasks.len()];
        Stage {
            id,
            step,
            role,
            plan,
            consumers: Vec::new(),
            state: StageState::Waiting,
            since: now,
            wanted: false,
            released: false,
            ever_done: tasks.is_empty(),
            tasks,
            pending: BTreeSet::new(),
            delayed: BTreeSet::new(),
            available: 0,
            running: 0,
            reruns: 0,
            rows: 0,
            bytes: 0,
            progressed: false,
        }
    }

    pub fn task_id(&self, index: u32) -> TaskId {
        TaskId { stage: self.id, index }
    }

    /// Every output is there.
    pub fn is_complete(&self) -> bool {
        self.available as usize == self.tasks.len()
    }

    /// The output is held by a worker and goes away with it.
    pub fn is_resident(&self, output: &TaskOutput) -> bool {
        match self.role {
            StageRole::Inner | StageRole::Table => true,
            StageRole::Result => output.inline.is_none(),
            StageRole::Sink | StageRole::Count => false,
        }
    }

    pub fn tasks_done(&self) -> u32 {
        if self.released { self.tasks.len() as u32 } else { self.available }
    }

    /// Asks for one more attempt at a task that has neither a live attempt nor an output.
    pub fn queue(&mut self, index: u32, now: Timestamp, until: Option<Timestamp>) {
        let task = &mut self.tasks[index as usize];
        let urgency = task.urgency();
        match until {
            Some(until) if until > now => {
                task.state = TaskState::Delayed { until };
                self.delayed.insert((until, index));
            }
            Some(_) | None => {
                task.state = TaskState::Pending { since: now };
                self.pending.insert((urgency, index));
            }
        }
    }

    /// Takes a pending or delayed task back.
    pub fn unqueue(&mut self, index: u32) {
        let task = &mut self.tasks[index as usize];
        match task.state {
            TaskState::Pending { .. } => {
                self.pending.remove(&(task.urgency(), index));
            }
            TaskState::Delayed { until } => {
                self.delayed.remove(&(until, index));
            }
            TaskState::Idle | TaskState::Live | TaskState::Available => return,
        }
        task.state = TaskState::Idle;
    }

    /// Makes tasks pending whose back-off has ended.
    pub fn wake_delayed(&mut self, now: Timestamp) {
        while let Some(&(until, index)) = self.delayed.first() {
            if until > now {
                return;
            }
            self.delayed.pop_first();
            let task = &mut self.tasks[index as usize];
            task.state = TaskState::Pending { since: now };
            let urgency = task.urgency();
            self.pending.insert((urgency, index));
        }
    }

    /// Forgets an available output's bytes and files. Returns the worker that still holds it, if one does.
    pub fn give_up_output(&mut self, index: u32, lost_at: Option<u64>) -> Option<(MapOutputId, WorkerId)> {
        let task_id = self.task_id(index);
        let task = &self.tasks[index as usize];
        if task.state != TaskState::Available {
            return None;
        }
        let resident = self.is_resident(&task.newest().output);
        let task = &mut self.tasks[index as usize];
        task.state = TaskState::Idle;
        let attempt = task.newest_mut();
        attempt.lost_at = lost_at;
        attempt.strip_output();
        let held = (MapOutputId { task: task_id, attempt: attempt.id }, attempt.worker);
        self.available -= 1;
        resident.then_some(held)
    }

    /// Takes the output of the newest attempt into the stage's figures.
    pub fn accept_output(&mut self, index: u32, output: TaskOutput) {
        let task = &mut self.tasks[index as usize];
        self.rows = self.rows - task.rows + output.rows;
        self.bytes = self.bytes - task.bytes + output.bytes;
        task.rows = output.rows;
        task.bytes = output.bytes;
        task.produced = true;
        task.state = TaskState::Available;
        task.newest_mut().output = output;
        self.available += 1;
        self.ever_done |= self.is_complete();
        self.progressed = true;
    }
}

impl Task {
    pub fn urgency(&self) -> Urgency {
        if self.produced { Urgency::Rerun } else { Urgency::Normal }
    }

    /// The attempt that `Live` and `Available` speak of.
    pub fn newest(&self) -> &Attempt {
        self.attempts.last().expect("I-3: a live or available task has an attempt")
    }

    pub fn newest_mut(&mut self) -> &mut Attempt {
        self.attempts.last_mut().expect("I-3: a live or available task has an attempt")
    }

    pub fn push(&mut self, attempt: Attempt) {
        if self.attempts.len() == ATTEMPTS_KEPT {
            self.attempts.remove(0);
        }
        self.attempts.push(attempt);
    }

    pub fn find(&self, id: AttemptId) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.id == id)
    }
}

impl Attempt {
    pub fn strip_output(&mut self) {
        self.output.inline = None;
        self.output.files = Vec::new();
        self.output.partition_bytes = Vec::new();
    }
}
