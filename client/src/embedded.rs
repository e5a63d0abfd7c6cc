//! A whole cluster inside this process: the real coordinator, the real workers, on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use windrow_coordinator::{Coordinator, CoordinatorOptions, Handle};
use windrow_engine::job::EngineOptions;
use windrow_model::{ErrorKind, ErrorReport, Limits, WorkerState};
use windrow_worker::{ShuffleCompression, WorkerOptions};

use crate::{BUILD, Client};

/// Workers of one process register within milliseconds; this is for a machine that swaps.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long a worker may take to leave before the process goes on without it.
const LEAVE_PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at the list of workers while the cluster starts.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Shape and choices of an embedded cluster.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    pub workers: u32,
    pub slots: u32,
    /// Memory of each worker, in bytes.
    pub memory_bytes: u64,
    pub engine: EngineOptions,
    pub limits: Limits,
}

impl EmbeddedOptions {
    pub fn new(workers: u32, slots: u32, memory_bytes: u64) -> Self {
        let (engine, limits) = (EngineOptions::default(), Limits::default());
        EmbeddedOptions { workers, slots, memory_bytes, engine, limits }
    }
}

/// A running cluster. Dropping it stops its workers at once; [`EmbeddedCluster::shutdown`] lets them leave.
#[derive(Debug)]
pub struct EmbeddedCluster {
    coordinator: Handle,
    workers: JoinSet<Result<(), ErrorReport>>,
    leave: CancellationToken,
    client: Client,
}

impl EmbeddedCluster {
    /// Starts everything and returns once all workers accept tasks.
    ///
    /// # Errors
    /// `Invalid` for an impossible shape, otherwise what the coordinator or a worker says.
    pub async fn start(options: EmbeddedOptions) -> Result<EmbeddedCluster, ErrorReport> {
        if options.workers == 0 || options.slots == 0 {
            return Err(ErrorReport::invalid("a cluster needs at least one worker with one slot"));
        }
        let coordinator = Coordinator::start(CoordinatorOptions {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            insecure: false,
            store: None,
            history: None,
            shuffle_store: None,
            limits: options.limits,
            engine: options.engine,
            build: BUILD.to_owned(),
        })
        .await?;
        let (mut workers, leave) = (JoinSet::new(), CancellationToken::new());
        for _ in 0..options.workers {
            let mut worker = WorkerOptions::new(coordinator.url(), options.slots, options.memory_bytes, BUILD);
            worker.compression = ShuffleCompression::Auto;
            workers.spawn(windrow_worker::run(worker, leave.clone().cancelled_owned()));
        }
        let client = Client::connect(&coordinator.url()).await?;
        let mut cluster = EmbeddedCluster { coordinator, workers, leave, client };
        cluster.wait_for_workers(options.workers as usize).await?;
        Ok(cluster)
    }

    async fn wait_for_workers(&mut self, wanted: usize) -> Result<(), ErrorReport> {
        tokio::select! {
            ready = wait_for_workers(&self.client, wanted, START_PATIENCE) => ready.map(|_| ()),
            Some(ended) = self.workers.join_next() => Err(match ended {
                Ok(Err(report)) => report,
                Ok(Ok(())) => ErrorReport::internal("a worker left before it had begun"),
                Err(error) => ErrorReport::internal("a worker ended").with_detail(error.to_string()),
            }),
        }
    }

    /// The same connection that a client on another machine would have.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn url(&self) -> String {
        self.coordinator.url()
    }

    /// Stops everything in order: attempts that run are finished, files are removed.
    pub async fn shutdown(mut self) {
        // Workers that hold results would drain for as long as a result is kept; with the coordinator they just leave.
        self.leave.cancel();
        drop(self.client);
        self.coordinator.shutdown().await;
        let left = async { while self.workers.join_next().await.is_some() {} };
        if timeout(LEAVE_PATIENCE, left).await.is_err() {
            tracing::warn!("a worker did not leave in time");
        }
    }
}

/// Waits until `wanted` workers accept tasks and returns them.
///
/// # Errors
/// `Unavailable` after `patience`, saying how many there are.
pub async fn wait_for_workers(
    client: &Client,
    wanted: usize,
    patience: Duration,
) -> Result<Vec<windrow_proto::Worker>, ErrorReport> {
    let deadline = Instant::now() + patience;
    loop {
        let mut workers = client.workers().await?;
        workers.retain(|worker| worker.state == WorkerState::Active.name());
        if workers.len() >= wanted {
            return Ok(workers);
        }
        if Instant::now() >= deadline {
            let what = format!("{} of {wanted} workers have registered after {patience:?}", workers.len());
            return Err(ErrorReport::new(ErrorKind::Unavailable, what).with_hint("look at the workers' logs"));
        }
        sleep(LOOK_INTERVAL).await;
    }
}
