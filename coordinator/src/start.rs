//! Options in, a running coordinator out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use windrow_engine::job::{EngineOptions, PlanEnvironment};
use windrow_engine::shuffle::ShuffleObjects;
use windrow_engine::stores::Stores;
use windrow_model::{ErrorReport, Limits, WorkerId};

use crate::call::{Call, ToDriver};
use crate::clock::wall_clock;
use crate::committing::Committer;
use crate::driver::{Driver, Waiting};
use crate::history::{History, HistoryOptions, reconcile};
use crate::jobs::JobsService;
use crate::listen::{self, Gate};
use crate::planning::Planner;
use crate::recovery::recover;
use crate::relay::Relay;
use crate::shuffle_store;
use crate::store::{self, Journal, Store, StoreError, StoreOptions};
use crate::workers::WorkersService;

/// A shutdown waits so long for commits that have begun …
const COMMITS_GRACE: Duration = Duration::from_secs(60);
/// … and so long for clients and workers to take their last messages.
const STREAMS_GRACE: Duration = Duration::from_secs(3);
/// … and so long for the last ends of jobs to be written, which a later leader would write as well.
const HISTORY_GRACE: Duration = Duration::from_secs(6);

/// Pause before a store that did not answer is asked again for the lead.
const CAMPAIGN_PAUSE: Duration = Duration::from_secs(1);

/// How a coordinator runs.
#[derive(Clone, Debug)]
pub struct CoordinatorOptions {
    /// Port 0 takes a free one; see [`Handle::address`].
    pub listen: SocketAddr,
    /// Accept calls from other machines although nobody is authenticated.
    pub insecure: bool,
    /// Where the journal is kept. `None`: nowhere, and a coordinator that ends forgets its jobs.
    pub store: Option<StoreOptions>,
    /// Where the logs of jobs are kept. `None`: nowhere, and a job that the core has forgotten is forgotten.
    pub history: Option<HistoryOptions>,
    /// Location of a folder, of this cluster alone, that takes map outputs over from workers that leave and that all
    /// workers reach: `s3://…` or a shared file system. `None`: they go to other workers.
    pub shuffle_store: Option<String>,
    pub limits: Limits,
    pub engine: EngineOptions,
    /// Build of this binary; workers of another build are refused.
    pub build: String,
}

/// Starts coordinators.
pub struct Coordinator;

/// A running coordinator. Dropping it leaves it running until the process ends.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    driver: ToDriver,
    stop: CancellationToken,
    /// Ends when the driver has ended, for whatever reason.
    stopped: CancellationToken,
    server: JoinHandle<()>,
    commits: TaskTracker,
    history: Option<JoinHandle<()>>,
}

