//! Opens files and folders as tables, with the list of files fixed when the statement is planned.
//!
//! Architecture invariant: a scan reads exactly the files, sizes and ETags that planning saw. A folder is never
//! listed again by a task, and a file that has changed since is an error, not other rows.

mod csv_nulls;
pub mod files;
pub mod formats;
mod headers;
pub mod hive;
pub mod listing;
pub mod pinned;
mod provider;
pub(crate) mod text;

pub use listing::{Declared, OpenedTable, open_table};
pub use pinned::{InputChanged, ReadTrouble, pin_inputs};
pub use provider::FileTable;

#[cfg(test)]
mod tests;
