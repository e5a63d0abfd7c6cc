//! The contract on a file, and what only a file can go through: a second process, and a kill.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::super::contract::{self, Place};
use super::super::samples::task_finished;
use super::*;

/// A data directory. Dropping all handles on its journal is the end of a process.
struct DataDir(TempDir);

#[async_trait]
impl Place for DataDir {
    async fn open(&mut self) -> Box<dyn Journal> {
        Box::new(open_when_free(self.0.path()).await)
    }

    /// A campaign takes over by itself.
    async fn expire(&mut self, _epoch: u64) {}
}

/// An operation that nobody waits for any more may hold the file for a moment.
async fn open_when_free(dir: &Path) -> RedbJournal {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        match RedbJournal::open(dir).await {
            Ok(journal) => return journal,
            Err(report) if report.kind == ErrorKind::AlreadyExists && std::time::Instant::now() < deadline => {
                tokio::task::yield_now().await;
            }
            Err(report) => panic!("{report:?}"),
        }
    }
}

async fn data_dir() -> Option<DataDir> {
    Some(DataDir(tempfile::tempdir().expect("a folder")))
}

contract::keeps_the_contract! { data_dir() }

#[tokio::test]
async fn a_journal_in_use_is_refused_by_naming_its_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = RedbJournal::open(dir.path()).await.expect("free");
    let report = RedbJournal::open(dir.path()).await.expect_err("in use");
    assert_eq!(report.kind, ErrorKind::AlreadyExists);
    assert!(report.what.contains(&dir.path().join("journal.redb").display().to_string()), "{report}");
    drop(first);
    RedbJournal::open(dir.path()).await.expect("free again");
}

#[tokio::test]
async fn a_file_that_is_no_journal_is_refused_by_naming_it() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("journal.redb"), "no journal").expect("written");
    let report = RedbJournal::open(dir.path()).await.expect_err("no journal");
    assert!(report.what.contains("journal.redb"), "{report}");
}

/// A commit that nobody waits for any more can still be queued when its outcome is asked for.
#[test]
fn a_commit_that_runs_after_it_was_resolved_changes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = JournalFile::open(dir.path().join(FILE_NAME)).expect("opened");
    let (epoch, head) = file.next_epoch().expect("leads");
    let packed = entry::pack(head, CommitId { epoch, count: 1 }, &[task_finished(1, 0)], &[]).expect("packed");
    let barrier = head.next(CommitId { epoch, count: 2 });
    let settled = file.settle(epoch, head, packed.head, barrier).expect("settled");
    assert_eq!(settled, (barrier, Resolution::NotCommitted));
    let error = file.append(epoch, head, &packed, &[]).expect_err("too late");
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    assert_eq!(file.entries(epoch).expect("readable"), (barrier, vec![]));
}

const CHILD_DIR: &str = "WINDROW_TEST_JOURNAL_OF_CHILD";

/// The name by which the test harness runs `test` of this module.
fn path_of(test: &str) -> String {
    let (_crate, module) = module_path!().split_once("::").expect("a module within a crate");
    format!("{module}::{test}")
}

/// Not a test by itself: commits until it is killed, and prints each number that was acknowledged.
#[tokio::test]
async fn child_commits_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let journal = RedbJournal::open(Path::new(&dir)).await.expect("free");
    let mut store = journal.campaign().await.expect("leads");
    let epoch = store.epoch();
    let mut next = store.load().await.expect("loaded").records.len() as u32;
    loop {
        let batch: Vec<Record> = (next..next + 1 + next % 7).map(|n| task_finished(1, n)).collect();
        store.commit(epoch, &batch, &[]).await.expect("committed");
        next += batch.len() as u32;
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {next}").and_then(|()| out.flush()).expect("the parent reads");
    }
}

/// Runs the child until `acknowledgements` lines came, kills it, and returns the last number that came.
fn run_and_kill(dir: &Path, acknowledgements: usize) -> usize {
    let mut child = Command::new(std::env::current_exe().expect("this executable"))
        .args(["--exact", &path_of("child_commits_until_it_is_killed"), "--nocapture"])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut numbers = lines.filter_map(|line| line.ok()?.strip_prefix("acknowledged ")?.parse().ok());
    let mut last = 0;
    for number in numbers.by_ref().take(acknowledgements) {
        last = number;
    }
    child.kill().expect("killed");
    // What the child printed before it died was acknowledged too.
    last = numbers.last().unwrap_or(last);
    child.wait().expect("ended");
    last
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut epoch = 0;
    for acknowledgements in [1, 40, 90] {
        let acknowledged = run_and_kill(dir.path(), acknowledgements);
        assert!(acknowledged > 0, "the child has committed");
        let journal = RedbJournal::open(dir.path()).await.expect("free");
        let mut store = journal.campaign().await.expect("leads");
        assert!(store.epoch() >= epoch + 2, "the child's life and this one have their own epochs");
        epoch = store.epoch();
        let records = store.load().await.expect("loaded").records;
        assert!(records.len() >= acknowledged, "{} of {acknowledged}", records.len());
        let expected: Vec<Record> = (0..records.len() as u32).map(|n| task_finished(1, n)).collect();
        assert_eq!(records, expected);
    }
}
