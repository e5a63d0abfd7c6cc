//! The engines under test, each as processes of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use arrow::array::RecordBatch;
use clap::{Args, ValueEnum};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use windrow_client::Client;
use windrow_client::result::{self, StepResult};
use windrow_engine::oracle;
use windrow_model::{JobId, JobSpec, JobState, Program, TableFormat, TableSpec};
use windrow_proto::Job;

use crate::datafusion_server::Answer;
use crate::process::Processes;

/// How a worker is slowed down to a fifth.
const SLOW_STOPPED: Duration = Duration::from_millis(80);
const SLOW_RUNNING: Duration = Duration::from_millis(20);

/// How long a peer may take to end.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// Which engines run, and with what.
#[derive(Args)]
pub struct EngineArgs {
    /// Engines to run, in the order of their columns; ratios are the first over the second.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["windrow", "datafusion"])]
    engine: Vec<EngineName>,
    /// Counted rounds; one more round before them warms up and checks the answers.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// No round before the counted ones: for engines that take many minutes.
    #[arg(long)]
    pub cold: bool,
    /// Windrow's worker processes.
    #[arg(long, default_value_t = 2)]
    workers: u32,
    /// Slots of each worker.
    #[arg(long, default_value_t = 1)]
    slots: u32,
    /// Memory of each worker.
    #[arg(long, default_value = "6GiB")]
    memory: String,
    /// Threads of single-process DataFusion and DuckDB.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Settings of Windrow's jobs, for example `windrow.order_joins=false`; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Draws the medians there, as SVG.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Seconds without work after the last round, before Windrow's resident memory is printed.
    #[arg(long)]
    pub idle: Option<u64>,
    /// Python with the packages that a peer of `peers/` names.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// The `windrow` binary; by default the one beside this program.
    #[arg(long)]
    windrow: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineName {
    /// A coordinator and `--workers` of `--slots`.
    Windrow,
    /// The same, with every byte between tasks sent through the network path.
    WindrowNetwork,
    /// All slots in one worker.
    WindrowOneWorker,
    /// The first worker at a fifth of its speed.
    WindrowSlowWorker,
    /// Single-process DataFusion with Windrow's allocator.
    Datafusion,
    /// `duckdb` from PyPI.
    Duckdb,
    /// `polars` from PyPI.
    Polars,
    /// Sail's cluster mode: `pysail` and `pyspark-client` from PyPI.
    Sail,
    /// Spark's standalone cluster: `pyspark` from PyPI and a Java runtime.
    Spark,
}

impl EngineName {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            EngineName::Windrow => "windrow",
            EngineName::WindrowNetwork => "windrow-network",
            EngineName::WindrowOneWorker => "windrow-one-worker",
            EngineName::WindrowSlowWorker => "windrow-slow-worker",
            EngineName::Datafusion => "datafusion",
            EngineName::Duckdb => "duckdb",
            EngineName::Polars => "polars",
            EngineName::Sail => "sail",
            EngineName::Spark => "spark",
        }
    }
}

impl EngineArgs {
    pub fn binary(&self) -> anyhow::Result<PathBuf> {
        let path = match &self.windrow {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name("windrow"),
        };
        if !path.exists() {
            bail!("`{}` is missing; build it first with `cargo build --release`", path.display());
        }
        Ok(path)
    }

    /// Starts the engines on the tables in `data`, a folder of Parquet files for each.
    pub async fn start(&self, data: &Path) -> anyhow::Result<Vec<Engine>> {
        let mut engines = Vec::new();
        for &name in &self.engine {
            let runs = match name {
                EngineName::Windrow => Runs::Windrow(self.start_windrow(data).await?),
                EngineName::WindrowNetwork => {
                    let flags = ["--no-local-reads"];
                    Runs::Windrow(self.windrow(data, self.workers, self.slots, &flags).await?)
                }
                EngineName::WindrowOneWorker => {
                    Runs::Windrow(self.windrow(data, 1, self.workers * self.slots, &[]).await?)
                }
                EngineName::WindrowSlowWorker => Runs::Windrow(self.start_windrow(data).await?.slowed_down()?),
                EngineName::Datafusion => Runs::Peer(Server::datafusion(data, self.threads).await?),
                EngineName::Duckdb | EngineName::Polars | EngineName::Sail | EngineName::Spark => {
                    Runs::Peer(Server::python(&self.python, name, data, self.threads).await?)
                }
            };
            engines.push(Engine { name, runs });
        }
        Ok(engines)
    }

    /// Windrow alone.
    pub async fn start_windrow(&self, data: &Path) -> anyhow::Result<Windrow> {
        self.windrow(data, self.workers, self.slots, &[]).await
    }

