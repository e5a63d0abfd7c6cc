//! Jobs that the coordinator has forgotten: real processes, a journal that is lost, and a history that is not.

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use support::cluster::TestCluster;
use support::cluster_processes::{Cluster, Setup, until};
use support::jobs::{script, wait_for_end, wait_until};
use support::processes::windrow;
use support::s3_server::{S3Server, weed};
use windrow_client::Client;
use windrow_model::{ErrorKind, JobId, JobState};
use windrow_proto::Job;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A command of a client.
fn ask(url: &str, question: &[&str]) -> Output {
    Command::new(windrow()).args(question).args(["--coordinator", url]).output().expect("windrow runs")
}

fn told(url: &str, question: &[&str]) -> String {
    let output = ask(url, question);
    assert!(output.status.success(), "{question:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("windrow prints UTF-8")
}

/// What people and programs see of jobs.
fn everything(url: &str, jobs: &[JobId]) -> Vec<String> {
    let mut texts = vec![told(url, &["jobs", "--all"]), told(url, &["jobs", "--all", "--output", "json"])];
    for job in jobs {
        texts.push(told(url, &["job", &job.to_string()]));
        texts.push(told(url, &["job", &job.to_string(), "--output", "json"]));
    }
    texts
}

fn logs(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// The last line of a job's log says that it has ended, and that the log is whole.
fn has_end(log: &Path) -> bool {
    let text = fs::read_to_string(log).unwrap_or_default();
    let last = text.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
    text.ends_with('\n') && last.is_some_and(|event| event["event"] == "ended")
}

/// History is written beside everything else: a test that kills the coordinator waits for it.
async fn wait_for_logs(folder: &Path, count: usize) {
    until("the logs of the jobs", || async {
        (logs(folder).iter().filter(|log| has_end(log)).count() >= count).then_some(())
    })
    .await;
}

/// Runs a job that writes and answers, and one that fails; both as they ended.
async fn one_good_and_one_bad_job(cluster: &Cluster) -> Vec<Job> {
    let client = TestCluster::attached(&cluster.url()).await;
    let target = cluster.path().join("written");
    let good = format!(
        "COPY (SELECT l_returnflag, sum(l_quantity) AS q FROM lineitem GROUP BY 1) TO '{}/' STORED AS PARQUET;
         SELECT count(*) FROM lineitem",
        target.display()
    );
    let bad = "SELECT 9223372036854775807 + l_linenumber FROM lineitem";
    let mut ended = Vec::new();
    for sql in [good.as_str(), bad] {
        let job = client.submit(&script(sql)).await.expect("the job is accepted");
        ended.push(wait_for_end(&cluster.url(), job).await);
    }
    let states: Vec<Option<JobState>> = ended.iter().map(|job| JobState::from_name(&job.state)).collect();
    assert_eq!(states, [Some(JobState::Succeeded), Some(JobState::Failed)], "{:?}", ended[0].error);
    ended
}

fn ids(jobs: &[Job]) -> Vec<JobId> {
    jobs.iter().map(|job| JobId(job.id)).collect()
}

/// The coordinator loses its journal, and a new one must say the same about ended jobs, except for their rows.
async fn says_the_same_without_its_journal(cluster: &mut Cluster, stop: impl AsyncFnOnce(&mut Cluster)) {
    let before = one_good_and_one_bad_job(cluster).await;
    let [good, bad] = before.as_slice() else { panic!("two jobs") };
    assert!(!good.files.is_empty() && !good.notes.is_empty() && !good.workers.is_empty(), "{good:?}");
    assert!(good.stages.iter().all(|stage| !stage.operators.is_empty()), "{good:?}");
    let failures = bad.stages.iter().flat_map(|stage| &stage.attempts).filter(|attempt| attempt.failure.is_some());
    assert!(failures.count() > 0 && bad.error.is_some(), "{bad:?}");
    let seen = everything(&cluster.url(), &ids(&before));
    stop(cluster).await;

    fs::remove_file(cluster.path().join("journal/journal.redb")).expect("there is a journal");
    cluster.start_coordinator().await;

    let client = Client::connect(&cluster.url()).await.expect("the coordinator answers");
    for job in &before {
        assert_eq!(&client.job(JobId(job.id)).await.expect("history knows it"), job);
        assert_eq!(&client.wait(JobId(job.id)).await.expect("it has ended"), job);
    }
    assert_eq!(everything(&cluster.url(), &ids(&before)), seen);
    let rows = ask(&cluster.url(), &["result", &JobId(good.id).to_string()]);
    assert_eq!(rows.status.code(), Some(i32::from(ErrorKind::NotFound.exit_code())));
    assert!(String::from_utf8_lossy(&rows.stderr).contains("not kept any more"));

    let next = TestCluster::attached(&cluster.url()).await.submit("SELECT 1").await.expect("the job is accepted");
    assert!(next.0 > bad.id, "{next} would hide a job of the history");
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_jobs_look_the_same_after_the_journal_is_lost() {
    let mut cluster = Cluster::start(2).await;
    says_the_same_without_its_journal(&mut cluster, async |cluster| {
        wait_for_logs(&cluster.path().join("journal/history"), 2).await;
        cluster.kill_coordinator();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_jobs_look_the_same_from_a_history_in_a_bucket() {
    let Some(weed) = weed() else { return };
    let server = S3Server::start(&weed);
    let env = server.env().map(|(name, value)| (name.to_owned(), value)).to_vec();
    let coordinator_words = words(&["--history", "s3://lake/windrow/history/"]);
    let mut cluster = Cluster::set_up(Setup { coordinator_words, env, ..Setup::of(2) }).await;
    says_the_same_without_its_journal(&mut cluster, async |cluster| {
        // A coordinator that is asked to stop writes what it knows before it ends.
        cluster.signal_coordinator(0, rustix::process::Signal::TERM);
        let exit = std::cell::RefCell::new(cluster);
        let status = until("the end of the coordinator", || async { exit.borrow_mut().coordinator_exit(0) }).await;
        assert!(status.success(), "{status}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_notes_and_files_of_ended_jobs_outlive_a_restart() {
    let mut cluster = Cluster::start(2).await;
    let before = one_good_and_one_bad_job(&cluster).await;
    wait_for_logs(&cluster.path().join("journal/history"), 2).await;

    cluster.kill_coordinator();
    cluster.start_coordinator().await;

    // The journal would not know of cancelled attempts, metrics, notes, files and what workers did.
    let client = Client::connect(&cluster.url()).await.expect("the coordinator answers");
    for job in &before {
        assert_eq!(&client.job(JobId(job.id)).await.expect("the journal knows it"), job);
        assert_eq!(&client.wait(JobId(job.id)).await.expect("it has ended"), job);
    }
    assert_eq!(ids(&client.jobs(true).await.expect("a list")), ids(&before));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_a_restart_interrupts_keeps_what_its_first_half_made() {
    // The second half waits for the kill.
    let mut cluster = Cluster::set_up(Setup::of(2).with_failpoints("task.run.1=sleep:3s@1")).await;
    let (first, second) = (cluster.path().join("first"), cluster.path().join("second"));
    let sql = format!(
        "COPY (SELECT l_orderkey FROM lineitem WHERE l_quantity > 49) TO '{}/' STORED AS PARQUET;
         COPY (SELECT l_orderkey, count(*) AS n FROM lineitem GROUP BY 1) TO '{}/' STORED AS PARQUET",
        first.display(),
        second.display()
    );
    let job = TestCluster::attached(&cluster.url()).await.submit(&script(&sql)).await.expect("the job is accepted");
    let begun = wait_until(&cluster.url(), job, "the second half", |job| job.stages.len() > 1).await;
    assert!(!begun.files.is_empty() && !begun.notes.is_empty());
    let history = cluster.path().join("journal/history");
    until("the beginning of the second half in the log", || async {
        let text = fs::read_to_string(logs(&history).first()?).ok()?;
        let planned = format!(r#""step":{},"notes":["#, begun.step);
        text.contains(&planned).then_some(())
    })
    .await;

    cluster.kill_coordinator();
    cluster.start_coordinator().await;
    let ended = wait_for_end(&cluster.url(), job).await;

    assert_eq!(JobState::from_name(&ended.state), Some(JobState::Succeeded), "{:?}", ended.error);
    let paths = |job: &Job| job.files.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
    assert!(paths(&ended).starts_with(&paths(&begun)) && ended.files.len() > begun.files.len(), "{ended:?}");
    assert_eq!(ended.notes[..begun.notes.len()], begun.notes);
    for stage in begun.stages.iter().take(1) {
        assert_eq!(ended.stages[stage.index as usize].operators, stage.operators);
        assert!(!stage.operators.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_removes_ended_jobs() {
    let coordinator_words = words(&["--history-retention", "3s"]);
    let setup = Setup { limits: &["lease=2s", "ended-jobs=1"], coordinator_words, ..Setup::of(1) };
    let cluster = Cluster::set_up(setup).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        let job = client.submit("SELECT 1").await.expect("the job is accepted");
        wait_for_end(&cluster.url(), job).await;
        jobs.push(job);
    }
    // The core keeps the last one only.
    let first = client.client().job(jobs[0]).await.expect("history knows it");
    assert_eq!(JobState::from_name(&first.state), Some(JobState::Succeeded));

    let history = cluster.path().join("journal/history");
    until("an empty history", || async { logs(&history).is_empty().then_some(()) }).await;
    let listed = client.client().jobs(true).await.expect("a list");
    assert_eq!(ids(&listed), [jobs[2]]);
    let gone = client.client().job(jobs[0]).await.expect_err("nobody knows it any more");
    assert_eq!(gone.kind, ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_that_cannot_be_written_holds_up_no_job() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let history = folder.path().join("history");
    fs::write(&history, "a file where the folder would be").expect("a file");
    let coordinator_words = words(&["--history", history.to_str().expect("a path in UTF-8")]);
    let mut cluster = Cluster::set_up(Setup { coordinator_words, ..Setup::of(1) }).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let mut jobs = Vec::new();
    for _ in 0..20 {
        let job = client.submit("SELECT 1").await.expect("the job is accepted");
        wait_for_end(&cluster.url(), job).await;
        jobs.push(job);
    }
    assert_eq!(client.client().jobs(true).await.expect("a list").len(), jobs.len());

    // Everything that fits into memory is written when it can be.
    fs::remove_file(&history).expect("the file can be removed");
    wait_for_logs(&history, jobs.len()).await;
    cluster.kill_coordinator();
    fs::remove_file(cluster.path().join("journal/journal.redb")).expect("there is a journal");
    cluster.start_coordinator().await;
    let client = Client::connect(&cluster.url()).await.expect("the coordinator answers");
    assert_eq!(ids(&client.jobs(true).await.expect("a list")), jobs);
}
