//! Places where a test makes this process die, stop, panic or fail on purpose.
//!
//! The environment variable [`VARIABLE`] arms them, for example `journal.after=kill@3,task.run.1.0=panic`: at the third
//! time it gets there this process ends as by SIGKILL, and the first attempt at task 0 of stage 1 panics.
//! `NAME=ACTION@N` acts on the N-th arrival only (1 unless said), `NAME=ACTION@N+` on every one from the N-th on.
//! `kill:50ms` waits first, so that what was sent has left.
//! Where nothing is armed, a failpoint costs one load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use windrow_model::{ErrorKind, ErrorReport, TaskId, parse_duration};

/// What arms failpoints.
pub const VARIABLE: &str = "WINDROW_FAILPOINTS";

/// Set once, before anything can get to a failpoint; unset and empty mean the same.
static ARMED: OnceLock<Vec<Armed>> = OnceLock::new();

/// All names. Those of tasks may be followed by a stage, or a stage and a task, as in `task.run.1.0`.
const NAMES: [&str; 7] = [
    // A coordinator, before and after a commit of records to its journal.
    "journal.before",
    "journal.after",
    // A coordinator, before each action of the publication of a table's files.
    "commit.step",
    // A worker, before an attempt's plan runs, and when its output is kept but not reported.
    "task.run",
    "task.report",
    // A worker, before it answers a reader with a piece of a map output.
    "shuffle.serve",
    // A worker, before it maps what another worker of its host shares.
    "shuffle.map",
];

#[derive(Debug)]
struct Armed {
    name: String,
    action: Action,
    first: u64,
    /// From `first` on, not only then.
    again: bool,
    arrivals: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// After a while.
    Kill(Duration),
    Hang,
    Panic,
    Error,
    Sleep(Duration),
}

/// Arms what the environment names. Call it once, when the process starts; errors name the part that cannot be read.
pub fn arm_from_env() -> Result<(), ErrorReport> {
    let Ok(text) = std::env::var(VARIABLE) else { return Ok(()) };
    let armed = parse(&text)?;
    if !armed.is_empty() {
        tracing::warn!(failpoints = text, "this process misbehaves on purpose: {VARIABLE} is set");
    }
    // A second call would find the same environment.
    let _ = ARMED.set(armed);
    Ok(())
}

/// A failpoint of the process.
pub async fn at(name: &'static str) -> Result<(), ErrorReport> {
    match ARMED.get() {
        None => Ok(()),
        Some(armed) => act(armed.iter().filter(|armed| armed.name == name).find_map(Armed::arrive), name).await,
    }
}

/// A failpoint of a task.
pub async fn in_task(name: &'static str, task: TaskId) -> Result<(), ErrorReport> {
    match ARMED.get() {
        None => Ok(()),
        Some(armed) => {
            let stage = format!("{name}.{}", task.stage.index);
            let own = format!("{stage}.{}", task.index);
            let matching = armed.iter().filter(|armed| [name, &stage, &own].contains(&armed.name.as_str()));
            act(matching.filter_map(Armed::arrive).next(), name).await
        }
    }
}

async fn act(action: Option<Action>, name: &str) -> Result<(), ErrorReport> {
    let Some(action) = action else { return Ok(()) };
    tracing::warn!(name, ?action, "failpoint");
    match action {
        Action::Kill(after) => {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            // SIGKILL is not refused; nothing may run after it.
            std::process::abort()
        }
        Action::Hang => std::future::pending().await,
        Action::Panic => panic!("failpoint {name}"),
        Action::Error => Err(ErrorReport::new(ErrorKind::Unavailable, format!("failpoint {name}"))),
        Action::Sleep(span) => {
            tokio::time::sleep(span).await;
            Ok(())
        }
    }
}

impl Armed {
    /// Counts an arrival; what is to happen now.
    fn arrive(&self) -> Option<Action> {
        let arrival = self.arrivals.fetch_add(1, Ordering::Relaxed) + 1;
        let now = if self.again { arrival >= self.first } else { arrival == self.first };
        now.then_some(self.action)
    }
}

fn parse(text: &str) -> Result<Vec<Armed>, ErrorReport> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(parse_one).collect()
}

fn parse_one(part: &str) -> Result<Armed, ErrorReport> {
    let wrong = |why: &str| {
        ErrorReport::invalid(format!("{VARIABLE}: `{part}` {why}")).with_hint(
            "write NAME=kill|kill:SPAN|hang|panic|error|sleep:SPAN, and @N or @N+ after it to choose the arrival",
        )
    };
    let (name, rest) = part.split_once('=').ok_or_else(|| wrong("has no action"))?;
    let known = |known: &&str| name == *known || name.strip_prefix(*known).is_some_and(is_task);
    if !NAMES.iter().any(known) {
        return Err(wrong("names no failpoint").with_detail(format!("there are {}", NAMES.join(", "))));
    }
    let (action, when) = rest.split_once('@').unwrap_or((rest, "1"));
    let action = match action.split_once(':') {
        None if action == "kill" => Action::Kill(Duration::ZERO),
        Some(("kill", span)) => Action::Kill(parse_duration(span).map_err(|error| wrong(&error.to_string()))?),
        None if action == "hang" => Action::Hang,
        None if action == "panic" => Action::Panic,
        None if action == "error" => Action::Error,
        Some(("sleep", span)) => Action::Sleep(parse_duration(span).map_err(|error| wrong(&error.to_string()))?),
        _ => return Err(wrong("has an unknown action")),
    };
    let (first, again) = when.strip_suffix('+').map_or((when, false), |first| (first, true));
    let first = first.parse().ok().filter(|first| *first > 0).ok_or_else(|| wrong("has no arrival number"))?;
    Ok(Armed { name: name.to_owned(), action, first, again, arrivals: AtomicU64::new(0) })
}

/// `.STAGE` or `.STAGE.TASK`
fn is_task(suffix: &str) -> bool {
    let is_number = |text: &&str| text.parse::<u32>().is_ok();
    match suffix.split('.').collect::<Vec<_>>().as_slice() {
        ["", numbers @ ..] => matches!(numbers.len(), 1 | 2) && numbers.iter().all(is_number),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_on_the_arrival_it_was_armed_for() {
        let armed = parse("journal.after=kill@3, task.run.1.0=panic@2+").expect("two failpoints");
        let arrivals = |armed: &Armed| (0..4).map(|_| armed.arrive()).collect::<Vec<_>>();
        assert_eq!(arrivals(&armed[0]), [None, None, Some(Action::Kill(Duration::ZERO)), None]);
        assert_eq!(arrivals(&armed[1]), [None, Some(Action::Panic), Some(Action::Panic), Some(Action::Panic)]);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for text in ["journal=kill", "journal.after", "journal.after=explode", "task.run.x=kill", "task.run=kill@0"] {
            let report = parse(text).expect_err(text);
            assert!(report.what.contains(text), "{report:?}");
        }
    }
}
