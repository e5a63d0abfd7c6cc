//! A worker from start to end: its folder, its threads, its Flight service, and session after session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::FusedFuture;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use windrow_engine::shuffle::Segments;
use windrow_engine::stores::Stores;
use windrow_engine::task::{TaskEnvironment, TaskResources};
use windrow_engine::user_code::UserCodeHost;
use windrow_model::{ErrorKind, ErrorReport};
use windrow_proto::{PastSession, Register};

use crate::connection::{Attached, Ended, attach};
use crate::executor::{CpuThreads, Executor};
use crate::fetch::{Moved, PeerLimits, Peers, WorkerSource};
use crate::fragments::Fragments;
use crate::listen::listen;
use crate::options::WorkerOptions;
use crate::process::host_name;
use crate::processes::Processes;
use crate::session::Session;
use crate::store::ShuffleStore;
use crate::work_dir::WorkDir;
use crate::{flight, idle, process};

/// First wait before another try to connect; doubled up to the last.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(2);

/// Runs a worker until it has left: when `shutdown` ends (it finishes what runs first), or when the coordinator tells
/// it to.
///
/// Errors: the coordinator cannot be reached within the patience (`Unavailable`), it refuses this worker, the address
/// cannot be listened on, the work folder cannot be used.
pub async fn run(options: WorkerOptions, shutdown: impl Future<Output = ()> + Send) -> Result<(), ErrorReport> {
    let worker = Worker::start(&options).await?;
    let shutdown = shutdown.fuse();
    tokio::pin!(shutdown);
    let ended = worker.serve(&options, &mut shutdown).await;
    worker.stop().await;
    ended
}

/// What lives as long as the process, across sessions.
struct Worker {
    register: Register,
    executor: Arc<Executor>,
    fragments: Arc<Mutex<Fragments>>,
    store: Arc<ShuffleStore>,
    peers: Arc<Peers>,
    moved: Arc<Moved>,
    flight_stop: CancellationToken,
    flight: AbortOnDropHandle<()>,
    _idle: Option<AbortOnDropHandle<()>>,
    /// Dropped last: it removes the files of everything above.
    _work_dir: WorkDir,
}

impl Worker {
    async fn start(options: &WorkerOptions) -> Result<Worker, ErrorReport> {
        process::allow_many_files();
        let work_dir = WorkDir::open(options.work_dir.as_deref())?;
        let resources = TaskResources {
            memory_bytes: options.memory_bytes,
            slots: options.slots,
            shuffle_dir: work_dir.shuffle(),
            spill_dir: work_dir.spill(),
            compression: options.compression,
            segments: options.local_reads.then(Segments::for_this_process),
            user_code: Some(UserCodeHost(Arc::new(Processes::new(work_dir.processes())))),
        };
        let env = Arc::new(TaskEnvironment::new(&resources, Stores::from_env())?);
        let store = ShuffleStore::new(work_dir.shuffle(), env.shuffle_memory());
        let listener = listen(options.listen, options.insecure).await?;
        let bound = listener
            .local_addr()
            .map_err(|error| ErrorReport::internal("no local address").with_detail(error.to_string()))?;
        let flight_stop = CancellationToken::new();
        let serving = serve_flight(Arc::clone(&store), listener, flight_stop.clone());
        let threads = Arc::new(CpuThreads::new(options.slots)?);
        let peers = Peers::new(PeerLimits::for_memory(options.memory_bytes));
        let peers = if options.local_reads { peers } else { peers.through_the_network() };
        let executor = Arc::new(Executor::new(threads, env, Arc::clone(&store)));
        let idle = |give_back| AbortOnDropHandle::new(tokio::spawn(idle::watch(Arc::clone(&executor), give_back)));
        Ok(Worker {
            _idle: options.give_back_memory.map(idle),
            register: register(options, bound, &work_dir),
            executor,
            fragments: Arc::default(),
            store,
            peers: Arc::new(peers),
            moved: Arc::default(),
            flight_stop,
            flight: AbortOnDropHandle::new(tokio::spawn(serving)),
            _work_dir: work_dir,
        })
    }

