//! The real binary as real processes.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The binary that cargo built for this test program: `windrow`, or one that has jobs of its own in it.
pub fn windrow() -> PathBuf {
    let built = option_env!("CARGO_BIN_EXE_windrow").or(option_env!("CARGO_BIN_EXE_rust-job"));
    PathBuf::from(built.expect("cargo builds the binary of a test's package"))
}

/// `windrow up`: a coordinator and workers as processes. They die with it.
pub struct Up {
    child: Child,
    address: String,
    workers: Vec<u32>,
}

impl Up {
    /// Starts it on a free port and waits until all workers are there.
    pub async fn start(flags: &[&str]) -> Up {
        let mut child = Command::new(windrow())
            .args(["up", "--listen", "127.0.0.1:0", "--output", "json"])
            .args(flags)
            .env("WINDROW_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("windrow up starts");
        let stdout = child.stdout.take().expect("piped above");
        let mut lines = BufReader::new(stdout).lines();
        let line = lines.next_line().await.expect("windrow up prints").expect("windrow up prints a ready line");
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        // Keeps the pipe open, so that later lines do not end the process.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let workers = ready["workers"].as_array().expect("workers").iter();
        let workers = workers.map(|worker| worker["pid"].as_u64().expect("pid") as u32).collect();
        Up { child, address: ready["coordinator"].as_str().expect("the coordinator's URL").to_owned(), workers }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Process ids of the workers.
    pub fn workers(&self) -> &[u32] {
        &self.workers
    }

    /// SIGKILL.
    pub fn kill_worker(&self, index: usize) {
        signal(self.workers[index], rustix::process::Signal::KILL);
    }

    /// SIGTERM, then waits for the end.
    pub async fn stop(mut self) {
        if let Some(pid) = self.child.id() {
            signal(pid, rustix::process::Signal::TERM);
        }
        let status = self.child.wait().await.expect("windrow up ends");
        assert!(status.success(), "windrow up ended with {status}");
    }
}

pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid as i32).expect("a process id is not zero");
    rustix::process::kill_process(pid, signal).expect("the process is there");
}
