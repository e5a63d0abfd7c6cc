//! Identities.

use windrow_model::{AttemptId, FragmentHash, JobId, MapOutputId, StageId, TaskId};

use super::invalid::{Invalid, required};
use super::pb;

impl From<&TaskId> for pb::TaskId {
    fn from(id: &TaskId) -> Self {
        pb::TaskId { job: id.stage.job.0, stage: id.stage.index, task: id.index }
    }
}

impl From<pb::TaskId> for TaskId {
    fn from(id: pb::TaskId) -> Self {
        TaskId { stage: StageId { job: JobId(id.job), index: id.stage }, index: id.task }
    }
}

impl From<&AttemptId> for pb::AttemptId {
    fn from(id: &AttemptId) -> Self {
        pb::AttemptId { epoch: id.epoch, n: id.n }
    }
}

impl From<pb::AttemptId> for AttemptId {
    fn from(id: pb::AttemptId) -> Self {
        AttemptId { epoch: id.epoch, n: id.n }
    }
}

impl From<&MapOutputId> for pb::MapOutputId {
    fn from(id: &MapOutputId) -> Self {
        pb::MapOutputId { task: Some((&id.task).into()), attempt: Some((&id.attempt).into()) }
    }
}

impl TryFrom<pb::MapOutputId> for MapOutputId {
    type Error = Invalid;

    fn try_from(id: pb::MapOutputId) -> Result<Self, Invalid> {
        Ok(MapOutputId {
            task: required(id.task, "MapOutputId.task")?.into(),
            attempt: required(id.attempt, "MapOutputId.attempt")?.into(),
        })
    }
}

pub(super) fn fragment_hash(bytes: &[u8]) -> Result<FragmentHash, Invalid> {
    let out_of_range = |_| Invalid::OutOfRange { field: "StagePlan.fragment length", value: bytes.len() as u64 };
    bytes.try_into().map(FragmentHash).map_err(out_of_range)
}
