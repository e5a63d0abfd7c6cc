//! Runs the user's programs: each in a folder and a process group of its own, without this worker's environment, and ended
//! with everything that it has started.

use std::fs;
use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStderr, Command};
use uuid::Uuid;
use windrow_engine::user_code::{CodeReport, HostedProcess, ProcessHost, ProcessStart, is_file_name};
use windrow_model::{CodeLimits, ErrorKind, ErrorReport, Runs};
use windrow_sandbox::{Confinement, Limits, MARK, Options, Tree, Watched, Watcher};

/// Longer lines are cut, in bytes.
const STDERR_LINE_BYTES_MAX: usize = 1000;

/// One read of standard error.
const STDERR_READ_BYTES: usize = 8 << 10;

/// How long standard error may go on when the process has ended: what it has started may hold it open.
const STDERR_AFTER_END: Duration = Duration::from_millis(500);

/// A program that was just written cannot be started for a moment: waits in between, and how often.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
const BUSY_TRIES_MAX: u32 = 200;

/// Where a program is looked for that does not come with its job.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Processes that were started by this one: workers of a test share it.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// The programs of a worker's attempts.
#[derive(Debug)]
pub struct Processes {
    dir: PathBuf,
    watcher: Watcher,
}

impl Processes {
    /// `dir` is this worker's own.
    pub fn new(dir: PathBuf) -> Processes {
        Processes { dir, watcher: Watcher::new() }
    }

    fn spawn(&self, start: &ProcessStart<'_>) -> Result<Spawned, ErrorReport> {
        let Runs::Process { command: words, files, network, .. } = &start.code.code.runs else {
            return Err(ErrorReport::internal("code that is no program was to be started as one"));
        };
        // Nobody guesses it, so that a program cannot pass its processes off as another's.
        let mark = format!("{}-{}", Uuid::new_v4().simple(), STARTED.fetch_add(1, Ordering::Relaxed));
        let limits = limits(start.code.code.limits);
        let folder = self.dir.join(&mark);
        let mut guard = Guard { group: None, mark: mark.clone(), folder: folder.clone() };
        let cannot = |what: &str, error: std::io::Error| {
            ErrorReport::new(ErrorKind::Unavailable, format!("cannot {what}")).with_detail(error.to_string())
        };
        fs::create_dir_all(&folder).map_err(|error| cannot("make a folder for a process", error))?;
        for file in files {
            if !is_file_name(&file.name) {
                return Err(ErrorReport::invalid(format!("`{}` is not the name of a file", file.name)));
            }
            let path = folder.join(&file.name);
            let mode = if file.executable { 0o755 } else { 0o644 };
            let put = fs::write(&path, &file.bytes)
                .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)));
            put.map_err(|error| cannot(&format!("put `{}` into the folder of a process", file.name), error))?;
        }
        let Some((program, arguments)) = words.split_first() else {
            return Err(ErrorReport::invalid("a process has no program"));
        };
        let (reader, writer) = std::io::pipe().map_err(|error| cannot("make a pipe", error))?;
        let pipes =
            || Ok::<_, std::io::Error>((reader.try_clone()?, pipe::Sender::from_owned_fd(OwnedFd::from(writer))?));
        let (stdin, input) = pipes().map_err(|error| cannot("make a pipe", error))?;
        let mut command = Command::new(found(program, &folder));
        command
            .args(arguments)
            .current_dir(&folder)
            .env_clear()
            .envs(environment(start, &folder))
            .envs(&start.code.code.env)
            .env(MARK, &mark)
            .stdin(Stdio::from(stdin))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let options = Options { network: *network, limits: limits.clone(), ..Options::new(&folder) };
        Confinement::prepare(&options)?.apply(command.as_std_mut());
        let mut tries = 0;
        let spawned = loop {
            match command.spawn() {
                // Another process that is being started has inherited the file while it was written.
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES_MAX => {
                    tries += 1;
                    std::thread::sleep(BUSY_PAUSE);
                }
                spawned => break spawned,
            }
        };
        let child = spawned.map_err(|error| {
            ErrorReport::new(ErrorKind::NotFound, format!("the program `{program}` cannot be started"))
                .with_detail(error.to_string())
                .with_hint("ship it with the job (`files:`), or install it on every worker")
        })?;
        guard.group = child.id().and_then(|id| Pid::from_raw(id as i32));
        let ended = || ErrorReport::internal("a process has no number");
        let tree = Tree { group: guard.group.ok_or_else(ended)?, mark, folder, limits };
        let watched = self.watcher.watch(tree)?;
        Ok(Spawned { child, input, reader, guard, watched })
    }
}

/// A program that was started.
struct Spawned {
    child: Child,
    input: pipe::Sender,
    /// The other end of its input, which says how much is in it.
    reader: PipeReader,
    guard: Guard,
    watched: Watched,
}

/// What a job's limits are to a program.
fn limits(limits: CodeLimits) -> Limits {
    let defaults = Limits::default();
    Limits {
        memory_bytes: limits.memory_bytes.or(defaults.memory_bytes),
        cpu: limits.cpu_ms.map(Duration::from_millis).or(defaults.cpu),
        disk_bytes: limits.disk_bytes.or(defaults.disk_bytes),
        ..defaults
    }
}

