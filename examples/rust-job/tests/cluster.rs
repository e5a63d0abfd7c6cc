//! The program as a whole cluster: workers that know its code die while they map, hand over and reduce.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use support::cluster_processes::{Cluster, until};
use support::processes::windrow;
use tempfile::TempDir;
use windrow_client::Client;
use windrow_client::job_file::{self, Given, JobSource};
use windrow_model::{JobId, JobState};
use windrow_proto::{Job, Stage};

const FILES: usize = 6;
const LINES: usize = 20_000;

fn text(folder: &Path) -> Vec<String> {
    fs::create_dir_all(folder.join("text")).unwrap();
    let mut counts = BTreeMap::<String, u64>::new();
    for file in 0..FILES {
        let mut text = String::new();
        for n in 0..LINES {
            let words = [format!("w{}", n % 97), format!("w{}", (n * 31 + file) % 5003), format!("file{file}")];
            writeln!(text, "{}", words.join(" ")).unwrap();
            words.into_iter().for_each(|word| *counts.entry(word).or_default() += 1);
        }
        fs::write(folder.join(format!("text/{file}.txt")), text).unwrap();
    }
    counts.into_iter().map(|(word, n)| format!("{word}\t{n}")).collect()
}

fn counted(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder.join("counts")).unwrap().flatten().map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
    let mut lines: Vec<String> = files
        .flat_map(|path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines.sort();
    lines
}

fn given(folder: &Path, pause_ms: &str) -> Given {
    let at = |name: &str| format!("{}/{name}/", folder.display());
    let params = [("pause_ms", pause_ms.to_owned()), ("text", at("text")), ("counts", at("counts"))];
    let params = params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Given { params, ..Given::default() }
}

const JOB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/job.yaml");

#[test]
fn the_program_runs_its_job_in_one_process() {
    let folder = TempDir::new().unwrap();
    let expected = text(folder.path());
    let mut command = Command::new(windrow());
    command.args(["run", JOB]);
    for (name, value) in given(folder.path(), "0").params {
        command.arg("--param").arg(format!("{name}={value}"));
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(counted(folder.path()), expected);
}

async fn job_when(url: &str, id: JobId, what: &str, ripe: impl Fn(&Job) -> bool) -> Job {
    let ripe = &ripe;
    until(what, || async {
        let job = Client::connect(url).await.ok()?.job(id).await.ok()?;
        ripe(&job).then_some(job)
    })
    .await
}

/// Kills the first worker once `ripe`.
async fn killed_when(what: &str, ripe: impl Fn(&Job) -> bool) -> Job {
    let folder = TempDir::new().unwrap();
    let expected = text(folder.path());
    let mut cluster = Cluster::start(3).await;
    cluster.wait_for_workers(3).await;
    let client = Client::connect(&cluster.url()).await.unwrap();
    let spec = job_file::load(&JobSource::File(JOB.into()), &given(folder.path(), "150")).unwrap().spec;
    let id = client.submit(spec).await.unwrap().job;
    job_when(&cluster.url(), id, what, ripe).await;
    cluster.kill_worker(0);
    let is_final = |job: &Job| JobState::from_name(&job.state).is_some_and(JobState::is_final);
    let ended = job_when(&cluster.url(), id, "the end of the job", is_final).await;
    assert_eq!(ended.state, "succeeded", "{what}: {:?}", ended.error);
    assert!(counted(folder.path()) == expected, "{what}: the counts are wrong");
    let lines: i64 = ended.stages.iter().filter_map(|stage| stage.counters.get("lines")).sum();
    assert_eq!(lines, (FILES * LINES) as i64, "{what}: lines were counted twice or not at all");
    ended
}

fn running(stage: &Stage) -> bool {
    stage.state == "running" && stage.tasks_running > 0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_it_maps() {
    let job = killed_when("a map", |job| job.stages.first().is_some_and(running)).await;
    assert!(job.stages[0].attempts.iter().any(|attempt| attempt.state == "lost"), "{:?}", job.stages[0].attempts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_when_everything_is_mapped() {
    let mapped = |job: &Job| job.stages.first().is_some_and(|stage| stage.tasks > 0 && stage.tasks_done == stage.tasks);
    killed_when("all maps", mapped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_it_reduces() {
    killed_when("a reduce", |job| job.stages.get(1).is_some_and(running)).await;
}
