//! Commands and flags, as `--help` shows them.

#[cfg(feature = "embedded")]
mod simulate;

use std::path::PathBuf;
use std::time::Duration;

use crate::params::parse_assignment;
use crate::rows::RowFormat;
use crate::{BUILD, DEFAULT_COORDINATOR};
use clap::{Args, Parser, Subcommand, ValueEnum};
use windrow_model::{ErrorKind, JobId, WorkerId, parse_duration};

#[cfg(feature = "embedded")]
pub use simulate::{Jobs, SimulateArgs};

use crate::program::logging::LogFormat;

/// Runs SQL batch jobs on one machine or many.
#[derive(Debug, Parser)]
#[command(name = "windrow", version = BUILD, max_term_width = 120, after_long_help = exit_codes())]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// How log lines on standard error look. WINDROW_LOG chooses which there are, for example `windrow_worker=debug`.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    #[cfg(feature = "embedded")]
    Run(RunArgs),
    #[cfg(feature = "embedded")]
    #[command(subcommand)]
    Generate(GenerateCommand),
    #[cfg(feature = "embedded")]
    Up(UpArgs),
    #[cfg(feature = "embedded")]
    Coordinator(CoordinatorArgs),
    #[cfg(feature = "embedded")]
    Worker(WorkerArgs),
    #[cfg(feature = "embedded")]
    Simulate(SimulateArgs),
    #[command(name = "mapreduce")]
    MapReduce(MapReduceArgs),
    Submit(SubmitArgs),
    Jobs(JobsArgs),
    Job(JobArgs),
    Why(WhyArgs),
    Logs(LogsArgs),
    Result(ResultArgs),
    Cancel(CancelArgs),
    Workers(WorkersArgs),
    Drain(DrainArgs),
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum RowOutput {
    #[default]
    Table,
    /// One object a line; standard output carries nothing else.
    Json,
    /// With a header line.
    Csv,
}

impl From<RowOutput> for RowFormat {
    fn from(output: RowOutput) -> Self {
        match output {
            RowOutput::Table => RowFormat::Table,
            RowOutput::Json => RowFormat::Json,
            RowOutput::Csv => RowFormat::Csv,
        }
    }
}

/// How a description is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TextOutput {
    #[default]
    Table,
    Json,
}

/// Which cluster to talk to.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// URL of the coordinator; several that stand by for each other with commas between.
    #[arg(long, env = "WINDROW_COORDINATOR", default_value = DEFAULT_COORDINATOR, value_name = "URL")]
    pub coordinator: String,
}

/// What to run, and what is to be different from the job file.
#[derive(Debug, Args)]
pub struct JobTextArgs {
    /// A .sql or .yaml file; `-` reads SQL from standard input.
    #[arg(required_unless_present = "execute")]
    pub job: Option<PathBuf>,
    /// SQL to run instead of a file; locations in it are relative to the current folder.
    #[arg(short = 'e', long, value_name = "SQL", conflicts_with = "job")]
    pub execute: Option<String>,
    /// Value of `${NAME}` in the job; may be repeated.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parse_assignment)]
    pub params: Vec<(String, String)>,
    /// How rows are printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: RowOutput,
    /// Print the distributed plan, and why it is one worker or many, without running it.
    #[arg(long)]
    pub explain: bool,
    /// The job fails after this time, for example `90s`, `10m`.
    #[arg(long, value_parser = duration)]
    pub timeout: Option<Duration>,
    /// 0 to 100; a running job's share of the slots grows with it [default: 50].
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub priority: Option<u8>,
}

/// Run a job on a cluster inside this process.
#[cfg(feature = "embedded")]
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windrow run examples/late-flights.yaml --param min_delay=60
  windrow run report.sql --workers 4 --output csv > report.csv
  windrow run -e \"CREATE EXTERNAL TABLE f STORED AS PARQUET LOCATION './flights/'; SELECT count(*) FROM f\"
  echo 'SELECT 1' | windrow run - --output json

