//! `windrow up`: a coordinator and workers as child processes, until Ctrl-C.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::Client;
use crate::embedded::wait_for_workers;
use crate::rows::RowFormat;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use windrow_model::{ErrorKind, ErrorReport};
use windrow_proto::Worker;

use super::machine::worker_memory;
use super::signals::stop_requested;
use crate::program::cli::{TextOutput, UpArgs};
use crate::program::follow::print_text;
use crate::program::logging::LogFormat;
use crate::program::outcome::{Outcome, printed};
use crate::program::view::worker_name;

/// How long the children may take to be ready.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long a child may take to end before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(75);

pub async fn run(args: UpArgs, log_format: LogFormat) -> Outcome {
    let stop = stop_requested()?;
    let temporary = match args.data_dir {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("windrow-").tempdir().map_err(|error| {
            ErrorReport::invalid("cannot create a temporary folder")
                .with_detail(error.to_string())
                .with_hint("name a folder with --data-dir")
        })?),
    };
    let data_dir = args.data_dir.as_deref().or_else(|| temporary.as_ref().map(|dir| dir.path()));
    let data_dir = data_dir.unwrap_or_else(|| Path::new(".")).to_owned();
    let mut children = Children { coordinator: None, workers: Vec::new() };
    let family = Family { args: &args, log_format, data_dir: &data_dir };
    let outcome = tokio::select! {
        outcome = serve(&family, &mut children) => outcome,
        () = stop => Ok(()),
    };
    children.stop().await;
    outcome
}

/// How the children are started.
struct Family<'a> {
    args: &'a UpArgs,
    log_format: LogFormat,
    data_dir: &'a Path,
}

/// Never returns `Ok`: it ends when the coordinator does.
async fn serve(family: &Family<'_>, children: &mut Children) -> Outcome {
    let args = family.args;
    let (coordinator, url) = family.start_coordinator().await?;
    let coordinator = children.coordinator.insert(coordinator);
    for index in 0..args.workers {
        children.workers.push((index, family.start_worker(index, &url)?));
    }
    let client = Client::connect(&url).await?;
    let registered = tokio::select! {
        registered = wait_for_workers(&client, args.workers as usize, START_PATIENCE) => registered?,
        (index, status) = next_exit(&mut children.workers) => return Err(ended(&format!("worker {index}"), &status)),
        status = coordinator.wait() => return Err(ended("the coordinator", &describe(status))),
    };
    announce(args, &url, coordinator.id(), &registered)?;
    loop {
        tokio::select! {
            (index, status) = next_exit(&mut children.workers) => report_exit(index, &status),
            status = coordinator.wait() => return Err(ended("the coordinator", &describe(status))),
        }
    }
}

fn announce(args: &UpArgs, url: &str, coordinator: Option<u32>, workers: &[Worker]) -> Outcome {
    let text = match args.output {
        TextOutput::Json => {
            let workers: Vec<Value> = workers
                .iter()
                .map(|worker| json!({ "worker": worker_name(worker.id), "pid": worker.process_id }))
                .collect();
            json!({ "event": "ready", "coordinator": url, "pid": coordinator, "workers": workers }).to_string()
        }
        TextOutput::Table => format!(
            "ready: {url} with {} workers of {} slots; Ctrl-C stops everything\n  windrow submit JOB --wait --coordinator {url}",
            workers.len(),
            args.slots
        ),
    };
    printed(print_text(&text, RowFormat::Table))
}

fn report_exit(index: u32, status: &str) {
    eprintln!("worker {index} has ended: {status}; the others go on");
}

fn ended(who: &str, status: &str) -> ErrorReport {
    ErrorReport::new(ErrorKind::Unavailable, format!("{who} has ended"))
        .with_detail(status.to_owned())
        .with_hint("its last words are above")
}

