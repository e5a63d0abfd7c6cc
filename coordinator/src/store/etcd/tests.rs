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

/// Begins a commit of many transactions and drops it when the first of them has been applied.
async fn break_off(client: &mut Client, store: &mut dyn Store, prefix: &str, jobs: std::ops::Range<u64>) {
    let epoch = store.epoch();
    let first = format!("{prefix}/e/j/{:016x}/", jobs.start);
    let records: Vec<Record> = jobs.map(job_submitted).collect();
    let begun = eventually("the commit has begun", async || {
        let options = etcd_client::GetOptions::new().with_prefix().with_count_only();
        client.get(first.clone(), Some(options)).await.expect("readable").count() > 0
    });
    tokio::select! {
        () = begun => {}
        outcome = store.commit(epoch, &records, &[]) => outcome.expect("committed before it could be dropped"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_commit_left_that_was_resolved_as_not_made_never_becomes_visible() {
    let Some(place) = Prefix::new(1).await else { return };
    let mut client = Client::connect(&place.options.endpoints[..], None).await.expect("a client");
    let mut store = journal(&place.options).campaign().await.expect("leads");
    let mut expected = Vec::new();
    // Jobs in ascending order are written in ascending order: 40 transactions, of which one has been seen.
    for round in 1.. {
        let jobs = round * 100_000..round * 100_000 + 5_000;
        break_off(&mut client, &mut *store, &place.options.prefix, jobs.clone()).await;
        let resolution = store.resolve().await.expect("resolved");
        if resolution == Resolution::Committed {
            expected.extend(jobs.map(job_submitted));
        }
        // One record for each number that the broken commit had used.
        let after: Vec<Record> = (0..5_000).map(|n| task_finished(round, n)).collect();
        commit(&mut *store, &after).await;
        expected.extend(after);
        assert!(records(&mut *store).await == expected, "round {round}: {resolution:?}");
        if resolution == Resolution::NotCommitted {
            return;
        }
    }
}

#[tokio::test]
async fn content_that_is_written_again_is_the_same_in_each_piece() {
    let Some(place) = Prefix::new(1).await else { return };
    let mut client = Client::connect(&place.options.endpoints[..], None).await.expect("a client");
    let name = BlobName::Content(windrow_model::FragmentHash([7; 16]));
    let blob = Blob { key: BlobKey { job: JobId(1), name }, bytes: vec![7; 2 << 20].into() };
    let mut pieces = async || {
        let under = etcd_client::GetOptions::new().with_prefix();
        let found = client.get(format!("{}/b/", place.options.prefix), Some(under)).await.expect("readable");
        found.kvs().iter().map(|kv| (kv.key().to_vec(), kv.value().to_vec())).collect::<Vec<_>>()
    };
    let mut written = Vec::new();
    for _ in 0..2 {
        let mut store = journal(&place.options).campaign().await.expect("leads");
        let epoch = store.epoch();
        store.commit(epoch, &[job_submitted(1)], std::slice::from_ref(&blob)).await.expect("committed");
        store.resign().await;
        written.push(pieces().await);
    }
    assert!(written[0].len() > 1 && written[0] == written[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_dies_within_a_commit_leaves_all_of_it_or_nothing() {
    let Some(mut place) = Prefix::new(1).await else { return };
    let mut client = Client::connect(&place.options.endpoints[..], None).await.expect("a client");
    let mut expected = Vec::new();
    for round in 1.. {
        let mut store = journal(&place.options).campaign().await.expect("leads");
        let jobs = round * 100_000..round * 100_000 + 5_000;
        let prefix = place.options.prefix.clone();
        break_off(&mut client, &mut *store, &prefix, jobs.clone()).await;
        let epoch = store.epoch();
        drop(store);
        place.expire(epoch).await;
        let mut store = journal(&place.options).campaign().await.expect("leads");
        let found = records(&mut *store).await;
        if found == expected {
            return;
        }
        expected.extend(jobs.map(job_submitted));
        assert!(found == expected, "round {round}: {} records", found.len());
        store.resign().await;
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