A job file (.yaml) has the keys:
  name, tables, params, sql or sql_file, output, setup, timeout, priority, queue, application
  or, for code of your own: input, map, combine, reduce, keys, deterministic, steps
  tables:  { flights: { location: ./flights/, format: parquet } }   # or: flights: ./flights.csv.gz
  params:  { min_delay: \"30\" }               # ${min_delay} in the SQL; $${x} for the text ${x} itself
  output:  { location: ./out/, format: parquet, mode: overwrite, partition_by: [carrier] }
  map:     { process: [./tokenize.py], files: [./tokenize.py] }         # lines in, lines of a key, a tab and a value out
  reduce:  { process: [./sum.py], files: [./sum.py], partitions: 4 }    # reads them sorted by key
  input:   { location: ./text/, format: lines }                         # or the name of a table, or { sql: SELECT … }
  setup:   [{ generate: tpch, into: ./data/, scale: 0.1, parts: 4 }]     # only if ./data/ does not exist")]
pub struct RunArgs {
    #[command(flatten)]
    pub text: JobTextArgs,
    /// Workers of the cluster; `--workers 1 --slots 2` runs small jobs whole on one worker.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub workers: u32,
    /// Threads of each worker.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub slots: u32,
    /// Memory of each worker [default: 4GiB, or less on a small machine].
    #[arg(long, value_parser = bytes, value_name = "SIZE")]
    pub memory: Option<u64>,
    /// A statement that reads no more than this runs whole on one worker.
    #[arg(long, value_parser = bytes, value_name = "SIZE", hide = true)]
    pub small_job_bytes: Option<u64>,
}

/// Run any programs as mapper, combiner and reducer over lines of text, as Hadoop Streaming does.
///
/// A mapper reads lines and writes lines of a key, a tab and a value. A reducer reads them sorted by key.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windrow mapreduce --mapper ./tokenize.py --reducer ./sum.py --file tokenize.py --file sum.py --input ./text/ --output ./counts/
  windrow mapreduce --mapper cat --reducer 'uniq -c' --input words.txt --output ./counts/ --reducers 4
  windrow mapreduce --mapper 'cut -f1,2' --reducer cat --input ./log/ --output ./sorted/ --key-fields 2 --partition -k1,1 --sort '-k1,1 -k2,2nr'")]
pub struct MapReduceArgs {
    /// Command line of the mapper; without it lines are passed on as they are.
    #[arg(long, value_name = "COMMAND")]
    pub mapper: Option<String>,
    /// Command line of the combiner: what it makes of a map task's lines is reduced instead of them.
    #[arg(long, value_name = "COMMAND")]
    pub combiner: Option<String>,
    /// Command line of the reducer; without it the mapper's lines are the output. `aggregate` computes what Hadoop's
    /// aggregate package does with keys like `LongValueSum:word`.
    #[arg(long, value_name = "COMMAND", required_unless_present = "mapper")]
    pub reducer: Option<String>,
    /// A file or folder of text; its lines are the input.
    #[arg(long, value_name = "LOCATION")]
    pub input: String,
    /// A folder for the output, which must hold nothing yet.
    #[arg(long, value_name = "LOCATION")]
    pub output: String,
    /// Replace what the output's folder holds.
    #[arg(long)]
    pub overwrite: bool,
    /// A file that the programs find in the folder they are started in; may be repeated.
    #[arg(long = "file", value_name = "PATH")]
    pub files: Vec<String>,
    /// A variable of the programs' environment; may be repeated.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = parse_assignment)]
    pub env: Vec<(String, String)>,
    /// Tasks that reduce.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub reducers: Option<u32>,
    /// Between the fields of a line [default: a tab].
    #[arg(long, value_name = "CHARACTER")]
    pub separator: Option<String>,
    /// First fields of a line that are its key [default: 1].
    #[arg(long, value_name = "N")]
    pub key_fields: Option<u32>,
    /// Fields of the key that choose the reducer, for example `-k1,2`.
    #[arg(long, value_name = "FIELDS", allow_hyphen_values = true)]
    pub partition: Option<String>,
    /// Order in which a reducer reads keys, for example `-k1,1 -k2,2nr`.
    #[arg(long, value_name = "ORDER", allow_hyphen_values = true)]
    pub sort: Option<String>,
    /// The programs may use the network.
    #[arg(long)]
    pub network: bool,
    /// The programs give the same lines for the same lines, whatever order the values of a key come in: fewer tasks run
    /// again when a worker is lost.
    #[arg(long)]
    pub deterministic: bool,
    /// The job's name.
    #[arg(long)]
    pub name: Option<String>,
    /// The job fails after this time, for example `90s`, `10m`.
    #[arg(long, value_parser = duration)]
    pub timeout: Option<Duration>,
    /// URL of a running cluster's coordinator [default: a cluster inside this process].
    #[arg(long, value_name = "URL")]
    pub coordinator: Option<String>,
    /// Workers of the cluster inside this process.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub workers: u32,
    /// Threads of each of them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub slots: u32,
    /// Memory of each of them [default: 4GiB, or less on a small machine].
    #[arg(long, value_parser = bytes, value_name = "SIZE")]
    pub memory: Option<u64>,
}

/// Hand a job to a running cluster.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windrow submit nightly.yaml                      # prints the job's id
  windrow submit nightly.yaml --wait --output csv
  windrow submit nightly.yaml --client-token 2026-11-23   # the same token twice is the same job")]
pub struct SubmitArgs {
    #[command(flatten)]
    pub text: JobTextArgs,
    /// Show progress until the job has ended, then print its rows. Ctrl-C leaves the job running.
    #[arg(long)]
    pub wait: bool,
    /// Makes a repeated submission harmless: the same token is the same job.
    #[arg(long, value_name = "TOKEN")]
    pub client_token: Option<String>,
    /// The queue to wait in.
    #[arg(long)]
    pub queue: Option<String>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Generate data to try things on.
#[cfg(feature = "embedded")]
#[derive(Debug, Subcommand)]
pub enum GenerateCommand {
    /// The eight tables of TPC-H as Parquet, a folder per table.
    #[command(after_help = "Example:\n  windrow generate tpch --scale 1 --parts 8 ./tpch")]
    Tpch {
        /// 1 is about 1 GB of text, or 350 MB of Parquet.
        #[arg(long, default_value_t = 1.0)]
        scale: f64,
        /// Files per table; nation and region always have one.
        #[arg(long, default_value_t = 4)]
        parts: u32,
        /// The folder to create.
        dir: PathBuf,
    },
    /// A web server's access log as Parquet.
    #[command(after_help = "Example:\n  windrow generate access-log --rows 10000000 --seed 1 --parts 8 ./access-log")]
    AccessLog {
        #[arg(long)]
        rows: u64,
        /// The same seed gives the same rows.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Files to write.
        #[arg(long, default_value_t = 4)]
        parts: u32,
        /// The folder to create.
        dir: PathBuf,
    },
}

/// Start a coordinator and workers as processes on this machine, until Ctrl-C.
#[cfg(feature = "embedded")]
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windrow up --workers 4
  windrow up --listen 127.0.0.1:0 --output json    # a JSON line with the address and the process ids")]
pub struct UpArgs {
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub workers: u32,
    /// Threads of each worker.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub slots: u32,
    /// Memory of each worker [default: 4GiB, or less on a small machine].
    #[arg(long, value_parser = bytes, value_name = "SIZE")]
    pub memory: Option<u64>,
    /// Where the coordinator listens; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:7070", value_name = "ADDR")]
    pub listen: std::net::SocketAddr,
    /// Holds the coordinator's data and the workers' files [default: a temporary folder].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// How the ready line is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: TextOutput,
    /// Accept connections from other machines although nobody is authenticated.
    #[arg(long)]
    pub insecure: bool,
    /// How map outputs are compressed.
    #[arg(long, value_enum, default_value_t = CompressionArg::Auto, value_name = "KIND")]
    pub shuffle_compression: CompressionArg,
    /// Send every byte of map outputs through the network path, also within one process and one host.
    #[arg(long)]
    pub no_local_reads: bool,
    /// A statement that reads no more than this runs whole on one worker.
    #[arg(long, value_parser = bytes, value_name = "SIZE", hide = true)]
    pub small_job_bytes: Option<u64>,
}

/// How map outputs are compressed.
#[cfg(feature = "embedded")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CompressionArg {
    /// None while memory is plentiful, LZ4 otherwise: for workers of one machine.
    Auto,
    /// Always LZ4.
    Lz4,
    /// Never: for networks faster than the processors.
    None,
}

#[cfg(feature = "embedded")]
impl CompressionArg {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            CompressionArg::Auto => "auto",
            CompressionArg::Lz4 => "lz4",
            CompressionArg::None => "none",
        }
    }
}

