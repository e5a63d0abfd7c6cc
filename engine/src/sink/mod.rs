//! Writes a statement's rows as files and makes them visible all at once.
//!
//! `table_write` runs in every task and leaves finished files where no listing reader looks;
//! `commit` runs once, on the coordinator, and publishes them under one numbered manifest.

pub mod commit;
mod encode;
mod folder;
pub mod identity;
pub mod manifest;
mod protocol;
mod single;
mod split_rows;
mod staging;
mod table_files;
pub mod table_write;
pub mod target;

pub(crate) use encode::lines_of;
pub(crate) use staging::{StagedFile, StagingArea};
pub(crate) use table_files::unique_name;

pub use commit::{CommitError, Decided, abort, commit};
pub use identity::{KeptFiles, StagedFiles, WriteIdentity, WriteLog};
pub use table_write::TableWriteExec;
pub use target::{OutputTarget, check_columns, check_target};

#[cfg(test)]
mod tests;
