//! What one program may do.

use std::path::PathBuf;

use crate::limits::Limits;

/// What one program may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The only place that it may write to. An existing folder, its own.
    pub folder: PathBuf,
    /// Whether it may open sockets other than those between processes of this host.
    pub network: bool,
    pub limits: Limits,
}

impl Options {
    /// No network, and the default limits.
    pub fn new(folder: impl Into<PathBuf>) -> Options {
        Options { folder: folder.into(), network: false, limits: Limits::default() }
    }
}
