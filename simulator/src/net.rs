//! Links: delay, loss, doubling, reordering and cuts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use windrow_model::Timestamp;

use crate::chaos::Cut;
use crate::context::Cx;
use crate::event::Event;
use crate::faults::SLOW_PACKET_MAX;
use crate::node::Node;
use crate::packet::{Body, Packet};

/// One way over a link, when nothing is wrong.
const DELAY_MIN: Duration = Duration::from_micros(200);
const DELAY_MAX: Duration = Duration::from_millis(3);

/// What lies between the nodes.
#[derive(Default)]
pub(crate) struct Network {
    /// Directions that nothing passes, with the number of cuts on each.
    cuts: BTreeMap<Cut, u32>,
    /// What waits at a cut. A connection sends it again when the cut is mended, in order.
    #[expect(clippy::vec_box, reason = "packets come from the agenda in their boxes and go back to it")]
    held: Vec<Box<Packet>>,
    /// When the latest packet of each direction of each connection arrives: connections keep their order.
    latest: BTreeMap<(u64, Node), Timestamp>,
    /// Directions of connections that have lost a packet: nothing after it arrives.
    broken: BTreeSet<(u64, Node)>,
    sessions: u64,
    calls: u64,
}

impl Network {
    pub fn new_session(&mut self) -> u64 {
        self.sessions += 1;
        self.sessions
    }

    pub fn new_call(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }

    /// Both ends have closed it.
    pub fn forget_session(&mut self, session: u64, end: Node) {
        self.latest.remove(&(session, end));
        self.broken.remove(&(session, end));
    }

    pub fn cut(&mut self, cut: Cut) {
        *self.cuts.entry(cut).or_default() += 1;
    }

    /// Nothing passes from one to the other.
    pub fn is_cut(&self, from: Node, to: Node) -> bool {
        let cut = |from, to| self.cuts.contains_key(&Cut { from, to });
        !self.cuts.is_empty() && (cut(Some(from), Some(to)) || cut(Some(from), None) || cut(None, Some(to)))
    }

    /// Nobody can ask the other and get an answer.
    pub fn is_apart(&self, a: Node, b: Node) -> bool {
        a != b && (self.is_cut(a, b) || self.is_cut(b, a))
    }
}

impl Cx {
    /// Sends one packet over one connection, or as a single call.
    pub fn send(&mut self, from: Node, to: Node, session: u64, body: Body) {
        self.send_at(self.now, from, to, session, body);
    }

    /// Sends an answer that takes `takes` to make.
    pub fn send_after(&mut self, takes: Duration, from: Node, to: Node, body: Body) {
        self.send_at(self.now + takes, from, to, 0, body);
    }

    fn send_at(&mut self, start: Timestamp, from: Node, to: Node, session: u64, body: Body) {
        let packet = Packet { from, to, session, body };
        if self.net.broken.contains(&(session, from)) {
            return;
        }
        if self.rng.chance(self.faults.packet_lost) {
            return self.lose(packet);
        }
        let streams = is_repeatable(&packet.body);
        if streams && self.rng.chance(self.faults.packet_swallowed) {
            return;
        }
        let slow = self.rng.chance(self.faults.packet_slow);
        let mut at = start + self.rng.duration(DELAY_MIN, if slow { SLOW_PACKET_MAX } else { DELAY_MAX });
        let reordered = streams && self.rng.chance(self.faults.packet_reordered);
        if reordered {
            at = at + self.rng.millis(0, 2_000);
        } else if session != 0 {
            let latest = self.net.latest.entry((session, from)).or_default();
            at = at.max(*latest + Duration::from_micros(1));
            *latest = at;
        }
        if streams && self.rng.chance(self.faults.packet_duplicated) {
            let again = at + self.rng.millis(0, 500);
            self.agenda.plan(again, Event::Arrival(Box::new(packet.clone())));
        }
        self.agenda.plan(at, Event::Arrival(Box::new(packet)));
    }

    /// The receiver's end of a broken connection learns of it, and the sender's in half of the cases.
    fn lose(&mut self, packet: Packet) {
        let Packet { from, to, session, .. } = packet;
        if session == 0 {
            return;
        }
        self.net.broken.insert((session, from));
        self.reset(from, to, session);
        if self.rng.chance(0.5) {
            self.reset(to, from, session);
        }
    }

    /// Tells `to` that its connection with `from` is closed.
    pub fn reset(&mut self, from: Node, to: Node, session: u64) {
        let at = self.now + self.rng.duration(DELAY_MIN, DELAY_MAX);
        let at = self.net.latest.get(&(session, from)).map_or(at, |latest| at.max(*latest + Duration::from_micros(1)));
        self.agenda.plan(at, Event::Arrival(Box::new(Packet { from, to, session, body: Body::Reset })));
    }

    /// Nobody is at home: the connection is refused.
    pub fn refuse(&mut self, packet: &Packet) {
        if packet.session != 0 && !matches!(packet.body, Body::Reset) {
            self.reset(packet.to, packet.from, packet.session);
        }
    }

    /// A packet meets a cut. Single calls are lost, connections try again until they are closed.
    pub fn hold(&mut self, packet: Box<Packet>) {
        if packet.session != 0 {
            self.net.held.push(packet);
        }
    }

    pub fn mend(&mut self, cut: Cut) {
        if let Some(count) = self.net.cuts.get_mut(&cut) {
            *count -= 1;
            if *count == 0 {
                self.net.cuts.remove(&cut);
            }
        }
        self.release_held();
    }

    pub fn mend_all(&mut self) {
        self.net.cuts.clear();
        self.release_held();
    }

    /// What was held arrives at once: before anything that is still on its way.
    fn release_held(&mut self) {
        for packet in std::mem::take(&mut self.net.held) {
            if self.net.is_cut(packet.from, packet.to) {
                self.net.held.push(packet);
            } else {
                self.agenda.plan(self.now, Event::Arrival(packet));
            }
        }
    }
}

/// Whether the packet may be lost in silence, doubled or overtaken when such faults are asked for.
/// What opens and closes a connection may not: no network does that.
fn is_repeatable(body: &Body) -> bool {
    match body {
        Body::Hello(_) | Body::Welcome { .. } | Body::Reset => false,
        Body::Heartbeat { .. }
        | Body::Report(_)
        | Body::Leaving { .. }
        | Body::Pong
        | Body::Command(_)
        | Body::Ask { .. }
        | Body::Answer { .. }
        | Body::StoreCall { .. }
        | Body::StoreReply { .. }
        | Body::LocationCall { .. }
        | Body::LocationReply { .. } => true,
    }
}
