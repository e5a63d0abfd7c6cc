//! Puts values of one key together before they leave the mapper.

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::head::Head;
use crate::record::Record;

/// Bytes of keys and values at which a table is emptied, unless a job says otherwise: it stays in a core's caches for
/// frequent keys, and beside a worker's memory for all others.
pub(crate) const TABLE_BYTES: usize = 64 << 20;

/// Adds a value to those of its key that came before it. It must give the same whatever is put together first, and
/// whether it runs at all.
pub trait Combiner<V: Record>: Send {
    fn combine(&mut self, sum: &mut V::Owned, value: V::Ref<'_>);
}

impl<V: Record, F: FnMut(&mut V::Owned, V::Ref<'_>) + Send> Combiner<V> for F {
    fn combine(&mut self, sum: &mut V::Owned, value: V::Ref<'_>) {
        self(sum, value);
    }
}

/// Keys with what was combined for them.
pub(crate) struct Table<K: Record, V: Record> {
    entries: HashTable<Entry<V>>,
    /// Keys that are longer than their heads, one after the other.
    long: Vec<u8>,
    scratch: Vec<u8>,
    /// Of the sums.
    heap_bytes: usize,
    hasher: FixedState,
    bytes_max: usize,
    key: std::marker::PhantomData<fn() -> K>,
}

struct Entry<V: Record> {
    head: Head,
    /// In `long`.
    start: u32,
    sum: V::Owned,
}

impl<K: Record, V: Record> Table<K, V> {
    pub fn new(bytes_max: usize) -> Table<K, V> {
        Table {
            entries: HashTable::new(),
            long: Vec::new(),
            scratch: Vec::new(),
            heap_bytes: 0,
            hasher: FixedState::default(),
            bytes_max: bytes_max.min(u32::MAX as usize / 2),
            key: std::marker::PhantomData,
        }
    }

    /// Whether it is to be emptied now.
    pub fn add(&mut self, key: K::Ref<'_>, value: V::Ref<'_>, combiner: &mut dyn Combiner<V>) -> bool {
        let Table { entries, long, scratch, heap_bytes, hasher, .. } = self;
        let key = match K::as_bytes(&key) {
            Some(bytes) => bytes,
            None => {
                scratch.clear();
                K::encode(key, K::COLUMNS, scratch);
                scratch.as_slice()
            }
        };
        let head = Head::of(key);
        let is_it = |entry: &Entry<V>| entry.head == head && (!head.is_cut() || head.rest(long, entry.start) == key);
        let hash = head.hash(key, hasher);
        if let Some(Entry { sum, .. }) = entries.find_mut(hash, is_it) {
            if V::IS_FLAT {
                combiner.combine(sum, value);
                return false;
            }
            let before = V::heap_bytes(sum);
            combiner.combine(sum, value);
            *heap_bytes = (*heap_bytes + V::heap_bytes(sum)).saturating_sub(before);
            return self.is_full();
        }
        let start = long.len() as u32;
        if head.is_cut() {
            long.extend_from_slice(key);
        }
        let sum = V::own(value);
        *heap_bytes += V::heap_bytes(&sum);
        entries.insert_unique(hash, Entry { head, start, sum }, |entry| {
            entry.head.hash(entry.head.rest(long, entry.start), hasher)
        });
        self.is_full()
    }

    fn is_full(&self) -> bool {
        self.long.len() + self.entries.len() * size_of::<Entry<V>>() + self.heap_bytes >= self.bytes_max
    }

    /// Gives every entry out and is empty.
    pub fn drain(&mut self, mut give: impl FnMut(K::Ref<'_>, V::Ref<'_>)) {
        for Entry { head, start, sum } in &self.entries {
            match head.is_cut() {
                true => give(K::decode(head.rest(&self.long, *start)), V::borrow(sum)),
                false => give(K::decode(&head.key()[..head.bytes as usize]), V::borrow(sum)),
            }
        }
        self.entries.clear();
        self.long.clear();
        self.heap_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Sums of 1 a word, with a table that is emptied after so many bytes.
    fn counted(bytes_max: usize) -> (BTreeMap<String, i64>, usize) {
        let mut table = Table::<String, i64>::new(bytes_max);
        let mut sum = |sum: &mut i64, one: i64| *sum += one;
        let (mut counts, mut given) = (BTreeMap::new(), 0);
        let mut empty = |table: &mut Table<String, i64>| {
            table.drain(|word, count| {
                *counts.entry(word.to_owned()).or_default() += count;
                given += 1;
            });
        };
        for n in 0..10_000 {
            if table.add(&format!("word{}", n / 10 % 100), 1, &mut sum) {
                empty(&mut table);
            }
        }
        empty(&mut table);
        (counts, given)
    }

    #[test]
    fn whatever_is_put_together_the_sums_are_the_same() {
        let (never, given) = counted(0);
        assert_eq!(given, 10_000);
        let (sometimes, given) = counted(1_000);
        assert!((101..10_000).contains(&given), "{given}");
        let (always, given) = counted(TABLE_BYTES);
        assert_eq!(given, 100);
        assert!(never == sometimes && sometimes == always && always.values().all(|count| *count == 100));
    }

    #[test]
    fn a_sum_that_grows_fills_the_table() {
        let mut table = Table::<i64, Vec<u8>>::new(100_000);
        let mut join = |all: &mut Vec<u8>, more: &[u8]| all.extend_from_slice(more);
        let full = (0..1_000).position(|_| table.add(1, &[0; 1_000], &mut join));
        assert!(full.is_some_and(|n| n < 110), "{full:?}");
    }

    #[test]
    fn long_keys_that_begin_alike_are_different() {
        let mut table = Table::<String, i64>::new(TABLE_BYTES);
        let mut sum = |sum: &mut i64, one: i64| *sum += one;
        let keys = [
            "a".repeat(24),
            "a".repeat(25),
            "a".repeat(24) + "b",
            "a".repeat(23),
            String::new(),
            "a".repeat(23) + "\0",
        ];
        for key in keys.iter().chain(&keys) {
            assert!(!table.add(key, 1, &mut sum));
        }
        let mut given = Vec::new();
        table.drain(|key, count| given.push((key.to_owned(), count)));
        given.sort();
        let mut expected = keys.map(|key| (key, 2));
        expected.sort();
        assert_eq!(given, expected);
    }
}
