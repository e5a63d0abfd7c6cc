//! A leader: one inbox, the core, its journal and what is told when.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use windrow_model::{JobId, JobState, Timestamp, WorkerId, WorkerState};
use windrow_scheduler::{CommittedTask, Event as CoreEvent, Input, Outbox, Scheduler};

use crate::context::Cx;
use crate::coordinator::Seat;
use crate::coordinator::calls::{Call, Calls};
use crate::coordinator::journal::Journal;
use crate::coordinator::sessions::Sessions;
use crate::coordinator::tell::{Tell, Welcome};
use crate::describe::Described;
use crate::event::CoordinatorTimer;
use crate::node::Node;
use crate::packet::{Body, Report};
use crate::store::LEADER_LEASE;
use crate::trace::log;

pub(crate) struct Leader {
    pub(super) seat: Seat,
    pub epoch: u64,
    pub core: Scheduler,
    /// The store has refused this epoch, or the lease could not be renewed in time.
    pub is_fenced: bool,
    /// The last time that the core was given. A clock that is set back must not take it back.
    clock: Timestamp,
    tick_at: Option<Timestamp>,
    pub(super) renewed_at: Timestamp,
    pub(super) journal: Journal,
    pub(super) tells: VecDeque<Tell>,
    pub(super) sessions: Sessions,
    pub(super) calls: Calls,
    /// Commits that are under way.
    pub(super) publishing: BTreeMap<(JobId, u32), Rc<Vec<CommittedTask>>>,
}

impl Leader {
    pub fn new(seat: Seat, epoch: u64, core: Scheduler, durable: u64, cx: &Cx) -> Leader {
        Leader {
            seat,
            epoch,
            core,
            is_fenced: false,
            clock: Timestamp(0),
            tick_at: None,
            renewed_at: seat.now(cx),
            journal: Journal::new(durable),
            tells: VecDeque::new(),
            sessions: Sessions::default(),
            calls: Calls::default(),
            publishing: BTreeMap::new(),
        }
    }

    /// Plans and commits that were under way are asked for again by the first tick.
    pub fn take_over(&mut self, cx: &mut Cx) {
        self.step(Input::Tick, cx);
        self.seat.after(LEADER_LEASE / 3, CoordinatorTimer::Renew { epoch: self.epoch }, cx);
    }

    pub fn on_timer(&mut self, timer: CoordinatorTimer, cx: &mut Cx) {
        match timer {
            CoordinatorTimer::Elect => {}
            CoordinatorTimer::Renew { epoch } if epoch == self.epoch => self.renew(cx),
            CoordinatorTimer::Tick { epoch } if epoch == self.epoch => self.tick(cx),
            CoordinatorTimer::Flush { epoch } if epoch == self.epoch => self.flush(cx),
            CoordinatorTimer::Renew { .. } | CoordinatorTimer::Tick { .. } | CoordinatorTimer::Flush { .. } => {}
            CoordinatorTimer::Overdue { call } => self.overdue(call, cx),
            CoordinatorTimer::Again { call } => self.again(call, cx),
            CoordinatorTimer::ReconnectOver { worker } => self.reconnect_over(worker, cx),
            CoordinatorTimer::Planned { job, step, plan } => self.planned(job, step, plan, cx),
        }
    }

    pub fn on_packet(&mut self, from: Node, session: u64, body: Body, cx: &mut Cx) {
        match body {
            Body::Hello(hello) => self.hello(from, session, *hello, cx),
            Body::Heartbeat { progress } => self.heartbeat(from, session, progress, cx),
            Body::Report(report) => self.said(from, session, |worker| fact(worker, *report), cx),
            Body::Leaving { within } => {
                self.said(from, session, |worker| Input::DrainRequested { worker, within }, cx);
            }
            Body::Reset => self.link_closed(session, cx),
            Body::Ask { request, question } => self.asked(request, *question, cx),
            Body::StoreReply { call, reply } => self.store_replied(call, &reply, cx),
            Body::LocationReply { call, reply } => self.location_replied(call, reply, cx),
            Body::Welcome { .. }
            | Body::Pong
            | Body::Command(_)
            | Body::Answer { .. }
            | Body::StoreCall { .. }
            | Body::LocationCall { .. } => unreachable!("S-2: nobody sends this to a coordinator"),
        }
    }

