//! A stage and its tasks. Only state and counting: who decides is in `demand` and `attempt`.

use std::collections::BTreeSet;

use windrow_model::{AttemptId, MapOutputId, StageId, StagePlan, StageState, TaskId, TaskOutput, Timestamp, WorkerId};

use crate::backlog::{Backlog, Wish};
use crate::durations::Durations;
use crate::inputs::Inputs;
use crate::task::{Task, TaskState};

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

/// Tasks that must run out of memory before others are spared the same, and the part of a stage that they must be: the
/// largest run first, and may be the exception.
const OUT_OF_MEMORY_MIN: u32 = 2;
const OUT_OF_MEMORY_DIVISOR: u32 = 8;

/// By which part of it what a task holds must grow to be learned anew.
const MEMORY_NEWS_DIVISOR: u64 = 16;

#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub id: StageId,
    pub step: u32,
    pub role: StageRole,
    pub plan: StagePlan,
    /// Its tasks stay what they are: see `coalesce`.
    pub settled: bool,
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
    /// Tasks that can be placed when the inputs are there.
    pub backlog: Backlog,
    /// Tasks that wait for their back-off to end.
    pub delayed: BTreeSet<(Timestamp, u32)>,
    /// Tasks with a live attempt.
    pub live: BTreeSet<u32>,
    /// Live attempts.
    pub running: u32,
    /// Tasks whose output is there.
    pub available: u32,
    /// Tasks whose output may come back with an awaited worker.
    pub expected: u32,
    /// Times a task of this stage was queued again after its output had been there.
    pub reruns: u32,
    /// Of the newest successful attempt of each task.
    pub rows: u64,
    pub bytes: u64,
    /// Of each reduce partition, over the first output of each task; empty before the first.
    pub partition_bytes: Vec<u64>,
    /// Tasks that have run out of memory.
    pub out_of_memory: u32,
    /// The most that one of its tasks held of a worker's memory and could not spill, in bytes: see `learn_memory`.
    pub memory_held: u64,
    /// Of successful attempts.
    pub durations: Durations,
    /// A look at slow attempts is due some time.
    pub watched: bool,
    /// What its tasks read, while that does not change.
    pub inputs: Option<Inputs>,
    /// A task has finished since watchers were told.
    pub progressed: bool,
}

