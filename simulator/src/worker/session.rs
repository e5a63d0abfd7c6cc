//! A worker's connection to the leader: find it, register or come back, obey, report.

use std::time::Duration;

use windrow_model::{Timestamp, WorkerId};
use windrow_scheduler::{Inventory, Message};

use crate::context::Cx;
use crate::event::WorkerTimer;
use crate::node::Node;
use crate::packet::{Body, Hello, Packet, Report};
use crate::sabotage::Sabotage;
use crate::trace::log;
use crate::worker::Worker;

/// Longest wait for `Welcome`: a commit of the journal lies in between.
const HELLO_PATIENCE: Duration = Duration::from_secs(5);

/// Heartbeats per lease: one may be late and one lost.
const HEARTBEATS_PER_LEASE: u32 = 4;

/// A worker's end of its connection.
pub(crate) enum Link {
    Down,
    Connecting {
        session: u64,
        to: Node,
    },
    /// Welcomed. A coordinator that is silent for a lease is given up.
    Attached {
        session: u64,
        to: Node,
        heard_at: Timestamp,
    },
}

impl Link {
    pub fn close(&self, here: Node, cx: &mut Cx) {
        if let Link::Connecting { session, to } | Link::Attached { session, to, .. } = *self {
            cx.reset(here, to, session);
            cx.net.forget_session(session, here);
        }
    }

    fn session(&self) -> Option<u64> {
        match self {
            Link::Down => None,
            Link::Connecting { session, .. } | Link::Attached { session, .. } => Some(*session),
        }
    }
}

impl Worker {
    pub(super) fn connect_soon(&mut self, cx: &mut Cx) {
        let wait = cx.rng.millis(100, 1_000);
        self.after(wait, WorkerTimer::Connect, cx);
    }

    pub(super) fn connect(&mut self, cx: &mut Cx) {
        let (node, spec) = (self.node(), self.spec.clone());
        let Some(process) = self.process.as_mut().filter(|process| matches!(process.link, Link::Down)) else {
            return;
        };
        let session = cx.net.new_session();
        let to = Node::Coordinator(process.leader);
        process.link = Link::Connecting { session, to };
        let mut inventory = process.take_inventory();
        if cx.is_sabotaged(Sabotage::InventoryForgetsFinished) {
            inventory = Inventory { finished: Vec::new(), ..inventory };
        }
        log!(cx, "{node} calls {to}: runs {}, keeps {}", inventory.running.len(), inventory.finished.len());
        let hello = Hello { spec, id: process.id, inventory };
        cx.send(node, to, session, Body::Hello(Box::new(hello)));
        self.after(HELLO_PATIENCE, WorkerTimer::HelloOverdue { session }, cx);
    }

    pub(super) fn hello_overdue(&mut self, session: u64, cx: &mut Cx) {
        let connecting = |process: &&mut super::Process| matches!(process.link, Link::Connecting { session: current, .. } if current == session);
        if self.process.as_mut().filter(connecting).is_some() {
            self.try_another(cx);
        }
    }

    /// This coordinator does not answer, or is not the leader.
    fn try_another(&mut self, cx: &mut Cx) {
        let (node, coordinators) = (self.node(), self.coordinators);
        let Some(process) = &mut self.process else { return };
        let link = std::mem::replace(&mut process.link, Link::Down);
        link.close(node, cx);
        process.leader = (process.leader + 1) % coordinators;
        self.connect_soon(cx);
    }

    pub(super) fn heartbeat(&mut self, session: u64, cx: &mut Cx) {
        let Some(process) = &self.process else { return };
        let Link::Attached { session: current, heard_at, .. } = process.link else { return };
        if current != session {
            return;
        }
        if cx.now.since(heard_at) >= self.lease {
            log!(cx, "{} does not hear its coordinator", self.node());
            return self.try_another(cx);
        }
        let progress = process.running.iter().map(|(id, running)| (*id, running.progress(cx.now))).collect();
        self.say(Body::Heartbeat { progress }, cx);
        self.after(self.lease / HEARTBEATS_PER_LEASE, WorkerTimer::Heartbeat { session }, cx);
    }

    pub fn on_packet(&mut self, packet: Packet, cx: &mut Cx) {
        let node = self.node();
        let session = self.process.as_ref().and_then(|process| process.link.session());
        if session != Some(packet.session) {
            // A connection of a former process, or one that this process has given up.
            if !matches!(packet.body, Body::Reset) {
                cx.reset(node, packet.from, packet.session);
            }
            return;
        }
        match packet.body {
            Body::Welcome { worker, epoch } => self.welcomed(worker, epoch, cx),
            Body::Pong => self.heard(cx),
            Body::Command(message) => {
                self.heard(cx);
                self.obey(*message, cx);
            }
            Body::Reset => self.link_closed(cx),
            Body::Hello(_)
            | Body::Heartbeat { .. }
            | Body::Report(_)
            | Body::Leaving { .. }
            | Body::Ask { .. }
            | Body::Answer { .. }
            | Body::StoreCall { .. }
            | Body::StoreReply { .. }
            | Body::LocationCall { .. }
            | Body::LocationReply { .. } => unreachable!("S-2: nobody sends this to a worker"),
        }
    }

