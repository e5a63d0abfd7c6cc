//! A coordinator and workers as processes of their own, each of which can be killed and started again.

use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use windrow_client::Client;
use windrow_proto::Worker;

use super::processes::{signal, windrow};

/// No wait of a test is longer; the slowest machine must not reach it.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// Where servers of tests listen. Some take the port 10,000 above theirs as well.
const PORTS: Range<u16> = 10_000..20_000;

/// Waits until `look` gives something, and says what was waited for if it never does.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        tokio::task::yield_now().await;
    }
}

/// A process that is killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Coordinators on one journal, and their workers.
pub struct Cluster {
    folder: TempDir,
    ports: Vec<u16>,
    /// `None`: a file in the cluster's folder.
    store: Option<String>,
    limits: Vec<String>,
    coordinators: Vec<Option<Process>>,
    workers: Vec<Process>,
    /// Further words for the coordinators.
    pub coordinator_words: Vec<String>,
    /// Further variables for all processes.
    env: Vec<(String, String)>,
    /// Workers that were ever started: each has a work folder of its own.
    started: usize,
}

/// What a cluster consists of at its start.
pub struct Setup {
    /// `None`: a journal in a file.
    pub store: Option<String>,
    pub coordinators: usize,
    pub workers: Vec<WorkerSetup>,
    /// `NAME=VALUE`, as `windrow coordinator --limit` takes them.
    pub limits: &'static [&'static str],
    /// Further words for the coordinators.
    pub coordinator_words: Vec<String>,
    /// Further variables for all processes.
    pub env: Vec<(String, String)>,
}

/// What is special about a worker.
#[derive(Clone, Default)]
pub struct WorkerSetup {
    /// As `WINDROW_FAILPOINTS` takes them; none if empty.
    pub failpoints: String,
    /// 1 GiB if empty.
    pub memory: &'static str,
    /// One if zero.
    pub slots: u32,
    /// A folder of its own in the cluster's.
    pub work_dir: Option<PathBuf>,
    /// Where it finds the coordinator; the cluster's own addresses if `None`.
    pub coordinator: Option<String>,
}

impl Setup {
    /// One coordinator and so many ordinary workers. A silent worker is lost after two seconds.
    pub fn of(workers: usize) -> Setup {
        Setup {
            store: None,
            coordinators: 1,
            workers: vec![WorkerSetup::default(); workers],
            limits: &["lease=2s"],
            coordinator_words: Vec::new(),
            env: Vec::new(),
        }
    }

    /// The first worker misbehaves.
    pub fn with_failpoints(mut self, failpoints: &str) -> Setup {
        self.workers[0].failpoints = failpoints.to_owned();
        self
    }
}

/// Whether a process that was started by a test still runs, and how it ended.
fn exited(process: &mut Process) -> Option<ExitStatus> {
    process.0.try_wait().expect("a child can be waited for")
}

/// Waits until a process has ended on its own.
async fn end_of(process: &mut Process, what: &str) -> ExitStatus {
    until(what, || std::future::ready(exited(process))).await
}

/// Waits until `count` workers of the cluster at `url` accept tasks.
pub async fn wait_for_workers(url: &str, count: usize) -> Vec<Worker> {
    until("the workers", || async {
        let mut workers = Client::connect(url).await.ok()?.workers().await.ok()?;
        workers.retain(|worker| worker.state == "active");
        (workers.len() == count).then_some(workers)
    })
    .await
}

/// A port that nobody listens on, and that was not given before. It is below those that the kernel takes for outgoing
/// connections (on Linux 32,768 and above): one of them could take it before the server that it is meant for.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    // Test programs that run side by side begin at different places.
    let first = std::process::id().wrapping_mul(101);
    let next = || PORTS.start + (first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % count) as u16;
    let mut ports = std::iter::repeat_with(next).take(count as usize);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

/// A folder in memory where there is one. A disk that stands still for longer than a leader's right lasts would be a
/// fault of its own, and the servers in it do not outlive their test anyway.
fn folder_in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}

/// A real etcd of one member, gone when dropped.
pub struct Etcd {
    client: String,
    process: Process,
    _data: TempDir,
}

