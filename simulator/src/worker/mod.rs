//! A simulated worker: a process that connects, obeys, runs attempts and keeps their outputs.
//!
//! It goes on running and keeping while its coordinator is away, and forgets everything when it is welcomed under a
//! new id: then nobody counts on what it had.

mod attempt;
mod session;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use windrow_model::{AttemptId, JobId, TaskId, TaskOutput, WorkerId};
use windrow_scheduler::{Inventory, WorkerSpec};

use crate::context::Cx;
use crate::event::{Event, Relief, WorkerTimer};
use crate::node::{Node, NodeClock};
use crate::packet::Report;
use crate::trace::log;

pub(crate) use attempt::Running;
pub(crate) use session::Link;

/// How long a leaving worker waits beyond its deadline for the coordinator's leave.
const LEAVE_PATIENCE: Duration = Duration::from_secs(5);

/// After the repair a worker that ends starts again: somebody keeps the cluster at its size.
const RESTART: Duration = Duration::from_secs(1);

/// A place that workers run at, one process after the other.
pub(crate) struct Worker {
    pub index: u32,
    pub spec: WorkerSpec,
    clock: NodeClock,
    /// Counts its processes: timers of a former one are void.
    pub life: u32,
    /// What waits for a paused process.
    pub paused: Option<VecDeque<Event>>,
    pub process: Option<Process>,
    coordinators: u32,
    lease: Duration,
    /// How long after it has left it starts anew.
    back: Option<Duration>,
}

/// What is lost with a process.
pub(crate) struct Process {
    /// The id it was last welcomed under.
    pub id: Option<WorkerId>,
    /// The newest epoch it has obeyed.
    epoch: u64,
    link: Link,
    /// The coordinator that is tried next.
    leader: u32,
    pub running: BTreeMap<AttemptId, Running>,
    pub kept: BTreeMap<AttemptId, Kept>,
    /// Reports that nobody could be told.
    unsent: Vec<Report>,
    /// Attempts that have ended here or were cancelled before they came: they are never started.
    ended: BTreeSet<AttemptId>,
    /// It wants to leave, within so long.
    leaving: Option<Option<Duration>>,
}

/// What a successful attempt left behind.
#[derive(Clone)]
pub(crate) struct Kept {
    pub task: TaskId,
    pub output: TaskOutput,
}

impl Worker {
    pub fn new(index: u32, spec: WorkerSpec, clock: NodeClock, coordinators: u32, lease: Duration) -> Worker {
        Worker { index, spec, clock, life: 0, paused: None, process: None, coordinators, lease, back: None }
    }

    pub fn node(&self) -> Node {
        Node::Worker(self.index)
    }

    /// Starts a process, unless one is there.
    pub fn start(&mut self, cx: &mut Cx) {
        if self.process.is_some() {
            return;
        }
        self.life += 1;
        self.back = None;
        let leader = cx.rng.below(u64::from(self.coordinators)) as u32;
        self.process = Some(Process {
            id: None,
            epoch: 0,
            link: Link::Down,
            leader,
            running: BTreeMap::new(),
            kept: BTreeMap::new(),
            unsent: Vec::new(),
            ended: BTreeSet::new(),
            leaving: None,
        });
        log!(cx, "{} starts", self.node());
        let soon = cx.rng.millis(0, 100);
        self.after(soon, WorkerTimer::Connect, cx);
    }

    /// The process ends. With `power` nobody is told that its connections are closed.
    pub fn crash(&mut self, power: bool, restart: Option<Duration>, cx: &mut Cx) {
        let Some(process) = self.process.take() else { return };
        log!(cx, "{} ends{}", self.node(), if power { " with its node" } else { "" });
        cx.judge.worker_died(&process);
        process.running.values().for_each(|running| running.count(false, cx));
        self.life += 1;
        self.paused = None;
        if !power {
            process.link.close(self.node(), cx);
        }
        if let Some(restart) = restart.or_else(|| cx.is_healed.then_some(RESTART)) {
            cx.agenda.plan(cx.now + restart, Event::Relief(Relief::StartWorker { index: self.index }));
        }
    }

    /// All outputs are lost; the process goes on.
    pub fn wipe(&mut self, cx: &mut Cx) {
        if let Some(process) = &mut self.process {
            log!(cx, "{} loses {} outputs", Node::Worker(self.index), process.kept.len());
            process.kept.values().for_each(|kept| cx.judge.evidence.vanished(kept.task));
            process.kept.clear();
        }
    }

    pub fn break_link(&mut self, cx: &mut Cx) {
        let node = self.node();
        let Some(process) = &mut self.process else { return };
        log!(cx, "the link of {node} breaks");
        let link = std::mem::replace(&mut process.link, Link::Down);
        link.close(node, cx);
        self.connect_soon(cx);
    }

    /// Asks to leave. Its process ends `LEAVE_PATIENCE` after the deadline at the latest, or at it with `power`.
    pub fn leave(&mut self, within: Option<Duration>, back: Option<Duration>, cx: &mut Cx) {
        let Some(process) = &mut self.process else { return };
        if process.leaving.is_some() {
            return;
        }
        process.leaving = Some(within);
        self.back = back;
        log!(cx, "{} wants to leave within {within:?}", self.node());
        self.say_leaving(cx);
        let deadline = within.unwrap_or(cx.setup.limits.drain_deadline);
        self.after(deadline + LEAVE_PATIENCE, WorkerTimer::Leave, cx);
    }

    pub fn on_timer(&mut self, timer: WorkerTimer, cx: &mut Cx) {
        match timer {
            WorkerTimer::Connect => self.connect(cx),
            WorkerTimer::HelloOverdue { session } => self.hello_overdue(session, cx),
            WorkerTimer::Heartbeat { session } => self.heartbeat(session, cx),
            WorkerTimer::Done { attempt } => self.done(attempt, cx),
            WorkerTimer::Leave => self.crash(false, self.back, cx),
            WorkerTimer::Read { .. } | WorkerTimer::Copy { .. } => {
                unreachable!("S-1: what needs a peer is done by the world")
            }
        }
    }

    /// Plans a timer of this process.
    fn after(&self, local: Duration, timer: WorkerTimer, cx: &mut Cx) {
        let at = cx.now + self.clock.span(local);
        cx.agenda.plan(at, Event::Worker { index: self.index, life: self.life, timer });
    }
}

impl Process {
    fn inventory(&self) -> Inventory {
        Inventory {
            running: self.running.iter().map(|(id, running)| (running.run.task, *id)).collect(),
            finished: self.kept.iter().map(|(id, kept)| (kept.task, *id, kept.output.clone())).collect(),
        }
    }

    fn forget_everything(&mut self, cx: &mut Cx) {
        self.running.values().for_each(|running| running.count(false, cx));
        self.running.clear();
        self.kept.clear();
        self.unsent.clear();
        self.ended.clear();
    }

    fn release_job(&mut self, job: JobId, cx: &mut Cx) {
        self.running.retain(|_, running| {
            let unwanted = running.run.task.stage.job == job;
            if unwanted {
                running.count(false, cx);
            }
            !unwanted
        });
        self.kept.retain(|_, kept| kept.task.stage.job != job);
    }
}
