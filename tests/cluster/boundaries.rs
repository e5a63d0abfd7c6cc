//! A coordinator that is killed at every boundary there is: before and after each commit to its journal, and between
//! all actions that publish a table's files.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use windrow_client::Client;
use windrow_model::{JobId, JobSpec};
use windrow_proto::Job;

use crate::answers::{assert_published, assert_succeeded};
use crate::support::cluster::{TestCluster, spec};
use crate::support::cluster_processes::Cluster;
use crate::support::jobs::{oracle_lines, script, wait_for_end};
use crate::support::rows;
use crate::user_code::{load, program};

/// A run of the job has fewer boundaries of each kind.
const ARRIVALS_MAX: u32 = 60;

/// Starts the coordinator again, well, if it has died. Whether it had.
async fn revive(cluster: &mut Cluster) -> bool {
    if cluster.coordinator_exit(0).is_none() {
        return false;
    }
    cluster.start_coordinator().await;
    true
}

/// Submits until somebody acknowledges it; one token, so that it is one job.
async fn submit(cluster: &mut Cluster, mut spec: JobSpec, token: &str) -> (JobId, bool) {
    let mut died = false;
    spec.client_token = Some(token.to_owned());
    for _ in 0..1_000 {
        let url = cluster.url();
        let submitted = async { Client::connect(&url).await?.submit(spec.clone()).await };
        match submitted.await {
            Ok(submitted) => return (submitted.job, died),
            Err(_) => died |= revive(cluster).await,
        }
    }
    panic!("nobody acknowledges {token}");
}

/// Kills the coordinator at each arrival at `point`, in turn, until a job has too few of them to be hit.
async fn kill_at_each(point: &str) {
    let copied = oracle_lines("SELECT l_orderkey, l_linenumber FROM lineitem WHERE l_quantity > 45").await;
    let selected = oracle_lines("SELECT l_returnflag, count(*) FROM lineitem WHERE l_quantity > 45 GROUP BY 1").await;
    let mut cluster = Cluster::start(1).await;
    for arrival in 1..ARRIVALS_MAX {
        cluster.kill_coordinator();
        cluster.start_coordinator_with(&format!("{point}=kill@{arrival}")).await;
        let folder = cluster.path().join(format!("copy-{arrival}"));
        let text = format!(
            "CREATE TABLE big AS SELECT * FROM lineitem WHERE l_quantity > 45;
             COPY (SELECT l_orderkey, l_linenumber FROM big) TO '{}/' STORED AS PARQUET;
             SELECT l_returnflag, count(*) FROM big GROUP BY l_returnflag",
            folder.display()
        );
        let token = format!("{point}-{arrival}");
        let spec = spec(&script(&text).replace("256KiB", "4MiB"));
        let (ended, died) = run(&mut cluster, spec, &token).await;
        assert_published(&folder, &copied).await;
        let client = TestCluster::attached(&cluster.url()).await;
        let rows = client.result(&ended).await.expect("the rows are there");
        assert_eq!(rows::sorted_lines(&rows), selected, "{point} {arrival}");
        if !died && !revive(&mut cluster).await {
            assert!(arrival > 3, "the coordinator got to {point} only {arrival} times");
            return;
        }
    }
    panic!("a job gets to {point} more than {ARRIVALS_MAX} times");
}

/// The job when it has succeeded, and whether the coordinator had died.
async fn run(cluster: &mut Cluster, spec: JobSpec, token: &str) -> (Job, bool) {
    let (job, mut died) = submit(cluster, spec, token).await;
    while !has_ended(cluster, job).await {
        died |= revive(cluster).await;
    }
    let ended = wait_for_end(&cluster.url(), job).await;
    assert_succeeded(&ended);
    (ended, died)
}

async fn has_ended(cluster: &Cluster, job: JobId) -> bool {
    let Ok(client) = Client::connect(&cluster.url()).await else { return false };
    let Ok(job) = client.job(job).await else { return false };
    windrow_model::JobState::from_name(&job.state).is_some_and(windrow_model::JobState::is_final)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_killed_before_each_commit_to_its_journal() {
    kill_at_each("journal.before").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_killed_after_each_commit_to_its_journal() {
    kill_at_each("journal.after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_killed_at_each_step_of_a_publication() {
    kill_at_each("commit.step").await;
}

/// Bad records have a commit of their own, which follows that of the output.
#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_killed_at_each_step_of_the_publication_of_bad_records() {
    let folder = TempDir::new().expect("a temporary folder");
    let line = |n: usize| if n % 1_000 == 500 { format!("poison {n}") } else { format!("line {n}") };
    std::fs::create_dir(folder.path().join("in")).expect("the folder is made");
    for file in 0..2 {
        let lines: String = (0..2_000).map(|n| line(file * 2_000 + n) + "\n").collect();
        std::fs::write(folder.path().join(format!("in/{file}.txt")), lines).expect("the lines are written");
    }
    program(&folder.path().join("map.awk"), "#!/usr/bin/awk -f\n/poison/ { exit 1 }\n{ print }\n");
    let mut cluster = Cluster::start(1).await;
    for arrival in 1..ARRIVALS_MAX {
        cluster.kill_coordinator();
        cluster.start_coordinator_with(&format!("commit.step=kill@{arrival}")).await;
        let job = format!(
            "map: {{ process: [./map.awk], on_error: quarantine ./bad-{arrival}/ }}
input: {{ location: ./in/, format: lines }}
output: {{ location: ./good-{arrival}/, format: text }}
"
        );
        let (_, died) = run(&mut cluster, load(folder.path(), &job), &format!("aside-{arrival}")).await;
        let good = lines_in(&folder.path().join(format!("good-{arrival}")));
        let expected = sorted((0..4_000).map(line).filter(|line| !line.contains("poison")));
        assert!(good == expected, "{arrival}: {} good lines", good.len());
        let bad = lines_in(&folder.path().join(format!("bad-{arrival}")));
        assert!(bad.len() == 4 && bad.iter().all(|line| line.contains("poison")), "{arrival}: {bad:?}");
        if !died && !revive(&mut cluster).await {
            // More than an output has without bad records.
            assert!(arrival > 8, "the coordinator got to commit.step only {arrival} times");
            return;
        }
    }
    panic!("a job gets to commit.step more than {ARRIVALS_MAX} times");
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}

/// Of the files that a reader of the folder sees.
fn lines_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there").flatten().map(|entry| entry.path());
    let is_seen = |path: &PathBuf| {
        path.is_file() && path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with(['_', '.']))
    };
    let texts = entries.filter(is_seen).map(|path| std::fs::read_to_string(path).expect("a text file"));
    sorted(texts.flat_map(|text| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()))
}
