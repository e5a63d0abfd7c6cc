//! The one place where connections to a worker are accepted and its callers are authorised.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tonic::{Request, Status};
use windrow_model::{ErrorKind, ErrorReport};

/// Binds `address`. Refuses one that other machines reach unless `insecure` is set, because callers are not
/// authenticated.
pub async fn listen(address: SocketAddr, insecure: bool) -> Result<TcpListener, ErrorReport> {
    if !address.ip().is_loopback() {
        if !insecure {
            return Err(ErrorReport::new(ErrorKind::PermissionDenied, format!("will not listen on {address}"))
                .with_detail("other machines reach this address, and callers are not authenticated")
                .with_hint("listen on 127.0.0.1, or pass --insecure if everyone on that network may read all data"));
        }
        tracing::warn!(%address, "listening without authentication: whoever reaches this address can read all data");
    }
    TcpListener::bind(address).await.map_err(|error| {
        ErrorReport::new(ErrorKind::AlreadyExists, format!("cannot listen on {address}"))
            .with_detail(error.to_string())
            .with_hint("another process may use the port; choose another with --listen")
    })
}

/// Decides about every call before any service sees it. Until callers are authenticated, being able to connect (see
/// [`listen`]) is the permission.
#[allow(clippy::result_large_err)] // The signature is tonic's.
pub fn authorise(call: Request<()>) -> Result<Request<()>, Status> {
    Ok(call)
}
