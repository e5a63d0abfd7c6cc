//! What of a key lies beside its sum in a table, so that one look at memory finds both.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

/// Keys of at most so many bytes are nothing but their head; most words and numbers are.
const WHOLE_BYTES: usize = 16;

/// From the golden ratio and pi: odd numbers without a pattern.
const FOLD_BY: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0x2437_53a0_8d31_319b];

/// The length of a key, and its first and last bytes, which overlap if it has less than sixteen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    first: u64,
    last: u64,
    pub bytes: u32,
}

impl Head {
    #[inline]
    pub fn of(key: &[u8]) -> Head {
        let bytes = key.len() as u32;
        let (first, last) = match key.len() {
            8.. => (eight(key, 0), eight(key, key.len() - 8)),
            4.. => (four(key, 0), four(key, key.len() - 4)),
            1.. => (u64::from(key[0]) | u64::from(key[key.len() / 2]) << 8, u64::from(key[key.len() - 1])),
            0 => (0, 0),
        };
        Head { first, last, bytes }
    }

    /// There is more of the key than this.
    #[inline]
    pub fn is_cut(&self) -> bool {
        self.bytes as usize > WHOLE_BYTES
    }

    /// The key of a head that is not cut, with something behind it.
    pub fn key(&self) -> [u8; WHOLE_BYTES] {
        let bytes = self.bytes as usize;
        let mut key = [0; WHOLE_BYTES];
        let (first, last) = (self.first.to_le_bytes(), self.last.to_le_bytes());
        match bytes {
            8.. => {
                key[..8].copy_from_slice(&first);
                key[bytes - 8..bytes].copy_from_slice(&last);
            }
            4.. => {
                key[..4].copy_from_slice(&first[..4]);
                key[bytes - 4..bytes].copy_from_slice(&last[..4]);
            }
            1.. => {
                (key[0], key[bytes / 2]) = (first[0], first[1]);
                key[bytes - 1] = last[0];
            }
            0 => {}
        }
        key
    }

    /// The key of a head that is cut, which begins in `long` at `start`; nothing if it is not.
    pub fn rest<'a>(&self, long: &'a [u8], start: u32) -> &'a [u8] {
        if self.is_cut() { &long[start as usize..start as usize + self.bytes as usize] } else { &[] }
    }

    /// `key` counts if the head is cut.
    #[inline]
    pub fn hash(&self, key: &[u8], hasher: &FixedState) -> u64 {
        if self.is_cut() {
            return hasher.hash_one(key);
        }
        let wide = u128::from(self.first ^ FOLD_BY[0]) * u128::from(self.last ^ FOLD_BY[1] ^ u64::from(self.bytes));
        (wide as u64) ^ (wide >> 64) as u64
    }
}

#[inline]
fn eight(key: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(key[at..at + 8].try_into().expect("H-1: eight bytes are eight"))
}

#[inline]
fn four(key: &[u8], at: usize) -> u64 {
    u64::from(u32::from_le_bytes(key[at..at + 4].try_into().expect("H-1: four bytes are four")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_key_is_its_head() {
        let text = b"abcdefghijklmnopqrstuvwxyz";
        for bytes in 0..=WHOLE_BYTES {
            let head = Head::of(&text[..bytes]);
            assert!(!head.is_cut());
            assert_eq!(&head.key()[..bytes], &text[..bytes]);
        }
        assert!(Head::of(&text[..17]).is_cut());
        assert_ne!(Head::of(b"a"), Head::of(b"aa"));
        assert_ne!(Head::of(b"a\0"), Head::of(b"a"));
    }

    #[test]
    fn hashes_are_spread() {
        let hasher = FixedState::default();
        let hash = |n: u32| {
            let key = n.to_string();
            Head::of(key.as_bytes()).hash(key.as_bytes(), &hasher)
        };
        for shift in [0, 32, 57] {
            let mut counts = [0; 128];
            (0..12_800).for_each(|n| counts[(hash(n) >> shift) as usize % 128] += 1);
            assert!(counts.iter().all(|count| (50..200).contains(count)), "{shift}: {counts:?}");
        }
    }
}
