//! Being asked to stop.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};
use windrow_model::ErrorReport;

use crate::program::outcome::Outcome;

/// Completes on Ctrl-C or SIGTERM. Listening begins now, not when the future is polled.
pub fn stop_requested() -> Outcome<impl Future<Output = ()> + Send + 'static> {
    let failed =
        |error: std::io::Error| ErrorReport::internal("cannot listen to signals").with_detail(error.to_string());
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Has the kernel end this process when its parent ends, however that happens.
///
/// # Errors
/// `Cancelled` if the parent has gone already.
pub fn end_with_parent(parent: Option<i32>) -> Outcome {
    let Some(parent) = parent else { return Ok(()) };
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| {
            ErrorReport::internal("cannot follow the parent process").with_detail(error.to_string())
        })?;
    }
    // The parent may have ended before the kernel was told; then the process belongs to another one.
    let now = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    if now == Some(parent) {
        return Ok(());
    }
    Err(ErrorReport::new(windrow_model::ErrorKind::Cancelled, "the parent process has ended"))
}
