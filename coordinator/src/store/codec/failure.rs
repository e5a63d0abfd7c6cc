//! Error reports and failures.

use windrow_model::{ErrorKind, ErrorReport, Failure, MapOutputId, WorkerId};
use windrow_scheduler::Blamed;

use super::invalid::{Invalid, required};
use super::pb;
use pb::failure::Kind;

impl From<&ErrorReport> for pb::ErrorReport {
    fn from(report: &ErrorReport) -> Self {
        pb::ErrorReport {
            kind: report.kind.name().to_owned(),
            what: report.what.clone(),
            detail: report.detail.clone(),
            hint: report.hint.clone(),
        }
    }
}

/// A kind that this build does not know becomes `Internal`: the words of an error matter more than its kind.
impl From<pb::ErrorReport> for ErrorReport {
    fn from(report: pb::ErrorReport) -> Self {
        ErrorReport {
            kind: ErrorKind::from_name(&report.kind).unwrap_or(ErrorKind::Internal),
            what: report.what,
            detail: report.detail,
            hint: report.hint,
        }
    }
}

fn fetch_failure(output: &MapOutputId, peer: &WorkerId, detail: &str, unreached: bool) -> pb::FetchFailure {
    pb::FetchFailure { output: Some(output.into()), peer: peer.0, detail: detail.to_owned(), unreached }
}

impl From<&Failure> for pb::Failure {
    fn from(failure: &Failure) -> Self {
        let kind = match failure {
            Failure::Query(report) => Kind::Query(report.into()),
            Failure::UserCode(report) => Kind::UserCode(report.into()),
            Failure::OutOfMemory(report) => Kind::OutOfMemory(report.into()),
            Failure::FetchFailed { output, peer, detail, unreached } => {
                Kind::FetchFailed(fetch_failure(output, peer, detail, *unreached))
            }
            Failure::WorkerLost { worker } => Kind::WorkerLost(worker.0),
            Failure::Preempted { worker } => Kind::Preempted(worker.0),
            Failure::TimedOut { after_ms } => Kind::TimedOutAfterMs(*after_ms),
            Failure::DiskFull { path } => Kind::DiskFullPath(path.clone()),
            Failure::Corrupt { output, peer } => Kind::Corrupt(fetch_failure(output, peer, "", false)),
            Failure::Panicked(report) => Kind::Panicked(report.into()),
            Failure::Unavailable(report) => Kind::Unavailable(report.into()),
            Failure::Internal(report) => Kind::Internal(report.into()),
        };
        pb::Failure { kind: Some(kind) }
    }
}

impl TryFrom<pb::Failure> for Failure {
    type Error = Invalid;

    fn try_from(failure: pb::Failure) -> Result<Self, Invalid> {
        Ok(match known_kind(failure.kind)? {
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

/// A kind that this build does not know decodes as none at all.
fn known_kind(kind: Option<Kind>) -> Result<Kind, Invalid> {
    kind.ok_or_else(|| Invalid::Unknown { field: "Failure.kind", value: "failure".to_owned() })
}

fn blamed_output(failure: &pb::FetchFailure) -> Result<MapOutputId, Invalid> {
    required(failure.output, "FetchFailure.output")?.try_into()
}

impl From<Blamed> for pb::Blamed {
    fn from(blamed: Blamed) -> Self {
        use pb::blamed::Kind;
        let kind = match blamed {
            Blamed::Current { blames } => Kind::CurrentBlames(blames),
            Blamed::Replaced => Kind::Replaced(pb::Nothing {}),
            Blamed::Foreign => Kind::Foreign(pb::Nothing {}),
        };
        pb::Blamed { kind: Some(kind) }
    }
}

impl TryFrom<pb::Blamed> for Blamed {
    type Error = Invalid;

    fn try_from(blamed: pb::Blamed) -> Result<Self, Invalid> {
        use pb::blamed::Kind;
        match blamed.kind {
            Some(Kind::CurrentBlames(blames)) => Ok(Blamed::Current { blames }),
            Some(Kind::Replaced(pb::Nothing {})) => Ok(Blamed::Replaced),
            Some(Kind::Foreign(pb::Nothing {})) => Ok(Blamed::Foreign),
            None => Err(Invalid::Unknown { field: "Blamed.kind", value: "kind of blame".to_owned() }),
        }
    }
}
