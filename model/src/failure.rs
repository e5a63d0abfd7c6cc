//! Why an attempt failed. Failures are data: the retry table matches on them, and they travel typed, never as text.

use std::fmt;

use crate::{ErrorKind, ErrorReport, MapOutputId, WorkerId};

/// Why an attempt ended without success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Evaluating the query failed in a way that any other attempt would meet too: overflow, a bad cast, a corrupt input file.
    Query(ErrorReport),
    /// The user's own code failed.
    UserCode(ErrorReport),
    /// An operator asked for more memory than the worker's pool has. The report names the operator and its peak.
    OutOfMemory(ErrorReport),
    /// A map output could not be read. Blames its producer, never the reader.
    FetchFailed {
        output: MapOutputId,
        peer: WorkerId,
        detail: String,
        /// The peer did not answer. Otherwise it has answered that it cannot give the output.
        unreached: bool,
    },
    /// The worker's lease ended or its stream broke for good.
    WorkerLost {
        worker: WorkerId,
    },
    /// The task was taken back from a worker that leaves or that the others do not reach.
    Preempted {
        worker: WorkerId,
    },
    TimedOut {
        after_ms: u64,
    },
    /// The shuffle or spill directory has no room.
    DiskFull {
        path: String,
    },
    /// Stored bytes do not match their checksum. Blames the output they belong to.
    Corrupt {
        output: MapOutputId,
        peer: WorkerId,
    },
    /// An operator panicked.
    Panicked(ErrorReport),
    /// An outside service (object store) did not answer; nothing is known to be wrong with the task.
    Unavailable(ErrorReport),
    /// A bug in Windrow.
    Internal(ErrorReport),
}

impl Failure {
    /// Short stable name, used in tables and as a reason code.
    pub fn name(&self) -> &'static str {
        match self {
            Failure::Query(_) => "query",
            Failure::UserCode(_) => "user-code",
            Failure::OutOfMemory(_) => "out-of-memory",
            Failure::FetchFailed { .. } => "fetch-failed",
            Failure::WorkerLost { .. } => "worker-lost",
            Failure::Preempted { .. } => "preempted",
            Failure::TimedOut { .. } => "timed-out",
            Failure::DiskFull { .. } => "disk-full",
            Failure::Corrupt { .. } => "corrupt",
            Failure::Panicked(_) => "panicked",
            Failure::Unavailable(_) => "unavailable",
            Failure::Internal(_) => "internal",
        }
    }

    /// What a user reads when this failure ends a job.
    pub fn report(&self) -> ErrorReport {
        match self {
            Failure::Query(report)
            | Failure::UserCode(report)
            | Failure::OutOfMemory(report)
            | Failure::Panicked(report)
            | Failure::Unavailable(report)
            | Failure::Internal(report) => report.clone(),
            Failure::FetchFailed { output, peer, detail, unreached: _ } => {
                ErrorReport::new(ErrorKind::Unavailable, format!("could not read the {output} from {peer}"))
                    .with_detail(detail.clone())
                    .with_hint("look at that worker's log; the job can be submitted again")
            }
            Failure::WorkerLost { worker } => {
                ErrorReport::new(ErrorKind::Unavailable, format!("{worker} was lost while it ran the task"))
                    .with_hint("`windrow workers` lists who is left; look at the lost worker's log for its end")
            }
            Failure::Preempted { worker } => {
                ErrorReport::new(ErrorKind::Unavailable, format!("the task was taken back from {worker}"))
                    .with_detail("that worker drains, was taken back by its market, or is cut off from the others")
            }
            Failure::TimedOut { after_ms } => {
                ErrorReport::new(ErrorKind::Exhausted, format!("timed out after {:.1} s", *after_ms as f64 / 1000.0))
                    .with_hint("raise the job's timeout, or give it more workers")
            }
            Failure::DiskFull { path } => ErrorReport::new(ErrorKind::Exhausted, format!("no space left in `{path}`"))
                .with_hint("free space there, or start the worker with another --work-dir"),
            Failure::Corrupt { output, peer } => {
                ErrorReport::new(ErrorKind::Corrupt, format!("the {output} on {peer} does not match its checksum"))
                    .with_hint("suspect that worker's disk or memory")
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.report())
    }
}
