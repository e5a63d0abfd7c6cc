//! What went wrong between a client and the cluster, as reports a user can act on.

use std::error::Error;

use tonic::{Code, Status};
use windrow_model::{ErrorKind, ErrorReport};
use windrow_proto::report_from_status;

/// Names further apart than this share of their letters are not worth suggesting.
const SIMILARITY_MIN: f64 = 0.7;

/// The candidate that `name` was probably meant to be.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The coordinator cannot be reached at all.
pub(crate) fn unreachable(address: &str, error: &dyn Error) -> ErrorReport {
    ErrorReport::new(ErrorKind::Unavailable, format!("cannot reach the coordinator at {address}"))
        .with_detail(innermost(error))
        .with_hint("start one with `windrow up`, or name another with --coordinator or WINDROW_COORDINATOR")
}

/// The report in an answer of the coordinator; a broken connection becomes [`unreachable`].
pub(crate) fn from_coordinator(address: &str, status: &Status) -> ErrorReport {
    if is_broken_connection(status) { unreachable(address, status) } else { report_from_status(status) }
}

/// Tells a transport that broke from an answer that came over it.
pub(crate) fn is_broken_connection(status: &Status) -> bool {
    let transport = matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled);
    transport && status.details().is_empty() && status.source().is_some()
}

/// The last cause in the chain: "transport error" alone tells nobody anything.
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Reading or writing `path` failed.
pub(crate) fn io(doing: &str, path: &std::path::Path, error: &std::io::Error) -> ErrorReport {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => ErrorKind::NotFound,
        std::io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
        std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Exhausted,
        _ => ErrorKind::Invalid,
    };
    ErrorReport::new(kind, format!("cannot {doing} `{}`", path.display())).with_detail(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        let keys = ["name", "tables", "params", "sql", "sql_file", "output"];
        assert_eq!(nearest("tabels", keys), Some("tables"));
        assert_eq!(nearest("Output", keys), Some("output"));
        assert_eq!(nearest("zzz", keys), None);
    }

    #[test]
    fn an_answer_is_not_taken_for_a_broken_connection() {
        let report = ErrorReport::new(ErrorKind::Unavailable, "no worker");
        let status = windrow_proto::status_from_report(&report);
        assert_eq!(from_coordinator("http://x", &status), report);
    }
}
