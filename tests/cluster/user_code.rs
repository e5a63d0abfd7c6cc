//! Workers die while the user's programs map, hand over and reduce: the counts stay right.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;
use windrow_client::job_file::{self, Given, JobSource};
use windrow_model::{JobSpec, StageState};
use windrow_proto::{Job, Stage};

use crate::answers::assert_succeeded;
use crate::support::cluster::TestCluster;
use crate::support::cluster_processes::{Cluster, Setup, until};
use crate::support::jobs::{wait_for_end, wait_until};

const FILES: usize = 8;
const LINES: usize = 5_000;

/// Each attempt takes a moment, to be killed in.
const TOKENIZE: &str = "#!/bin/sh\nsleep 0.4\ntr ' ' '\\n' | sed 's/$/\\t1/'\nsleep 0.2\n";
const SUM: &str = "#!/bin/sh\nsleep 0.3\nawk 'BEGIN { FS = OFS = \"\\t\" }
$1 != key && NR > 1 { print key, sum; sum = 0 }
{ key = $1; sum += $2 }
END { if (NR > 0) print key, sum }'\nsleep 0.2\n";

pub fn program(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the program is written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it is made executable");
}

/// The words of the line `n` of a file.
fn words(file: usize, n: usize) -> [String; 3] {
    [format!("w{}", n % 97), format!("w{}", (n * 31 + file) % 1009), format!("file{file}")]
}

fn text(folder: &Path) {
    std::fs::create_dir_all(folder.join("text")).expect("the folder is made");
    for file in 0..FILES {
        let text: String = (0..LINES).map(|n| words(file, n).join(" ") + "\n").collect();
        std::fs::write(folder.join(format!("text/{file}.txt")), text).expect("the text is written");
    }
}

fn job(folder: &Path, deterministic: bool) -> JobSpec {
    text(folder);
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
    load(folder, &yaml)
}

pub fn load(folder: &Path, yaml: &str) -> JobSpec {
    std::fs::write(folder.join("job.yaml"), yaml).expect("the job is written");
    job_file::load(&JobSource::File(folder.join("job.yaml")), &Given::default()).expect("the job is read").spec
}

/// The same by functions of a module.
fn wasm_job(folder: &Path) -> JobSpec {
    text(folder);
    let module = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/wasm/word_count.wat"));
    let module = wat::parse_bytes(&module.expect("the example is there")).expect("it is well formed").into_owned();
    std::fs::write(folder.join("count.wasm"), module).expect("the module is written");
    let columns = "word VARCHAR, n BIGINT";
    let yaml = format!(
        "name: counts
map: {{ wasm: ./count.wasm, function: tokenize, columns: '{columns}' }}
reduce: {{ wasm: ./count.wasm, function: sum, columns: '{columns}', partitions: 4 }}
input: {{ location: ./text/, format: lines }}
output: {{ location: ./out/, format: text, mode: overwrite }}
deterministic: true
"
    );
    load(folder, &yaml)
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
    killed(what, Setup::of(3), |folder| job(folder, deterministic), ripe).await
}

async fn killed(what: &str, setup: Setup, job: impl FnOnce(&Path) -> JobSpec, ripe: impl Fn(&Job) -> bool) -> Job {
    let folder = TempDir::new().expect("a temporary folder");
    let mut cluster = Cluster::set_up(setup).await;
    cluster.wait_for_workers(3).await;
    let client = TestCluster::attached(&cluster.url()).await;
    let id = client.client().submit(job(folder.path())).await.expect("the job is accepted").job;
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

/// A module runs fast: its attempts wait for a moment before they begin.
fn slow_to_begin() -> Setup {
    let mut setup = Setup::of(3);
    setup.workers.iter_mut().for_each(|worker| worker.failpoints = "task.run=sleep:400ms@1+".to_owned());
    setup
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_its_modules_map() {
    let job = killed("a map", slow_to_begin(), wasm_job, |job| job.stages.first().is_some_and(running)).await;
    assert!(job.stages[0].attempts.iter().any(|attempt| attempt.state == "lost"), "{:?}", job.stages[0].attempts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_when_its_modules_have_mapped() {
    let done = |job: &Job| job.stages.first().is_some_and(|stage| stage.tasks_done == stage.tasks && stage.tasks > 0);
    killed("all maps", slow_to_begin(), wasm_job, done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_its_modules_reduce() {
    killed("a reduce", slow_to_begin(), wasm_job, |job| job.stages.get(1).is_some_and(running)).await;
}

/// `windrow logs`, as its lines.
fn logs(url: &str, words: &[&str]) -> String {
    let mut command = std::process::Command::new(crate::support::processes::windrow());
    let output = command.arg("logs").args(words).args(["--coordinator", url]).output().expect("windrow runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Says things, waits for a file, and fails at the first try of task 1.
const TALK: &str = "#!/bin/sh
echo 'reporter:counter:Words,attempts,1' >&2
echo 'reporter:status:reading' >&2
echo \"hello from task $WINDROW_TASK, try $WINDROW_TRY\" >&2
while [ ! -e \"$GO\" ]; do sleep 0.05; done
[ \"$WINDROW_TASK.$WINDROW_TRY\" = 1.1 ] && exit 1
cat
";

#[tokio::test(flavor = "multi_thread")]
async fn what_programs_say_is_shown_while_they_run_and_after_their_end() {
    let folder = TempDir::new().expect("a temporary folder");
    text(folder.path());
    program(&folder.path().join("talk.sh"), TALK);
    let go = folder.path().join("go");
    let yaml = format!(
        "map: {{ process: [./talk.sh], env: {{ GO: '{}' }} }}
input: {{ location: ./text/, format: lines }}
output: {{ location: ./out/, format: text, mode: overwrite }}
",
        go.display()
    );
    let mut cluster = Cluster::start(2).await;
    cluster.wait_for_workers(2).await;
    let (url, client) = (cluster.url(), TestCluster::attached(&cluster.url()).await);
    let id = client.client().submit(load(folder.path(), &yaml)).await.expect("the job is accepted").job;
    let live = until("the log of a task that runs", || {
        let text = logs(&url, &[&id.to_string(), "--task", "0.0"]);
        std::future::ready(text.contains("hello from task 0, try 1").then_some(text))
    })
    .await;
    assert!(live.contains("running: reading") && !live.contains("reporter:"), "{live}");
    std::fs::write(go, "").expect("the programs go on");
    let ended = wait_for_end(&url, id).await;
    assert_succeeded(&ended);
    let whole = logs(&url, &[&id.to_string()]);
    assert!(whole.contains("hello from task 1, try 1") && whole.contains("hello from task 1, try 2"), "{whole}");
    // Attempts that failed do not count.
    let stage = &ended.stages[0];
    assert_eq!(stage.counters.get("Words.attempts"), Some(&i64::from(stage.tasks)), "{stage:?}");
    // The next leader finds it in the history.
    cluster.kill_coordinator();
    cluster.start_coordinator().await;
    assert_eq!(logs(&cluster.url(), &[&id.to_string()]), whole);
}
