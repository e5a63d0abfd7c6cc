//! What one attempt takes of its worker's memory.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// The worker's pool, with the attempt's own counts.
#[derive(Debug)]
pub struct AttemptPool {
    worker: Arc<dyn MemoryPool>,
    all: Counted,
    /// Of operators that cannot do with less: what an attempt needs to have, and not only likes to.
    held: Counted,
}

/// Bytes now, and the most there ever were.
#[derive(Debug, Default)]
struct Counted {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Counted {
    fn add(&self, bytes: usize) {
        let now = self.now.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.most.fetch_max(now, Ordering::Relaxed);
    }
}

impl AttemptPool {
    pub fn new(worker: Arc<dyn MemoryPool>) -> AttemptPool {
        AttemptPool { worker, all: Counted::default(), held: Counted::default() }
    }

    /// Peak, in bytes.
    pub fn bytes_max(&self) -> u64 {
        self.all.most.load(Ordering::Relaxed) as u64
    }

    /// Peak of what could not be spilled, in bytes.
    pub fn held_bytes_max(&self) -> u64 {
        self.held.most.load(Ordering::Relaxed) as u64
    }

    fn add(&self, reservation: &MemoryReservation, bytes: usize) {
        self.all.add(bytes);
        if !can_do_with_less(reservation.consumer()) {
            self.held.add(bytes);
        }
    }
}

/// Whether what it is refused goes to disk. Two register as if it did not: build sides of joins are divided
/// (`plan::spilling_join`), and a sort merges fewer runs at once.
fn can_do_with_less(consumer: &MemoryConsumer) -> bool {
    let name = consumer.name();
    consumer.can_spill() || name.starts_with("HashJoinInput") || name.starts_with("ExternalSorterMerge")
}

impl MemoryPool for AttemptPool {
    fn name(&self) -> &str {
        self.worker.name()
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.worker.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.worker.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.worker.grow(reservation, additional);
        self.add(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.worker.shrink(reservation, shrink);
        self.all.now.fetch_sub(shrink, Ordering::Relaxed);
        if !can_do_with_less(reservation.consumer()) {
            self.held.now.fetch_sub(shrink, Ordering::Relaxed);
        }
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.worker.try_grow(reservation, additional)?;
        self.add(reservation, additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.worker.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.worker.memory_limit()
    }
}

impl fmt::Display for AttemptPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.worker.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;

    #[test]
    fn peaks_are_counted_with_and_without_what_can_be_spilled() {
        let attempt = Arc::new(AttemptPool::new(Arc::new(GreedyMemoryPool::new(100))));
        let pool = Arc::clone(&attempt) as Arc<dyn MemoryPool>;
        let sort = MemoryConsumer::new("sort").with_can_spill(true).register(&pool);
        let join = MemoryConsumer::new("NestedLoopJoinLoad[0]").register(&pool);
        let build = MemoryConsumer::new("HashJoinInput[0]").register(&pool);
        sort.try_grow(20).unwrap();
        build.try_grow(10).unwrap();
        join.try_grow(50).unwrap();
        assert!(join.try_grow(21).is_err());
        join.shrink(20);
        sort.try_grow(10).unwrap();
        assert_eq!((attempt.bytes_max(), attempt.held_bytes_max()), (80, 50));
        drop((sort, join, build));
        assert_eq!(attempt.reserved(), 0);
        MemoryConsumer::new("other").register(&pool).grow(60);
        assert_eq!((attempt.bytes_max(), attempt.held_bytes_max()), (80, 60));
    }
}
