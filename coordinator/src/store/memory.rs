//! A journal that a restart forgets.

use async_trait::async_trait;
use windrow_model::ErrorReport;
use windrow_scheduler::Record;

use super::Store;

/// Keeps nothing beyond the process: the core's own state is the only copy, so a restarted coordinator knows no
/// job of its former life. It only checks the guard that every store checks.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    epoch: u64,
}

impl MemoryStore {
    pub(crate) fn new(epoch: u64) -> MemoryStore {
        MemoryStore { epoch }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&mut self, epoch: u64, records: &[Record]) -> Result<(), ErrorReport> {
        assert_eq!(epoch, self.epoch, "a store in memory has exactly one leader");
        tracing::trace!(records = records.len(), "records passed to the store in memory");
        Ok(())
    }
}
