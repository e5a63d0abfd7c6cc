//! Bytes beside the records: what planning has made for workers and for the shell.

use bytes::Bytes;
use windrow_model::{FragmentHash, JobId};

use super::StoreError;
use super::limits::BLOB_BYTES_MAX;

/// Names a blob within its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum BlobName {
    /// A fragment or splits, by their content: the same name is the same bytes, and is written once.
    Content(FragmentHash),
    /// What planning a step left for the shell. Written in the commit of the step's `StagesPlanned`; a new plan of
    /// the same step, made because that commit never ended, replaces it.
    Step(u32),
}

/// Names a blob. It is deleted with its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlobKey {
    pub(crate) job: JobId,
    pub(crate) name: BlobName,
}

/// A blob to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) key: BlobKey,
    pub(crate) bytes: Bytes,
}

impl BlobName {
    /// Unique within the job: `c` and the hash in hexadecimal, or `s` and the step.
    pub(super) fn text(self) -> String {
        match self {
            BlobName::Content(hash) => format!("c{hash}"),
            BlobName::Step(step) => format!("s{step:08x}"),
        }
    }
}

impl Blob {
    pub(crate) fn check_size(&self) -> Result<(), StoreError> {
        let bytes = self.bytes.len() as u64;
        if bytes > BLOB_BYTES_MAX {
            return Err(StoreError::too_large(&format!("a plan of {}", self.key.job), bytes, BLOB_BYTES_MAX));
        }
        Ok(())
    }
}
