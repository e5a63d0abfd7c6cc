//! Error kinds and the three-part report a user reads.

use std::fmt;

/// What the caller should do about an error. One table maps each kind to a gRPC code and a CLI exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong and stays wrong: fix the SQL, the job file, the data or the flag.
    Invalid,
    NotFound,
    AlreadyExists,
    /// Somebody else changed the same thing first.
    Conflict,
    /// A limit was reached: memory, disk, attempts, queue length.
    Exhausted,
    /// Try again later; nothing is known to be wrong with the request.
    Unavailable,
    /// A newer leader or attempt has taken over.
    Fenced,
    Unauthenticated,
    PermissionDenied,
    Cancelled,
    /// Stored bytes are not what was written.
    Corrupt,
    Unsupported,
    /// A bug in Windrow.
    Internal,
}

impl ErrorKind {
    pub const ALL: [ErrorKind; 13] = [
        ErrorKind::Invalid,
        ErrorKind::NotFound,
        ErrorKind::AlreadyExists,
        ErrorKind::Conflict,
        ErrorKind::Exhausted,
        ErrorKind::Unavailable,
        ErrorKind::Fenced,
        ErrorKind::Unauthenticated,
        ErrorKind::PermissionDenied,
        ErrorKind::Cancelled,
        ErrorKind::Corrupt,
        ErrorKind::Unsupported,
        ErrorKind::Internal,
    ];

    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Invalid => "invalid",
            ErrorKind::NotFound => "not-found",
            ErrorKind::AlreadyExists => "already-exists",
            ErrorKind::Conflict => "conflict",
            ErrorKind::Exhausted => "exhausted",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Fenced => "fenced",
            ErrorKind::Unauthenticated => "unauthenticated",
            ErrorKind::PermissionDenied => "permission-denied",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Internal => "internal",
        }
    }

    pub fn from_name(name: &str) -> Option<ErrorKind> {
        ErrorKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Exit code of the command line. 1 is left to the shell's own meaning of "no", 2 is clap's for bad flags.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Invalid => 3,
            ErrorKind::NotFound => 4,
            ErrorKind::AlreadyExists => 5,
            ErrorKind::Conflict => 6,
            ErrorKind::Exhausted => 7,
            ErrorKind::Unavailable => 8,
            ErrorKind::Fenced => 9,
            ErrorKind::Unauthenticated => 10,
            ErrorKind::PermissionDenied => 11,
            ErrorKind::Cancelled => 12,
            ErrorKind::Corrupt => 13,
            ErrorKind::Unsupported => 14,
            ErrorKind::Internal => 15,
        }
    }

    /// Canonical gRPC status code (grpc.io, "Status codes and their use in gRPC").
    pub fn grpc_code(self) -> i32 {
        match self {
            ErrorKind::Cancelled => 1,
            ErrorKind::Invalid => 3,
            ErrorKind::NotFound => 5,
            ErrorKind::AlreadyExists => 6,
            ErrorKind::PermissionDenied => 7,
            ErrorKind::Exhausted => 8,
            ErrorKind::Fenced => 9,
            ErrorKind::Conflict => 10,
            ErrorKind::Unsupported => 12,
            ErrorKind::Internal => 13,
            ErrorKind::Unavailable => 14,
            ErrorKind::Corrupt => 15,
            ErrorKind::Unauthenticated => 16,
        }
    }

    pub fn from_grpc_code(code: i32) -> ErrorKind {
        ErrorKind::ALL.into_iter().find(|kind| kind.grpc_code() == code).unwrap_or(ErrorKind::Internal)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error as a user reads it: what failed (naming the file, table, column or job), the detail, and the next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReport {
    pub kind: ErrorKind,
    pub what: String,
    /// May be empty.
    pub detail: String,
    /// May be empty.
    pub hint: String,
}

impl ErrorReport {
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        ErrorReport { kind, what: what.into(), detail: String::new(), hint: String::new() }
    }

    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    pub fn invalid(what: impl Into<String>) -> Self {
        ErrorReport::new(ErrorKind::Invalid, what)
    }

    pub fn internal(what: impl Into<String>) -> Self {
        ErrorReport::new(ErrorKind::Internal, what)
            .with_hint("this is a bug in Windrow; please report it with the job's id and the coordinator's log")
    }
}

impl fmt::Display for ErrorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for ErrorReport {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_its_own_exit_and_grpc_code() {
        let exits: BTreeSet<u8> = ErrorKind::ALL.iter().map(|kind| kind.exit_code()).collect();
        let codes: BTreeSet<i32> = ErrorKind::ALL.iter().map(|kind| kind.grpc_code()).collect();
        assert_eq!(exits.len(), ErrorKind::ALL.len());
        assert_eq!(codes.len(), ErrorKind::ALL.len());
        for kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::from_name(kind.name()), Some(kind));
            assert_eq!(ErrorKind::from_grpc_code(kind.grpc_code()), kind);
        }
    }
}
