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

/// Keys that are looked up one after the other before any of their values is combined: the processor then waits for many
/// of them at once, where a table is larger than its caches.
const GROUP_KEYS: usize = 32;

/// Bytes of long keys in a group.
const GROUP_BYTES: usize = 64 << 10;

/// Keys with what was combined for them.
pub(crate) struct Table<K: Record, V: Record> {
    entries: HashTable<Entry<V>>,
    /// Keys that are longer than their heads, one after the other.
    long: Vec<u8>,
    group: Vec<Waiting<V>>,
    /// Of the group, as `long` is of the entries.
    group_long: Vec<u8>,
    group_keys: usize,
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

struct Waiting<V: Record> {
    hash: u64,
    /// In `group_long`.
    entry: Entry<V>,
    /// Of the table, if it was there when the group was looked up.
    bucket: Option<usize>,
}

impl<K: Record, V: Record> Table<K, V> {
    pub fn new(bytes_max: usize) -> Table<K, V> {
        Table {
            entries: HashTable::new(),
            long: Vec::new(),
            group: Vec::with_capacity(GROUP_KEYS),
            group_long: Vec::new(),
            // What is on the heap would be copied to wait.
            group_keys: if V::IS_FLAT && bytes_max > 0 { GROUP_KEYS } else { 1 },
            scratch: Vec::new(),
            heap_bytes: 0,
            hasher: FixedState::default(),
            bytes_max: bytes_max.min(u32::MAX as usize / 2),
            key: std::marker::PhantomData,
        }
    }

    /// Whether it is to be emptied now.
    #[inline]
    pub fn add(&mut self, key: K::Ref<'_>, value: V::Ref<'_>, combiner: &mut dyn Combiner<V>) -> bool {
        let key = match K::as_bytes(&key) {
            Some(bytes) => bytes,
            None => {
                self.scratch.clear();
                K::encode(key, K::COLUMNS, &mut self.scratch);
                self.scratch.as_slice()
            }
        };
        let head = Head::of(key);
        let hash = head.hash(key, &self.hasher);
        if self.group_keys == 1 {
            let key = Key { hash, head, bytes: if head.is_cut() { key } else { &[] } };
            put(&mut self.entries, &mut self.long, &mut self.heap_bytes, &self.hasher, &key, value, combiner);
            return self.is_full();
        }
        let start = self.group_long.len() as u32;
        if head.is_cut() {
            self.group_long.extend_from_slice(key);
        }
        let entry = Entry { head, start, sum: V::own(value) };
        self.group.push(Waiting { hash, entry, bucket: None });
        if self.group.len() < self.group_keys && self.group_long.len() < GROUP_BYTES {
            return false;
        }
        self.combine_group(combiner);
        self.is_full()
    }

    fn is_full(&self) -> bool {
        self.long.len() + self.entries.len() * size_of::<Entry<V>>() + self.heap_bytes >= self.bytes_max
    }

    fn combine_group(&mut self, combiner: &mut dyn Combiner<V>) {
        let Table { entries, long, group, group_long, hasher, heap_bytes, .. } = self;
        // Without room for all of them, the first that is new could move the others.
        entries.reserve(group.len(), |entry| entry.hash(long, hasher));
        for waiting in group.iter_mut() {
            let Entry { head, start, .. } = waiting.entry;
            let key = Key { hash: waiting.hash, head, bytes: head.rest(group_long, start) };
            waiting.bucket = entries.find_bucket_index(waiting.hash, |entry| entry.is(&key, long));
        }
        for Waiting { hash, entry: Entry { head, start, sum: value }, bucket } in group.drain(..) {
            match bucket.and_then(|bucket| entries.get_bucket_mut(bucket)) {
                Some(entry) => combiner.combine(&mut entry.sum, V::borrow(&value)),
                // Unless it has come with the group.
                None => {
                    let key = Key { hash, head, bytes: head.rest(group_long, start) };
                    put(entries, long, heap_bytes, hasher, &key, V::borrow(&value), combiner);
                }
            }
        }
        group_long.clear();
    }

    /// Gives every entry out and is empty.
    pub fn drain(&mut self, combiner: &mut dyn Combiner<V>, mut give: impl FnMut(K::Ref<'_>, V::Ref<'_>)) {
        self.combine_group(combiner);
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

impl<V: Record> Entry<V> {
    #[inline]
    fn hash(&self, long: &[u8], hasher: &FixedState) -> u64 {
        self.head.hash(self.head.rest(long, self.start), hasher)
    }

    #[inline]
    fn is(&self, key: &Key<'_>, long: &[u8]) -> bool {
        self.head == key.head && (!self.head.is_cut() || self.head.rest(long, self.start) == key.bytes)
    }
}

/// A key that is looked up.
struct Key<'a> {
    hash: u64,
    head: Head,
    /// All of it if the head is cut, nothing otherwise.
    bytes: &'a [u8],
}

/// Combines a value with those of its key.
fn put<V: Record>(
    entries: &mut HashTable<Entry<V>>,
    long: &mut Vec<u8>,
    heap_bytes: &mut usize,
    hasher: &FixedState,
    key: &Key<'_>,
    value: V::Ref<'_>,
    combiner: &mut dyn Combiner<V>,
) {
    if let Some(Entry { sum, .. }) = entries.find_mut(key.hash, |entry| entry.is(key, long)) {
        let before = V::heap_bytes(sum);
        combiner.combine(sum, value);
        *heap_bytes = (*heap_bytes + V::heap_bytes(sum)).saturating_sub(before);
        return;
    }
    let start = long.len() as u32;
    long.extend_from_slice(key.bytes);
    let sum = V::own(value);
    *heap_bytes += V::heap_bytes(&sum);
    entries.insert_unique(key.hash, Entry { head: key.head, start, sum }, |entry| entry.hash(long, hasher));
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
        for n in 0..=10_000 {
            if n == 10_000 || table.add(&format!("word{}", n / 10 % 100), 1, &mut sum) {
                table.drain(&mut sum, |word, count| {
                    *counts.entry(word.to_owned()).or_default() += count;
                    given += 1;
                });
            }
        }
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
        table.drain(&mut sum, |key, count| given.push((key.to_owned(), count)));
        given.sort();
        let mut expected = keys.map(|key| (key, 2));
        expected.sort();
        assert_eq!(given, expected);
    }
}