fn describe(status: std::io::Result<std::process::ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// The processes that end with this one.
struct Children {
    coordinator: Option<Child>,
    workers: Vec<(u32, Child)>,
}

impl Children {
    /// All at once: a worker that holds results would drain for as long as the coordinator keeps them.
    async fn stop(self) {
        let workers = self.workers.into_iter().map(|(_, worker)| worker);
        let mut children: Vec<Child> = workers.chain(self.coordinator).collect();
        children.iter().for_each(terminate);
        for child in &mut children {
            wait_or_kill(child).await;
        }
    }
}

/// Waits for any worker to end and takes it off the list; never completes without workers.
async fn next_exit(workers: &mut Vec<(u32, Child)>) -> (u32, String) {
    if workers.is_empty() {
        return std::future::pending().await;
    }
    let waits = workers.iter_mut().map(|(_, worker)| Box::pin(worker.wait()));
    let (status, at, rest) = futures::future::select_all(waits).await;
    drop(rest);
    let (index, _) = workers.remove(at);
    (index, describe(status))
}

fn terminate(child: &Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // It may just have ended on its own.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

async fn wait_or_kill(child: &mut Child) {
    if timeout(STOP_PATIENCE, child.wait()).await.is_err() {
        // Killing only fails for a process that has ended.
        let _ = child.kill().await;
    }
}

impl Family<'_> {
    fn command(&self, name: &str) -> Outcome<Command> {
        let binary = std::env::current_exe()
            .map_err(|error| ErrorReport::internal("cannot find the windrow binary").with_detail(error.to_string()))?;
        let mut command = Command::new(binary);
        command
            .arg(name)
            .args(["--log-format", self.log_format.name()])
            .arg(format!("--exit-with-parent={}", std::process::id()))
            .args(self.args.insecure.then_some("--insecure"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            // Ctrl-C is for this process, which then stops its children in order.
            .process_group(0);
        Ok(command)
    }

    async fn start_coordinator(&self) -> Outcome<(Child, String)> {
        let mut command = self.command("coordinator")?;
        command.arg("--announce").arg("--listen").arg(self.args.listen.to_string());
        command.arg("--data-dir").arg(self.data_dir.join("coordinator")).stdout(Stdio::piped());
        if let Some(bytes) = self.args.small_job_bytes {
            command.arg("--small-job-bytes").arg(bytes.to_string());
        }
        let mut coordinator = spawn(command)?;
        let Some(stdout) = coordinator.stdout.take() else {
            return Err(ErrorReport::internal("the coordinator has no standard output"));
        };
        match timeout(START_PATIENCE, announced_url(stdout)).await {
            Ok(Some(url)) => Ok((coordinator, url)),
            Ok(None) => Err(not_started(coordinator).await),
            Err(_) => Err(ended("the coordinator", "it did not get ready in time")),
        }
    }

    fn start_worker(&self, index: u32, url: &str) -> Outcome<Child> {
        let mut command = self.command("worker")?;
        let memory = worker_memory(self.args.memory, self.args.workers);
        command.args(["--coordinator", url]).arg("--slots").arg(self.args.slots.to_string());
        command.arg("--memory").arg(memory.to_string());
        command.args(["--shuffle-compression", self.args.shuffle_compression.name()]);
        if self.args.no_local_reads {
            command.arg("--no-local-reads");
        }
        command.arg("--work-dir").arg(self.data_dir.join(format!("worker-{index}")));
        spawn(command)
    }
}

fn spawn(mut command: Command) -> Outcome<Child> {
    command.spawn().map_err(|error| {
        ErrorReport::new(ErrorKind::Exhausted, "cannot start a process").with_detail(error.to_string())
    })
}

async fn announced_url(stdout: ChildStdout) -> Option<String> {
    let line = BufReader::new(stdout).lines().next_line().await.ok()??;
    let ready: Value = serde_json::from_str(&line).ok()?;
    Some(ready.get("coordinator")?.as_str()?.to_owned())
}

/// The coordinator has printed its own error; its exit code becomes ours.
async fn not_started(mut coordinator: Child) -> ErrorReport {
    let status = coordinator.wait().await;
    let code = status.as_ref().ok().and_then(std::process::ExitStatus::code);
    let kind = ErrorKind::ALL.into_iter().find(|kind| code == Some(i32::from(kind.exit_code())));
    let report = ended("the coordinator", &describe(status));
    ErrorReport { kind: kind.unwrap_or(report.kind), ..report }
}