impl Coordinator {
    /// Takes the address, waits to lead, reads the journal, then serves. Errors name the address, port or journal.
    pub async fn start(options: CoordinatorOptions) -> Result<Handle, ErrorReport> {
        let stores = Stores::from_env();
        options.history.iter().try_for_each(|history| history.check(&stores))?;
        let objects = options.shuffle_store.iter().map(|location| ShuffleObjects::open(location, &stores));
        let objects = objects.collect::<Result<Vec<_>, _>>()?.pop().map(Arc::new);
        let gate = Gate { insecure: options.insecure };
        let listener = listen::bind(options.listen, gate).await?;
        let address = listener
            .local_addr()
            .map_err(|error| ErrorReport::internal("the listener has no address").with_detail(error.to_string()))?;
        // Without a place to count in, seconds since 1970 grow from life to life.
        let nowhere = || StoreOptions::Memory { after_epoch: wall_clock().0 / 1_000_000 };
        let durable = options.store.is_some();
        let place = options.store.clone().unwrap_or_else(nowhere);
        let journal = store::open(&place, &address.to_string()).await?;
        let (mut store, listener) = match place {
            // Whoever stands by refuses connections, so that callers go to the one who leads.
            StoreOptions::Etcd { .. } => {
                drop(listener);
                tracing::info!(%address, "waits to lead");
                (campaign(&*journal).await?, listen::bind(address, gate).await?)
            }
            StoreOptions::File { .. } | StoreOptions::Memory { .. } => (campaign(&*journal).await?, listener),
        };
        let (epoch, leadership) = (store.epoch(), store.leadership());
        let limits = Limits { shuffle_store: objects.is_some(), ..options.limits };
        let lease = limits.lease;
        let (mut state, clock) = recover(&mut *store, limits).await?;
        let (to_driver, inbox) = ToDriver::channel();
        let (stop, stopped) = (CancellationToken::new(), CancellationToken::new());
        let history = match &options.history {
            Some(history) => History::open(history, epoch, &stores, stopped.clone()).await?,
            None => History::nowhere(),
        };
        state.scheduler.skip_ids(history.last_job, WorkerId(0));
        state.history = history.recorder;
        state.fleet.shuffle_store = objects.as_ref().map(|objects| objects.location().to_owned());
        let commits = TaskTracker::new();
        let planner = Planner::new(PlanEnvironment::new(options.engine.clone(), stores.clone())?);
        let driver = Driver {
            state,
            store,
            leadership,
            durable,
            clock,
            inbox,
            to_driver: to_driver.clone(),
            planner: planner.clone(),
            committer: Committer::new(stores, commits.clone()),
            waiting: Waiting::default(),
            shuffle_store: objects.clone(),
        };
        if let Some(objects) = objects {
            tokio::spawn(stopped.clone().run_until_cancelled_owned(shuffle_store::sweep(objects, to_driver.clone())));
        }
        tokio::spawn(stopped.clone().run_until_cancelled_owned(reconcile(history.archive.clone(), to_driver.clone())));
        tokio::spawn(drive(driver, stopped.clone()));
        let workers = WorkersService { driver: to_driver.clone(), build: options.build, epoch, lease };
        let relay = Relay::new(to_driver.clone());
        let jobs = JobsService { driver: to_driver.clone(), planner, relay, archive: history.archive };
        let server = tokio::spawn(serve(listener, gate, jobs, workers, stop.clone()));
        tracing::info!(%address, epoch, "coordinator listens");
        Ok(Handle { address, driver: to_driver, stop, stopped, server, commits, history: history.writer })
    }
}

/// Waits for the lead, and for a store that does not answer.
async fn campaign(journal: &dyn Journal) -> Result<Box<dyn Store>, ErrorReport> {
    loop {
        match journal.campaign().await {
            Ok(store) => return Ok(store),
            Err(StoreError::Unavailable(report)) => {
                tracing::warn!(error = %report, retry_in = ?CAMPAIGN_PAUSE, "the store is not available");
                tokio::time::sleep(CAMPAIGN_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Runs the loop; the journal stays this process's own for as long as it does.
async fn drive(driver: Driver, stopped: CancellationToken) {
    let _stopped = stopped.drop_guard();
    // The driver logs why it ended; here only its end counts.
    let _ = driver.run().await;
}

async fn serve(listener: TcpListener, gate: Gate, jobs: JobsService, workers: WorkersService, stop: CancellationToken) {
    if let Err(error) = listen::serve(listener, gate, jobs, workers, stop).await {
        tracing::error!(%error, "the listener failed");
    }
}

impl Handle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as clients and workers take it, for example `http://127.0.0.1:7070`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Resolves when the coordinator has stopped leading, which only happens on its own if its store refuses it.
    pub async fn stopped(&self) {
        self.stopped.cancelled().await;
    }

    /// Stops accepting, lets commits that have begun finish, and ends all streams in order: clients read
    /// `Unavailable`, and workers see an orderly end, after which they may register again.
    pub async fn shutdown(self) {
        self.stop.cancel();
        // An error means that the driver has ended already.
        let _ = self.driver.send(Call::Stop).await;
        self.stopped.cancelled().await;
        self.commits.close();
        if tokio::time::timeout(COMMITS_GRACE, self.commits.wait()).await.is_err() {
            tracing::warn!("a commit did not end in time; its files may or may not be published");
        }
        if let Some(history) = self.history {
            // What was not written by then was named by the writer.
            let _ = tokio::time::timeout(HISTORY_GRACE, history).await;
        }
        let server = self.server.abort_handle();
        if tokio::time::timeout(STREAMS_GRACE, self.server).await.is_err() {
            server.abort();
        }
        tracing::info!("coordinator stopped");
    }
}
