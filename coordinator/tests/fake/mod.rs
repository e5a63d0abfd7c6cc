//! A coordinator in this process, a client of it, and workers that speak the protocol and run nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use windrow_coordinator::{Coordinator, CoordinatorOptions, Handle};
use windrow_model::Limits;
use windrow_proto as wire;
use windrow_proto::jobs_client::JobsClient;
use windrow_proto::workers_client::WorkersClient;
use windrow_proto::{from_worker, to_worker};

pub const BUILD: &str = "test-build";
/// No wait of a test is longer; the slowest machine must not reach it.
const DEADLINE: Duration = Duration::from_secs(60);

/// Fails the test instead of hanging it.
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

pub async fn coordinator() -> Handle {
    Coordinator::start(options("127.0.0.1:0".parse().expect("an address"))).await.expect("a coordinator")
}

pub fn options(listen: SocketAddr) -> CoordinatorOptions {
    CoordinatorOptions {
        listen,
        insecure: false,
        store: None,
        history: None,
        shuffle_store: None,
        limits: Limits::default(),
        engine: Default::default(),
        build: BUILD.to_owned(),
    }
}

pub async fn client(handle: &Handle) -> JobsClient<Channel> {
    JobsClient::connect(handle.url()).await.expect("a connection")
}

pub fn select(script: &str, token: Option<&str>) -> wire::SubmitRequest {
    let program = wire::SqlProgram { script: script.to_owned(), base: "file:///".to_owned(), ..Default::default() };
    let spec = wire::JobSpec {
        name: "test".to_owned(),
        application: "default".to_owned(),
        queue: "default".to_owned(),
        priority: 50,
        submitted_by: "tester".to_owned(),
        client_token: token.map(str::to_owned),
        program: Some(wire::job_spec::Program::Sql(program)),
        ..Default::default()
    };
    wire::SubmitRequest { spec: Some(spec) }
}

/// One attached worker. Dropping it breaks its stream.
pub struct FakeWorker {
    pub id: u64,
    to_coordinator: mpsc::Sender<wire::FromWorker>,
    commands: Streaming<wire::ToWorker>,
    /// Whole blobs by hash; the value tells whether the last piece has come.
    pub blobs: BTreeMap<Vec<u8>, (Vec<u8>, bool)>,
}

impl FakeWorker {
    pub async fn attach(handle: &Handle, build: &str) -> Result<FakeWorker, Status> {
        let (to_coordinator, outgoing) = mpsc::channel(16);
        let register = wire::Register {
            build: build.to_owned(),
            host: "here".to_owned(),
            address: "http://127.0.0.1:1".to_owned(),
            slots: 1,
            memory_bytes: 1 << 30,
            process_id: 1,
            name: "fake".to_owned(),
            ..Default::default()
        };
        let first = wire::FromWorker { kind: Some(from_worker::Kind::Register(register)) };
        to_coordinator.send(first).await.expect("room for one message");
        let mut workers = WorkersClient::connect(handle.url()).await.expect("a connection");
        let mut commands = workers.attach(ReceiverStream::new(outgoing)).await?.into_inner();
        let welcome = soon("the welcome", commands.message()).await?.expect("a first message").kind;
        let Some(to_worker::Kind::Welcome(welcome)) = welcome else { panic!("not welcomed: {welcome:?}") };
        Ok(FakeWorker { id: welcome.worker, to_coordinator, commands, blobs: BTreeMap::new() })
    }

    async fn say(&self, kind: from_worker::Kind) {
        let message = wire::FromWorker { kind: Some(kind) };
        self.to_coordinator.send(message).await.expect("the stream is open");
    }

    /// The next message that is not a blob; blobs are kept.
    pub async fn command(&mut self) -> Option<to_worker::Kind> {
        loop {
            match soon("a command", self.commands.message()).await.expect("an open stream")?.kind {
                Some(to_worker::Kind::Blob(blob)) => self.keep(blob),
                other => return other,
            }
        }
    }

    fn keep(&mut self, blob: wire::Blob) {
        let (bytes, whole) = self.blobs.entry(blob.hash.to_vec()).or_default();
        assert!(!*whole, "a blob was sent twice");
        bytes.extend_from_slice(&blob.piece);
        *whole = blob.last;
    }

    /// Waits for a task, says that it has started, and checks that its fragment is here.
    pub async fn start_task(&mut self) -> wire::RunTask {
        let run = loop {
            match self.command().await {
                Some(to_worker::Kind::Run(run)) => break run,
                Some(_) => continue,
                None => panic!("the coordinator ended the stream"),
            }
        };
        assert!(self.blobs.get(&run.fragment.to_vec()).is_some_and(|(_, whole)| *whole), "the fragment came first");
        self.say(from_worker::Kind::Started(run.attempt.expect("an attempt"))).await;
        run
    }

    /// Ends a task with rows that travel inline.
    pub async fn finish(&self, run: &wire::RunTask, inline: &[u8]) {
        let output = wire::TaskOutput {
            rows: 1,
            bytes: inline.len() as u64,
            partition_bytes: vec![inline.len() as u64],
            inline: Some(inline.to_vec().into()),
            ..Default::default()
        };
        let operator = wire::OperatorMetrics { name: "Values".to_owned(), rows: 1, ..Default::default() };
        let finished = wire::AttemptFinished {
            attempt: run.attempt,
            output: Some(output),
            operators: vec![operator],
            cpu_us: 5,
            rss_peak_bytes: 77,
        };
        self.say(from_worker::Kind::Finished(finished)).await;
    }

    pub async fn fail(&self, run: &wire::RunTask, kind: wire::failure::Kind) {
        let failure = Some(wire::Failure { kind: Some(kind) });
        self.say(from_worker::Kind::Failed(wire::AttemptFailed { attempt: run.attempt, failure })).await;
    }

    pub async fn leave(&self) {
        self.say(from_worker::Kind::Leaving(wire::Leaving {})).await;
    }
}

/// Follows a job to its final state; returns every state it was seen in and the last snapshot.
pub async fn follow(client: &mut JobsClient<Channel>, job: u64) -> (Vec<String>, wire::Job) {
    let mut snapshots = client.watch(wire::JobRequest { job }).await.expect("a watch").into_inner();
    let mut states: Vec<String> = Vec::new();
    let mut last = wire::Job::default();
    while let Some(snapshot) = soon("a snapshot", snapshots.message()).await.expect("an open stream") {
        if states.last() != Some(&snapshot.state) {
            states.push(snapshot.state.clone());
        }
        last = snapshot;
    }
    (states, last)
}
