//! The user's own map and reduce code in a plan: tables that it makes of others.
//!
//! A map, a combiner or a reducer is one operator over the rows of its input. What is special about a reducer is what it
//! asks of them: all rows of a key in one partition, in the order of keys. The planner adds the exchange and the sort, as it
//! does for any operator, so that stages, shuffle, retries and commits are those of SQL.

mod aside;
mod exec;
mod frames;
mod host;
mod isolate;
mod keys;
mod lines;
mod logical;
mod message;
mod native;
mod origin;
mod process;
mod reducers;
mod report;
mod run;
mod wasm;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use windrow_model::{Divide, ErrorReport, Framing, Keys, MapReduce, OnError, Runs, ShippedFile, UserCode};

use crate::plan::PARTITIONS_LIMIT;
use crate::sink::OutputTarget;

pub(crate) use exec::{UserCodeExec, asides};
pub use host::{HostedProcess, ProcessHost, ProcessStart, UserCodeError, UserCodeHost};
pub(crate) use lines::schema as lines_schema;
pub(crate) use logical::{Schemas, UserCodePlanner, made_of, rows_of_function};
pub(crate) use message::PlacedCodeMessage;
pub use native::{CodeEnds, CodeInput, CodeOutput, CodeStart, NativeCode, Stopped, register};
pub(crate) use reducers::with_exchanges;
pub use report::{CodeReport, Said};
pub(crate) use run::{BadRecords, CodeContext};
pub(crate) use wasm::{load_module, module_limits};

/// What a piece of code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Map,
    Combine,
    Reduce,
}

/// Refuses what no worker could run. Whoever submits a job may not be Windrow's own client.
pub(crate) fn check(made: &MapReduce, place: &str) -> Result<(), ErrorReport> {
    let pieces = [(Role::Map, &made.map), (Role::Combine, &made.combine), (Role::Reduce, &made.reduce)];
    if !made.keys.separator.is_ascii() {
        return Err(ErrorReport::invalid(format!(
            "{place}: the separator `{}` is no ASCII character",
            made.keys.separator
        )));
    }
    if made.partitions.is_some_and(|partitions| !(1..=PARTITIONS_LIMIT).contains(&partitions)) {
        return Err(ErrorReport::invalid(format!("{place}: it has from 1 to {PARTITIONS_LIMIT} reduce partitions")));
    }
    if made.keys.divide == Divide::Numbered && made.combine.is_some() {
        return Err(ErrorReport::invalid(format!("{place}: a combiner does not know to which reducer a row goes"))
            .with_hint("combine in the mapper, or let keys decide about reducers"));
    }
    pieces.into_iter().filter_map(|(role, code)| Some((role, code.as_ref()?))).try_for_each(|(role, code)| {
        let place = format!("the {} of {place}", role.name());
        if role != Role::Map && code.on_error != OnError::Fail {
            return Err(ErrorReport::invalid(format!("{place}: only a mapper's bad records can be told apart"))
                .with_hint("remove `on_error:` there"));
        }
        check_runs(code, &place)
    })
}

fn check_runs(code: &UserCode, place: &str) -> Result<(), ErrorReport> {
    match &code.runs {
        Runs::Process { command, framing, files, .. } => {
            if command.is_empty() {
                return Err(ErrorReport::invalid(format!("{place} names no program")));
            }
            if (*framing == Framing::Arrow) != code.columns.is_some() {
                return Err(ErrorReport::invalid(format!(
                    "{place}: the framing `arrow`, and no other, comes with columns"
                )));
            }
            check_files(files, place)
        }
        Runs::Wasm { .. } | Runs::Native { .. } if code.columns.is_none() => {
            Err(ErrorReport::invalid(format!("{place} does not say which columns it writes"))
                .with_hint("add `columns:`, for example `columns: word VARCHAR, n BIGINT`"))
        }
        Runs::Wasm { module, function } => wasm::check(module, function, place),
        Runs::Native { .. } => Ok(()),
    }
}

fn check_files(files: &[ShippedFile], place: &str) -> Result<(), ErrorReport> {
    let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
    if names.len() < files.len() {
        return Err(ErrorReport::invalid(format!("{place}: two of its files have one name"))
            .with_hint("files that come with a job lie side by side, whatever folders they are in"));
    }
    match files.iter().find(|file| !is_file_name(&file.name)) {
        None => Ok(()),
        Some(file) => Err(ErrorReport::invalid(format!("{place}: `{}` is not the name of a file", file.name))
            .with_hint("files that come with a job lie side by side: give names without folders")),
    }
}

/// A name that stays in its folder.
pub fn is_file_name(name: &str) -> bool {
    let mut parts = std::path::Path::new(name).components();
    matches!(parts.next(), Some(std::path::Component::Normal(part)) if part == name) && parts.next().is_none()
}

impl PlacedCode {
    /// What the user calls it: the program, or the command line that a shell is given, or the function.
    pub fn program(&self) -> &str {
        match &self.code.runs {
            Runs::Process { command, .. } => match command.as_slice() {
                [shell, option, command] if shell == "/bin/sh" && option == "-c" => command,
                [program, ..] => program,
                [] => "",
            },
            Runs::Wasm { function, .. } => function,
            Runs::Native { name } => name,
        }
    }

    /// Code that may leave out records is run in another way when an attempt has failed, and its last rows may be others.
    pub fn gives_the_same_again(&self) -> bool {
        self.deterministic && self.code.on_error == OnError::Fail
    }

    /// Its rows begin with the number of a reducer, which reducers do not read.
    fn drops_number(&self) -> bool {
        self.role == Role::Reduce && self.keys.divide == Divide::Numbered
    }

    /// A failure of it, with its name.
    fn failure(&self, report: ErrorReport) -> ErrorReport {
        let what = format!("the {} `{}` of `{}` failed: {}", self.role.name(), self.program(), self.table, report.what);
        ErrorReport { what, ..report }
    }
}

impl std::fmt::Display for PlacedCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}, ", self.role.name(), self.table)?;
        match &self.code.runs {
            Runs::Process { command, framing, .. } => write!(f, "process={command:?}, framing={}", framing.name()),
            Runs::Wasm { module, function } => write!(f, "wasm={}, function={function}", module.name),
            Runs::Native { name } => write!(f, "native={name}"),
        }
    }
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::Map => "map",
            Role::Combine => "combine",
            Role::Reduce => "reduce",
        }
    }
}

/// A piece of code with its place in a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedCode {
    /// The table that it makes.
    pub table: String,
    pub role: Role,
    pub code: UserCode,
    pub keys: Keys,
    /// It gives the same rows for the same rows.
    pub deterministic: bool,
    /// Of the rows that it writes.
    pub schema: SchemaRef,
    /// Partitions that a reducer asks for; only planning needs to know.
    pub partitions: Option<u32>,
    /// Where records go at which it fails.
    pub aside: Option<Arc<OutputTarget>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_in_their_folder() {
        assert!(is_file_name("sum.py") && is_file_name(".hidden") && is_file_name("..."));
        for wrong in ["", ".", "..", "../x", "a/b", "/etc/passwd", "a/", "./a"] {
            assert!(!is_file_name(wrong), "{wrong}");
        }
    }
}
