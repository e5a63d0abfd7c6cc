//! One pooled connection per peer, and the object stores that outputs have moved to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow_flight::flight_service_client::FlightServiceClient;
use parking_lot::Mutex;
use tonic::transport::{Channel, Endpoint};
use windrow_engine::shuffle::{ShuffleObjects, host_identity};
use windrow_engine::stores::Stores;
use windrow_model::ErrorReport;

use crate::flight::{CHUNK_BYTES, FRAME_BYTES};

/// A peer on the same network answers within milliseconds; beyond this it is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A silent connection is probed this often, and given up when a probe is not answered in time. A busy peer answers
/// probes; a stopped one does not.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// HTTP/2's largest window. Only the windows of single streams may hold a sender back: a shared one, filled by readers
/// that wait for others, would block the very reader they wait for.
const CONNECTION_WINDOW_BYTES: u32 = (1 << 31) - 1;

/// The window of one stream is this part of the worker's memory, within the bounds below, because each reader of each
/// peer may fill one.
const STREAM_WINDOW_DIVISOR: u64 = 256;
const STREAM_WINDOW_BYTES_MIN: u64 = 512 << 10;
const STREAM_WINDOW_BYTES_MAX: u64 = 8 << 20;

/// Room for a message's metadata beside its bytes.
const MESSAGE_OVERHEAD_BYTES: usize = 64 << 10;

/// Bounds of a worker's connections to its peers.
#[derive(Clone, Copy, Debug)]
pub struct PeerLimits {
    stream_window_bytes: u32,
}

impl PeerLimits {
    pub fn for_memory(memory_bytes: u64) -> Self {
        let window = (memory_bytes / STREAM_WINDOW_DIVISOR).clamp(STREAM_WINDOW_BYTES_MIN, STREAM_WINDOW_BYTES_MAX);
        PeerLimits { stream_window_bytes: window as u32 }
    }
}

/// Connections by address. A connection carries all requests to its peer and comes back by itself after it broke.
#[derive(Debug)]
pub struct Peers {
    limits: PeerLimits,
    channels: Mutex<BTreeMap<String, Channel>>,
    stores: Arc<Stores>,
    /// Reads go past the network where they can.
    local_reads: bool,
    /// What peers of this host know this process by, if that can be known.
    host: Option<String>,
    mapped_bytes: AtomicU64,
    requests: AtomicU64,
}

impl Peers {
    pub fn new(limits: PeerLimits) -> Self {
        let (channels, mapped_bytes, requests) = Default::default();
        let (stores, host) = (Stores::from_env(), host_identity());
        Peers { limits, channels, stores, local_reads: true, host, mapped_bytes, requests }
    }

    /// The same, but all bytes go through the network, those of this process and of this host, too.
    pub fn through_the_network(self) -> Self {
        Peers { local_reads: false, ..self }
    }

    /// Outputs of this process are read where they are.
    pub fn reads_locally(&self) -> bool {
        self.local_reads
    }

    /// What peers of this host know this process by, if it may map what they share.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref().filter(|_| self.local_reads)
    }

    pub fn note_mapped(&self, bytes: u64) {
        self.mapped_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Requests that were sent so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub fn note_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes of other processes of this host that were mapped so far instead of being sent.
    pub fn mapped_bytes(&self) -> u64 {
        self.mapped_bytes.load(Ordering::Relaxed)
    }

    /// A client of the peer at `address`; connects on first use. Fails if `address` is not a URL.
    pub fn client(&self, address: &str) -> Result<FlightServiceClient<Channel>, tonic::transport::Error> {
        let mut channels = self.channels.lock();
        let channel = match channels.get(address) {
            Some(channel) => channel.clone(),
            None => {
                let channel = self.connect(address)?;
                channels.insert(address.to_owned(), channel.clone());
                channel
            }
        };
        Ok(FlightServiceClient::new(channel).max_decoding_message_size(CHUNK_BYTES + MESSAGE_OVERHEAD_BYTES))
    }

    /// The outputs in an object store at `location`.
    pub fn objects(&self, location: &str) -> Result<Arc<ShuffleObjects>, ErrorReport> {
        ShuffleObjects::open(location, &self.stores).map(Arc::new)
    }

    fn connect(&self, address: &str) -> Result<Channel, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(address.to_owned())?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PROBE_INTERVAL)
            .keep_alive_timeout(PROBE_TIMEOUT)
            .initial_stream_window_size(self.limits.stream_window_bytes)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES);
        Ok(endpoint.connect_lazy())
    }

    /// Closes the connections; peers of a former session may be gone.
    pub fn clear(&self) {
        self.channels.lock().clear();
    }
}