#[cfg(feature = "embedded")]
impl From<CompressionArg> for windrow_worker::ShuffleCompression {
    fn from(kind: CompressionArg) -> Self {
        match kind {
            CompressionArg::Auto => windrow_worker::ShuffleCompression::Auto,
            CompressionArg::Lz4 => windrow_worker::ShuffleCompression::Lz4,
            CompressionArg::None => windrow_worker::ShuffleCompression::None,
        }
    }
}

/// Start a coordinator.
#[cfg(feature = "embedded")]
#[derive(Debug, Args)]
#[command(after_help = coordinator_help())]
pub struct CoordinatorArgs {
    #[arg(long, default_value = "127.0.0.1:7070", value_name = "ADDR")]
    pub listen: std::net::SocketAddr,
    /// Keeps the journal in this folder, which one coordinator at a time holds. Started again on the same folder, a
    /// coordinator goes on where the last one was.
    #[arg(long, value_name = "DIR", required_unless_present = "store")]
    pub data_dir: Option<PathBuf>,
    /// Keeps the journal in etcd, `etcd://host:port,…/prefix`: of several coordinators on one prefix one leads, and
    /// the others stand by.
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    pub store: Option<String>,
    /// Keeps the logs of jobs in this folder or under this URL, for example s3://bucket/history/, or nowhere (`none`).
    /// Coordinators on one --store have to name one location that all of them reach [default: DATA_DIR/history;
    /// with --store nowhere].
    #[arg(long, value_name = "LOCATION")]
    pub history: Option<String>,
    /// Removes the log of a job when nobody has written to it for so long.
    #[arg(long, value_parser = duration, value_name = "SPAN", default_value = "30d")]
    pub history_retention: Duration,
    /// Removes the logs of the oldest jobs beyond this number.
    #[arg(long, value_parser = positive, value_name = "COUNT", default_value_t = 10_000)]
    pub history_jobs: usize,
    /// Outputs of workers that leave go to this folder, for example s3://bucket/shuffle/, and not to other workers. All
    /// workers have to reach it, and no other cluster may use it.
    #[arg(long, value_name = "LOCATION")]
    pub shuffle_store: Option<String>,
    /// Accept connections from other machines although nobody is authenticated.
    #[arg(long)]
    pub insecure: bool,
    /// Changes a limit, for example `lease=5s`; may be repeated. The list is below.
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub limits: Vec<String>,
    /// A statement that reads no more than this runs whole on one worker.
    #[arg(long, value_parser = bytes, value_name = "SIZE", hide = true)]
    pub small_job_bytes: Option<u64>,
    #[command(flatten)]
    pub child: ChildArgs,
}

