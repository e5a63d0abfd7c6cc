//! A job as its user specifies it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::MapReduce;

/// A self-contained specification: everything needed to run the job, on any coordinator, at any later time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSpec {
    pub name: String,
    /// The user's long-lived namespace.
    pub application: String,
    pub queue: String,
    /// 0 to 100; a job's fair share of slots grows with it. Default 50.
    pub priority: u8,
    /// Who submitted it, as the transport knows (until authentication exists: the operating system's user name).
    pub submitted_by: String,
    pub timeout: Option<Duration>,
    /// The same token twice is the same job.
    pub client_token: Option<String>,
    pub program: Program,
}

/// What a job runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    Sql {
        /// One or more statements, parameters already substituted.
        script: String,
        /// URL of the folder that relative locations resolve against, with a trailing slash.
        base: String,
        tables: BTreeMap<String, TableSpec>,
        /// Tables that the user's own code makes of others, by name. They are read as any other table is.
        made: BTreeMap<String, MapReduce>,
        /// Where the rows of the script's last `SELECT` go; `None` keeps them as the job's result.
        output: Option<OutputSpec>,
    },
}

/// A named input of a job file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSpec {
    /// A file or folder; local path or URL, as the user wrote it.
    pub location: String,
    pub format: TableFormat,
    /// Format options under DataFusion's names, for example `format.has_header`.
    pub options: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    Parquet,
    Csv,
    Json,
    /// Lines.
    Text,
}

/// Where a job's rows go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSpec {
    pub location: String,
    pub format: OutputFormat,
    pub mode: OutputMode,
    pub partition_by: Vec<String>,
    pub options: BTreeMap<String, String>,
}

pub type OutputFormat = TableFormat;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputMode {
    /// Replace what is there, atomically.
    Overwrite,
    /// Add to what is there.
    Append,
    /// Fail if anything is there.
    Error,
}

impl TableFormat {
    pub fn name(self) -> &'static str {
        match self {
            TableFormat::Parquet => "parquet",
            TableFormat::Csv => "csv",
            TableFormat::Json => "json",
            TableFormat::Text => "text",
        }
    }

    pub fn from_name(name: &str) -> Option<TableFormat> {
        [TableFormat::Parquet, TableFormat::Csv, TableFormat::Json, TableFormat::Text]
            .into_iter()
            .find(|format| format.name() == name)
    }
}

impl OutputMode {
    pub fn name(self) -> &'static str {
        match self {
            OutputMode::Overwrite => "overwrite",
            OutputMode::Append => "append",
            OutputMode::Error => "error",
        }
    }

    pub fn from_name(name: &str) -> Option<OutputMode> {
        [OutputMode::Overwrite, OutputMode::Append, OutputMode::Error].into_iter().find(|mode| mode.name() == name)
    }
}
