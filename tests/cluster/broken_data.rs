//! Disks that are full, and disks that lie.

use std::path::{Path, PathBuf};
use std::process::Command;

use windrow_client::Client;

use crate::answers::{assert_answer, assert_published, assert_succeeded, failures, files_below, first_stage_is_done};
use crate::support::cluster::TestCluster;
use crate::support::cluster_processes::{Cluster, Setup, WorkerSetup, until};
use crate::support::jobs::{oracle_lines, script, wait_for_end, wait_until};

/// A small file system in memory, gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where nothing can be mounted; in CI that is a failure.
    fn mount(folder: &Path, size: &str) -> Option<SmallDisk> {
        std::fs::create_dir_all(folder).expect("a folder");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder).status();
        if mounted.as_ref().is_ok_and(|status| status.success()) {
            return Some(SmallDisk(folder.to_owned()));
        }
        assert!(std::env::var_os("CI").is_none(), "mounting is needed in CI: {mounted:?}");
        eprintln!("SKIPPED: a small disk cannot be mounted without root");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a worker that is still ending may have files open.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_sends_tasks_elsewhere_and_leaves_no_partial_files() {
    let wanted = oracle_lines("SELECT * FROM lineitem").await;
    let place = tempfile::tempdir().expect("a temporary folder");
    let Some(disk) = SmallDisk::mount(&place.path().join("small"), "3m") else { return };
    let small = WorkerSetup { work_dir: Some(disk.0.clone()), memory: "48MiB", ..WorkerSetup::default() };
    // The other is slow with map tasks, so that those on the small disk are enough to fill it.
    let slow = WorkerSetup { failpoints: "task.run.0=sleep:500ms@1+".to_owned(), ..WorkerSetup::default() };
    let cluster = Cluster::set_up(Setup { workers: vec![small, slow], ..Setup::of(0) }).await;
    let folder = cluster.path().join("copy");
    let client = TestCluster::attached(&cluster.url()).await;
    let copy = format!("COPY (SELECT DISTINCT * FROM lineitem) TO '{}/' STORED AS PARQUET", folder.display());

    let job = client.submit(&script(&copy)).await.expect("the job is accepted");

    let ended = wait_for_end(&cluster.url(), job).await;
    assert_succeeded(&ended);
    assert!(failures(&ended).contains(&"disk-full"), "the disk was never full: {:?}", failures(&ended));
    assert_published(&folder, &wanted).await;
    // Both are still there, and the full disk is empty again.
    cluster.wait_for_workers(2).await;
    until("an empty disk", || async {
        let left: Vec<String> = files_below(&disk.0).into_keys().filter(|name| !name.ends_with("lock")).collect();
        left.is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_a_stored_output_is_computed_again() {
    let sql = "SELECT DISTINCT * FROM lineitem";
    let wanted = oracle_lines(sql).await;
    // So little memory that outputs go to disk, and readers that come late enough to find them damaged.
    let late =
        WorkerSetup { memory: "24MiB", failpoints: "task.run.1=sleep:3s@1".to_owned(), ..WorkerSetup::default() };
    let cluster = Cluster::set_up(Setup { workers: vec![late; 2], ..Setup::of(0) }).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let job = client.submit(&script(sql)).await.expect("the job is accepted");
    wait_until(&cluster.url(), job, "the map outputs", first_stage_is_done).await;

    let mut damaged = 0;
    for name in files_below(&cluster.work_dir(0)).into_keys().filter(|name| name.contains("/shuffle/")) {
        let path = cluster.work_dir(0).join(name);
        let mut bytes = std::fs::read(&path).expect("a map output");
        if bytes.is_empty() {
            continue;
        }
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        // In place: the worker has the file open.
        use std::os::unix::fs::FileExt;
        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("a map output");
        file.write_all_at(&bytes[middle..=middle], middle as u64).expect("a bit can be flipped");
        damaged += 1;
    }

    assert!(damaged > 0, "no output was on disk: nothing was tested");
    let ended = assert_answer(&cluster, job, &wanted).await;
    assert!(failures(&ended).contains(&"corrupt"), "nobody noticed: {:?}", failures(&ended));
    assert!(ended.stages[0].reruns > 0, "nothing was computed again");
    let client = Client::connect(&cluster.url()).await.expect("the coordinator answers");
    assert_eq!(client.workers().await.expect("workers are listed").len(), 2, "a worker was blamed for its disk");
}
