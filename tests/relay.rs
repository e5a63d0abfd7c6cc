//! A client that reaches the coordinator and no worker: it sits in a network of its own, as behind a firewall.

#[path = "support/mod.rs"]
mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::processes::windrow;
use support::tpch;

const START_DEADLINE: Duration = Duration::from_secs(60);
const ROWS: &str = "SELECT l_orderkey, l_linenumber, l_extendedprice, l_comment FROM lineitem";

/// A network namespace that is joined to this machine's by one cable. Gone when dropped.
struct Network {
    namespace: String,
    /// This machine's end of the cable.
    host: Ipv4Addr,
}

/// A process that is killed when dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ip(words: &str) -> Output {
    Command::new("ip").args(words.split_whitespace()).output().expect("ip runs")
}

impl Network {
    /// `None` where namespaces cannot be made; in CI that is a failure.
    fn new() -> Option<Network> {
        let id = std::process::id();
        let namespace = format!("windrow-{id}");
        let made = Command::new("ip").args(["netns", "add", &namespace]).output();
        if !made.as_ref().is_ok_and(|output| output.status.success()) {
            assert!(std::env::var_os("CI").is_none(), "network namespaces are needed in CI: {made:?}");
            eprintln!("SKIPPED: `ip netns add` needs root and iproute2");
            return None;
        }
        let (third, cable) = (id % 250, format!("wr{}", id % 100_000));
        let network = Network { namespace, host: Ipv4Addr::new(10, 213, third as u8, 1) };
        let namespace = &network.namespace;
        for words in [
            format!("link add {cable}a type veth peer name {cable}b netns {namespace}"),
            format!("addr add 10.213.{third}.1/30 dev {cable}a"),
            format!("link set {cable}a up"),
            format!("-n {namespace} addr add 10.213.{third}.2/30 dev {cable}b"),
            format!("-n {namespace} link set {cable}b up"),
            format!("-n {namespace} link set lo up"),
        ] {
            let output = ip(&words);
            assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Some(network)
    }

    /// Runs the client in the namespace.
    fn windrow(&self, words: &[&str]) -> Output {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]).arg(windrow()).args(words);
        command.stdin(Stdio::null()).output().expect("the client runs")
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The cable goes with its end in the namespace.
        ip(&format!("netns delete {}", self.namespace));
    }
}

fn start(words: &[&str]) -> Killed {
    let child = Command::new(windrow()).args(words).env("WINDROW_LOG", "warn").stdin(Stdio::null()).spawn();
    Killed(child.expect("windrow starts"))
}

fn sorted_lines(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn a_client_that_reaches_no_worker_reads_through_the_coordinator() {
    let Some(network) = Network::new() else { return };
    let data = tpch::generated("0.05");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let job = folder.path().join("job.sql");
    std::fs::write(&job, format!("{}{ROWS}", tpch::definitions(&data))).expect("the job can be written");
    let job = job.to_str().expect("a path in UTF-8");

    let port = TcpListener::bind((network.host, 0)).expect("a free port").local_addr().expect("an address").port();
    let address = format!("{}:{port}", network.host);
    let url = format!("http://{address}");
    let data_dir = folder.path().join("coordinator");
    let data_dir = data_dir.to_str().expect("a path in UTF-8");
    let _coordinator = start(&["coordinator", "--listen", &address, "--insecure", "--data-dir", data_dir]);
    // It serves its outputs on loopback, which is another place in the client's namespace.
    let _worker = start(&["worker", "--coordinator", &url]);
    let deadline = Instant::now() + START_DEADLINE;
    while !String::from_utf8_lossy(&network.windrow(&["workers", "--coordinator", &url]).stdout).contains("active") {
        assert!(Instant::now() < deadline, "no worker has joined");
    }

    let submit = ["submit", job, "--wait", "--output", "csv", "--coordinator", &url];
    let relayed = sorted_lines(&network.windrow(&submit));
    let direct = sorted_lines(&Command::new(windrow()).args(submit).output().expect("the client runs"));
    assert!(relayed.len() > 100_000, "{} lines", relayed.len());
    assert!(relayed == direct, "the relayed rows differ from those that were read from the worker");
}