    /// With more `flags` of `windrow up`.
    pub async fn windrow(&self, data: &Path, workers: u32, slots: u32, flags: &[&str]) -> anyhow::Result<Windrow> {
        let mut command = Command::new(self.binary()?);
        command.args(["up", "--listen", "127.0.0.1:0", "--output", "json", "--memory", &self.memory]);
        command.args(["--workers", &workers.to_string(), "--slots", &slots.to_string()]).args(flags);
        Windrow::start(command, data, &self.set).await
    }

    pub fn describe(&self) -> String {
        format!(
            "medians of {} rounds; Windrow: {} workers of {} slot(s) and {}; others: {} threads",
            self.rounds, self.workers, self.slots, self.memory, self.threads
        )
    }
}

/// One of them, running.
pub struct Engine {
    name: EngineName,
    runs: Runs,
}

enum Runs {
    Windrow(Windrow),
    Peer(Server),
}

impl Engine {
    pub fn name(&self) -> &'static str {
        self.name.name()
    }

    pub fn processes(&self) -> &Processes {
        match &self.runs {
            Runs::Windrow(windrow) => &windrow.processes,
            Runs::Peer(server) => &server.processes,
        }
    }

    /// Runs the query in `file` and reads every row; seconds count from submission to the last row.
    pub async fn query(&mut self, file: &Path) -> anyhow::Result<Answer> {
        match &mut self.runs {
            Runs::Windrow(windrow) => windrow.query(file).await,
            Runs::Peer(server) => server.query(file).await,
        }
    }

    pub async fn stop(self) {
        match self.runs {
            Runs::Windrow(windrow) => windrow.stop().await,
            Runs::Peer(server) => server.stop().await,
        }
    }
}

async fn stop(mut child: Child) {
    if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid as i32)) {
        // The process may have ended by itself; there is nothing to do about it then.
        let _ = kill_process(pid, Signal::TERM);
    }
    let _ = child.wait().await;
}

/// `windrow up`: a coordinator and workers as processes, the coordinator first among them.
pub struct Windrow {
    up: Child,
    client: Client,
    processes: Processes,
    tables: BTreeMap<String, TableSpec>,
    /// `SET` statements before each query.
    settings: String,
    last: Option<JobId>,
    slowed: Option<Slowed>,
}

/// A process that is stopped most of the time.
struct Slowed {
    pid: Pid,
    task: JoinHandle<()>,
}

