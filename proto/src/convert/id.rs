//! Identities.

use bytes::Bytes;
use windrow_model::{AttemptId, FragmentHash, InputShare, JobId, MapOutputId, StageId, TaskId};

use super::{InvalidMessage, required};
use crate as wire;

impl From<AttemptId> for wire::AttemptId {
    fn from(id: AttemptId) -> Self {
        wire::AttemptId { epoch: id.epoch, n: id.n }
    }
}

impl From<wire::AttemptId> for AttemptId {
    fn from(id: wire::AttemptId) -> Self {
        AttemptId { epoch: id.epoch, n: id.n }
    }
}

impl From<TaskId> for wire::TaskId {
    fn from(id: TaskId) -> Self {
        wire::TaskId { job: id.stage.job.0, stage: id.stage.index, task: id.index }
    }
}

impl From<wire::TaskId> for TaskId {
    fn from(id: wire::TaskId) -> Self {
        TaskId { stage: StageId { job: JobId(id.job), index: id.stage }, index: id.task }
    }
}

impl From<MapOutputId> for wire::MapOutputId {
    fn from(id: MapOutputId) -> Self {
        wire::MapOutputId { task: Some(id.task.into()), attempt: Some(id.attempt.into()) }
    }
}

impl TryFrom<wire::MapOutputId> for MapOutputId {
    type Error = InvalidMessage;

    fn try_from(id: wire::MapOutputId) -> Result<Self, InvalidMessage> {
        Ok(MapOutputId {
            task: required(id.task, "MapOutputId.task")?.into(),
            attempt: required(id.attempt, "MapOutputId.attempt")?.into(),
        })
    }
}

impl From<InputShare> for wire::InputShare {
    fn from(share: InputShare) -> Self {
        wire::InputShare { stage: share.stage, index: share.index, of: share.of }
    }
}

impl From<wire::InputShare> for InputShare {
    fn from(share: wire::InputShare) -> Self {
        InputShare { stage: share.stage, index: share.index, of: share.of }
    }
}

/// A fragment hash as the 16 bytes that messages carry.
pub fn fragment_hash_to_wire(hash: FragmentHash) -> Bytes {
    Bytes::copy_from_slice(&hash.0)
}

/// Reads a fragment hash; `name` is the `Message.field` that holds it.
pub fn fragment_hash_from_wire(bytes: &[u8], name: &'static str) -> Result<FragmentHash, InvalidMessage> {
    let hash = bytes
        .try_into()
        .map_err(|_| InvalidMessage::new(name, format!("is {} bytes long instead of 16", bytes.len())))?;
    Ok(FragmentHash(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output() -> MapOutputId {
        MapOutputId {
            task: TaskId { stage: StageId { job: JobId(7), index: 2 }, index: 14 },
            attempt: AttemptId { epoch: 3, n: 99 },
        }
    }

    #[test]
    fn a_map_output_id_survives_the_wire() {
        assert_eq!(MapOutputId::try_from(wire::MapOutputId::from(output())), Ok(output()));
    }

    #[test]
    fn a_missing_field_is_named() {
        let id = wire::MapOutputId { attempt: None, ..output().into() };
        let error = MapOutputId::try_from(id).expect_err("no attempt");
        assert_eq!(error.to_string(), "invalid message: `MapOutputId.attempt` is missing");
    }

    #[test]
    fn a_fragment_hash_has_sixteen_bytes() {
        let hash = FragmentHash([9; 16]);
        assert_eq!(fragment_hash_from_wire(&fragment_hash_to_wire(hash), "RunTask.fragment"), Ok(hash));
        assert!(fragment_hash_from_wire(b"short", "RunTask.fragment").is_err());
    }
}