/// The end of `windrow coordinator --help`.
#[cfg(feature = "embedded")]
fn coordinator_help() -> String {
    let mut text = String::from(
        "Examples:
  windrow coordinator --listen 127.0.0.1:7070 --data-dir /var/lib/windrow
  windrow coordinator --store etcd://a:2379,b:2379,c:2379/prod --history s3://ops/windrow-history/
  windrow coordinator --data-dir /var/lib/windrow --history-retention 7d --limit lease=5s --limit no-worker-grace=30m
  windrow coordinator --data-dir /var/lib/windrow --shuffle-store s3://ops/windrow-shuffle/

Limits:\n",
    );
    for (name, meaning) in windrow_model::Limits::NAMES {
        text.push_str(&format!("  {name:18}{meaning}\n"));
    }
    text
}

/// Start a worker.
#[cfg(feature = "embedded")]
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  windrow worker --coordinator http://10.0.0.5:7070 --slots 4 --memory 16GiB")]
pub struct WorkerArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Say what this machine confines the user's programs with, and end.
    #[arg(long)]
    pub check: bool,
    /// Threads that run attempts.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub slots: u32,
    /// Memory of operators and map outputs [default: 4GiB, or less on a small machine].
    #[arg(long, value_parser = bytes, value_name = "SIZE")]
    pub memory: Option<u64>,
    /// Where spill files and map outputs go [default: a temporary folder].
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// Where readers of map outputs connect.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    pub listen: std::net::SocketAddr,
    /// URL that readers are told, if it is not the one listened on.
    #[arg(long, value_name = "URL")]
    pub advertise: Option<String>,
    /// How map outputs are compressed.
    #[arg(long, value_enum, default_value_t = CompressionArg::Lz4, value_name = "KIND")]
    pub shuffle_compression: CompressionArg,
    /// Send every byte of map outputs through the network path, also within one process and one host.
    #[arg(long)]
    pub no_local_reads: bool,
    /// Accept connections from other machines although nobody is authenticated.
    #[arg(long)]
    pub insecure: bool,
    #[command(flatten)]
    pub child: ChildArgs,
}

/// How `windrow up` starts its children.
#[cfg(feature = "embedded")]
#[derive(Debug, Args)]
pub struct ChildArgs {
    /// End when the process with this id, which must be the parent, ends.
    #[arg(long, value_name = "PID", hide = true)]
    pub exit_with_parent: Option<i32>,
    /// Print one JSON line on standard output when ready.
    #[arg(long, hide = true)]
    pub announce: bool,
}

