//! A simulated coordinator: a process that tries to lead, and the real core while it does.

mod calls;
mod clients;
mod journal;
mod leader;
mod sessions;
mod tell;

use std::collections::VecDeque;
use std::time::Duration;

use windrow_model::{Limits, Timestamp};
use windrow_scheduler::{Record, Scheduler};

use crate::context::Cx;
use crate::event::{CoordinatorTimer, Event, Relief};
use crate::node::{Node, NodeClock};
use crate::packet::{Answer, Body, Packet, StoreReply, StoreRequest};
use crate::trace::log;

pub(crate) use leader::Leader;

/// A standby asks this often whether it may lead.
const ELECTION_MIN: Duration = Duration::from_millis(500);
const ELECTION_MAX: Duration = Duration::from_millis(1_500);

/// A place that coordinators run at, one process after the other.
pub(crate) struct Coordinator {
    index: u32,
    clock: NodeClock,
    limits: Limits,
    /// Counts its processes: timers of a former one are void.
    pub life: u32,
    /// What waits for a paused process.
    pub paused: Option<VecDeque<Event>>,
    pub is_up: bool,
    /// Boxed: most coordinators stand by.
    pub leader: Option<Box<Leader>>,
    /// The election that was not answered yet.
    election: Option<u64>,
}

/// Where a process runs: what its timers need.
#[derive(Clone, Copy)]
pub(crate) struct Seat {
    index: u32,
    life: u32,
    clock: NodeClock,
}

impl Seat {
    fn node(&self) -> Node {
        Node::Coordinator(self.index)
    }

    fn now(&self, cx: &Cx) -> Timestamp {
        self.clock.read(cx.now)
    }

    fn after(&self, local: Duration, timer: CoordinatorTimer, cx: &mut Cx) {
        let at = cx.now + self.clock.span(local);
        cx.agenda.plan(at, Event::Coordinator { index: self.index, life: self.life, timer });
    }

    /// When its clock shows `local`.
    fn at(&self, local: Timestamp, timer: CoordinatorTimer, cx: &mut Cx) {
        let at = self.clock.when(local).max(cx.now);
        cx.agenda.plan(at, Event::Coordinator { index: self.index, life: self.life, timer });
    }
}

impl Coordinator {
    pub fn new(index: u32, clock: NodeClock, limits: Limits) -> Coordinator {
        Coordinator { index, clock, limits, life: 0, paused: None, is_up: false, leader: None, election: None }
    }

    fn seat(&self) -> Seat {
        Seat { index: self.index, life: self.life, clock: self.clock }
    }

    pub fn start(&mut self, cx: &mut Cx) {
        if self.is_up {
            return;
        }
        self.is_up = true;
        self.life += 1;
        log!(cx, "{} starts", self.seat().node());
        // The first of several leads at the start.
        let wait = Duration::from_millis(10) * self.index;
        self.seat().after(wait, CoordinatorTimer::Elect, cx);
    }

    pub fn crash(&mut self, restart: Option<Duration>, cx: &mut Cx) {
        if !self.is_up {
            return;
        }
        log!(cx, "{} crashes", self.seat().node());
        self.end_process(cx);
        self.is_up = false;
        if let Some(restart) = restart {
            cx.agenda.plan(cx.now + restart, Event::Relief(Relief::StartCoordinator { index: self.index }));
        }
    }

    fn end_process(&mut self, cx: &mut Cx) {
        if let Some(leader) = self.leader.take() {
            leader.close_sessions(cx);
        }
        self.life += 1;
        self.election = None;
        self.paused = None;
    }

    pub fn on_timer(&mut self, timer: CoordinatorTimer, cx: &mut Cx) {
        match (timer, &mut self.leader) {
            (CoordinatorTimer::Elect, None) => self.elect(cx),
            (CoordinatorTimer::Elect, Some(_)) => {}
            (CoordinatorTimer::Overdue { call }, None) if self.election == Some(call) => self.election = None,
            (timer, Some(leader)) => leader.on_timer(timer, cx),
            (
                CoordinatorTimer::Renew { .. }
                | CoordinatorTimer::Tick { .. }
                | CoordinatorTimer::Flush { .. }
                | CoordinatorTimer::Overdue { .. }
                | CoordinatorTimer::Again { .. }
                | CoordinatorTimer::ReconnectOver { .. }
                | CoordinatorTimer::Planned { .. },
                None,
            ) => {}
        }
        self.stop_if_fenced(cx);
    }

    fn elect(&mut self, cx: &mut Cx) {
        let seat = self.seat();
        if self.election.is_none() {
            let call = cx.net.new_call();
            self.election = Some(call);
            cx.send(seat.node(), Node::Store, 0, Body::StoreCall { call, request: StoreRequest::Acquire });
            seat.after(calls::CALL_PATIENCE, CoordinatorTimer::Overdue { call }, cx);
        }
        let again = cx.rng.duration(ELECTION_MIN, ELECTION_MAX);
        seat.after(again, CoordinatorTimer::Elect, cx);
    }

    /// `journal` is what a reader of the store sees now: after an election nobody else adds to it.
    pub fn on_packet(&mut self, packet: Packet, journal: &[Record], cx: &mut Cx) {
        match (&mut self.leader, packet.body) {
            (None, Body::StoreReply { call, reply }) => self.elected(call, &reply, journal, cx),
            (None, Body::Ask { request, .. }) => {
                let answer = Box::new(Answer::NotLeader);
                cx.send(self.seat().node(), packet.from, 0, Body::Answer { request, answer });
            }
            (Some(leader), body) => leader.on_packet(packet.from, packet.session, body, cx),
            (None, Body::Reset) => {}
            (None, _) if packet.session != 0 => cx.reset(self.seat().node(), packet.from, packet.session),
            (None, _) => {}
        }
        self.stop_if_fenced(cx);
    }

    fn elected(&mut self, call: u64, reply: &StoreReply, journal: &[Record], cx: &mut Cx) {
        if self.election != Some(call) {
            return;
        }
        self.election = None;
        let StoreReply::Acquired { epoch } = *reply else { return };
        let seat = self.seat();
        log!(cx, "{} recovers {} records as epoch {epoch}", seat.node(), journal.len());
        cx.judge.counter.count("leader", "elected");
        let core = Scheduler::recover(seat.now(cx), epoch, journal, self.limits.clone());
        let mut leader = Box::new(Leader::new(seat, epoch, core, journal.len() as u64, cx));
        leader.take_over(cx);
        self.leader = Some(leader);
    }

    /// A leader that the store has refused ends as a process, and starts again as a standby.
    fn stop_if_fenced(&mut self, cx: &mut Cx) {
        if self.leader.as_ref().is_some_and(|leader| leader.is_fenced) {
            log!(cx, "{} stops leading", self.seat().node());
            self.end_process(cx);
            self.seat().after(ELECTION_MIN, CoordinatorTimer::Elect, cx);
        }
    }
}
