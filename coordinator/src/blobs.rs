//! Blobs: fragments and splits as workers keep them, named by content and sent in pieces.

use std::hash::{DefaultHasher, Hasher};

use bytes::Bytes;
use windrow_model::{FragmentHash, JobId};
use windrow_proto as wire;

/// Names a task's splits by content, so that two attempts at it on one worker share what was sent.
/// Not security relevant: both ends belong to one cluster.
pub(crate) fn content_hash(bytes: &[u8]) -> FragmentHash {
    let mut hash = [0; 16];
    for (half, prefix) in hash.chunks_exact_mut(8).zip([b"splits-0", b"splits-1"]) {
        let mut hasher = DefaultHasher::new();
        hasher.write(prefix);
        hasher.write(bytes);
        half.copy_from_slice(&hasher.finish().to_be_bytes());
    }
    FragmentHash(hash)
}

/// The messages that carry one blob, in order; an empty blob is one empty last piece. Copies nothing.
pub(crate) fn pieces(job: JobId, hash: FragmentHash, blob: &Bytes) -> impl Iterator<Item = wire::Blob> + use<> {
    let blob = blob.clone();
    let count = blob.len().div_ceil(wire::BLOB_PIECE_BYTES).max(1);
    (0..count).map(move |index| {
        let start = index * wire::BLOB_PIECE_BYTES;
        let end = blob.len().min(start + wire::BLOB_PIECE_BYTES);
        wire::Blob {
            hash: wire::fragment_hash_to_wire(hash),
            piece: blob.slice(start..end),
            last: index + 1 == count,
            job: job.0,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(blob: &Bytes) -> (Vec<u8>, Vec<bool>) {
        let pieces: Vec<wire::Blob> = pieces(JobId(1), FragmentHash([0; 16]), blob).collect();
        let bytes = pieces.iter().flat_map(|piece| piece.piece.to_vec()).collect();
        (bytes, pieces.iter().map(|piece| piece.last).collect())
    }

    #[test]
    fn a_blob_arrives_whole_and_only_its_last_piece_is_last() {
        let blob = Bytes::from((0..2 * wire::BLOB_PIECE_BYTES + 3).map(|n| n as u8).collect::<Vec<u8>>());
        let (bytes, last) = joined(&blob);
        assert_eq!(bytes, blob);
        assert_eq!(last, [false, false, true]);
    }

    #[test]
    fn a_blob_of_exactly_one_piece_is_one_message() {
        assert_eq!(joined(&Bytes::from(vec![7; wire::BLOB_PIECE_BYTES])).1, [true]);
        assert_eq!(joined(&Bytes::new()).1, [true]);
    }

    #[test]
    fn different_splits_have_different_names() {
        assert_ne!(content_hash(b"a"), content_hash(b"b"));
        assert_eq!(content_hash(b"a"), content_hash(b"a"));
    }
}
