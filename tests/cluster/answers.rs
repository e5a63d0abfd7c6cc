//! What tests ask of a job that has met a fault.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::Path;

use windrow_model::{AttemptState, JobId, JobState, StageState};
use windrow_proto::{Attempt, Job, Stage};

use crate::support::cluster::TestCluster;
use crate::support::cluster_processes::{Cluster, until};
use crate::support::jobs::wait_for_end;
use crate::support::rows;

/// Waits for the end, and compares the rows with `wanted`.
pub async fn assert_answer(cluster: &Cluster, job: JobId, wanted: &[String]) -> Job {
    answer_of(&cluster.url(), job, wanted).await
}

/// The same, asked of the coordinators at `url`.
pub async fn answer_of(url: &str, job: JobId, wanted: &[String]) -> Job {
    let ended = wait_for_end(url, job).await;
    assert_succeeded(&ended);
    let client = TestCluster::attached(url).await;
    let rows = rows::sorted_lines(&client.result(&ended).await.expect("the rows are there"));
    assert_eq!(rows.len(), wanted.len(), "rows were lost or doubled");
    assert_eq!(rows, wanted);
    client.client().job(job).await.expect("the job is kept")
}

pub fn assert_succeeded(job: &Job) {
    assert_eq!(JobState::from_name(&job.state), Some(JobState::Succeeded), "{:?}", job.error);
}

/// Waits for the end, which is a failure; its text.
pub async fn wait_for_failure(cluster: &Cluster, job: JobId) -> String {
    let ended = wait_for_end(&cluster.url(), job).await;
    assert_eq!(JobState::from_name(&ended.state), Some(JobState::Failed), "{ended:?}");
    let error = ended.error.expect("a failed job has an error");
    format!("{}\n{}\n{}", error.what, error.detail, error.hint)
}

/// All attempts of a job, with their stages.
pub fn attempts(job: &Job) -> impl Iterator<Item = (&Stage, &Attempt)> {
    job.stages.iter().flat_map(|stage| stage.attempts.iter().map(move |attempt| (stage, attempt)))
}

/// Short names of the failures of all attempts.
pub fn failures(job: &Job) -> Vec<&'static str> {
    let failed = attempts(job).filter_map(|(_, attempt)| attempt.failure.clone());
    failed
        .map(|failure| windrow_model::Failure::try_from(failure).expect("a failure that can be read").name())
        .collect()
}

pub fn state_of(attempt: &Attempt) -> AttemptState {
    AttemptState::from_name(&attempt.state).expect("a known state")
}

/// Whether the first stage has all its outputs.
pub fn first_stage_is_done(job: &Job) -> bool {
    job.stages.first().is_some_and(|stage| StageState::from_name(&stage.state) == Some(StageState::Done))
}

/// Every file below a folder with its size and content's checksum: what a reader of the folder could see, and litter.
/// What vanishes while it looks is not there.
pub fn files_below(folder: &Path) -> BTreeMap<String, (u64, u32)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for path in
            still_there(std::fs::read_dir(&next)).into_iter().flatten().map(|entry| entry.expect("an entry").path())
        {
            if path.is_dir() {
                folders.push(path);
            } else if let Some(bytes) = still_there(std::fs::read(&path)) {
                let name = path.strip_prefix(folder).expect("it is below").to_string_lossy().into_owned();
                found.insert(name, (bytes.len() as u64, crc32fast::hash(&bytes)));
            }
        }
    }
    found
}

fn still_there<T>(read: std::io::Result<T>) -> Option<T> {
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        read => Some(read.expect("it can be read")),
    }
}

/// The rows of a folder of Parquet files, as any foreign reader sees them.
pub async fn rows_in(folder: &Path) -> Vec<String> {
    let context = windrow_engine::oracle::oracle_context(2);
    let options = datafusion::prelude::ParquetReadOptions::default();
    context.register_parquet("t", folder.to_string_lossy(), options).await.expect("a folder of Parquet files");
    rows::sorted_lines(&windrow_engine::oracle::collect(&context, "SELECT * FROM t").await.expect("it can be read"))
}

/// The folder of a table holds `wanted` and nothing that a commit or an attempt has left behind.
pub async fn assert_published(folder: &Path, wanted: &[String]) {
    let rows = rows_in(folder).await;
    assert_eq!(rows.len(), wanted.len(), "rows were lost or doubled");
    assert_eq!(rows, wanted);
    // An attempt that was too late takes its files away when it is told.
    let mut files = BTreeMap::new();
    until("the end of what was left behind", || {
        files = files_below(folder);
        let litter = files.keys().any(|name| name.contains("staging") || name.contains("intent"));
        std::future::ready((!litter).then_some(()))
    })
    .await;
    assert!(!files.is_empty());
}