    fn link_closed(&mut self, cx: &mut Cx) {
        let Some(process) = &mut self.process else { return };
        let refused = matches!(process.link, Link::Connecting { .. });
        if let Some(session) = process.link.session() {
            cx.net.forget_session(session, Node::Worker(self.index));
        }
        process.link = Link::Down;
        if refused {
            process.leader = (process.leader + 1) % self.coordinators;
        }
        self.connect_soon(cx);
    }

    fn heard(&mut self, cx: &Cx) {
        if let Some(Link::Attached { heard_at, .. }) = self.process.as_mut().map(|process| &mut process.link) {
            *heard_at = cx.now;
        }
    }

    fn welcomed(&mut self, worker: WorkerId, epoch: u64, cx: &mut Cx) {
        let Some(process) = &mut self.process else { return };
        let Link::Connecting { session, to } = process.link else { return };
        if epoch < process.epoch && !cx.is_sabotaged(Sabotage::WorkerIgnoresEpochs) {
            log!(cx, "{} refuses {to} of epoch {epoch}: it has obeyed {}", Node::Worker(self.index), process.epoch);
            return self.try_another(cx);
        }
        if epoch < process.epoch {
            cx.judge.accuse(cx.now, format_args!("S-3: {to} of epoch {epoch} is obeyed after {}", process.epoch));
        }
        if process.id != Some(worker) && !cx.is_sabotaged(Sabotage::WorkerKeepsOldOutputs) {
            process.forget_everything(cx);
        }
        process.id = Some(worker);
        process.epoch = epoch;
        process.link = Link::Attached { session, to, heard_at: cx.now };
        cx.truth.welcomed(worker, self.index);
        log!(cx, "{} is {worker} under epoch {epoch}", Node::Worker(self.index));
        for report in std::mem::take(&mut process.unsent) {
            self.report(report, cx);
        }
        self.say_leaving(cx);
        self.after(Duration::ZERO, WorkerTimer::Heartbeat { session }, cx);
    }

    pub(super) fn say_leaving(&mut self, cx: &mut Cx) {
        if let Some(within) = self.process.as_ref().and_then(|process| process.leaving) {
            self.say(Body::Leaving { within }, cx);
        }
    }

    /// Tells the coordinator, or keeps the report until it can be told: an attempt may end after the inventory was
    /// sent and before the welcome comes.
    pub(super) fn report(&mut self, report: Report, cx: &mut Cx) {
        match &mut self.process {
            Some(process) if !process.is_attached() => process.unsent.push(report),
            Some(_) => self.say(Body::Report(Box::new(report)), cx),
            None => {}
        }
    }

    fn say(&self, body: Body, cx: &mut Cx) {
        let link = self.process.as_ref().map(|process| &process.link);
        if let Some(Link::Attached { session, to, .. }) = link {
            cx.send(self.node(), *to, *session, body);
        }
    }

    fn obey(&mut self, message: Message, cx: &mut Cx) {
        match message {
            Message::RunTask(run) => self.run(run, cx),
            Message::CancelAttempt { attempt } => self.cancel(attempt, cx),
            Message::ReleaseStages { stages } => {
                if let Some(process) = &mut self.process {
                    process.kept.retain(|_, kept| !stages.contains(&kept.task.stage));
                }
            }
            Message::ReleaseJob { job } => {
                if let Some(process) = &mut self.process {
                    process.release_job(job, cx);
                }
            }
            Message::CopyOutputs { outputs, from } => {
                let takes = cx.rng.millis(5, 500) * outputs.len().clamp(1, 20) as u32;
                self.after(takes, WorkerTimer::Copy { from, outputs, last_try: false }, cx);
            }
            Message::RepointInputs { attempt, inputs } => self.repoint(attempt, &inputs),
            Message::Shutdown => {
                let back = self.back;
                self.crash(false, back, cx);
            }
        }
    }
}

impl super::Process {
    /// Its connection, once it is welcomed.
    pub fn attached_by(&self) -> Option<u64> {
        self.link.session().filter(|_| self.is_attached())
    }

    fn is_attached(&self) -> bool {
        matches!(self.link, Link::Attached { .. })
    }

    /// What it runs and keeps, as of now. What the reports say that wait is in it, except for failures.
    fn take_inventory(&mut self) -> Inventory {
        self.unsent.retain(|report| match report {
            Report::Failed { .. } | Report::Copied { .. } | Report::NotCopied { .. } => true,
            Report::Started { .. } | Report::Finished { .. } => false,
        });
        self.inventory()
    }
}
