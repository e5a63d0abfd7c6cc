//! Who leads: a key attached to a lease. The key's create revision is the epoch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use etcd_client::{
    Compare, CompareOp, GetOptions, KeyValue, PutOptions, Txn, TxnOp, WatchFilterType, WatchOptions, WatchStream,
};
use tokio::task::JoinHandle;

use super::super::{Leadership, StoreError};
use super::endpoints::{CallError, Endpoints};
use super::keys::Keys;

/// A standby looks at the leader key at least this often, whatever its watch says or does not say.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Renewals in one life of a lease: a few may fail before half of it is over.
const RENEWALS_PER_TTL: u32 = 6;

/// Wait after a renewal that failed.
const RENEWAL_RETRY: Duration = Duration::from_millis(100);

/// The leader's lease, renewed for as long as this lives. Dropping it lets the lease run out.
#[derive(Debug)]
pub(super) struct Lease {
    id: i64,
    leadership: Leadership,
    renewal: JoinHandle<()>,
}

/// A campaign that was won.
#[derive(Debug)]
pub(super) struct Won {
    pub(super) epoch: u64,
    pub(super) lease: Lease,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leadership.end("the handle was dropped");
        self.renewal.abort();
    }
}

impl Lease {
    pub(super) fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    /// Gives up the right, so that the leader key vanishes now.
    pub(super) async fn resign(self, endpoints: &Endpoints) {
        self.leadership.end("resigned");
        self.renewal.abort();
        revoke(endpoints, self.id).await;
    }
}

/// One candidate.
pub(super) struct Candidate {
    pub(super) endpoints: Arc<Endpoints>,
    pub(super) keys: Arc<Keys>,
    pub(super) lease_ttl: Duration,
    pub(super) identity: String,
}

impl Candidate {
    /// Waits until nobody leads, then tries to. An error means that etcd has not answered for a while, or refuses.
    pub(super) async fn campaign(&self) -> Result<Won, StoreError> {
        let mut seen = None;
        loop {
            let leader = self.leader().await?;
            let Some(leader) = leader else {
                if let Some(won) = self.try_to_lead().await? {
                    return Ok(won);
                }
                continue;
            };
            if seen.replace(leader.create_revision()) != Some(leader.create_revision()) {
                let identity = String::from_utf8_lossy(leader.value()).into_owned();
                tracing::info!(leader = identity, epoch = leader.create_revision(), "standing by");
            }
            self.wait_for_change(leader.mod_revision()).await;
        }
    }

    async fn leader(&self) -> Result<Option<KeyValue>, StoreError> {
        let key = self.keys.leader();
        let get = self.endpoints.repeat(|mut client| {
            let key = key.clone();
            async move { client.get(key, None).await }
        });
        let mut answer = get.await.map_err(|failure| failure.unavailable())?;
        Ok(answer.take_kvs().pop())
    }

    /// Returns when the leader key may have vanished. A watch that breaks or misses it costs one poll interval.
    async fn wait_for_change(&self, revision: i64) {
        let key = self.keys.leader();
        let deletions = WatchOptions::new().with_start_revision(revision + 1).with_filters([WatchFilterType::NoPut]);
        let watch = self.endpoints.once(|mut client| async move { client.watch(key, Some(deletions)).await });
        let vanished = async {
            match watch.await {
                Ok(stream) => deleted(stream).await,
                Err(_) => std::future::pending().await,
            }
        };
        let _ = tokio::time::timeout(POLL_INTERVAL, vanished).await;
    }

    /// Creates the leader key if there is none. `None` if somebody else was first.
    async fn try_to_lead(&self) -> Result<Option<Won>, StoreError> {
        let asked = Instant::now();
        let ttl = self.lease_ttl.as_secs() as i64;
        let grant = self.endpoints.repeat(|mut client| async move { client.lease_grant(ttl, None).await });
        let lease = grant.await.map_err(|failure| failure.unavailable())?.id();
        match self.create_key(lease).await {
            Ok(Some(epoch)) => Ok(Some(self.won(epoch, lease, asked))),
            Ok(None) => {
                revoke(&self.endpoints, lease).await;
                Ok(None)
            }
            Err(error) => {
                // The key may exist or come to exist; without its lease it does not stay.
                revoke(&self.endpoints, lease).await;
                Err(error)
            }
        }
    }

    /// The epoch, if the key is now attached to `lease`. An answer that got lost is asked for again: the repeated
    /// transaction finds the key, and the key tells whose it is.
    async fn create_key(&self, lease: i64) -> Result<Option<u64>, StoreError> {
        let key = self.keys.leader();
        let put = TxnOp::put(key.clone(), self.identity.clone(), Some(PutOptions::new().with_lease(lease)));
        let transaction = Txn::new()
            .when([Compare::create_revision(key.clone(), CompareOp::Equal, 0)])
            .and_then([put])
            .or_else([TxnOp::get(key, Some(GetOptions::new().with_keys_only()))]);
        let answer = self.endpoints.repeat(|mut client| {
            let transaction = transaction.clone();
            async move { client.txn(transaction).await }
        });
        let answer = answer.await.map_err(|failure| failure.unavailable())?;
        if answer.succeeded() {
            return Ok(answer.header().map(|header| header.revision() as u64));
        }
        let found = answer.op_responses().into_iter().find_map(|response| match response {
            etcd_client::TxnOpResponse::Get(mut get) => get.take_kvs().pop(),
            _ => None,
        });
        Ok(found.filter(|leader| leader.lease() == lease).map(|leader| leader.create_revision() as u64))
    }

    fn won(&self, epoch: u64, lease: i64, asked: Instant) -> Won {
        // Counted from before the lease was asked for, so that it ends here before it ends there.
        let leadership = Leadership::until(asked + self.lease_ttl / 2);
        let renewal = tokio::spawn(renew(self.endpoints.clone(), lease, self.lease_ttl, leadership.clone()));
        Won { epoch, lease: Lease { id: lease, leadership, renewal } }
    }
}

/// Resolves when the watched key was deleted; never if the watch breaks.
async fn deleted(mut stream: WatchStream) {
    loop {
        match stream.message().await {
            Ok(Some(message)) if !message.events().is_empty() => return,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

/// Renews until the right is lost. Each renewal is a stream of its own: a stream that hangs must not outlive its call.
async fn renew(endpoints: Arc<Endpoints>, lease: i64, ttl: Duration, leadership: Leadership) {
    let mut wait = ttl / RENEWALS_PER_TTL;
    loop {
        tokio::time::sleep(wait).await;
        let asked = Instant::now();
        let renewed = endpoints.once(|mut client| async move { client.lease_keep_alive(lease).await.map(drop) }).await;
        wait = match renewed {
            Ok(()) => {
                leadership.extend(asked + ttl / 2);
                ttl / RENEWALS_PER_TTL
            }
            Err(CallError::NoLease) => {
                leadership.end("the lease has run out");
                RENEWAL_RETRY
            }
            Err(error) => {
                tracing::debug!(error = %error.text(), "the leader's lease was not renewed");
                RENEWAL_RETRY
            }
        };
        if !leadership.is_leading() {
            tracing::warn!("this coordinator leads no longer");
            return revoke(&endpoints, lease).await;
        }
    }
}

/// Ends a lease as well as can be: one that cannot be revoked runs out.
async fn revoke(endpoints: &Endpoints, lease: i64) {
    let revoked = endpoints.once(|mut client| async move { client.lease_revoke(lease).await }).await;
    if let Err(error) = revoked {
        tracing::debug!(error = %error.text(), "a lease was left to run out");
    }
}
