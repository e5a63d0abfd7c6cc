//! How a store's operation ends when it does not succeed.

use std::fmt;

use windrow_model::{ErrorKind, ErrorReport, format_bytes};

/// The outcomes that a caller must tell apart; the report is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreError {
    /// A newer leader has taken over: stop.
    Fenced(ErrorReport),
    /// The journal is not as this leader left it although nobody has taken over: somebody else wrote to it.
    /// Nothing was written.
    Conflict(ErrorReport),
    /// The operation may or may not have happened.
    Unknown(ErrorReport),
    /// Nothing was written, and the same will never be.
    TooLarge { bytes: u64, max: u64, report: ErrorReport },
    /// Nothing was written; it may work later.
    Unavailable(ErrorReport),
    /// What is stored is damaged, or was written by a later version.
    Unreadable(ErrorReport),
}

impl StoreError {
    pub(super) fn fenced(epoch: u64) -> StoreError {
        StoreError::Fenced(
            ErrorReport::new(ErrorKind::Fenced, "another coordinator leads now")
                .with_detail(format!("the leadership of epoch {epoch} is over"))
                .with_hint("nothing to do, unless two coordinators were started on one journal by mistake"),
        )
    }

    pub(super) fn conflict(detail: impl Into<String>) -> StoreError {
        StoreError::Conflict(
            ErrorReport::new(ErrorKind::Conflict, "the journal was changed by someone else")
                .with_detail(detail)
                .with_hint("keep other programs and restores away from the journal while a coordinator runs"),
        )
    }

    /// `what` is the thing that is too large, for example `a record of job-7`.
    pub(super) fn too_large(what: &str, bytes: u64, max: u64) -> StoreError {
        let report = ErrorReport::new(ErrorKind::Exhausted, format!("{what} is too large for the journal"))
            .with_detail(format!("it has {}, and {} is the most", format_bytes(bytes), format_bytes(max)))
            .with_hint("split the job's script, or read fewer and larger files");
        StoreError::TooLarge { bytes, max, report }
    }

    /// Refused because an earlier outcome is still unknown (S-3).
    pub(super) fn unresolved() -> StoreError {
        StoreError::Unknown(ErrorReport::internal("a commit came before the outcome of the last one was known"))
    }

    pub(crate) fn report(&self) -> &ErrorReport {
        match self {
            StoreError::Fenced(report)
            | StoreError::Conflict(report)
            | StoreError::Unknown(report)
            | StoreError::TooLarge { report, .. }
            | StoreError::Unavailable(report)
            | StoreError::Unreadable(report) => report,
        }
    }

    /// Short stable name, used in logs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            StoreError::Fenced(_) => "fenced",
            StoreError::Conflict(_) => "conflict",
            StoreError::Unknown(_) => "unknown",
            StoreError::TooLarge { .. } => "too-large",
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Unreadable(_) => "unreadable",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report().fmt(f)
    }
}

impl std::error::Error for StoreError {}

impl From<StoreError> for ErrorReport {
    fn from(error: StoreError) -> ErrorReport {
        error.report().clone()
    }
}
