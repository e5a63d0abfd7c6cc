//! Calls to the journal and to the output location, each made again until its outcome is known.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use windrow_model::{ErrorKind, ErrorReport, JobId, Timestamp};
use windrow_scheduler::{CommitRequest, Input};

use crate::context::Cx;
use crate::coordinator::leader::Leader;
use crate::event::CoordinatorTimer;
use crate::node::Node;
use crate::packet::{Body, LocationReply, LocationRequest, StoreRequest};

/// A call without an answer for so long has an unknown outcome.
pub(crate) const CALL_PATIENCE: Duration = Duration::from_secs(2);

/// Milliseconds before a call is made again.
const AGAIN_MIN_MS: u64 = 20;
const AGAIN_MAX_MS: u64 = 500;

#[derive(Clone, Debug)]
pub(crate) enum Call {
    Renew {
        asked_at: Timestamp,
    },
    Append,
    /// Asks how the append ended.
    Length,
    Create {
        job: JobId,
        step: u32,
    },
    Publish {
        job: JobId,
        step: u32,
    },
    Abort {
        job: JobId,
    },
}

#[derive(Default)]
pub(crate) struct Calls {
    open: BTreeMap<u64, Call>,
    /// Calls that wait to be made again.
    waiting: BTreeMap<u64, Call>,
}

impl Calls {
    /// The call that this answers; `None` for late and repeated answers.
    pub fn answered(&mut self, call: u64) -> Option<Call> {
        self.open.remove(&call)
    }
}

impl Leader {
    pub(super) fn call(&mut self, call: Call, cx: &mut Cx) {
        let id = cx.net.new_call();
        let Some((to, body)) = self.request_of(&call, id) else { return };
        self.calls.open.insert(id, call);
        cx.send(self.seat.node(), to, 0, body);
        self.seat.after(CALL_PATIENCE, CoordinatorTimer::Overdue { call: id }, cx);
    }

    fn request_of(&self, call: &Call, id: u64) -> Option<(Node, Body)> {
        let store = |request| (Node::Store, Body::StoreCall { call: id, request });
        let location = |request| (Node::Location, Body::LocationCall { call: id, request });
        let epoch = self.epoch;
        Some(match *call {
            Call::Renew { .. } => store(StoreRequest::Renew { epoch }),
            Call::Append => store(self.journal.append_request(epoch)?),
            Call::Length => store(StoreRequest::Length { epoch }),
            Call::Create { job, step } => {
                let tasks = Rc::clone(self.publishing.get(&(job, step))?);
                location(LocationRequest::Create { job, step, tasks })
            }
            Call::Publish { job, step } => location(LocationRequest::Publish { job, step }),
            Call::Abort { job } => location(LocationRequest::Abort { job }),
        })
    }

    /// The outcome of a call is not known.
    pub(super) fn overdue(&mut self, call: u64, cx: &mut Cx) {
        if let Some(call) = self.calls.answered(call) {
            self.failed(call, cx);
        }
    }

    /// Makes the call, or the one that finds out, again after a while.
    pub(super) fn failed(&mut self, call: Call, cx: &mut Cx) {
        let again = match call {
            // The next renewal is due anyway.
            Call::Renew { .. } => return,
            Call::Append => Call::Length,
            Call::Length | Call::Create { .. } | Call::Publish { .. } | Call::Abort { .. } => call,
        };
        let id = cx.net.new_call();
        self.calls.waiting.insert(id, again);
        let wait = cx.rng.millis(AGAIN_MIN_MS, AGAIN_MAX_MS);
        self.seat.after(wait, CoordinatorTimer::Again { call: id }, cx);
    }

    pub(super) fn again(&mut self, call: u64, cx: &mut Cx) {
        if let Some(call) = self.calls.waiting.remove(&call) {
            self.call(call, cx);
        }
    }

    /// The manifest decides; then its files are published; then the core is told.
    pub(super) fn publish(&mut self, request: CommitRequest, cx: &mut Cx) {
        let CommitRequest { job, step, tasks } = request;
        self.publishing.insert((job, step), Rc::new(tasks));
        self.call(Call::Create { job, step }, cx);
    }

    pub(super) fn location_replied(&mut self, call: u64, reply: LocationReply, cx: &mut Cx) {
        let Some(call) = self.calls.answered(call) else { return };
        match (reply, call) {
            (LocationReply::Decided, Call::Create { job, step }) => self.call(Call::Publish { job, step }, cx),
            (LocationReply::Published { files }, Call::Publish { job, step }) => {
                self.publishing.remove(&(job, step));
                self.step(Input::CommitFinished { job, step, files }, cx);
            }
            (LocationReply::Refused, Call::Create { job, step }) => {
                self.publishing.remove(&(job, step));
                let report = ErrorReport::new(ErrorKind::AlreadyExists, "the location refuses the commit");
                self.step(Input::CommitFailed { job, step, report }, cx);
            }
            (LocationReply::Unavailable | LocationReply::Unknown, call) => self.failed(call, cx),
            (
                LocationReply::Decided
                | LocationReply::Published { .. }
                | LocationReply::Aborted
                | LocationReply::Refused,
                _,
            ) => {}
        }
    }
}
