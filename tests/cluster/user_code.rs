//! Workers die while the user's programs map, hand over and reduce: the counts stay right.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;
use windrow_client::job_file::{self, Given, JobSource};
use windrow_model::{JobSpec, StageState};
use windrow_proto::{Job, Stage};

use crate::answers::assert_succeeded;
use crate::support::cluster::TestCluster;
use crate::support::cluster_processes::Cluster;
use crate::support::jobs::{wait_for_end, wait_until};

const FILES: usize = 8;
const LINES: usize = 5_000;

/// Each attempt takes a moment, to be killed in.
const TOKENIZE: &str = "#!/bin/sh\nsleep 0.4\ntr ' ' '\\n' | sed 's/$/\\t1/'\nsleep 0.2\n";
const SUM: &str = "#!/bin/sh\nsleep 0.3\nawk 'BEGIN { FS = OFS = \"\\t\" }
$1 != key && NR > 1 { print key, sum; sum = 0 }
{ key = $1; sum += $2 }
END { if (NR > 0) print key, sum }'\nsleep 0.2\n";

fn program(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the program is written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it is made executable");
}

/// The words of the line `n` of a file.
fn words(file: usize, n: usize) -> [String; 3] {
    [format!("w{}", n % 97), format!("w{}", (n * 31 + file) % 1009), format!("file{file}")]
}

fn job(folder: &Path, deterministic: bool) -> JobSpec {
    std::fs::create_dir_all(folder.join("text")).expect("the folder is made");
    for file in 0..FILES {
        let text: String = (0..LINES).map(|n| words(file, n).join(" ") + "\n").collect();
        std::fs::write(folder.join(format!("text/{file}.txt")), text).expect("the text is written");
    }
    program(&folder.join("tokenize.sh"), TOKENIZE);
    program(&folder.join("sum.sh"), SUM);
    let yaml = format!(
        "name: counts
map: {{ process: [./tokenize.sh] }}
reduce: {{ process: [./sum.sh], partitions: 4 }}
input: {{ location: ./text/, format: lines }}
output: {{ location: ./out/, format: text, mode: overwrite }}
deterministic: {deterministic}
"
    );
    std::fs::write(folder.join("job.yaml"), yaml).expect("the job is written");
    job_file::load(&JobSource::File(folder.join("job.yaml")), &Given::default()).expect("the job is read").spec
}

fn expected() -> Vec<String> {
    let mut counts = std::collections::BTreeMap::<String, u64>::new();
    for file in 0..FILES {
        for n in 0..LINES {
            words(file, n).into_iter().for_each(|word| *counts.entry(word).or_default() += 1);
        }
    }
    let mut lines: Vec<String> = counts.into_iter().map(|(word, n)| format!("{word}\t{n}")).collect();
    lines.sort();
    lines
}

fn counted(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder.join("out")).expect("the output is there").flatten().map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
    let texts = files.map(|path| std::fs::read_to_string(path).expect("a text file"));
    let mut lines: Vec<String> = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.sort();
    lines
}

/// Kills the first worker once `ripe`.
async fn killed_when(what: &str, deterministic: bool, ripe: impl Fn(&Job) -> bool) -> Job {
    let folder = TempDir::new().expect("a temporary folder");
    let mut cluster = Cluster::start(3).await;
    cluster.wait_for_workers(3).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let id = client.client().submit(job(folder.path(), deterministic)).await.expect("the job is accepted").job;
    wait_until(&cluster.url(), id, what, ripe).await;
    cluster.kill_worker(0);
    let ended = wait_for_end(&cluster.url(), id).await;
    assert_succeeded(&ended);
    assert!(counted(folder.path()) == expected(), "{what}: the counts are wrong");
    ended
}

fn running(stage: &Stage) -> bool {
    StageState::from_name(&stage.state) == Some(StageState::Running) && stage.tasks_running > 0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_its_programs_map() {
    let job = killed_when("a map", false, |job| job.stages.first().is_some_and(running)).await;
    assert!(job.stages[0].attempts.iter().any(|attempt| attempt.state == "lost"), "{:?}", job.stages[0].attempts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_when_its_programs_have_mapped() {
    let done = |job: &Job| job.stages.first().is_some_and(|stage| stage.tasks_done == stage.tasks && stage.tasks > 0);
    let job = killed_when("all maps", true, done).await;
    assert!(job.stages[0].reruns > 0, "no map output was lost: {job:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_its_programs_reduce() {
    // What an indeterminate map wrote again may be other rows: the reducers that have read the first ones run again.
    for deterministic in [false, true] {
        let reduces = |job: &Job| job.stages.get(1).is_some_and(running);
        let job = killed_when("a reduce", deterministic, reduces).await;
        assert!(job.stages[1].attempts.len() > 4, "nothing ran again: {:?}", job.stages[1].attempts);
    }
}