    fn tick(&mut self, cx: &mut Cx) {
        self.tick_at = None;
        if self.core.next_deadline().is_some_and(|deadline| deadline <= self.seat.now(cx)) {
            self.step(Input::Tick, cx);
        } else {
            self.plan_tick(cx);
        }
    }

    /// Plans the next tick, if none is planned early enough.
    fn plan_tick(&mut self, cx: &mut Cx) {
        let Some(deadline) = self.core.next_deadline() else { return };
        if self.tick_at.is_none_or(|planned| planned > deadline) {
            self.tick_at = Some(deadline);
            self.seat.at(deadline, CoordinatorTimer::Tick { epoch: self.epoch }, cx);
        }
    }

    pub(super) fn step(&mut self, input: Input, cx: &mut Cx) {
        self.step_and(input, None, cx);
    }

    /// Steps the core; `welcome` is told before the messages that follow from the step.
    pub(super) fn step_and(&mut self, input: Input, welcome: Option<Welcome>, cx: &mut Cx) {
        log!(cx, "e{} {}", self.epoch, Described(&input));
        self.clock = self.clock.max(self.seat.now(cx));
        let mut outbox = Outbox::default();
        self.core.step(self.clock, input, &mut outbox);
        cx.judge.stepped(&self.core, cx.now);
        self.journal.waiting.extend(std::mem::take(&mut outbox.records));
        let needs = if outbox.persist_first { self.journal.end() } else { 0 };
        let tell = Tell::new(needs, welcome, outbox, &self.sessions);
        self.enqueue(tell, cx);
        self.plan_tick(cx);
    }

    /// Departed workers lose their connection: they may register as new ones.
    pub(super) fn follow_events(&mut self, events: &[CoreEvent], cx: &mut Cx) {
        for event in events {
            match event {
                CoreEvent::WorkerChanged { worker, state: WorkerState::Gone | WorkerState::Lost, .. } => {
                    self.close_session(*worker, cx);
                }
                CoreEvent::JobChanged { job, state: JobState::Failed | JobState::Cancelled, .. } => {
                    self.call(Call::Abort { job: *job }, cx);
                }
                CoreEvent::WorkerChanged { .. }
                | CoreEvent::JobChanged { .. }
                | CoreEvent::StepPlanned { .. }
                | CoreEvent::StepFinished { .. }
                | CoreEvent::StageChanged { .. }
                | CoreEvent::AttemptChanged { .. } => {}
            }
        }
    }

    /// Gives up leading when the lease has ended by this node's own clock.
    fn renew(&mut self, cx: &mut Cx) {
        let is_over = self.seat.now(cx).since(self.renewed_at) >= LEADER_LEASE;
        if is_over && cx.setup.leaders_watch_their_lease {
            log!(cx, "{} could not renew its lease", self.seat.node());
            self.is_fenced = true;
            return;
        }
        self.call(Call::Renew { asked_at: self.seat.now(cx) }, cx);
        self.seat.after(LEADER_LEASE / 3, CoordinatorTimer::Renew { epoch: self.epoch }, cx);
    }
}

/// What a worker reports, as the core hears it.
fn fact(worker: WorkerId, report: Report) -> Input {
    // It was told to copy its own outputs: into the object store.
    let receiver = |from| if from == worker { WorkerId::SHUFFLE_STORE } else { worker };
    match report {
        Report::Started { attempt } => Input::AttemptStarted { worker, attempt },
        Report::Finished { attempt, output } => Input::AttemptFinished { worker, attempt, output },
        Report::Failed { attempt, failure } => Input::AttemptFailed { worker, attempt, failure },
        Report::Copied { from, outputs } => Input::OutputsCopied { worker: receiver(from), from, outputs },
        Report::NotCopied { from, outputs, detail } => {
            Input::OutputsNotCopied { worker: receiver(from), from, outputs, detail }
        }
    }
}
