//! Planning recurses over the plan; a deep statement needs a deep stack.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use windrow_model::ErrorReport;

/// Address space, of which a statement touches what it needs. Some hundred times a thread's default.
const STACK_BYTES: usize = 256 << 20;

/// Runs `work` to its end on a thread of its own with a deep stack; a panic becomes an `Internal` error.
///
/// Must be called from within a tokio runtime, whose timers and I/O `work` uses.
pub async fn on_big_stack<T, F, Work>(work: Work) -> Result<T, ErrorReport>
where
    Work: FnOnce() -> F + Send + 'static,
    F: Future<Output = Result<T, ErrorReport>>,
    T: Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    let runtime = Handle::current();
    let spawned = spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(work())));
        // Nobody waits any more: the caller was cancelled.
        let _ = sender.send(outcome.unwrap_or_else(|panic| Err(panicked(panic))));
    });
    spawned.map_err(|error| {
        ErrorReport::internal("no thread could be started for planning").with_detail(error.to_string())
    })?;
    receiver.await.unwrap_or_else(|_| Err(ErrorReport::internal("planning ended without an answer")))
}

/// Drops `value` where a deep tree inside of it does not overflow the stack.
pub(super) fn drop_on_big_stack(value: impl Send + 'static) {
    // If no thread can be started, the value is dropped by the failing call, on this stack.
    let _ = spawn(move || drop(value));
}

fn spawn(work: impl FnOnce() + Send + 'static) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("windrow-planner".to_owned()).stack_size(STACK_BYTES).spawn(work)
}

fn panicked(panic: Box<dyn Any + Send>) -> ErrorReport {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    ErrorReport::internal("the planner panicked").with_detail(text)
}