/// List jobs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  windrow jobs\n  windrow jobs --all --output json")]
pub struct JobsArgs {
    /// Ended jobs too.
    #[arg(long)]
    pub all: bool,
    #[arg(long, value_enum, default_value_t)]
    pub output: RowOutput,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Show a job: state, error, stages, attempts and workers.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  windrow job job-7")]
pub struct JobArgs {
    /// For example job-7, or 7.
    pub id: JobId,
    #[arg(long, value_enum, default_value_t)]
    pub output: TextOutput,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// What the user's code of a job has written to standard error, now and after its end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windrow logs 7                 # every attempt that has said something
  windrow logs 7 --task 0.3      # of task 3 of stage 0
  windrow logs 7 --follow        # goes on until the job has ended
  windrow logs 7 --output json   # an object for each attempt, with its counters and status")]
pub struct LogsArgs {
    /// The job, for example `7`.
    pub id: JobId,
    /// One task: STAGE.TASK, as `windrow job` shows it; or a whole stage: STAGE.
    #[arg(long, value_name = "TASK", value_parser = stage_and_task)]
    pub task: Option<(u32, Option<u32>)>,
    /// Print what is new until the job has ended.
    #[arg(long, short = 'f')]
    pub follow: bool,
    #[arg(long, value_enum, default_value_t)]
    pub output: TextOutput,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

fn stage_and_task(text: &str) -> Result<(u32, Option<u32>), String> {
    let (stage, task) = text.split_once('.').map_or((text, None), |(stage, task)| (stage, Some(task)));
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is no number; write for example `0.3`"));
    Ok((number(stage)?, task.map(number).transpose()?))
}

/// Say why a job does not make progress.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  windrow why job-7")]
pub struct WhyArgs {
    /// For example job-7, or 7.
    pub id: JobId,
    #[arg(long, value_enum, default_value_t)]
    pub output: TextOutput,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Print the rows of a job that has succeeded.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  windrow result job-7\n  windrow result job-7 --output csv > rows.csv")]
pub struct ResultArgs {
    /// For example job-7, or 7.
    pub id: JobId,
    /// Only the rows of this statement, counted from 0.
    #[arg(long)]
    pub step: Option<u32>,
    #[arg(long, value_enum, default_value_t)]
    pub output: RowOutput,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Cancel a job.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  windrow cancel job-7")]
pub struct CancelArgs {
    /// For example job-7, or 7.
    pub id: JobId,
    #[arg(long, value_enum, default_value_t)]
    pub output: TextOutput,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Let a worker hand over what it holds and leave.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windrow drain worker-3
  windrow drain worker-3 --deadline 2m     # what cannot be handed over by then is computed again elsewhere")]
pub struct DrainArgs {
    /// For example worker-3, or 3.
    pub worker: WorkerId,
    /// How long it may take [default: the coordinator's, 30s].
    #[arg(long, value_parser = duration, value_name = "SPAN")]
    pub deadline: Option<Duration>,
    #[arg(long, value_enum, default_value_t)]
    pub output: TextOutput,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// List the workers.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  windrow workers")]
pub struct WorkersArgs {
    #[arg(long, value_enum, default_value_t)]
    pub output: RowOutput,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[cfg(feature = "embedded")]
fn bytes(text: &str) -> Result<u64, String> {
    windrow_model::parse_bytes(text).map_err(|error| error.to_string())
}

#[cfg(feature = "embedded")]
fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one".to_owned()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

/// The end of `windrow --help`.
fn exit_codes() -> String {
    let mut text = String::from("Exit codes:\n   0  done\n   2  wrong flags\n");
    for kind in ErrorKind::ALL {
        text.push_str(&format!("  {:2}  {}: {}\n", kind.exit_code(), kind.name(), meaning(kind)));
    }
    text.push_str(
        "\nErrors go to standard error as what failed, the detail and a hint; with --output json as one JSON object.",
    );
    text
}

fn meaning(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid => "the job, the data or a flag is wrong and stays wrong",
        ErrorKind::NotFound => "a file, job or worker does not exist",
        ErrorKind::AlreadyExists => "an output, a folder or a port is taken",
        ErrorKind::Conflict => "somebody else changed the same thing first",
        ErrorKind::Exhausted => "a limit was reached: memory, disk, time, attempts, queue",
        ErrorKind::Unavailable => "try again later: a service or the coordinator cannot be reached",
        ErrorKind::Fenced => "a newer leader has taken over",
        ErrorKind::Unauthenticated => "nobody vouches for the caller",
        ErrorKind::PermissionDenied => "the caller or the cluster may not do this",
        ErrorKind::Cancelled => "cancelled by a user",
        ErrorKind::Corrupt => "stored bytes are not what was written",
        ErrorKind::Unsupported => "not supported",
        ErrorKind::Internal => "a bug in Windrow",
    }
}
