//! A cluster of containers on a network of its own, whose links can be cut, one way or both, and slowed down.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};
use windrow_client::Client;
use windrow_proto::Worker;

use crate::support::cluster_processes::{until, wait_for_workers};
use crate::support::processes::windrow;
use crate::support::tpch;

/// Data of the tests' jobs.
const SCALE: &str = "0.05";
pub const WORKERS: usize = 3;
const ALL: [&str; 8] =
    ["etcd-1", "etcd-2", "etcd-3", "coordinator-1", "coordinator-2", "worker-1", "worker-2", "worker-3"];

/// Fleets that this process has started: each has a network of its own.
static STARTED: AtomicU32 = AtomicU32::new(0);
/// One fleet at a time: two would take this machine's time from each other, and tests count seconds.
static ONE: Mutex<()> = Mutex::const_new(());

/// Gone when dropped, with its network and its image.
pub struct Fleet {
    project: String,
    image: String,
    /// The first three numbers of all addresses.
    net: String,
    /// As `--limit lease=…` takes it.
    lease: &'static str,
    out: TempDir,
    _one: MutexGuard<'static, ()>,
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn run_well(command: &mut Command) -> String {
    let output = run(command);
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(output.status.success(), "{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Whether containers can be used; in CI they must be.
fn can_run() -> bool {
    let works = |command: &str, words: &[&str]| {
        Command::new(command).args(words).output().is_ok_and(|output| output.status.success())
    };
    let missing: Vec<&str> = [
        ("docker", works("docker", &["info"])),
        ("docker-compose", works("docker-compose", &["version"])),
        ("etcd", works("etcd", &["--version"])),
        ("iptables as root", works("iptables", &["--version"]) && rustix::process::geteuid().is_root()),
    ]
    .into_iter()
    .filter_map(|(name, there)| (!there).then_some(name))
    .collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "needed in CI: {}", missing.join(", "));
    eprintln!("SKIPPED: tests with containers need {}", missing.join(", "));
    false
}

/// A file system with our binary, etcd, and the libraries that both need; made anew for a new binary.
fn root() -> PathBuf {
    let made = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("container");
    let root = made.join("root");
    let modified = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    if modified(&root.join("bin/windrow")).is_some_and(|made| Some(made) > modified(&windrow())) {
        return made;
    }
    let etcd = run_well(Command::new("which").arg("etcd"));
    for folder in ["bin", "tmp"] {
        std::fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    for program in [windrow().as_path(), Path::new(&etcd)] {
        let libraries = run_well(Command::new("ldd").arg(program));
        for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
            let to = root.join(library.trim_start_matches('/'));
            std::fs::create_dir_all(to.parent().expect("a library is in a folder")).expect("a folder");
            std::fs::copy(library, to).expect("a library can be copied");
        }
    }
    std::fs::copy(etcd, root.join("bin/etcd")).expect("etcd can be copied");
    let recipe = "FROM scratch\nCOPY root /\nENTRYPOINT [\"/bin/windrow\"]\n";
    std::fs::write(made.join("Dockerfile"), recipe).expect("a file can be written");
    // Without its debug information, it is half as large. Last, and at once: it tells that all the rest is there.
    let stripped = made.join("windrow.stripped");
    run_well(Command::new("strip").arg("-o").arg(&stripped).arg(windrow()));
    std::fs::rename(stripped, root.join("bin/windrow")).expect("a file can be renamed");
    made
}

impl Fleet {
    /// Starts everything and waits for the workers, of which none is lost because this machine is busy. `None` where
    /// there are no containers.
    pub async fn start() -> Option<Fleet> {
        Fleet::start_with_lease("10s").await
    }

    /// The same, and a silent worker is lost after `lease`.
    pub async fn start_with_lease(lease: &'static str) -> Option<Fleet> {
        if !can_run() {
            return None;
        }
        let one = ONE.lock().await;
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let pid = std::process::id();
        let project = format!("windrow-test-{pid}-{number}");
        let fleet = Fleet {
            image: format!("{project}:latest"),
            project,
            net: format!("10.{}.{}", 128 + pid / 200 % 100, pid % 200 + number),
            lease,
            out: tempfile::tempdir().expect("a temporary folder"),
            _one: one,
        };
        tpch::generated(SCALE);
        run_well(Command::new("docker").args(["build", "--quiet", "--tag", &fleet.image]).arg(root()));
        run_well(fleet.compose().args(["up", "--detach"]));
        fleet.wait_for_workers(WORKERS).await;
        Some(fleet)
    }

    fn compose(&self) -> Command {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/container/compose.yml");
        let mut command = Command::new("docker-compose");
        command.args(["--project-name", &self.project, "--file", file]);
        command.env("IMAGE", &self.image).env("NET", &self.net).env("OUT", self.out.path()).env("LEASE", self.lease);
        command.env("DATA", tpch::generated(SCALE));
        command
    }

    /// A folder that all containers and this process see under one name.
    pub fn out(&self) -> &Path {
        self.out.path()
    }

    /// Both coordinators.
    pub fn url(&self) -> String {
        format!("http://{0}.21:7070,http://{0}.22:7070", self.net)
    }

    fn address(&self, service: &str) -> String {
        let (kind, number) = service.rsplit_once('-').expect("kind-number");
        let base = match kind {
            "etcd" => 1,
            "coordinator" => 2,
            _ => 3,
        };
        format!("{}.{base}{number}", self.net)
    }

    fn container(&self, service: &str) -> String {
        format!("{}_{service}_1", self.project)
    }

    fn inspect(&self, service: &str, what: &str) -> String {
        run_well(Command::new("docker").args(["inspect", "--format", what, &self.container(service)]))
    }

    pub fn is_running(&self, service: &str) -> bool {
        self.inspect(service, "{{.State.Running}}") == "true"
    }

    pub fn exit_code(&self, service: &str) -> String {
        self.inspect(service, "{{.State.ExitCode}}")
    }

    pub fn start_again(&self, service: &str) {
        run_well(Command::new("docker").args(["start", &self.container(service)]));
    }

    /// Which coordinator leads.
    pub async fn leader(&self) -> &'static str {
        until("a leader", || async {
            for coordinator in ["coordinator-1", "coordinator-2"] {
                let address = format!("http://{}:7070", self.address(coordinator));
                if let Ok(client) = Client::connect(&address).await
                    && client.workers().await.is_ok()
                {
                    return Some(coordinator);
                }
            }
            None
        })
        .await
    }

    pub async fn wait_for_workers(&self, count: usize) -> Vec<Worker> {
        wait_for_workers(&self.url(), count).await
    }

    /// Runs a command in the network of a container.
    fn inside(&self, service: &str, words: &str) {
        let pid = self.inspect(service, "{{.State.Pid}}");
        run_well(Command::new("nsenter").args(["--target", &pid, "--net"]).args(words.split_whitespace()));
    }

    /// `to` hears nothing from `from` any more; what it says still arrives there.
    pub fn deafen(&self, to: &str, from: &str) {
        self.inside(to, &format!("iptables -A INPUT -s {} -j DROP", self.address(from)));
    }

    /// Nothing passes between the two.
    pub fn cut(&self, one: &str, others: &[&str]) {
        for other in others {
            self.deafen(one, other);
            self.deafen(other, one);
        }
    }

    /// Takes all cuts back.
    pub fn heal(&self) {
        for service in ALL.into_iter().filter(|service| self.is_running(service)) {
            self.inside(service, "iptables -F INPUT");
        }
    }

    /// What the container sends passes at `kbit` kilobits a second; some of what it is sent is lost.
    pub fn slow_down(&self, service: &str, kbit: u32) {
        self.inside(service, &format!("tc qdisc add dev eth0 root tbf rate {kbit}kbit burst 32kb latency 400ms"));
        self.inside(service, "iptables -A INPUT -m statistic --mode random --probability 0.01 -j DROP");
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for service in ALL.into_iter().filter(|service| !service.starts_with("etcd")) {
                let output = run(Command::new("docker").args(["logs", "--tail", "40", &self.container(service)]));
                eprintln!("--- {service}\n{}", String::from_utf8_lossy(&output.stderr));
            }
        }
        // What is left over is named after this process, and goes with `docker rm`.
        let _ = self.compose().args(["down", "--volumes", "--timeout", "0"]).output();
        let _ = Command::new("docker").args(["rmi", "--force", &self.image]).output();
    }
}
