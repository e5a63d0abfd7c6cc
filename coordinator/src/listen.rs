//! The one place where connections are accepted and calls are authorised.
//!
//! Until authentication exists, trust is loopback: other addresses are refused unless the operator says `--insecure`.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Status};
use windrow_model::{ErrorKind, ErrorReport};
use windrow_proto::jobs_server::JobsServer;
use windrow_proto::workers_server::WorkersServer;
use windrow_proto::{CONTROL_MESSAGE_BYTES_MAX, status_from_report};

use crate::jobs::JobsService;
use crate::workers::WorkersService;

/// A peer that is silent on the wire for so long is asked whether it is there …
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// … and its connection is closed if it does not answer. Its network runtime answers, not its busy slots.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(4);
/// Lets an inline result or a script travel without waiting for the window to be reopened.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// Who makes a call, as far as the transport knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) address: Option<SocketAddr>,
}

/// Decides whether a call may be made at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    pub(crate) insecure: bool,
}

impl Gate {
    /// Everything from this machine is allowed; the rest only if the operator gave up on safety explicitly.
    pub(crate) fn authorise(&self, caller: &Caller) -> Result<(), ErrorReport> {
        let local = caller.address.is_some_and(|address| address.ip().to_canonical().is_loopback());
        if local || self.insecure {
            return Ok(());
        }
        Err(ErrorReport::new(ErrorKind::PermissionDenied, "calls are only accepted from the coordinator's own machine")
            .with_hint("start the coordinator with --insecure to accept calls from everywhere"))
    }
}

impl Interceptor for Gate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let caller = Caller { address: request.remote_addr() };
        self.authorise(&caller).map_err(|report| status_from_report(&report))?;
        Ok(request)
    }
}

/// Binds the address, or says who should change what.
pub(crate) async fn bind(address: SocketAddr, gate: Gate) -> Result<TcpListener, ErrorReport> {
    if !address.ip().to_canonical().is_loopback() {
        if !gate.insecure {
            return Err(not_loopback(address));
        }
        tracing::warn!(%address, "INSECURE: anyone who reaches this address can run jobs and read their results");
    }
    TcpListener::bind(address).await.map_err(|error| cannot_bind(address, &error))
}

fn not_loopback(address: SocketAddr) -> ErrorReport {
    ErrorReport::invalid(format!("refuses to listen on {address}"))
        .with_detail("calls are not authenticated yet, and the address can be reached from other machines")
        .with_hint(format!("listen on 127.0.0.1:{}, or add --insecure on a network you trust", address.port()))
}

fn cannot_bind(address: SocketAddr, error: &std::io::Error) -> ErrorReport {
    let what = format!("cannot listen on {address}");
    match error.kind() {
        std::io::ErrorKind::AddrInUse => ErrorReport::new(ErrorKind::AlreadyExists, what)
            .with_detail(format!("port {} is in use by another process", address.port()))
            .with_hint("stop that process (perhaps another coordinator), or choose another port with --listen"),
        std::io::ErrorKind::PermissionDenied => ErrorReport::new(ErrorKind::PermissionDenied, what)
            .with_detail(error.to_string())
            .with_hint("choose a port above 1023 with --listen"),
        _ => ErrorReport::new(ErrorKind::Unavailable, what)
            .with_detail(error.to_string())
            .with_hint("choose an address of this machine with --listen"),
    }
}

/// Serves both services until `stop`, then until the open streams have ended.
pub(crate) async fn serve(
    listener: TcpListener,
    gate: Gate,
    jobs: JobsService,
    workers: WorkersService,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let jobs = JobsServer::new(jobs).max_decoding_message_size(CONTROL_MESSAGE_BYTES_MAX);
    let workers = WorkersServer::new(workers).max_decoding_message_size(CONTROL_MESSAGE_BYTES_MAX);
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .add_service(InterceptedService::new(jobs, gate))
        .add_service(InterceptedService::new(workers, gate))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stop.cancelled_owned())
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Caller {
        Caller { address: Some(address.parse().expect("an address")) }
    }

    #[test]
    fn only_this_machine_may_call() {
        let gate = Gate { insecure: false };
        assert!(gate.authorise(&from("127.0.0.1:9")).is_ok());
        assert!(gate.authorise(&from("[::1]:9")).is_ok());
        assert!(gate.authorise(&from("[::ffff:127.0.0.1]:9")).is_ok());
        let report = gate.authorise(&from("192.0.2.1:9")).expect_err("a stranger");
        assert_eq!(report.kind, ErrorKind::PermissionDenied);
        assert!(gate.authorise(&Caller { address: None }).is_err());
    }

    #[test]
    fn insecure_lets_everyone_call() {
        assert!(Gate { insecure: true }.authorise(&from("192.0.2.1:9")).is_ok());
    }

    #[tokio::test]
    async fn another_address_than_loopback_needs_insecure() {
        let report =
            bind("0.0.0.0:0".parse().expect("an address"), Gate { insecure: false }).await.expect_err("refused");
        assert_eq!(report.kind, ErrorKind::Invalid);
        assert!(report.hint.contains("--insecure"), "{}", report.hint);
    }

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let gate = Gate { insecure: false };
        let first = bind("127.0.0.1:0".parse().expect("an address"), gate).await.expect("free");
        let address = first.local_addr().expect("bound");
        let report = bind(address, gate).await.expect_err("in use");
        assert_eq!(report.kind, ErrorKind::AlreadyExists);
        assert!(report.detail.contains(&address.port().to_string()), "{}", report.detail);
    }
}
