//! Measures the stores. Run by hand:
//! `cargo test --release -p windrow-client -p windrow-coordinator --lib -- --ignored --nocapture figures`.

use std::time::{Duration, Instant};

use windrow_scheduler::Record;

use super::samples::task_finished;
use super::{Journal, RedbJournal, Store};

/// How long each figure is measured.
const SPAN: Duration = Duration::from_secs(5);

/// Commits batches for [`SPAN`] and prints what came of it. Returns the records committed.
async fn measure(name: &str, store: &mut dyn Store, batch: u32) -> u64 {
    let epoch = store.epoch();
    let started = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut commits = 0;
    while started.elapsed() < SPAN {
        let from = commits * batch;
        let records: Vec<Record> = (from..from + batch).map(|n| task_finished(u64::from(n % 16), n)).collect();
        let began = Instant::now();
        store.commit(epoch, &records, &[]).await.expect("committed");
        slowest = slowest.max(began.elapsed());
        commits += 1;
    }
    let per_second = f64::from(commits) / started.elapsed().as_secs_f64();
    println!(
        "{name}: {batch} records a commit: {per_second:.0} commits/s, {:.0} records/s, slowest {slowest:?}",
        per_second * f64::from(batch)
    );
    u64::from(commits * batch)
}

async fn measure_load(name: &str, store: &mut dyn Store) {
    let began = Instant::now();
    let records = store.load().await.expect("loaded").records.len();
    println!("{name}: {records} records loaded in {:?}", began.elapsed());
}

#[tokio::test]
#[ignore = "measures, and takes its time"]
async fn figures_of_redb() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("journal.redb");
    for batch in [1, 100, 1_000] {
        let _ = std::fs::remove_file(&path);
        let journal = RedbJournal::open(dir.path()).await.expect("opened");
        let mut store = journal.campaign().await.expect("leads");
        let records = measure("redb", &mut *store, batch).await;
        measure_load("redb", &mut *store).await;
        let bytes = std::fs::metadata(&path).expect("a file").len();
        println!("redb: {:.0} bytes of file a record", bytes as f64 / records as f64);
        // A copy of an open file is what a crash leaves.
        let crashed = tempfile::tempdir().expect("a folder");
        std::fs::copy(&path, crashed.path().join("journal.redb")).expect("copied");
        let began = Instant::now();
        RedbJournal::open(crashed.path()).await.expect("opened again");
        println!("redb: {} MiB repaired and opened in {:?}", bytes >> 20, began.elapsed());
        drop((store, journal));
    }
}

#[test]
#[ignore = "measures, and takes its time"]
fn figures_of_the_codec() {
    let records: Vec<Record> = (0..1_000).map(|n| task_finished(1, n)).collect();
    let began = Instant::now();
    let bytes = super::codec::encode_entry(1, (1..).zip(&records));
    let encoded = began.elapsed();
    let began = Instant::now();
    super::codec::decode_entry(1, bytes.clone(), "the entry").expect("readable");
    println!("codec: {} bytes a record, encoded in {encoded:?}, decoded in {:?}", bytes.len() / 1_000, began.elapsed());
}

#[cfg(feature = "etcd")]
#[tokio::test]
#[ignore = "measures, and takes its time"]
async fn figures_of_etcd() {
    for members in [1, 3] {
        for batch in [1, 100, 1_000] {
            let Some(place) = super::etcd::tests::Prefix::new(members).await else { return };
            let mut store = place.journal().campaign().await.expect("leads");
            let name = format!("etcd with {members} members");
            measure(&name, &mut *store, batch).await;
            measure_load(&name, &mut *store).await;
        }
    }
}
