//! The account of encoded shuffle bytes that one worker keeps in memory.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// Frees shuffle memory by moving finished outputs to disk. Implemented by the worker's shuffle store.
pub trait Relief: Send + Sync {
    /// Moves the oldest outputs out of memory until about `bytes` are free. Returns whether anything was freed.
    fn relieve(&self, bytes: usize) -> bool;
}

/// A budget in bytes, shared by all writers and outputs of a worker.
pub struct ShuffleMemory {
    limit: usize,
    used: AtomicUsize,
    relief: OnceLock<Weak<dyn Relief>>,
}

/// Bytes held from the budget; given back on drop.
#[derive(Debug)]
pub struct HeldBytes {
    memory: Arc<ShuffleMemory>,
    bytes: usize,
}

impl ShuffleMemory {
    pub fn new(limit_bytes: usize) -> Arc<Self> {
        Arc::new(ShuffleMemory { limit: limit_bytes, used: AtomicUsize::new(0), relief: OnceLock::new() })
    }

    /// Names who can make room. Only the first call counts.
    pub fn set_relief(&self, relief: Weak<dyn Relief>) {
        let _ = self.relief.set(relief);
    }

    pub fn limit_bytes(&self) -> usize {
        self.limit
    }

    pub fn used_bytes(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Holds `bytes` if they fit, after making room if that helps. `None` means: go to disk.
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Option<HeldBytes> {
        if bytes > self.limit {
            return None;
        }
        self.try_hold(bytes).or_else(|| {
            let relief = self.relief.get()?.upgrade()?;
            relief.relieve(bytes).then(|| self.try_hold(bytes)).flatten()
        })
    }

    fn try_hold(self: &Arc<Self>, bytes: usize) -> Option<HeldBytes> {
        let within = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).ok()?;
        Some(HeldBytes { memory: Arc::clone(self), bytes })
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl fmt::Debug for ShuffleMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShuffleMemory").field("limit", &self.limit).field("used", &self.used_bytes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_budget_refuses_and_a_drop_gives_back() {
        let memory = ShuffleMemory::new(100);
        let first = memory.hold(60).expect("fits");
        assert!(memory.hold(41).is_none());
        drop(first);
        assert_eq!(memory.used_bytes(), 0);
        assert!(memory.hold(100).is_some());
        assert!(memory.hold(101).is_none());
    }
}
