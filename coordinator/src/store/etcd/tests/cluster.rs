//! Real etcd processes on loopback ports, started, stopped and killed by tests.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use etcd_client::Client;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for a cluster to elect its leader, on a busy machine.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// An etcd cluster of its own, gone with this value.
pub(super) struct Cluster {
    members: Vec<Member>,
    _dir: TempDir,
}

struct Member {
    command: Vec<String>,
    log: PathBuf,
    process: Child,
    endpoint: String,
}

/// How clients speak to the cluster.
pub(super) enum Transport<'a> {
    Plain,
    /// With this certificate and key, and only to clients that have the same.
    Tls {
        cert: &'a Path,
        key: &'a Path,
    },
}

/// The etcd to test with. Without one, tests are skipped, except where they must not be.
fn binary() -> Option<PathBuf> {
    let given = std::env::var_os("WINDROW_TEST_ETCD").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = given.or_else(|| std::env::split_paths(&path).map(|dir| dir.join("etcd")).find(|file| file.exists()));
    if found.is_none() {
        let must = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!must, "etcd is missing: install etcd-server, or name a binary in WINDROW_TEST_ETCD");
        eprintln!("\n*** SKIPPED: no etcd; install etcd-server, or name a binary in WINDROW_TEST_ETCD ***\n");
    }
    found
}

/// Ports that were free a moment ago.
fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a free port")).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("an address").port()).collect()
}

impl Cluster {
    /// `None` if there is no etcd to test with.
    pub(super) async fn start(members: usize) -> Option<Cluster> {
        Cluster::start_with(members, Transport::Plain).await
    }

    /// With TLS, does not wait until the cluster is ready.
    pub(super) async fn start_with(count: usize, transport: Transport<'_>) -> Option<Cluster> {
        let binary = binary()?;
        // In memory where that can be: a disk that stands still is no fault that is tested here.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let dir = dir.expect("a folder");
        let ports = free_ports(2 * count);
        let (clients, peers) = ports.split_at(count);
        let all: Vec<String> =
            peers.iter().enumerate().map(|(n, port)| format!("m{n}=http://127.0.0.1:{port}")).collect();
        let members = (0..count).map(|n| {
            let scheme = if matches!(transport, Transport::Tls { .. }) { "https" } else { "http" };
            let client = format!("{scheme}://127.0.0.1:{}", clients[n]);
            let peer = format!("http://127.0.0.1:{}", peers[n]);
            let data = dir.path().join(format!("m{n}"));
            let mut command = vec![
                binary.display().to_string(),
                format!("--name=m{n}"),
                format!("--data-dir={}", data.display()),
                format!("--listen-client-urls={client}"),
                format!("--advertise-client-urls={client}"),
                format!("--listen-peer-urls={peer}"),
                format!("--initial-advertise-peer-urls={peer}"),
                format!("--initial-cluster={}", all.join(",")),
                "--heartbeat-interval=50".into(),
                "--election-timeout=500".into(),
                "--logger=zap".into(),
                "--log-level=error".into(),
            ];
            if let Transport::Tls { cert, key } = transport {
                command.push(format!("--cert-file={}", cert.display()));
                command.push(format!("--key-file={}", key.display()));
                command.push(format!("--trusted-ca-file={}", cert.display()));
                command.push("--client-cert-auth".into());
            }
            Member::start(command, dir.path().join(format!("m{n}.log")), format!("127.0.0.1:{}", clients[n]))
        });
        let cluster = Cluster { members: members.collect(), _dir: dir };
        if let Transport::Plain = transport {
            cluster.wait_until_ready().await;
        }
        Some(cluster)
    }

    /// `host:port` of all members.
    pub(super) fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(|member| member.endpoint.clone()).collect()
    }

    pub(super) async fn client(&self) -> Client {
        Client::connect(self.endpoints(), None).await.expect("a client")
    }

    /// Transactions that the first member has answered since it started, whatever the answer.
    pub(super) async fn transactions_answered(&self) -> u64 {
        let mut stream = TcpStream::connect(&self.members[0].endpoint).await.expect("a connection");
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.expect("asked");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("answered");
        let counts =
            text.lines().filter(|line| line.starts_with("grpc_server_handled_total") && line.contains("\"Txn\""));
        counts.map(|line| line.rsplit(' ').next().expect("a value").parse::<f64>().expect("a number") as u64).sum()
    }

    async fn wait_until_ready(&self) {
        let ready = async |member: &Member| {
            let client = Client::connect([&member.endpoint], None).await;
            let mut client = client.expect("a client that has not connected yet");
            matches!(tokio::time::timeout(Duration::from_secs(1), client.get("ready", None)).await, Ok(Ok(_)))
        };
        let deadline = Instant::now() + START_DEADLINE;
        for member in &self.members {
            while !ready(member).await {
                assert!(Instant::now() < deadline, "etcd did not start: {}", member.log_text());
                tokio::task::yield_now().await;
            }
        }
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self, member: usize) {
        self.members[member].process.kill().expect("killed");
        self.members[member].process.wait().expect("ended");
    }

    /// Starts a killed member again with what it has on disk.
    pub(super) fn restart(&mut self, member: usize) {
        let Member { command, log, endpoint, .. } = &self.members[member];
        self.members[member] = Member::start(command.clone(), log.clone(), endpoint.clone());
    }

    pub(super) fn stop(&self, member: usize) {
        signal(&self.members[member].process, Signal::STOP);
    }

    pub(super) fn resume(&self, member: usize) {
        signal(&self.members[member].process, Signal::CONT);
    }
}

pub(super) fn signal(process: &Child, signal: Signal) {
    let pid = Pid::from_raw(process.id() as i32).expect("a process has an id");
    kill_process(pid, signal).expect("the process is there");
}

impl Member {
    fn start(command: Vec<String>, log: PathBuf, endpoint: String) -> Member {
        let file = std::fs::File::create(&log).expect("a log file");
        let process = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("etcd starts");
        Member { command, log, process, endpoint }
    }

    fn log_text(&self) -> String {
        std::fs::read_to_string(Path::new(&self.log)).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for member in &mut self.members {
            // A stopped process dies of SIGKILL too. It may be dead already.
            let _ = member.process.kill();
            let _ = member.process.wait();
        }
    }
}
