//! A worker without work keeps no memory that others could use.
//!
//! The allocator keeps what each thread has freed for that thread: right between two tasks, a waste between two jobs.
//! The pages of the program that its work has touched stay resident as well.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::executor::Executor;
use crate::process::give_back_program;

/// Longer than a pause between two statements of a person or a script.
const IDLE: Duration = Duration::from_secs(10);

/// Tasks for each thread, so that hardly one is missed: nobody can say which thread takes which task.
const TASKS_PER_THREAD: usize = 4;

/// How long a thread that is done leaves the next task to the others.
const STEP_ASIDE: Duration = Duration::from_millis(2);

thread_local! {
    /// The last round this thread took part in.
    static DONE: Cell<u64> = const { Cell::new(0) };
}

/// Calls `give_back` on every thread, and gives back the program's own pages, each time that no attempt has run or been
/// started for a while. Never ends.
pub async fn watch(executor: Arc<Executor>, give_back: fn()) {
    let mut given_back_after = None;
    let mut before = None;
    loop {
        tokio::time::sleep(IDLE).await;
        let started = executor.started();
        let was_idle = executor.is_idle() && before == Some(started);
        before = executor.is_idle().then_some(started);
        if was_idle && given_back_after != Some(started) {
            given_back_after = Some(started);
            tracing::debug!("idle: memory is given back");
            on_each_thread(executor.threads().handle(), started + 1, give_back).await;
            on_each_thread(&Handle::current(), started + 1, give_back).await;
            give_back_program();
        }
    }
}

async fn on_each_thread(threads: &Handle, round: u64, give_back: fn()) {
    let once = move || {
        if DONE.replace(round) == round {
            std::thread::sleep(STEP_ASIDE);
        } else {
            give_back();
        }
    };
    let count = threads.metrics().num_workers() * TASKS_PER_THREAD;
    let tasks: Vec<_> = (0..count).map(|_| threads.spawn(async move { once() })).collect();
    futures::future::join_all(tasks).await;
}