impl Windrow {
    async fn start(mut command: Command, data: &Path, settings: &[String]) -> anyhow::Result<Windrow> {
        let mut up = command
            .env("WINDROW_LOG", std::env::var_os("WINDROW_LOG").unwrap_or_else(|| "warn".into()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(up.stdout.take().context("piped above")?).lines();
        let line = lines.next_line().await?.context("`windrow up` ended before it was ready")?;
        let ready: serde_json::Value = serde_json::from_str(&line)?;
        // Keeps the pipe open, so that later lines do not end the process.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let client =
            Client::connect(ready["coordinator"].as_str().context("no coordinator in the ready line")?).await?;
        let mut pids = vec![ready["pid"].as_u64().context("no pid in the ready line")? as u32];
        for worker in ready["workers"].as_array().context("no workers in the ready line")? {
            pids.push(worker["pid"].as_u64().context("no pid in the ready line")? as u32);
        }
        let settings = settings.iter().map(|setting| match setting.split_once('=') {
            Some((name, value)) => Ok(format!("SET {name} = '{value}';\n")),
            None => Err(anyhow!("`{setting}` is not NAME=VALUE")),
        });
        let settings = settings.collect::<anyhow::Result<String>>()?;
        Ok(Windrow {
            up,
            client,
            processes: Processes(pids),
            tables: tables(data)?,
            settings,
            last: None,
            slowed: None,
        })
    }

    pub fn processes(&self) -> &Processes {
        &self.processes
    }

    /// What the coordinator knows of the last query.
    pub async fn last_job(&self) -> anyhow::Result<Job> {
        Ok(self.client.job(self.last.context("nothing was asked yet")?).await?)
    }

    pub async fn stop(self) {
        if let Some(Slowed { pid, task }) = self.slowed {
            task.abort();
            // It may have been aborted in either state.
            let _ = kill_process(pid, Signal::CONT);
        }
        stop(self.up).await;
    }

    /// With its first worker stopped four fifths of the time.
    fn slowed_down(mut self) -> anyhow::Result<Windrow> {
        let worker = self.processes.0.get(1).and_then(|pid| Pid::from_raw(*pid as i32)).context("no worker")?;
        let task = tokio::spawn(async move {
            while kill_process(worker, Signal::STOP).is_ok() {
                tokio::time::sleep(SLOW_STOPPED).await;
                let _ = kill_process(worker, Signal::CONT);
                tokio::time::sleep(SLOW_RUNNING).await;
            }
        });
        self.slowed = Some(Slowed { pid: worker, task });
        Ok(self)
    }

    pub async fn query(&mut self, file: &Path) -> anyhow::Result<Answer> {
        let spec = self.spec(file)?;
        let started = Instant::now();
        let job = self.client.submit(spec).await?.job;
        self.last = Some(job);
        let ended = self.client.wait(job).await?;
        if JobState::from_name(&ended.state) != Some(JobState::Succeeded) {
            let what = ended.error.map(|error| format!("{}: {}", error.what, error.detail)).unwrap_or_default();
            bail!("{job} ended {}: {what}", ended.state);
        }
        let mut batches = Vec::new();
        // A statement that writes files has no rows.
        let Some(&step) = ended.result_steps.last() else {
            return Ok(Answer { seconds: started.elapsed().as_secs_f64(), rows: 0, digest: None });
        };
        match result::open(&self.client, job, step).await? {
            StepResult::Text(text) => return Err(anyhow!("rows were expected, not the text {text:?}")),
            StepResult::Rows(mut rows) => {
                while let Some(batch) = rows.next().await? {
                    batches.push(batch);
                }
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        Ok(Answer { seconds, rows: count_rows(&batches), digest: Some(oracle::digest(&batches)?) })
    }

    fn spec(&self, file: &Path) -> anyhow::Result<JobSpec> {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let script = format!("{}{}", self.settings, std::fs::read_to_string(file)?);
        Ok(spec(&name, script, self.tables.clone()))
    }
}

fn count_rows(batches: &[RecordBatch]) -> usize {
    batches.iter().map(|batch| batch.num_rows()).sum()
}

/// A benchmark's job.
pub fn spec(name: &str, script: String, tables: BTreeMap<String, TableSpec>) -> JobSpec {
    JobSpec {
        name: name.to_owned(),
        application: "benches".to_owned(),
        queue: "default".to_owned(),
        priority: 50,
        submitted_by: "benches".to_owned(),
        timeout: None,
        client_token: None,
        program: Program::Sql { script, base: "file:///".to_owned(), tables, made: BTreeMap::new(), output: None },
    }
}

fn tables(data: &Path) -> anyhow::Result<BTreeMap<String, TableSpec>> {
    let mut tables = BTreeMap::new();
    for entry in std::fs::read_dir(data)? {
        let path = entry?.path().canonicalize()?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let location = format!("{}/", path.display());
        tables.insert(name, TableSpec { location, format: TableFormat::Parquet, options: BTreeMap::new() });
    }
    Ok(tables)
}

/// A server's first line.
#[derive(Deserialize)]
struct Ready {
    /// Its own children.
    processes: Vec<u32>,
}

/// A peer in a child of this program, so that its CPU time and memory are its own.
pub struct Server {
    child: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    processes: Processes,
}

impl Server {
    pub async fn datafusion(data: &Path, threads: usize) -> anyhow::Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("datafusion-server");
        Server::serve(command, data, threads).await
    }

    /// The server of `peers/`.
    async fn python(python: &Path, peer: EngineName, data: &Path, threads: usize) -> anyhow::Result<Server> {
        let mut command = Command::new(python);
        let file = format!("peers/{}_server.py", peer.name());
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(file));
        Server::serve(command, data, threads).await
    }

    async fn serve(mut command: Command, data: &Path, threads: usize) -> anyhow::Result<Server> {
        let mut child = command
            .arg("--data")
            .arg(data)
            .args(["--threads", &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let questions = child.stdin.take().context("piped above")?;
        let mut answers = BufReader::new(child.stdout.take().context("piped above")?).lines();
        let ready = answers.next_line().await?.context("the server of a peer ended before it was ready")?;
        let Ready { mut processes } = serde_json::from_str(&ready)?;
        processes.insert(0, child.id().context("the server of a peer has ended")?);
        Ok(Server { child, questions, answers, processes: Processes(processes) })
    }

    /// It ends, with its own processes, when nothing more is asked.
    async fn stop(mut self) {
        drop(self.questions);
        if tokio::time::timeout(STOP_PATIENCE, self.child.wait()).await.is_err() {
            stop(self.child).await;
        }
    }

    async fn query(&mut self, file: &Path) -> anyhow::Result<Answer> {
        self.questions.write_all(format!("{}\n", file.display()).as_bytes()).await?;
        let line = self.answers.next_line().await?.context("the server of a peer ended")?;
        Ok(serde_json::from_str(&line)?)
    }
}
