//! The journal and the leader's lease: a linearizable store that fences by epoch, with outcomes that stay unknown.

use std::rc::Rc;
use std::time::Duration;

use windrow_model::Timestamp;
use windrow_scheduler::Record;

use crate::context::Cx;
use crate::node::Node;
use crate::packet::{Body, StoreReply, StoreRequest};
use crate::sabotage::Sabotage;
use crate::trace::log;

/// How long a leader holds its lease after a renewal.
pub(crate) const LEADER_LEASE: Duration = Duration::from_secs(6);

/// A commit: a write to a disk or to a quorum.
const COMMIT_MIN: Duration = Duration::from_micros(500);
const COMMIT_MAX: Duration = Duration::from_millis(5);

#[derive(Default)]
pub(crate) struct Store {
    pub journal: Vec<Record>,
    epoch: u64,
    leader: Option<Node>,
    lease_ends_at: Timestamp,
    /// It does not answer.
    pub down: u32,
}

impl Store {
    pub fn on_call(&mut self, from: Node, call: u64, request: StoreRequest, cx: &mut Cx) {
        if self.down > 0 {
            return;
        }
        if cx.rng.chance(cx.faults.store_unavailable) {
            return reply(from, call, StoreReply::Unavailable, cx);
        }
        let unknown = cx.rng.chance(cx.faults.store_unknown);
        if unknown && cx.rng.chance(0.5) {
            return reply(from, call, StoreReply::Unknown, cx);
        }
        let answer = self.apply(from, request, cx);
        reply(from, call, if unknown { StoreReply::Unknown } else { answer }, cx);
    }

    fn apply(&mut self, from: Node, request: StoreRequest, cx: &mut Cx) -> StoreReply {
        match request {
            StoreRequest::Acquire => self.acquire(from, cx),
            StoreRequest::Renew { epoch } if epoch == self.epoch => {
                self.lease_ends_at = cx.now + LEADER_LEASE;
                StoreReply::Renewed
            }
            StoreRequest::Append { epoch, at, records } if self.admits(epoch, cx) => {
                self.append(epoch, at, &records, cx)
            }
            StoreRequest::Length { epoch } if self.admits(epoch, cx) => {
                StoreReply::Length { records: self.journal.len() as u64 }
            }
            StoreRequest::Renew { .. } | StoreRequest::Append { .. } | StoreRequest::Length { .. } => {
                StoreReply::Fenced
            }
        }
    }

    fn admits(&self, epoch: u64, cx: &Cx) -> bool {
        epoch == self.epoch || cx.is_sabotaged(Sabotage::StoreIgnoresEpochs)
    }

    /// From here on nothing of an older epoch is accepted. A process that starts anew at its place need not wait.
    fn acquire(&mut self, from: Node, cx: &mut Cx) -> StoreReply {
        if cx.now < self.lease_ends_at && self.leader != Some(from) {
            return StoreReply::Held;
        }
        self.epoch += 1;
        self.leader = Some(from);
        self.lease_ends_at = cx.now + LEADER_LEASE;
        log!(cx, "{from} leads as epoch {}", self.epoch);
        StoreReply::Acquired { epoch: self.epoch }
    }

    fn append(&mut self, epoch: u64, at: u64, records: &Rc<Vec<Record>>, cx: &mut Cx) -> StoreReply {
        let ignores = cx.is_sabotaged(Sabotage::StoreIgnoresEpochs);
        if at != self.journal.len() as u64 && !ignores {
            return StoreReply::Conflict;
        }
        log!(cx, "epoch {epoch} appends {} records at {at}", records.len());
        for record in records.iter() {
            cx.judge.recorded(epoch, record, &cx.truth, cx.now);
            log!(cx, "  {}", crate::describe::Described(record));
        }
        self.journal.extend(records.iter().cloned());
        StoreReply::Appended
    }
}

fn reply(to: Node, call: u64, reply: StoreReply, cx: &mut Cx) {
    let takes = cx.rng.duration(COMMIT_MIN, COMMIT_MAX);
    cx.send_after(takes, Node::Store, to, Body::StoreReply { call, reply });
}
