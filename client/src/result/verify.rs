//! Holds what arrived of a part against what the worker says it stored.

use windrow_proto::PartEnd;

/// Counts the bytes of one part as they arrive.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    crc32: crc32fast::Hasher,
    pub bytes: u64,
}

impl Arrived {
    pub fn push(&mut self, piece: &[u8]) {
        self.crc32.update(piece);
        self.bytes += piece.len() as u64;
    }

    /// Says how the part differs from what was stored, if it does.
    pub fn differs(&self, end: &PartEnd) -> Option<String> {
        let crc32 = self.crc32.clone().finalize();
        if self.bytes != end.bytes {
            return Some(format!("{} bytes arrived of {}", self.bytes, end.bytes));
        }
        (crc32 != end.crc32).then(|| format!("the checksum is {crc32:08x} instead of {:08x}", end.crc32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_and_a_missing_byte_are_seen() {
        let end = PartEnd { bytes: 4, rows: 1, crc32: crc32fast::hash(b"rows") };
        let arrived = |bytes: &[u8]| {
            let mut arrived = Arrived::default();
            bytes.chunks(2).for_each(|piece| arrived.push(piece));
            arrived.differs(&end)
        };
        assert_eq!(arrived(b"rows"), None);
        assert_eq!(arrived(b"row").as_deref(), Some("3 bytes arrived of 4"));
        assert!(arrived(b"rowt").is_some_and(|text| text.contains("checksum")));
    }
}
