//! The keys of a `.yaml` job file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use windrow_model::{ErrorReport, MapReduceInput, OutputMode, OutputSpec, Program, TableSpec};

use super::code::CodeEntry;
use super::map_reduce::{KeysEntry, StepEntry};
use super::options::FormatKeys;
use super::setup::SetupEntry;
use super::{Given, INPUT, Job, Settings, all_rows, base_url, location, step_name, timeout};
use crate::nearest;
use crate::params::Params;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobFile {
    name: Option<String>,
    application: Option<String>,
    queue: Option<String>,
    priority: Option<u8>,
    timeout: Option<String>,
    #[serde(default)]
    tables: BTreeMap<String, TableEntry>,
    #[serde(default)]
    params: BTreeMap<String, String>,
    sql: Option<String>,
    sql_file: Option<String>,
    output: Option<OutputEntry>,
    #[serde(default)]
    setup: Vec<SetupEntry>,
    /// Tables that code makes, by name.
    #[serde(default)]
    steps: BTreeMap<String, StepEntry>,
    /// The keys of the only step.
    input: Option<InputEntry>,
    map: Option<CodeEntry>,
    combine: Option<CodeEntry>,
    reduce: Option<CodeEntry>,
    keys: Option<KeysEntry>,
    #[serde(default)]
    deterministic: bool,
}

