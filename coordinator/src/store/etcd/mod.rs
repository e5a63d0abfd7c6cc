//! A journal in etcd, for coordinators that stand by for each other.
//!
//! - E-1: Every write is a transaction that compares the leader key's create revision with the epoch, so a leader
//!   whose lease has ended writes nothing, whatever it believes (S-2).
//! - E-2: Every write also compares the head. After a call without an answer the head is moved before anything else
//!   is written, so that a transaction which arrives late finds another head and changes nothing (S-3).
//! - E-3: A commit that does not fit one transaction is written in order, the head last. Entries beyond the head do
//!   not exist for readers, and are removed before anything else is written (S-1).
//! - E-4: Reads that matter are made at the revision of a write of this leader: they cannot be older.
//!
//! Leases and watches only decide how soon somebody notices; nothing above rests on them.
//! A busy coordinator makes about 20 transactions a second: while one commit is in flight the driver gathers the next.

mod election;
mod endpoints;
mod keys;
mod options;
mod pieces;
mod reading;
mod store;
mod transaction;
mod version;

#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use windrow_model::ErrorReport;

use super::{Journal, Store, StoreError};
use election::Candidate;
use endpoints::Endpoints;
use keys::Keys;
pub(crate) use options::EtcdOptions;
use store::EtcdStore;

/// A prefix of one etcd cluster.
pub(crate) struct EtcdJournal {
    endpoints: Arc<Endpoints>,
    keys: Arc<Keys>,
    options: EtcdOptions,
}

impl EtcdJournal {
    /// Reads the PEM files that the options name; etcd itself is first spoken to by a campaign.
    pub(crate) fn new(options: EtcdOptions) -> Result<EtcdJournal, ErrorReport> {
        let endpoints = Arc::new(Endpoints::new(&options)?);
        Ok(EtcdJournal { endpoints, keys: Arc::new(Keys::under(&options.prefix)), options })
    }
}

#[async_trait]
impl Journal for EtcdJournal {
    /// `Unavailable` if etcd has not answered for a while: to go on standing by is the caller's choice.
    async fn campaign(&self) -> Result<Box<dyn Store>, StoreError> {
        version::warn_if_old(&self.endpoints).await;
        let candidate = Candidate {
            endpoints: self.endpoints.clone(),
            keys: self.keys.clone(),
            lease_ttl: self.options.lease_ttl,
            identity: self.options.identity.clone(),
        };
        let won = candidate.campaign().await?;
        let store = EtcdStore::open(self.endpoints.clone(), self.keys.clone(), won).await?;
        Ok(Box::new(store))
    }
}
