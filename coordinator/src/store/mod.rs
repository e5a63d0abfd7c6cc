//! Where the journal's records go. The durable stores live beside this file; the core knows none of them.

mod memory;

use async_trait::async_trait;
use windrow_model::ErrorReport;
use windrow_scheduler::Record;

pub(crate) use memory::MemoryStore;

/// A journal with one writer.
#[async_trait]
pub(crate) trait Store: Send {
    /// Makes `records` durable in one transaction, in order, if `epoch` is still the newest.
    /// `Fenced` means that a newer leader has taken over: the caller must stop.
    async fn commit(&mut self, epoch: u64, records: &[Record]) -> Result<(), ErrorReport>;
}
