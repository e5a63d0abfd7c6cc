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

/// One coordinator on one journal, and its workers.
pub struct Cluster {
    folder: TempDir,
    port: u16,
    coordinator: Option<Process>,
    workers: Vec<Process>,
}

impl Cluster {
    /// Starts a coordinator and `workers` workers of one slot, and waits for them.
    pub async fn start(workers: usize) -> Cluster {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port();
        let mut cluster = Cluster { folder, port, coordinator: None, workers: Vec::new() };
        cluster.start_coordinator().await;
        for _ in 0..workers {
            cluster.start_worker();
        }
        cluster.wait_for_workers(workers).await;
        cluster
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn spawn(&self, words: &[&str]) -> Process {
        let mut command = Command::new(windrow());
        command.args(words).env("WINDROW_LOG", std::env::var("WINDROW_LOG").unwrap_or_else(|_| "error".to_owned()));
        Process(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("windrow starts"))
    }

    /// Starts the coordinator, on the journal it may have had, and waits until it answers.
    pub async fn start_coordinator(&mut self) {
        let data_dir = self.path().join("journal");
        let listen = format!("127.0.0.1:{}", self.port);
        let data_dir = data_dir.to_str().expect("a path in UTF-8");
        let words = ["coordinator", "--listen", &listen, "--data-dir", data_dir, "--small-job-bytes", "0"];
        self.coordinator = Some(self.spawn(&words));
        let url = self.url();
        until("the coordinator", || async { Client::connect(&url).await.ok()?.workers().await.ok() }).await;
    }

    /// SIGKILL.
    pub fn kill_coordinator(&mut self) {
        self.coordinator = None;
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