/// `input:` of a job that is one step.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "`input` is the name of a table, or a map with `location` and `format`, or one with `sql`"
)]
enum InputEntry {
    Name(String),
    Query(QueryEntry),
    Files(Box<TableKeys>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryEntry {
    sql: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableKeys {
    location: String,
    format: Option<String>,
    header: Option<bool>,
    delimiter: Option<String>,
    quote: Option<String>,
    escape: Option<String>,
    null_value: Option<String>,
    compression: Option<String>,
    #[serde(default)]
    options: BTreeMap<String, String>,
}

/// `flights: ./flights.parquet` is short for `flights: { location: ./flights.parquet }`.
#[derive(Debug)]
struct TableEntry(TableKeys);

impl<'de> Deserialize<'de> for TableEntry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = TableEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a location, or a map with `location` and `format`")
            }

            fn visit_str<E: serde::de::Error>(self, location: &str) -> Result<TableEntry, E> {
                Ok(TableEntry(TableKeys { location: location.to_owned(), ..TableKeys::default() }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TableEntry, A::Error> {
                TableKeys::deserialize(MapAccessDeserializer::new(map)).map(TableEntry)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputEntry {
    location: String,
    format: Option<String>,
    mode: Option<String>,
    #[serde(default)]
    partition_by: Vec<String>,
    header: Option<bool>,
    delimiter: Option<String>,
    quote: Option<String>,
    escape: Option<String>,
    null_value: Option<String>,
    compression: Option<String>,
    #[serde(default)]
    options: BTreeMap<String, String>,
}

/// Reads the text of the job file at `path`, which lies in `folder`.
pub(super) fn load(path: &Path, text: &str, stem: &str, folder: &Path, given: &Given) -> Result<Job, ErrorReport> {
    let file: JobFile = serde_yaml_ng::from_str(text).map_err(|error| unreadable(path, &error))?;
    let place = format!("`{}`", path.display());
    let mut params = Params::new(file.params, &given.params);

    let name = file.name.clone().unwrap_or_else(|| stem.to_owned());
    let only = StepEntry {
        map: file.map,
        combine: file.combine,
        reduce: file.reduce,
        keys: file.keys,
        deterministic: file.deterministic,
        ..StepEntry::default()
    };
    let mut made = BTreeMap::new();
    for (step, entry) in file.steps {
        let code = entry.into_made(&step, folder, None, &mut params)?;
        made.insert(step, code);
    }
    let mut tables = BTreeMap::new();
    let only_step = only.has_code().then(|| step_name(&name));
    if let Some(step) = &only_step {
        let input = file.input.map(|input| step_input(input, &mut tables, &mut params)).transpose()?;
        made.insert(step.clone(), only.into_made(step, folder, input, &mut params)?);
    } else if file.input.is_some() {
        return Err(ErrorReport::invalid(format!("{place} has an `input` and no code that reads it"))
            .with_hint("add `map:` or `reduce:`; tables of SQL stand under `tables:`"));
    }
    let is_table = |step: &&String| tables.keys().chain(file.tables.keys()).any(|name| name.eq_ignore_ascii_case(step));
    if let Some(both) = made.keys().find(is_table) {
        return Err(ErrorReport::invalid(format!("`{both}` is a table and a step in {place}"))
            .with_hint("give one of them another name"));
    }
    let script = match (&only_step, &file.sql, &file.sql_file) {
        (Some(step), None, None) => all_rows(step),
        _ => params.substitute(&script(file.sql, file.sql_file, folder, &place)?, "the SQL")?,
    };
    for (name, TableEntry(keys)) in file.tables {
        let table = table(&name, keys, &mut params)?;
        tables.insert(name, table);
    }
    let output = file.output.map(|output| output_spec(output, &mut params)).transpose()?;
    let setup = file.setup.into_iter().map(|entry| entry.into_step(folder, &mut params)).collect::<Result<_, _>>()?;
    params.check_given(&given.params)?;

    let program = Program::Sql { script, base: base_url(folder)?, tables, made, output };
    let settings = Settings {
        name: file.name.or_else(|| Some(stem.to_owned())),
        application: file.application,
        queue: file.queue,
        priority: file.priority,
        timeout: file.timeout.as_deref().map(timeout).transpose()?,
    };
    Ok(Job { spec: settings.into_spec(program, given)?, setup })
}

/// What the only step reads; files become a table.
fn step_input(
    input: InputEntry,
    tables: &mut BTreeMap<String, TableSpec>,
    params: &mut Params,
) -> Result<MapReduceInput, ErrorReport> {
    Ok(match input {
        InputEntry::Name(name) => MapReduceInput::Table(name),
        InputEntry::Query(query) => MapReduceInput::Query(query.sql),
        InputEntry::Files(keys) => {
            tables.insert(INPUT.to_owned(), table(INPUT, *keys, params)?);
            MapReduceInput::Table(INPUT.to_owned())
        }
    })
}

fn script(sql: Option<String>, file: Option<String>, folder: &Path, place: &str) -> Result<String, ErrorReport> {
    match (sql, file) {
        (Some(sql), None) => Ok(sql),
        (None, Some(file)) => super::read(&folder.join(file)),
        (Some(_), Some(_)) => Err(ErrorReport::invalid(format!("{place} has both `sql` and `sql_file`"))
            .with_hint("keep the one that should run")),
        (None, None) => Err(ErrorReport::invalid(format!("{place} says nothing to run"))
            .with_hint("add `sql: SELECT …`, or `sql_file:` with the path of a .sql file")),
    }
}

fn table(name: &str, keys: TableKeys, params: &mut Params) -> Result<TableSpec, ErrorReport> {
    let place = format!("the table `{name}`");
    let location = params.substitute(&keys.location, &place)?;
    let format = location::format(&place, &location, keys.format.as_deref())?;
    let keys = FormatKeys {
        header: keys.header,
        delimiter: keys.delimiter,
        quote: keys.quote,
        escape: keys.escape,
        null_value: keys.null_value,
        compression: keys.compression.or_else(|| location::compression(&location)),
        options: keys.options,
    };
    Ok(TableSpec { options: keys.for_reading(&place, format)?, location, format })
}

fn output_spec(entry: OutputEntry, params: &mut Params) -> Result<OutputSpec, ErrorReport> {
    let place = "the output";
    let location = params.substitute(&entry.location, place)?;
    let format = location::format(place, &location, entry.format.as_deref())?;
    let mode = match entry.mode.as_deref() {
        None => OutputMode::Error,
        Some(name) => OutputMode::from_name(name).ok_or_else(|| unknown_mode(name))?,
    };
    let keys = FormatKeys {
        header: entry.header,
        delimiter: entry.delimiter,
        quote: entry.quote,
        escape: entry.escape,
        null_value: entry.null_value,
        compression: entry.compression,
        options: entry.options,
    };
    let options = keys.for_writing(place, format)?;
    Ok(OutputSpec { location, format, mode, partition_by: entry.partition_by, options })
}

fn unknown_mode(name: &str) -> ErrorReport {
    let modes = ["overwrite", "append", "error"];
    let report = ErrorReport::invalid(format!("the output's mode `{name}` does not exist"));
    match nearest(name, modes) {
        Some(near) => report.with_hint(format!("did you mean `{near}`?")),
        None => {
            report.with_hint("overwrite replaces what is there, append adds to it, error refuses if anything is there")
        }
    }
}

/// The parser's message in the words of a user: the key, its line, and the nearest valid key.
fn unreadable(path: &Path, error: &serde_yaml_ng::Error) -> ErrorReport {
    let message = error.to_string();
    let place = error.location().map(|at| format!("line {}, column {}", at.line(), at.column()));
    let Some((key, valid)) = unknown_key(&message) else {
        let report = ErrorReport::invalid(format!("`{}` is not a job file", path.display())).with_detail(message);
        return report.with_hint("`windrow run --help` shows a job file with its keys");
    };
    let hint = match nearest(key, valid.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("valid keys here: {}", valid.join(", ")),
    };
    ErrorReport::invalid(format!("unknown key `{key}` in `{}`", path.display()))
        .with_detail(place.unwrap_or_default())
        .with_hint(hint)
}

/// The key and the valid keys in serde's ``unknown field `key`, expected one of `a`, `b` ``: serde offers them
/// in no other form.
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let (_, named) = message.split_once("unknown field `")?;
    let mut quoted = named.split('`').step_by(2);
    Some((quoted.next()?, named.split('`').skip(2).step_by(2).collect()))
}
