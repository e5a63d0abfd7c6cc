//! Workers that finish every task at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use windrow_proto as wire;
use windrow_proto::workers_client::WorkersClient;
use windrow_proto::{from_worker, to_worker};

/// Build of both sides.
pub const BUILD: &str = "bench";
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Longer without a task, and something is stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// All workers, running.
pub struct Fleet {
    workers: JoinSet<anyhow::Result<()>>,
    /// Microseconds from a freed slot to its next task; `None` for a slot's first.
    tasks: mpsc::UnboundedReceiver<Option<u32>>,
}

struct Worker {
    reports: mpsc::Sender<wire::FromWorker>,
    commands: Streaming<wire::ToWorker>,
    /// When slots became free, oldest first.
    freed: VecDeque<Instant>,
    tasks: mpsc::UnboundedSender<Option<u32>>,
}

/// Registers all workers.
pub async fn attach(url: &str, workers: u32, slots: u32) -> anyhow::Result<Fleet> {
    let (done, tasks) = mpsc::unbounded_channel();
    let mut fleet = Fleet { workers: JoinSet::new(), tasks };
    for number in 0..workers {
        let worker = Worker::attach(url, number, slots, done.clone()).await?;
        fleet.workers.spawn(worker.serve());
    }
    Ok(fleet)
}

impl Fleet {
    /// Waits until so many tasks were finished; all latencies in microseconds, ascending.
    pub async fn finish(mut self, tasks: u32) -> anyhow::Result<Vec<u32>> {
        let mut latencies = Vec::with_capacity(tasks as usize);
        for done in 0..tasks {
            let latency = tokio::select! {
                latency = tokio::time::timeout(PATIENCE, self.tasks.recv()) => latency,
                Some(ended) = self.workers.join_next() => {
                    ended??;
                    bail!("a worker ended after {done} of {tasks} tasks");
                }
            };
            let latency = latency.with_context(|| format!("no task for {PATIENCE:?} after {done} of {tasks}"))?;
            latencies.extend(latency.flatten());
        }
        latencies.sort_unstable();
        // They stay attached, and end with this process.
        self.workers.detach_all();
        Ok(latencies)
    }
}

impl Worker {
    async fn attach(
        url: &str,
        number: u32,
        slots: u32,
        tasks: mpsc::UnboundedSender<Option<u32>>,
    ) -> anyhow::Result<Worker> {
        let (reports, outgoing) = mpsc::channel(1024);
        let register = wire::Register {
            build: BUILD.to_owned(),
            host: format!("bench-{number}"),
            address: "http://127.0.0.1:1".to_owned(),
            slots,
            memory_bytes: u64::from(slots) << 30,
            process_id: std::process::id(),
            name: format!("bench-{number}"),
            ..Default::default()
        };
        reports.send(wire::FromWorker { kind: Some(from_worker::Kind::Register(register)) }).await?;
        let mut client = WorkersClient::connect(url.to_owned()).await?;
        let mut commands = client.attach(ReceiverStream::new(outgoing)).await?.into_inner();
        match commands.message().await?.and_then(|message| message.kind) {
            Some(to_worker::Kind::Welcome(_)) => {}
            other => bail!("the coordinator did not welcome a worker: {other:?}"),
        }
        Ok(Worker { reports, commands, freed: VecDeque::new(), tasks })
    }

    async fn serve(mut self) -> anyhow::Result<()> {
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        loop {
            tokio::select! {
                command = self.commands.message() => match command?.and_then(|command| command.kind) {
                    Some(to_worker::Kind::Run(run)) => self.run(run).await?,
                    Some(_) => {}
                    None => bail!("the coordinator closed a worker's stream"),
                },
                _ = heartbeat.tick() => {
                    self.say(from_worker::Kind::Heartbeat(wire::Heartbeat::default())).await?;
                }
            }
        }
    }

    async fn run(&mut self, run: wire::RunTask) -> anyhow::Result<()> {
        let waited = self.freed.pop_front().map(|freed| freed.elapsed().as_micros() as u32);
        let attempt = run.attempt.context("a task without an attempt")?;
        self.say(from_worker::Kind::Started(attempt)).await?;
        let output =
            wire::TaskOutput { partition_bytes: vec![0; run.output_partitions as usize], ..Default::default() };
        let finished = wire::AttemptFinished { attempt: Some(attempt), output: Some(output), ..Default::default() };
        // Before the report is queued: a full queue is part of what is measured.
        self.freed.push_back(Instant::now());
        self.say(from_worker::Kind::Finished(finished)).await?;
        // Nobody listens any more once all tasks are done.
        let _ = self.tasks.send(waited);
        Ok(())
    }

    async fn say(&self, kind: from_worker::Kind) -> anyhow::Result<()> {
        self.reports.send(wire::FromWorker { kind: Some(kind) }).await.context("a worker's stream has ended")
    }
}