impl Etcd {
    /// `None` where there is no etcd; in CI that is a failure.
    pub fn start() -> Option<Etcd> {
        let binary = std::env::var("WINDROW_TEST_ETCD").unwrap_or_else(|_| "etcd".to_owned());
        let data = folder_in_memory();
        let (client, peer) = (format!("127.0.0.1:{}", free_port()), format!("http://127.0.0.1:{}", free_port()));
        let url = format!("http://{client}");
        let cluster = format!("default={peer}");
        let child = Command::new(binary)
            .args(["--data-dir", data.path().to_str().expect("a path in UTF-8")])
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &cluster, "--log-level", "error"])
            .stdin(Stdio::null())
            .spawn();
        match child {
            Ok(child) => Some(Etcd { client, process: Process(child), _data: data }),
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "etcd is needed in CI: {error}");
                eprintln!("SKIPPED: no etcd; install it, or name its binary with WINDROW_TEST_ETCD");
                None
            }
        }
    }

    pub fn signal(&self, which: rustix::process::Signal) {
        signal(self.process.0.id(), which);
    }

    /// A store under `prefix` whose leader's right lasts `ttl`, for example `2s`.
    pub fn store(&self, prefix: &str, ttl: &str) -> String {
        format!("etcd://{}/{prefix}?ttl={ttl}", self.client)
    }
}

impl Cluster {
    /// Starts a coordinator on a journal in a file and `workers` workers of one slot, and waits for them.
    pub async fn start(workers: usize) -> Cluster {
        Cluster::set_up(Setup::of(workers)).await
    }

    /// The same with several coordinators on one store.
    pub async fn start_on(store: Option<String>, coordinators: usize, workers: usize) -> Cluster {
        Cluster::set_up(Setup { store, coordinators, ..Setup::of(workers) }).await
    }

    /// Starts all processes, and waits for the workers.
    pub async fn set_up(setup: Setup) -> Cluster {
        let ports = (0..setup.coordinators).map(|_| free_port()).collect();
        let mut cluster = Cluster {
            folder: tempfile::tempdir().expect("a temporary folder"),
            ports,
            store: setup.store,
            limits: setup.limits.iter().map(|limit| (*limit).to_owned()).collect(),
            coordinator_words: setup.coordinator_words,
            env: setup.env,
            coordinators: Vec::new(),
            workers: Vec::new(),
            started: 0,
        };
        cluster.coordinators.resize_with(setup.coordinators, || None);
        for index in 0..setup.coordinators {
            cluster.spawn_coordinator(index);
        }
        cluster.wait_for_coordinator().await;
        let workers = setup.workers.len();
        for worker in setup.workers {
            cluster.start_worker_with(worker);
        }
        cluster.wait_for_workers(workers).await;
        cluster
    }

    /// All addresses, as workers and clients take them.
    pub fn url(&self) -> String {
        let urls: Vec<String> = self.ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
        urls.join(",")
    }

