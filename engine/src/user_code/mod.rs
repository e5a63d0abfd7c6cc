//! The user's own map and reduce code in a plan: tables that it makes of others.
//!
//! A map, a combiner or a reducer is one operator over the rows of its input. What is special about a reducer is what it
//! asks of them: all rows of a key in one partition, in the order of keys. The planner adds the exchange and the sort, as it
//! does for any operator, so that stages, shuffle, retries and commits are those of SQL.

mod exec;
mod frames;
mod host;
mod keys;
mod lines;
mod logical;
mod message;
mod reducers;

use std::collections::BTreeSet;

use arrow::datatypes::SchemaRef;
use windrow_model::{ErrorReport, Framing, Keys, MapReduce, UserCode};

use crate::plan::PARTITIONS_LIMIT;

pub(crate) use exec::UserCodeExec;
pub use host::{HostedProcess, ProcessHost, ProcessStart, UserCodeError, UserCodeHost};
pub(crate) use lines::schema as lines_schema;
pub(crate) use logical::{Schemas, UserCodePlanner, made_of};
pub(crate) use message::PlacedCodeMessage;
pub(crate) use reducers::with_exchanges;

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
    for (role, code) in pieces {
        let Some(code) = code else { continue };
        let place = format!("the {} of {place}", role.name());
        if code.process.is_empty() {
            return Err(ErrorReport::invalid(format!("{place} names no program")));
        }
        if (code.framing == Framing::Arrow) != code.columns.is_some() {
            return Err(ErrorReport::invalid(format!(
                "{place}: the framing `arrow`, and no other, comes with columns"
            )));
        }
        let names: BTreeSet<&str> = code.files.iter().map(|file| file.name.as_str()).collect();
        if names.len() < code.files.len() {
            return Err(ErrorReport::invalid(format!("{place}: two of its files have one name"))
                .with_hint("files that come with a job lie side by side, whatever folders they are in"));
        }
        if let Some(file) = code.files.iter().find(|file| !is_file_name(&file.name)) {
            return Err(ErrorReport::invalid(format!("{place}: `{}` is not the name of a file", file.name))
                .with_hint("files that come with a job lie side by side: give names without folders"));
        }
    }
    Ok(())
}

/// A name that stays in its folder.
pub fn is_file_name(name: &str) -> bool {
    let mut parts = std::path::Path::new(name).components();
    matches!(parts.next(), Some(std::path::Component::Normal(part)) if part == name) && parts.next().is_none()
}

impl PlacedCode {
    /// What the user calls it: the program, or the command line that a shell is given.
    pub fn program(&self) -> &str {
        match self.code.process.as_slice() {
            [shell, option, command] if shell == "/bin/sh" && option == "-c" => command,
            [program, ..] => program,
            [] => "",
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