impl Stage {
    pub fn new(id: StageId, step: u32, role: StageRole, plan: StagePlan, now: Timestamp) -> Self {
        let tasks = vec![Task::default(); plan.tasks.len()];
        Stage {
            id,
            step,
            role,
            settled: plan.coalescing.is_none(),
            plan,
            consumers: Vec::new(),
            state: StageState::Waiting,
            since: now,
            wanted: false,
            // A stage without tasks is done from the start.
            released: tasks.is_empty(),
            ever_done: tasks.is_empty(),
            tasks,
            backlog: Backlog::default(),
            delayed: BTreeSet::new(),
            live: BTreeSet::new(),
            running: 0,
            available: 0,
            expected: 0,
            reruns: 0,
            rows: 0,
            bytes: 0,
            partition_bytes: Vec::new(),
            out_of_memory: 0,
            memory_held: 0,
            durations: Durations::default(),
            watched: false,
            inputs: None,
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

    /// Nothing of it runs, is held or may come back.
    pub fn is_empty(&self) -> bool {
        self.running == 0 && self.available == 0 && self.expected == 0
    }

    /// The output is held by a worker and goes away with it.
    pub fn is_resident(&self, output: &TaskOutput) -> bool {
        match self.role {
            StageRole::Inner | StageRole::Table => true,
            StageRole::Result => output.inline.is_none(),
            StageRole::Sink | StageRole::Count => false,
        }
    }

    /// The output of a task that is there or expected, and the worker that holds it; `None` if it is not resident.
    pub fn resident(&self, index: u32) -> Option<(MapOutputId, WorkerId)> {
        let task = &self.tasks[index as usize];
        let (by, at) = match task.state {
            TaskState::Available { by, at } | TaskState::Expected { by, at } => (by, at),
            TaskState::Idle | TaskState::Pending { .. } | TaskState::Delayed { .. } | TaskState::Live => return None,
        };
        let output = MapOutputId { task: self.task_id(index), attempt: by };
        self.is_resident(&task.find(by)?.output).then_some((output, at))
    }

    pub fn tasks_done(&self) -> u32 {
        if self.released { self.tasks.len() as u32 } else { self.available + self.expected }
    }

    /// Asks for one more attempt at a task that has neither a live attempt nor an output.
    pub fn queue(&mut self, index: u32, now: Timestamp, until: Option<Timestamp>) {
        let wish = self.wish(index);
        let task = &mut self.tasks[index as usize];
        match until {
            Some(until) if until > now => {
                task.state = TaskState::Delayed { until };
                self.delayed.insert((until, index));
            }
            Some(_) | None => {
                task.state = TaskState::Pending { since: now };
                self.backlog.insert(wish, task.urgency(), index);
            }
        }
    }

    /// What a task asks for.
    pub fn wish(&self, index: u32) -> Wish {
        self.tasks[index as usize].wish(self.plan.tasks[index as usize].slots, self.memory_held)
    }

    /// Takes a pending or delayed task back.
    pub fn unqueue(&mut self, index: u32) {
        let wish = self.wish(index);
        let task = &mut self.tasks[index as usize];
        match task.state {
            TaskState::Pending { .. } => self.backlog.remove(&wish, task.urgency(), index),
            TaskState::Delayed { until } => {
                self.delayed.remove(&(until, index));
            }
            TaskState::Idle | TaskState::Live | TaskState::Available { .. } | TaskState::Expected { .. } => return,
        }
        task.state = TaskState::Idle;
    }

    /// Whether so many of its tasks have run out of memory that the others would, too.
    pub fn needs_whole_workers(&self) -> bool {
        let many = OUT_OF_MEMORY_MIN.max(self.tasks.len() as u32 / OUT_OF_MEMORY_DIVISOR);
        self.out_of_memory >= many && self.out_of_memory > self.available
    }

    /// Tasks that wait get a worker to themselves.
    pub fn ask_for_whole_workers(&mut self) {
        let waiting = self.unqueue_waiting();
        for (index, _) in &waiting {
            self.tasks[*index as usize].trouble_mut().whole_worker = true;
        }
        self.queue_again(waiting);
    }

    /// A task has held so many bytes that it could not spill: those that begin from now on take as many slots of a worker
    /// as have that share of its memory, and so leave others the memory of theirs. Whether this changes anything.
    pub fn learn_memory(&mut self, held_bytes: u64) -> bool {
        // Each change looks at all that wait.
        let is_news = held_bytes > self.memory_held + self.memory_held / MEMORY_NEWS_DIVISOR;
        if is_news {
            let waiting = self.unqueue_waiting();
            self.memory_held = held_bytes;
            self.queue_again(waiting);
        }
        is_news
    }

    /// Tasks that can be placed, with the time they have waited since.
    fn unqueue_waiting(&mut self) -> Vec<(u32, Timestamp)> {
        let since = |index: u32| match self.tasks[index as usize].state {
            TaskState::Pending { since } => Some((index, since)),
            _ => None,
        };
        let waiting: Vec<_> = self.backlog.tasks().filter_map(|(_, index)| since(index)).collect();
        waiting.iter().for_each(|(index, _)| self.unqueue(*index));
        waiting
    }

    fn queue_again(&mut self, waiting: Vec<(u32, Timestamp)>) {
        waiting.into_iter().for_each(|(index, since)| self.queue(index, since, None));
    }

    /// Makes tasks pending whose back-off has ended.
    pub fn wake_delayed(&mut self, now: Timestamp) {
        while let Some(&(until, index)) = self.delayed.first() {
            if until > now {
                return;
            }
            self.delayed.pop_first();
            self.queue(index, now, None);
        }
    }

    /// Counts the bytes by partition of a task's output before that is accepted.
    pub fn count_partitions(&mut self, index: u32, bytes: &[u64]) {
        if bytes.len() < 2 || self.tasks[index as usize].produced {
            return;
        }
        self.partition_bytes.resize(bytes.len(), 0);
        self.partition_bytes.iter_mut().zip(bytes).for_each(|(sum, bytes)| *sum += bytes);
    }

    /// Takes the output of a successful attempt into the stage's figures. The task has no other output.
    pub fn accept_output(&mut self, index: u32, by: AttemptId, at: WorkerId, output: TaskOutput) {
        let task = &mut self.tasks[index as usize];
        self.rows = self.rows - task.rows + output.rows;
        self.bytes = self.bytes - task.bytes + output.bytes;
        task.rows = output.rows;
        task.bytes = output.bytes;
        task.produced = true;
        // After a recovery an earlier success may be replaced that did not come back in time.
        for replaced in task.attempts.iter_mut().filter(|attempt| attempt.is_counted()) {
            replaced.lost_at = Some(by);
            replaced.strip_output();
        }
        if let Some(attempt) = task.find_mut(by) {
            attempt.output = output;
            attempt.lost_at = None;
        }
        task.state = TaskState::Available { by, at };
        self.available += 1;
        self.ever_done |= self.available + self.expected == self.tasks.len() as u32;
        self.progressed = true;
    }

    /// Whether an available output is there will be known when its worker comes back.
    pub fn doubt(&mut self, index: u32) {
        let task = &mut self.tasks[index as usize];
        if let TaskState::Available { by, at } = task.state {
            task.state = TaskState::Expected { by, at };
            self.available -= 1;
            self.expected += 1;
        }
    }

    /// An expected output is there.
    pub fn confirm(&mut self, index: u32) {
        let task = &mut self.tasks[index as usize];
        if let TaskState::Expected { by, at } = task.state {
            task.state = TaskState::Available { by, at };
            self.expected -= 1;
            self.available += 1;
        }
    }

    /// An available or expected output is not there any more; its task is idle. Says which attempt's, and where it was.
    pub fn vacate(&mut self, index: u32) -> Option<(AttemptId, WorkerId)> {
        let task = &mut self.tasks[index as usize];
        let (by, at) = match task.state {
            TaskState::Available { by, at } => {
                self.available -= 1;
                (by, at)
            }
            TaskState::Expected { by, at } => {
                self.expected -= 1;
                (by, at)
            }
            TaskState::Idle | TaskState::Pending { .. } | TaskState::Delayed { .. } | TaskState::Live => return None,
        };
        task.state = TaskState::Idle;
        Some((by, at))
    }
}