    /// The address of one coordinator.
    pub fn address_of(&self, index: usize) -> String {
        format!("http://127.0.0.1:{}", self.ports[index])
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn spawn(&self, words: &[&str], failpoints: &str) -> Process {
        let mut command = Command::new(windrow());
        command.args(words).env("WINDROW_LOG", std::env::var("WINDROW_LOG").unwrap_or_else(|_| "error".to_owned()));
        command.env(windrow_engine::failpoint::VARIABLE, failpoints);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        Process(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("windrow starts"))
    }

    /// Starts a coordinator, on the journal it may have had. It may have to stand by.
    pub fn spawn_coordinator(&mut self, index: usize) {
        self.spawn_coordinator_with(index, "");
    }

    fn spawn_coordinator_with(&mut self, index: usize, failpoints: &str) {
        let data_dir = self.path().join("journal");
        let listen = format!("127.0.0.1:{}", self.ports[index]);
        let place = match &self.store {
            Some(url) => ["--store", url],
            None => ["--data-dir", data_dir.to_str().expect("a path in UTF-8")],
        };
        let mut words = vec!["coordinator", "--listen", &listen, place[0], place[1], "--small-job-bytes", "0"];
        words.extend(self.limits.iter().flat_map(|limit| ["--limit", limit]));
        words.extend(self.coordinator_words.iter().map(String::as_str));
        self.coordinators[index] = Some(self.spawn(&words, failpoints));
    }

    /// Starts the only coordinator and waits until it answers.
    pub async fn start_coordinator(&mut self) {
        self.start_coordinator_with("").await;
    }

    /// The same, and it misbehaves.
    pub async fn start_coordinator_with(&mut self, failpoints: &str) {
        self.spawn_coordinator_with(0, failpoints);
        self.wait_for_coordinator().await;
    }

    /// Whether the coordinator has ended on its own, and how.
    pub fn coordinator_exit(&mut self, index: usize) -> Option<ExitStatus> {
        self.coordinators[index].as_mut().and_then(exited)
    }

    /// Waits until the coordinator has ended on its own.
    pub async fn coordinator_end(&mut self, index: usize) -> ExitStatus {
        end_of(self.coordinators[index].as_mut().expect("it was started"), "the coordinator to end").await
    }

    pub fn signal_coordinator(&self, index: usize, which: rustix::process::Signal) {
        signal(self.coordinators[index].as_ref().expect("it was started").0.id(), which);
    }

    async fn wait_for_coordinator(&self) {
        let url = self.url();
        until("a coordinator", || async { Client::connect(&url).await.ok()?.workers().await.ok() }).await;
    }

    /// SIGKILL of the only coordinator.
    pub fn kill_coordinator(&mut self) {
        self.coordinators[0] = None;
    }

    /// SIGKILL of the coordinator that leads; its index.
    pub async fn kill_leader(&mut self) -> usize {
        let leader = self.leader().await;
        self.coordinators[leader] = None;
        leader
    }

    /// Index of the coordinator that leads.
    pub async fn leader(&self) -> usize {
        let ports = self.ports.clone();
        until("a leader", || async {
            for (index, port) in ports.iter().enumerate() {
                if Client::connect(&format!("http://127.0.0.1:{port}")).await.is_ok() {
                    return Some(index);
                }
            }
            None
        })
        .await
    }

    pub fn start_worker(&mut self) {
        self.start_worker_with(WorkerSetup::default());
    }

    pub fn start_worker_with(&mut self, setup: WorkerSetup) {
        let url = setup.coordinator.unwrap_or_else(|| self.url());
        let work_dir = setup.work_dir.clone().unwrap_or_else(|| self.work_dir(self.started));
        let work_dir = work_dir.to_str().expect("a path in UTF-8");
        let memory = if setup.memory.is_empty() { "1GiB" } else { setup.memory };
        let slots = setup.slots.max(1).to_string();
        let words = ["worker", "--coordinator", &url, "--work-dir", work_dir, "--memory", memory, "--slots", &slots];
        let worker = self.spawn(&words, &setup.failpoints);
        self.workers.push(worker);
        self.started += 1;
    }

    /// Where the worker that was started as the `index`-th has its files.
    pub fn work_dir(&self, index: usize) -> PathBuf {
        self.path().join(format!("worker-{index}"))
    }

    /// Whether a worker has ended on its own, and how.
    pub fn worker_exit(&mut self, index: usize) -> Option<ExitStatus> {
        exited(&mut self.workers[index])
    }

    /// Waits until a worker has ended on its own.
    pub async fn worker_end(&mut self, index: usize) -> ExitStatus {
        end_of(&mut self.workers[index], "the worker to end").await
    }

    /// SIGKILL.
    pub fn kill_worker(&mut self, index: usize) {
        drop(self.workers.remove(index));
    }

    pub fn signal_worker(&self, index: usize, which: rustix::process::Signal) {
        signal(self.workers[index].0.id(), which);
    }

    pub fn worker_pid(&self, index: usize) -> u32 {
        self.workers[index].0.id()
    }

    /// Waits until `count` workers accept tasks.
    pub async fn wait_for_workers(&self, count: usize) -> Vec<Worker> {
        wait_for_workers(&self.url(), count).await
    }
}