    async fn serve(
        &self,
        options: &WorkerOptions,
        shutdown: &mut (impl FusedFuture<Output = ()> + Unpin),
    ) -> Result<(), ErrorReport> {
        let mut patience = options.connect_patience;
        let mut past = None;
        loop {
            let Some(attached) = self.attach(&options.coordinator, past, patience, shutdown).await? else {
                return Ok(());
            };
            let (worker, resumed) = (attached.worker, attached.resumed);
            tracing::info!(%worker, resumed, coordinator = %options.coordinator, address = %self.register.address, "attached");
            if !resumed {
                // A coordinator that lost this worker, or never knew it, counts on nothing that it has.
                self.executor.reset();
                *self.fragments.lock() = Fragments::default();
                self.peers.clear();
            }
            attached.report_again(self.executor.doubtful()).await;
            past = Some(PastSession { worker: worker.0, epoch: attached.epoch });
            match self.session(attached, shutdown).await {
                Ended::Left => return Ok(()),
                Ended::Broken(report) => {
                    tracing::warn!(coordinator = %options.coordinator, %report, "the stream to the coordinator broke");
                }
            }
            if shutdown.is_terminated() {
                return Ok(());
            }
            patience = options.reconnect_patience;
        }
    }

    /// Tries until the coordinator accepts this worker; `None` if the worker is to end before.
    async fn attach(
        &self,
        coordinator: &str,
        past: Option<PastSession>,
        patience: Duration,
        shutdown: &mut (impl FusedFuture<Output = ()> + Unpin),
    ) -> Result<Option<Attached>, ErrorReport> {
        let give_up = Instant::now() + patience;
        let mut wait = RETRY_FIRST;
        // Of coordinators that stand by for each other only the one that leads answers.
        for coordinator in coordinator.split(',').map(str::trim).cycle() {
            let register = Register { past, ..self.register.clone() };
            let attached = tokio::select! {
                attached = attach(coordinator, register, &self.executor) => attached,
                () = &mut *shutdown => return Ok(None),
            };
            match attached {
                Ok(attached) => return Ok(Some(attached)),
                Err(report) if report.kind != ErrorKind::Unavailable || Instant::now() + wait > give_up => {
                    return Err(report);
                }
                Err(report) => tracing::debug!(%report, "trying again"),
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = &mut *shutdown => return Ok(None),
            }
            wait = (wait * 2).min(RETRY_LAST);
        }
        Ok(None)
    }

    async fn session(&self, attached: Attached, shutdown: &mut (impl FusedFuture<Output = ()> + Unpin)) -> Ended {
        let (store, peers, moved) = (Arc::clone(&self.store), Arc::clone(&self.peers), Arc::clone(&self.moved));
        let source = WorkerSource::new(attached.worker, store, peers, moved, Handle::current());
        let session = Session::new(Arc::clone(&self.executor), Arc::clone(&self.fragments), source);
        attached.serve(&session, shutdown).await
    }

    async fn stop(self) {
        self.flight_stop.cancel();
        // Readers that are in the middle of an output lose it with this worker anyway.
        drop(self.flight);
        tracing::info!(rss_peak_bytes = process::resident().peak_bytes, "left");
    }
}

async fn serve_flight(store: Arc<ShuffleStore>, listener: tokio::net::TcpListener, stop: CancellationToken) {
    if let Err(error) = flight::serve(store, listener, stop.cancelled_owned()).await {
        tracing::error!(%error, "the shuffle service ended");
    }
}

fn register(options: &WorkerOptions, bound: SocketAddr, work_dir: &WorkDir) -> Register {
    let host = host_name();
    let reachable = || match bound.ip().is_unspecified() {
        true => format!("http://{host}:{}", bound.port()),
        false => format!("http://{bound}"),
    };
    Register {
        build: options.build.clone(),
        address: options.advertise.clone().unwrap_or_else(reachable),
        slots: options.slots,
        memory_bytes: options.memory_bytes,
        process_id: std::process::id(),
        name: options.name.clone().unwrap_or_else(|| format!("{host}:{}", work_dir.parent().display())),
        host,
        past: None,
        inventory_messages: 0,
    }
}
