//! Jobs over small TPC-H data with many tasks, and what tests look for in them.

use std::collections::BTreeMap;
use std::time::Instant;

use windrow_client::Client;
use windrow_model::{AttemptState, ErrorReport, JobId, JobState};
use windrow_proto::{Attempt, Job};

use super::cluster_processes::DEADLINE;
use super::{rows, tpch};

const SCALE: &str = "0.05";
/// Small partitions, so that a stage has many more tasks than the cluster has slots, and a moment to kill in.
const MANY_TASKS: &str = "SET windrow.partition_bytes = '256KiB'; SET windrow.coalesce_bytes = '64KiB';\n";

/// The answer of single-process DataFusion on the same data.
pub async fn oracle_lines(sql: &str) -> Vec<String> {
    let context = windrow_engine::oracle::oracle_context(2);
    tpch::register(&context, &tpch::generated(SCALE)).await;
    rows::sorted_lines(&windrow_engine::oracle::collect(&context, sql).await.expect("the oracle answers"))
}

/// The query over TPC-H tables, in many tasks.
pub fn script(sql: &str) -> String {
    format!("{MANY_TASKS}{}{sql}", tpch::definitions(&tpch::generated(SCALE)))
}

pub fn tasks_done(job: &Job) -> u32 {
    job.stages.iter().map(|stage| stage.tasks_done).sum()
}

/// Waits until `ripe`, looking at the job again and again.
pub async fn wait_until(url: &str, job: JobId, what: &str, ripe: impl Fn(&Job) -> bool) -> Job {
    let began = Instant::now();
    loop {
        let found = look(url, job).await;
        match &found {
            Ok(job) if ripe(job) => return job.clone(),
            _ => {}
        }
        if began.elapsed() > DEADLINE {
            let why = async { Client::connect(url).await?.why(job).await };
            panic!("waited too long for {what} of {job}: {:#?}\n{found:#?}", why.await);
        }
        tokio::task::yield_now().await;
    }
}

async fn look(url: &str, job: JobId) -> Result<Job, ErrorReport> {
    Client::connect(url).await?.job(job).await
}

pub async fn wait_for_end(url: &str, job: JobId) -> Job {
    let ended = |job: &Job| JobState::from_name(&job.state).is_some_and(JobState::is_final);
    wait_until(url, job, "the end of the job", ended).await
}

/// Tasks with more than one successful attempt, and all that is known of their attempts.
pub fn completed_twice(job: &Job) -> Vec<String> {
    let mut twice = Vec::new();
    for stage in &job.stages {
        let mut attempts: BTreeMap<u32, Vec<&Attempt>> = BTreeMap::new();
        for attempt in &stage.attempts {
            attempts.entry(attempt.task).or_default().push(attempt);
        }
        let succeeded = |attempt: &&&Attempt| AttemptState::from_name(&attempt.state) == Some(AttemptState::Succeeded);
        let again = attempts.into_iter().filter(|(_, attempts)| attempts.iter().filter(succeeded).count() > 1);
        twice.extend(again.map(|(task, attempts)| format!("{}.{task}: {attempts:#?}", stage.index)));
    }
    twice
}
