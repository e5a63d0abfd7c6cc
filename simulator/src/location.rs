//! Where sinks write: staged files, and manifests of which each commit may create one.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use windrow_model::{JobId, WrittenFile};
use windrow_scheduler::CommittedTask;

use crate::context::Cx;
use crate::node::Node;
use crate::packet::{Body, LocationReply, LocationRequest};
use crate::sabotage::Sabotage;
use crate::trace::log;

/// One call of an object store.
const CALL_MIN: Duration = Duration::from_millis(5);
const CALL_MAX: Duration = Duration::from_millis(80);

/// A statement that commits; its number is the commit's id.
type CommitId = (JobId, u32);

#[derive(Default)]
pub(crate) struct Location {
    manifests: BTreeMap<CommitId, Rc<Vec<CommittedTask>>>,
    /// Commits that are refused, now and later.
    refused: BTreeSet<CommitId>,
    /// It does not answer.
    pub down: u32,
}

impl Location {
    pub fn on_call(&mut self, from: Node, call: u64, request: LocationRequest, cx: &mut Cx) {
        if self.down > 0 {
            return;
        }
        if cx.rng.chance(cx.faults.location_unavailable) {
            return reply(from, call, LocationReply::Unavailable, cx);
        }
        let unknown = cx.rng.chance(cx.faults.location_unknown);
        if unknown && cx.rng.chance(0.5) {
            return reply(from, call, LocationReply::Unknown, cx);
        }
        let answer = self.apply(request, cx);
        reply(from, call, if unknown { LocationReply::Unknown } else { answer }, cx);
    }

    fn apply(&mut self, request: LocationRequest, cx: &mut Cx) -> LocationReply {
        match request {
            LocationRequest::Create { job, step, tasks } => self.create((job, step), tasks, cx),
            LocationRequest::Publish { job, step } => self.publish((job, step), cx),
            LocationRequest::Abort { job } => {
                cx.judge.aborted(job);
                LocationReply::Aborted
            }
        }
    }

    /// The commit id decides whose manifest it is, so a repeated call finds its own.
    fn create(&mut self, id: CommitId, tasks: Rc<Vec<CommittedTask>>, cx: &mut Cx) -> LocationReply {
        if self.manifests.contains_key(&id) && !cx.is_sabotaged(Sabotage::CommitReplaces) {
            return LocationReply::Decided;
        }
        if self.refused.contains(&id) || cx.rng.chance(cx.faults.commit_refused) {
            self.refused.insert(id);
            cx.judge.evidence.commits_refused.insert(id);
            log!(cx, "the commit of step {} of {} is refused", id.1, id.0);
            return LocationReply::Refused;
        }
        log!(cx, "step {} of {} is committed: {} tasks", id.1, id.0, tasks.len());
        cx.judge.committed(id, &tasks, &cx.truth, cx.now);
        self.manifests.insert(id, tasks);
        LocationReply::Decided
    }

    fn publish(&mut self, id: CommitId, cx: &mut Cx) -> LocationReply {
        let Some(tasks) = self.manifests.get(&id) else {
            cx.judge.accuse(cx.now, format_args!("S-4: step {} of {} is published and was not decided", id.1, id.0));
            return LocationReply::Refused;
        };
        let files: Vec<WrittenFile> = tasks.iter().flat_map(|task| task.files.clone()).collect();
        cx.judge.published(id);
        LocationReply::Published { files }
    }
}

fn reply(to: Node, call: u64, reply: LocationReply, cx: &mut Cx) {
    let takes = cx.rng.duration(CALL_MIN, CALL_MAX);
    cx.send_after(takes, Node::Location, to, Body::LocationReply { call, reply });
}