/// A program that comes with the job is in the folder; others are looked for in the path.
fn found(program: &str, folder: &Path) -> PathBuf {
    let shipped = folder.join(program.strip_prefix("./").unwrap_or(program));
    if shipped.is_file() { shipped } else { PathBuf::from(program) }
}

/// What every process is told; the names with `mapreduce_` are Hadoop Streaming's.
fn environment(start: &ProcessStart<'_>, folder: &Path) -> Vec<(&'static str, String)> {
    let ProcessStart { code, task, attempt, try_number, partition, report: _ } = start;
    let folder = folder.display().to_string();
    let job = task.stage.job.to_string();
    let is_map = (code.role == windrow_engine::user_code::Role::Map).to_string();
    vec![
        ("PATH", PATH.to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("HOME", folder.clone()),
        ("TMPDIR", folder),
        ("WINDROW_JOB", job.clone()),
        ("WINDROW_STAGE", task.stage.index.to_string()),
        ("WINDROW_TASK", task.index.to_string()),
        ("WINDROW_ATTEMPT", attempt.to_string()),
        ("WINDROW_TRY", try_number.to_string()),
        ("WINDROW_PARTITION", partition.to_string()),
        ("WINDROW_ROLE", code.role.name().to_owned()),
        ("mapreduce_job_id", job),
        ("mapreduce_task_id", task.to_string()),
        ("mapreduce_task_attempt_id", attempt.to_string()),
        ("mapreduce_task_partition", task.index.to_string()),
        ("mapreduce_task_ismap", is_map),
    ]
}

#[async_trait]
impl ProcessHost for Processes {
    async fn start(&self, start: ProcessStart<'_>) -> Result<HostedProcess, ErrorReport> {
        let Spawned { mut child, input, reader, guard, watched } = self.spawn(&start)?;
        let missing = || ErrorReport::internal("a process was started without its pipes");
        let output = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let unread = move || rustix::io::ioctl_fionread(&reader).unwrap_or(0);
        Ok(HostedProcess {
            input: Box::new(input),
            output: Box::new(output),
            ended: Box::pin(end(child, stderr, start.report, watched)),
            unread: Box::new(unread),
            guard: Box::new(guard),
        })
    }
}

/// Waits for the process's end, or until it uses more than it may.
async fn end(
    mut child: Child,
    stderr: ChildStderr,
    report: Arc<CodeReport>,
    mut watched: Watched,
) -> Result<(), ErrorReport> {
    let ended = async {
        let mut listening = std::pin::pin!(listen(stderr, &report));
        tokio::select! {
            status = child.wait() => {
                let _ = tokio::time::timeout(STDERR_AFTER_END, listening).await;
                status
            }
            () = &mut listening => child.wait().await,
        }
    };
    let status = tokio::select! {
        status = ended => status,
        exceeded = watched.exceeded() => {
            return Err(ErrorReport::new(ErrorKind::Exhausted, exceeded.to_string())
                .with_detail(last_lines(&report))
                .with_hint("give it a higher limit (`limits:`), or less to do"));
        }
    };
    let status = status
        .map_err(|error| ErrorReport::internal("a process cannot be waited for").with_detail(error.to_string()))?;
    tracing::debug!(peak = ?watched.peak(), %status, "a process has ended");
    if status.success() {
        return Ok(());
    }
    Err(ErrorReport::invalid(format!("it ended with {status}")).with_detail(last_lines(&report)))
}

fn last_lines(report: &CodeReport) -> String {
    match report.last_lines() {
        none if none.is_empty() => "it said nothing on standard error".to_owned(),
        lines => lines,
    }
}

/// Reports standard error line by line.
async fn listen(mut stderr: ChildStderr, report: &CodeReport) {
    let (mut buffer, mut line) = (vec![0; STDERR_READ_BYTES], Vec::new());
    let tell = |line: &mut Vec<u8>| {
        if !line.is_empty() {
            report.line(&String::from_utf8_lossy(line));
            line.clear();
        }
    };
    loop {
        let read = stderr.read(&mut buffer).await.unwrap_or(0);
        for byte in &buffer[..read] {
            match byte {
                // Progress bars go back to the start of their line.
                b'\n' | b'\r' => tell(&mut line),
                byte if line.len() < STDERR_LINE_BYTES_MAX => line.push(*byte),
                _ => {}
            }
        }
        if read == 0 {
            return tell(&mut line);
        }
    }
}

/// Ends what is left of a process, and removes its folder.
struct Guard {
    group: Option<Pid>,
    mark: String,
    folder: PathBuf,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        for process in marked(&self.mark) {
            let _ = kill_process(process, Signal::KILL);
        }
        if let Err(error) = fs::remove_dir_all(&self.folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %self.folder.display(), %error, "the folder of a process cannot be removed");
        }
    }
}

/// Processes that have left their group keep their environment.
fn marked(mark: &str) -> Vec<Pid> {
    let wanted = format!("{MARK}={mark}");
    let has_it =
        |environment: &[u8]| environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes());
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let marked = ids.filter(|id| fs::read(format!("/proc/{id}/environ")).is_ok_and(|environment| has_it(&environment)));
    marked.filter_map(Pid::from_raw).collect()
}
