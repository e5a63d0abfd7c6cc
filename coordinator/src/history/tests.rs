//! The format and the archive.
