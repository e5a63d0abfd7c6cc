//! What a worker is told when it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use windrow_engine::shuffle::ShuffleCompression;

/// How long a worker looks for its coordinator before it gives up, unless told otherwise.
const CONNECT_PATIENCE: Duration = Duration::from_secs(30);

/// How long a worker that had a coordinator waits for it to come back. A coordinator restarts within seconds.
const RECONNECT_PATIENCE: Duration = Duration::from_secs(120);

/// All settings of a worker.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// `http://host:port` of the coordinator, or of several that stand by for each other, with commas between.
    pub coordinator: String,
    /// Threads that run attempts.
    pub slots: u32,
    /// What operators and map outputs may take together, in bytes; the process stays below twice this.
    pub memory_bytes: u64,
    /// Where spill files and map outputs on disk go, in a folder of this process's own. `None`: a temporary folder.
    pub work_dir: Option<PathBuf>,
    /// Where readers connect.
    pub listen: SocketAddr,
    /// The address readers are told, for example `http://10.0.0.7:7171`. `None`: the one that is listened on.
    pub advertise: Option<String>,
    /// Stable name of this place: a worker that is started here again has the same. `None`: host and work folder.
    pub name: Option<String>,
    /// Build id; a coordinator refuses workers of another build.
    pub build: String,
    /// Allows listening on an address that other machines reach, although nobody is authenticated.
    pub insecure: bool,
    /// How map outputs are compressed.
    pub compression: ShuffleCompression,
    /// Reads of map outputs of this process and of this host go past the network.
    pub local_reads: bool,
    /// Called on each thread that runs attempts and on those of the network when nothing has run for a while: gives
    /// memory that the allocator keeps back to the operating system.
    pub give_back_memory: Option<fn()>,
    pub connect_patience: Duration,
    pub reconnect_patience: Duration,
}

impl WorkerOptions {
    /// A worker on loopback with the defaults.
    pub fn new(coordinator: impl Into<String>, slots: u32, memory_bytes: u64, build: impl Into<String>) -> Self {
        WorkerOptions {
            coordinator: coordinator.into(),
            slots,
            memory_bytes,
            work_dir: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            advertise: None,
            name: None,
            build: build.into(),
            insecure: false,
            compression: ShuffleCompression::Lz4,
            local_reads: true,
            give_back_memory: None,
            connect_patience: CONNECT_PATIENCE,
            reconnect_patience: RECONNECT_PATIENCE,
        }
    }
}
