//! Fragments and splits by content hash: sent once, kept until their last job is released.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use windrow_model::{ErrorReport, FragmentHash, JobId};

/// A plan or split list beyond this is a mistake of the sender, in bytes.
const BLOB_BYTES_MAX: usize = 256 << 20;

/// Blobs of one session with the coordinator.
#[derive(Debug, Default)]
pub struct Fragments {
    whole: BTreeMap<FragmentHash, Whole>,
    /// Blobs whose last piece has not arrived.
    partial: BTreeMap<FragmentHash, BytesMut>,
    /// Blobs that grew too large; the rest of their pieces is dropped, so that no tail is taken for the whole.
    refused: BTreeSet<FragmentHash>,
}

#[derive(Debug, Default)]
struct Whole {
    bytes: Bytes,
    jobs: BTreeSet<JobId>,
}

impl Fragments {
    /// Takes the next piece of a blob.
    pub fn accept(&mut self, hash: FragmentHash, job: JobId, piece: &[u8], last: bool) -> Result<(), ErrorReport> {
        if self.refused.contains(&hash) {
            if last {
                self.refused.remove(&hash);
            }
            return Ok(());
        }
        let partial = self.partial.entry(hash).or_default();
        if partial.len() + piece.len() > BLOB_BYTES_MAX {
            self.partial.remove(&hash);
            if !last {
                self.refused.insert(hash);
            }
            return Err(ErrorReport::internal(format!("fragment {hash} is larger than {BLOB_BYTES_MAX} bytes")));
        }
        partial.extend_from_slice(piece);
        if last {
            let bytes = self.partial.remove(&hash).unwrap_or_default().freeze();
            let whole = self.whole.entry(hash).or_default();
            whole.bytes = bytes;
            whole.jobs.insert(job);
        }
        Ok(())
    }

    pub fn get(&self, hash: FragmentHash) -> Option<Bytes> {
        self.whole.get(&hash).map(|whole| whole.bytes.clone())
    }

    /// Forgets the blobs that only `job` needed.
    pub fn release(&mut self, job: JobId) {
        self.whole.retain(|_, whole| {
            whole.jobs.remove(&job);
            !whole.jobs.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_whole_after_its_last_piece_and_gone_after_its_last_job() {
        let hash = FragmentHash([7; 16]);
        let mut fragments = Fragments::default();
        fragments.accept(hash, JobId(1), b"ab", false).unwrap();
        assert_eq!(fragments.get(hash), None);
        fragments.accept(hash, JobId(1), b"cd", true).unwrap();
        fragments.accept(hash, JobId(2), b"abcd", true).unwrap();
        fragments.release(JobId(1));
        assert_eq!(fragments.get(hash).as_deref(), Some(b"abcd".as_slice()));
        fragments.release(JobId(2));
        assert_eq!(fragments.get(hash), None);
    }
}
