//! The leader's ends of its connections to workers.

use std::collections::BTreeMap;
use std::time::Duration;

use windrow_model::{AttemptId, WorkerId};
use windrow_scheduler::Input;

use crate::context::Cx;
use crate::coordinator::leader::Leader;
use crate::coordinator::tell::Welcome;
use crate::event::CoordinatorTimer;
use crate::node::Node;
use crate::packet::{Body, Hello};
use crate::worker::Process;

/// A worker whose connection breaks may come back within this time as if nothing had happened.
const RECONNECT_WINDOW: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(crate) struct Sessions {
    by_worker: BTreeMap<WorkerId, (Node, u64)>,
    by_session: BTreeMap<u64, WorkerId>,
}

impl Sessions {
    pub fn of(&self, worker: WorkerId) -> Option<(Node, u64)> {
        self.by_worker.get(&worker).copied()
    }

    fn open(&mut self, worker: WorkerId, node: Node, session: u64) {
        if let Some((_, old)) = self.by_worker.insert(worker, (node, session)) {
            self.by_session.remove(&old);
        }
        self.by_session.insert(session, worker);
    }

    fn close(&mut self, session: u64) -> Option<WorkerId> {
        let worker = self.by_session.remove(&session)?;
        self.by_worker.remove(&worker);
        Some(worker)
    }
}

impl Leader {
    /// A worker registers, or comes back under its own id if the core still counts on it.
    pub(super) fn hello(&mut self, node: Node, session: u64, hello: Hello, cx: &mut Cx) {
        let Hello { spec, id, inventory } = hello;
        let known = id.filter(|id| cx.setup.may_reattach && self.core.may_reattach(*id));
        let worker = known.unwrap_or_else(|| self.core.next_worker_id());
        self.sessions.open(worker, node, session);
        let input = match known {
            Some(worker) => Input::WorkerReattached { worker, spec, inventory },
            None => Input::WorkerRegistered { worker, spec },
        };
        cx.judge.counter.count("worker", if known.is_some() { "came back" } else { "registered" });
        self.step_and(input, Some(Welcome { worker, node, session }), cx);
    }

    pub(super) fn heartbeat(&mut self, node: Node, session: u64, progress: Vec<(AttemptId, u64)>, cx: &mut Cx) {
        if self.sessions.by_session.contains_key(&session) {
            cx.send(self.seat.node(), node, session, Body::Pong);
        }
        self.said(node, session, |worker| Input::AttemptProgressed { worker, progress }, cx);
    }

    /// Steps with what the worker at the other end of a connection says.
    pub(super) fn said(&mut self, node: Node, session: u64, input: impl FnOnce(WorkerId) -> Input, cx: &mut Cx) {
        match self.sessions.by_session.get(&session) {
            Some(&worker) => self.step(input(worker), cx),
            None => cx.reset(self.seat.node(), node, session),
        }
    }

    pub(super) fn link_closed(&mut self, session: u64, cx: &mut Cx) {
        if let Some(worker) = self.sessions.close(session) {
            cx.net.forget_session(session, self.seat.node());
            self.seat.after(RECONNECT_WINDOW, CoordinatorTimer::ReconnectOver { worker }, cx);
        }
    }

    pub(super) fn reconnect_over(&mut self, worker: WorkerId, cx: &mut Cx) {
        if self.sessions.of(worker).is_none() {
            self.step(Input::WorkerDisconnected { worker }, cx);
        }
    }

    pub(super) fn close_session(&mut self, worker: WorkerId, cx: &mut Cx) {
        if let Some((node, session)) = self.sessions.of(worker) {
            self.sessions.close(session);
            cx.reset(self.seat.node(), node, session);
            cx.net.forget_session(session, self.seat.node());
        }
    }

    /// Nothing stands between the leader and this process.
    pub fn is_heard_by(&self, node: Node, process: &Process, cx: &Cx) -> bool {
        let session = process.id.and_then(|id| self.sessions.of(id)).map(|(_, session)| session);
        session.is_some() && process.attached_by() == session && !cx.net.is_apart(self.seat.node(), node)
    }

    pub fn close_sessions(&self, cx: &mut Cx) {
        for &(node, session) in self.sessions.by_worker.values() {
            cx.reset(self.seat.node(), node, session);
            cx.net.forget_session(session, self.seat.node());
        }
    }
}
