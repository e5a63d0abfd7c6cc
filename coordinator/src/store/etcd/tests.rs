//! The contract on a real etcd, and what only a cluster can go through.

mod cluster;
mod faults;
mod leaders;
mod proxy;
mod security;

use std::time::{Duration, Instant};

use bytes::Bytes;
use etcd_client::Client;
use windrow_model::JobId;
use windrow_scheduler::Record;

use super::super::contract::{self, Place};
use super::super::head::{CommitId, Head};
use super::super::samples::{job_submitted, task_finished};
use super::super::{Blob, BlobKey, BlobName, Resolution, codec};
use super::*;
use cluster::Cluster;

/// A prefix in an etcd of its own, or in the one that `ETCD_ENDPOINTS` (`host:port,…`) names.
pub(in super::super) struct Prefix {
    options: EtcdOptions,
    _cluster: Option<Cluster>,
}

impl Prefix {
    pub(in super::super) fn journal(&self) -> EtcdJournal {
        journal(&self.options)
    }

    pub(in super::super) async fn new(members: usize) -> Option<Prefix> {
        let prefix = format!("/windrow-test/{}", unique());
        let (endpoints, cluster) = match std::env::var("ETCD_ENDPOINTS") {
            Ok(given) => (given.split(',').map(str::to_owned).collect(), None),
            Err(_) => {
                let cluster = Cluster::start(members).await?;
                (cluster.endpoints(), Some(cluster))
            }
        };
        Some(Prefix { options: options(endpoints, &prefix), _cluster: cluster })
    }
}

/// Unique among the tests that may share an etcd.
fn unique() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    format!("{}-{:?}-{}", std::process::id(), std::thread::current().id(), since.as_nanos())
}

fn options(endpoints: Vec<String>, prefix: &str) -> EtcdOptions {
    EtcdOptions {
        endpoints,
        prefix: prefix.to_owned(),
        user: None,
        tls: None,
        lease_ttl: Duration::from_secs(10),
        identity: "a test".into(),
    }
}

fn journal(options: &EtcdOptions) -> EtcdJournal {
    EtcdJournal::new(options.clone()).expect("valid options")
}

async fn commit(store: &mut dyn Store, records: &[Record]) {
    let epoch = store.epoch();
    store.commit(epoch, records, &[]).await.expect("committed");
}

async fn records(store: &mut dyn Store) -> Vec<Record> {
    store.load().await.expect("loaded").records
}

/// Asks until `done` is true; fails after a minute.
async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::task::yield_now().await;
    }
}

/// Ends the lease of the leader with this epoch, as etcd does when time is up.
async fn expire_lease(client: &mut Client, prefix: &str, epoch: u64) {
    let leader = client.get(format!("{prefix}/leader"), None).await.expect("readable").take_kvs().pop();
    if let Some(leader) = leader.filter(|leader| leader.create_revision() as u64 == epoch) {
        client.lease_revoke(leader.lease()).await.expect("revoked");
    }
}

#[async_trait]
impl Place for Prefix {
    async fn open(&mut self) -> Box<dyn Journal> {
        Box::new(journal(&self.options))
    }

    async fn expire(&mut self, epoch: u64) {
        let mut client = Client::connect(&self.options.endpoints[..], None).await.expect("a client");
        expire_lease(&mut client, &self.options.prefix, epoch).await;
    }
}

contract::keeps_the_contract! { Prefix::new(1) }

mod of_three_members {
    use super::*;

    contract::keeps_the_contract! { Prefix::new(3) =>
        what_was_committed_is_loaded_in_order
        an_old_leader_is_fenced_and_writes_nothing
        blobs_come_back_whole
        many_campaigns_lose_no_acknowledged_commit
    }
}

#[tokio::test]
async fn what_an_unfinished_commit_left_never_becomes_visible() {
    let Some(place) = Prefix::new(1).await else { return };
    let (options, prefix) = (&place.options, &place.options.prefix);
    let mut client = Client::connect(&options.endpoints[..], None).await.expect("a client");
    let mut store = journal(options).campaign().await.expect("leads");
    commit(&mut *store, &[job_submitted(1)]).await;
    store.resign().await;
    // A leader that died within a commit of several transactions has written these, and no head.
    let garbage = [format!("{prefix}/e/j/{:016x}/{:016x}/00000000", 1, 2), format!("{prefix}/e/c/{:016x}/00000007", 3)];
    for key in &garbage {
        client.put(key.clone(), "half a commit", None).await.expect("written");
    }
    let orphan = format!("{prefix}/b/{:016x}/s00000000/00000000", 9);
    client.put(orphan.clone(), "half a blob", None).await.expect("written");
    let mut store = journal(options).campaign().await.expect("leads");
    // The next records get the numbers of the unfinished ones, under other keys.
    commit(&mut *store, &[task_finished(2, 0), task_finished(3, 0), task_finished(4, 0)]).await;
    let expected = [job_submitted(1), task_finished(2, 0), task_finished(3, 0), task_finished(4, 0)];
    assert_eq!(records(&mut *store).await, expected);
    for key in garbage.into_iter().chain([orphan]) {
        assert!(client.get(key.clone(), None).await.expect("readable").kvs().is_empty(), "{key}");
    }
}

#[tokio::test]
async fn a_journal_from_a_later_time_is_refused() {
    let Some(place) = Prefix::new(1).await else { return };
    let options = &place.options;
    let mut client = Client::connect(&options.endpoints[..], None).await.expect("a client");
    let head = Head { commit: CommitId { epoch: u64::MAX, count: 1 }, ..Head::default() };
    let key = format!("{}/head", options.prefix);
    client.put(key, codec::encode_head(&head).to_vec(), None).await.expect("written");
    let error = journal(options).campaign().await.err().expect("refused");
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
}

#[tokio::test]
async fn a_head_that_somebody_else_moved_is_a_conflict() {
    let Some(place) = Prefix::new(1).await else { return };
    let options = &place.options;
    let mut client = Client::connect(&options.endpoints[..], None).await.expect("a client");
    let mut store = journal(options).campaign().await.expect("leads");
    commit(&mut *store, &[job_submitted(1)]).await;
    let key = format!("{}/head", options.prefix);
    client.put(key, codec::encode_head(&Head::default()).to_vec(), None).await.expect("written");
    let epoch = store.epoch();
    let error = store.commit(epoch, &[job_submitted(2)], &[]).await.expect_err("refused");
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
}

#[tokio::test]
async fn a_read_survives_a_compaction() {
    let Some(place) = Prefix::new(1).await else { return };
    let options = &place.options;
    let mut client = Client::connect(&options.endpoints[..], None).await.expect("a client");
    let mut store = journal(options).campaign().await.expect("leads");
    let name = BlobName::Step(0);
    let blob = Blob { key: BlobKey { job: JobId(1), name }, bytes: Bytes::from_static(b"plan") };
    let epoch = store.epoch();
    store.commit(epoch, &[job_submitted(1)], std::slice::from_ref(&blob)).await.expect("committed");
    let later = client.put("/elsewhere", "", None).await.expect("written").header().expect("a header").revision();
    client.compact(later, None).await.expect("compacted");
    assert_eq!(store.blob(blob.key).await.expect("readable"), Some(blob.bytes));
    assert_eq!(records(&mut *store).await, [job_submitted(1)]);
}
