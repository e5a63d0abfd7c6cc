//! Values that fit etcd's limits, and transactions that do.

use bytes::{Buf, BufMut, Bytes};

use super::super::head::CommitId;

/// Operations of one transaction; etcd's `--max-txn-ops` is 128 by default. A few are kept for the head and for
/// what is read when the guard fails.
const OPERATIONS_MAX: usize = 120;

/// Bytes of one transaction; etcd's `--max-request-bytes` is 1.5 MiB by default, for the encoded request.
const TRANSACTION_BYTES_MAX: usize = 1 << 20;

/// Bytes of a value's piece: two of them fit a transaction.
const PIECE_BYTES_MAX: usize = 480 << 10;

/// What a key-value pair costs beside its key and value, at most.
const OVERHEAD_BYTES: usize = 64;

/// In front of each piece: the commit that wrote it (two numbers, zeros for what is named by its content), and how
/// many pieces there are.
const HEADER_BYTES: usize = 8 + 8 + 4;

/// One key to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Put {
    pub(super) key: String,
    pub(super) value: Vec<u8>,
}

/// Cuts a value into pieces under `base`, which ends with a slash. An empty value is one piece.
pub(super) fn split(base: &str, commit: CommitId, value: &Bytes) -> Vec<Put> {
    let count = value.len().div_ceil(PIECE_BYTES_MAX).max(1);
    let piece = |index: usize| {
        let part = &value[index * PIECE_BYTES_MAX..value.len().min((index + 1) * PIECE_BYTES_MAX)];
        let mut value = Vec::with_capacity(HEADER_BYTES + part.len());
        value.put_u64_le(commit.epoch);
        value.put_u64_le(commit.count);
        value.put_u32_le(count as u32);
        value.put_slice(part);
        Put { key: format!("{base}{index:08x}"), value }
    };
    (0..count).map(piece).collect()
}

/// Puts a value together from its pieces, given by number in order. `None` if one is missing: the commit that
/// wrote them never ended. Pieces beyond the last one are left over from a longer value.
pub(super) fn join(pieces: Vec<(u32, Bytes)>) -> Option<Bytes> {
    let mut headers = pieces.first()?.1.clone();
    if headers.len() < HEADER_BYTES {
        return None;
    }
    let tag = headers.split_to(HEADER_BYTES);
    let count = (&tag[16..]).get_u32_le();
    let mut value = Vec::new();
    for (expected, (index, piece)) in (0..count).zip(pieces.iter().chain(std::iter::repeat(&(u32::MAX, Bytes::new()))))
    {
        if *index != expected || !piece.starts_with(&tag) {
            return None;
        }
        value.extend_from_slice(&piece[HEADER_BYTES..]);
    }
    Some(value.into())
}

/// Groups puts, in order, into as few transactions as the limits allow. The last one has room for the head.
pub(super) fn transactions(puts: Vec<Put>) -> Vec<Vec<Put>> {
    let mut groups = vec![Vec::new()];
    let mut bytes = 0;
    for put in puts {
        let cost = put.key.len() + put.value.len() + OVERHEAD_BYTES;
        let group = groups.last_mut().expect("there is always a last group");
        if !group.is_empty() && (group.len() == OPERATIONS_MAX || bytes + cost > TRANSACTION_BYTES_MAX) {
            groups.push(vec![put]);
            bytes = cost;
        } else {
            group.push(put);
            bytes += cost;
        }
    }
    groups
}

/// Groups keys to be deleted.
pub(super) fn deletions(keys: &[Vec<u8>]) -> impl Iterator<Item = &[Vec<u8>]> {
    keys.chunks(OPERATIONS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: CommitId = CommitId { epoch: 7, count: 3 };

    fn value(len: usize) -> Bytes {
        (0..len).map(|at| (at / 997) as u8).collect::<Vec<u8>>().into()
    }

    fn pieces(value: &Bytes, commit: CommitId) -> Vec<(u32, Bytes)> {
        (0..).zip(split("/b/", commit, value)).map(|(index, put)| (index, Bytes::from(put.value))).collect()
    }

    #[test]
    fn a_value_is_put_together_from_its_pieces() {
        for len in [0, 1, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1, 3 * PIECE_BYTES_MAX] {
            let value = value(len);
            let pieces = pieces(&value, COMMIT);
            assert_eq!(pieces.len(), len.div_ceil(PIECE_BYTES_MAX).max(1));
            assert_eq!(join(pieces), Some(value));
        }
    }

    #[test]
    fn a_value_with_a_missing_piece_is_no_value() {
        let whole = pieces(&value(3 * PIECE_BYTES_MAX), COMMIT);
        for missing in 0..whole.len() {
            let mut pieces = whole.clone();
            pieces.remove(missing);
            assert_eq!(join(pieces), None);
        }
        assert_eq!(join(vec![]), None);
        assert_eq!(join(vec![(0, Bytes::from_static(b"short"))]), None);
    }

    #[test]
    fn pieces_of_another_commit_are_not_mixed_in() {
        let old = pieces(&value(3 * PIECE_BYTES_MAX), COMMIT);
        let new = pieces(&value(2 * PIECE_BYTES_MAX), CommitId { count: 4, ..COMMIT });
        let half_written = vec![new[0].clone(), old[1].clone(), old[2].clone()];
        assert_eq!(join(half_written), None);
        let shorter = vec![new[0].clone(), new[1].clone(), old[2].clone()];
        assert_eq!(join(shorter), Some(value(2 * PIECE_BYTES_MAX)));
    }

    #[test]
    fn transactions_keep_the_order_and_both_limits() {
        let small = (0..300).map(|n| Put { key: format!("{n:03}"), value: vec![0; 10] });
        let large = (300..310).map(|n| Put { key: format!("{n:03}"), value: vec![0; PIECE_BYTES_MAX + HEADER_BYTES] });
        let puts: Vec<Put> = small.chain(large).collect();
        let groups = transactions(puts.clone());
        assert_eq!(groups.concat(), puts);
        for group in &groups {
            let bytes: usize = group.iter().map(|put| put.key.len() + put.value.len() + OVERHEAD_BYTES).sum();
            assert!(group.len() <= OPERATIONS_MAX && bytes <= TRANSACTION_BYTES_MAX, "{} {bytes}", group.len());
        }
        assert_eq!(groups.len(), 7);
        assert_eq!(transactions(vec![]), [vec![]]);
    }
}
