//! Error reports and failures.

use windrow_model::{ErrorKind, ErrorReport, Failure, MapOutputId, WorkerId};

use super::{InvalidMessage, required};
use crate as wire;
use wire::failure::Kind;

impl From<ErrorReport> for wire::ErrorReport {
    fn from(report: ErrorReport) -> Self {
        wire::ErrorReport {
            kind: report.kind.name().to_owned(),
            what: report.what,
            detail: report.detail,
            hint: report.hint,
        }
    }
}

/// A kind this build does not know becomes `Internal`: an error must never hide behind a failure to read it.
impl From<wire::ErrorReport> for ErrorReport {
    fn from(report: wire::ErrorReport) -> Self {
        ErrorReport {
            kind: ErrorKind::from_name(&report.kind).unwrap_or(ErrorKind::Internal),
            what: report.what,
            detail: report.detail,
            hint: report.hint,
        }
    }
}

fn fetch_failure(output: MapOutputId, peer: WorkerId, detail: String, unreached: bool) -> wire::FetchFailure {
    wire::FetchFailure { output: Some(output.into()), peer: peer.0, detail, unreached }
}

impl From<Failure> for wire::Failure {
    fn from(failure: Failure) -> Self {
        let kind = match failure {
            Failure::Query(report) => Kind::Query(report.into()),
            Failure::UserCode(report) => Kind::UserCode(report.into()),
            Failure::OutOfMemory(report) => Kind::OutOfMemory(report.into()),
            Failure::FetchFailed { output, peer, detail, unreached } => {
                Kind::FetchFailed(fetch_failure(output, peer, detail, unreached))
            }
            Failure::WorkerLost { worker } => Kind::WorkerLost(worker.0),
            Failure::Preempted { worker } => Kind::Preempted(worker.0),
            Failure::TimedOut { after_ms } => Kind::TimedOutAfterMs(after_ms),
            Failure::DiskFull { path } => Kind::DiskFullPath(path),
            Failure::Corrupt { output, peer } => Kind::Corrupt(fetch_failure(output, peer, String::new(), false)),
            Failure::Panicked(report) => Kind::Panicked(report.into()),
            Failure::Unavailable(report) => Kind::Unavailable(report.into()),
            Failure::Internal(report) => Kind::Internal(report.into()),
        };
        wire::Failure { kind: Some(kind) }
    }
}

fn blamed_output(failure: &wire::FetchFailure) -> Result<MapOutputId, InvalidMessage> {
    required(failure.output, "FetchFailure.output")?.try_into()
}

impl TryFrom<wire::Failure> for Failure {
    type Error = InvalidMessage;

    fn try_from(failure: wire::Failure) -> Result<Self, InvalidMessage> {
        Ok(match required(failure.kind, "Failure.kind")? {
            Kind::Query(report) => Failure::Query(report.into()),
            Kind::UserCode(report) => Failure::UserCode(report.into()),
            Kind::OutOfMemory(report) => Failure::OutOfMemory(report.into()),
            Kind::FetchFailed(fetch) => Failure::FetchFailed {
                output: blamed_output(&fetch)?,
                peer: WorkerId(fetch.peer),
                detail: fetch.detail,
                unreached: fetch.unreached,
            },
            Kind::WorkerLost(worker) => Failure::WorkerLost { worker: WorkerId(worker) },
            Kind::Preempted(worker) => Failure::Preempted { worker: WorkerId(worker) },
            Kind::TimedOutAfterMs(after_ms) => Failure::TimedOut { after_ms },
            Kind::DiskFullPath(path) => Failure::DiskFull { path },
            Kind::Corrupt(fetch) => Failure::Corrupt { output: blamed_output(&fetch)?, peer: WorkerId(fetch.peer) },
            Kind::Panicked(report) => Failure::Panicked(report.into()),
            Kind::Unavailable(report) => Failure::Unavailable(report.into()),
            Kind::Internal(report) => Failure::Internal(report.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windrow_model::{AttemptId, JobId, StageId, TaskId};

    fn report() -> ErrorReport {
        ErrorReport::new(ErrorKind::Exhausted, "what").with_detail("detail").with_hint("hint")
    }

    fn every_failure() -> Vec<Failure> {
        let task = TaskId { stage: StageId { job: JobId(1), index: 2 }, index: 3 };
        let output = MapOutputId { task, attempt: AttemptId { epoch: 4, n: 5 } };
        vec![
            Failure::Query(report()),
            Failure::UserCode(report()),
            Failure::OutOfMemory(report()),
            Failure::FetchFailed { output, peer: WorkerId(6), detail: "reset".into(), unreached: true },
            Failure::WorkerLost { worker: WorkerId(6) },
            Failure::Preempted { worker: WorkerId(6) },
            Failure::TimedOut { after_ms: 1500 },
            Failure::DiskFull { path: "shuffle".into() },
            Failure::Corrupt { output, peer: WorkerId(6) },
            Failure::Panicked(report()),
            Failure::Unavailable(report()),
            Failure::Internal(report()),
        ]
    }

    #[test]
    fn every_failure_survives_the_wire() {
        for failure in every_failure() {
            assert_eq!(Failure::try_from(wire::Failure::from(failure.clone())), Ok(failure));
        }
    }

    #[test]
    fn a_failure_without_a_kind_is_refused() {
        let error = Failure::try_from(wire::Failure { kind: None }).expect_err("no kind");
        assert_eq!(error.field, "Failure.kind");
    }

    #[test]
    fn every_error_kind_survives_the_wire() {
        for kind in ErrorKind::ALL {
            let report = ErrorReport { kind, ..report() };
            assert_eq!(ErrorReport::from(wire::ErrorReport::from(report.clone())), report);
        }
    }

    #[test]
    fn an_unknown_error_kind_keeps_its_words() {
        let wire = wire::ErrorReport { kind: "novel".into(), ..report().into() };
        assert_eq!(ErrorReport::from(wire), ErrorReport { kind: ErrorKind::Internal, ..report() });
    }
}
