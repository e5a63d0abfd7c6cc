//! A coordinator and workers as processes of their own, each of which can be killed and started again.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use windrow_client::Client;
use windrow_proto::Worker;

use super::processes::{signal, windrow};

/// No wait of a test is longer; the slowest machine must not reach it.
pub const DEADLINE: Duration = Duration::from_secs(90);

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
    coordinators: Vec<Option<Process>>,
    workers: Vec<Process>,
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port()
}

/// A real etcd of one member, gone when dropped.
pub struct Etcd {
    client: String,
    _process: Process,
    _data: TempDir,
}

impl Etcd {
    /// `None` where there is no etcd; in CI that is a failure.
    pub fn start() -> Option<Etcd> {
        let binary = std::env::var("WINDROW_TEST_ETCD").unwrap_or_else(|_| "etcd".to_owned());
        let data = tempfile::tempdir().expect("a temporary folder");
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
            Ok(child) => Some(Etcd { client, _process: Process(child), _data: data }),
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "etcd is needed in CI: {error}");
                eprintln!("SKIPPED: no etcd; install it, or name its binary with WINDROW_TEST_ETCD");
                None
            }
        }
    }

    /// A store under `prefix` whose leader's right lasts `ttl`, for example `2s`.
    pub fn store(&self, prefix: &str, ttl: &str) -> String {
        format!("etcd://{}/{prefix}?ttl={ttl}", self.client)
    }
}

impl Cluster {
    /// Starts a coordinator on a journal in a file and `workers` workers of one slot, and waits for them.
    pub async fn start(workers: usize) -> Cluster {
        Cluster::start_on(None, 1, workers).await
    }

    /// The same with several coordinators on one store.
    pub async fn start_on(store: Option<String>, coordinators: usize, workers: usize) -> Cluster {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ports = (0..coordinators).map(|_| free_port()).collect();
        let mut cluster = Cluster { folder, ports, store, coordinators: Vec::new(), workers: Vec::new() };
        cluster.coordinators.resize_with(coordinators, || None);
        for index in 0..coordinators {
            cluster.spawn_coordinator(index);
        }
        cluster.wait_for_coordinator().await;
        for _ in 0..workers {
            cluster.start_worker();
        }
        cluster.wait_for_workers(workers).await;
        cluster
    }

    /// All addresses, as workers and clients take them.
    pub fn url(&self) -> String {
        let urls: Vec<String> = self.ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
        urls.join(",")
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn spawn(&self, words: &[&str]) -> Process {
        let mut command = Command::new(windrow());
        command.args(words).env("WINDROW_LOG", std::env::var("WINDROW_LOG").unwrap_or_else(|_| "error".to_owned()));
        Process(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("windrow starts"))
    }

    /// Starts a coordinator, on the journal it may have had. It may have to stand by.
    pub fn spawn_coordinator(&mut self, index: usize) {
        let data_dir = self.path().join("journal");
        let listen = format!("127.0.0.1:{}", self.ports[index]);
        let place = match &self.store {
            Some(url) => ["--store", url],
            None => ["--data-dir", data_dir.to_str().expect("a path in UTF-8")],
        };
        let words = ["coordinator", "--listen", &listen, place[0], place[1], "--small-job-bytes", "0"];
        self.coordinators[index] = Some(self.spawn(&words));
    }

    /// Starts the only coordinator and waits until it answers.
    pub async fn start_coordinator(&mut self) {
        self.spawn_coordinator(0);
        self.wait_for_coordinator().await;
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
        let ports = self.ports.clone();
        let leader = until("a leader", || async {
            for (index, port) in ports.iter().enumerate() {
                if Client::connect(&format!("http://127.0.0.1:{port}")).await.is_ok() {
                    return Some(index);
                }
            }
            None
        });
        let leader = leader.await;
        self.coordinators[leader] = None;
        leader
    }

    pub fn start_worker(&mut self) {
        let url = self.url();
        let work_dir = self.path().join(format!("worker-{}", self.workers.len()));
        let work_dir = work_dir.to_str().expect("a path in UTF-8");
        let words = ["worker", "--coordinator", &url, "--work-dir", work_dir, "--memory", "1GiB"];
        let worker = self.spawn(&words);
        self.workers.push(worker);
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
        let url = self.url();
        until("the workers", || async {
            let mut workers = Client::connect(&url).await.ok()?.workers().await.ok()?;
            workers.retain(|worker| worker.state == "active");
            (workers.len() == count).then_some(workers)
        })
        .await
    }
}
