//! The user's own code in a job file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use windrow_model::{Divide, ErrorReport, FieldRange, Keys, MapReduce, MapReduceInput, SortField};

use super::code::{CodeEntry, check_files};
use crate::params::Params;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeysEntry {
    separator: Option<String>,
    fields: Option<u32>,
    partition: Option<String>,
    sort: Option<String>,
    #[serde(default)]
    points: Vec<String>,
}

/// One of `steps:`, or the keys of a job file that is one step.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepEntry {
    pub input: Option<StepInput>,
    pub map: Option<CodeEntry>,
    pub combine: Option<CodeEntry>,
    pub reduce: Option<CodeEntry>,
    pub keys: Option<KeysEntry>,
    #[serde(default)]
    pub deterministic: bool,
}

/// `input: lines` names a table or another step; `input: { sql: SELECT … }` is the rows of a query.
#[derive(Debug)]
pub(super) struct StepInput(MapReduceInput);

impl<'de> Deserialize<'de> for StepInput {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Query {
            sql: String,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = StepInput;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a table or step, or a map with `sql`")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<StepInput, E> {
                Ok(StepInput(MapReduceInput::Table(name.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StepInput, A::Error> {
                let query = Query::deserialize(MapAccessDeserializer::new(map))?;
                Ok(StepInput(MapReduceInput::Query(query.sql)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl StepEntry {
    /// Whether it names any code.
    pub fn has_code(&self) -> bool {
        self.map.is_some() || self.combine.is_some() || self.reduce.is_some()
    }

    /// `input` is what it reads if it does not say.
    pub fn into_made(
        self,
        name: &str,
        folder: &Path,
        input: Option<MapReduceInput>,
        params: &mut Params,
    ) -> Result<MapReduce, ErrorReport> {
        let place = format!("the step `{name}`");
        if !self.has_code() {
            return Err(ErrorReport::invalid(format!("{place} has no code"))
                .with_hint("add `map:`, `reduce:` or both, for example `map: { process: [./mapper.py] }`"));
        }
        let input = self.input.map(|StepInput(input)| input).or(input).ok_or_else(|| {
            ErrorReport::invalid(format!("{place} has no input"))
                .with_hint("add `input:` with the name of a table or of another step, or `input: { sql: SELECT … }`")
        })?;
        let input = match input {
            MapReduceInput::Query(sql) => MapReduceInput::Query(params.substitute(&sql, &place)?),
            table => table,
        };
        let points = self.keys.as_ref().map_or(0, |keys| keys.points.len() as u32);
        let partitions = self.reduce.as_ref().and_then(|reduce| reduce.partitions);
        let partitions = match (points, partitions) {
            (0, partitions) => partitions,
            (points, None) => Some(points + 1),
            (points, Some(partitions)) if partitions == points + 1 => Some(partitions),
            (points, Some(partitions)) => {
                return Err(ErrorReport::invalid(format!("{place} has {partitions} partitions and {points} points"))
                    .with_hint("points divide keys among one reducer more than there are points"));
            }
        };
        let mut code = |entry: Option<CodeEntry>, role: &str| {
            entry.map(|entry| entry.into_code(role, &format!("the {role} of {place}"), folder, params)).transpose()
        };
        let (map, combine, reduce) =
            (code(self.map, "map")?, code(self.combine, "combine")?, code(self.reduce, "reduce")?);
        check_files([&map, &combine, &reduce].into_iter().flatten(), &place)?;
        let keys = self.keys.unwrap_or_default().into_keys(&place)?;
        Ok(MapReduce { input, map, combine, reduce, partitions, keys, deterministic: self.deterministic })
    }
}

impl KeysEntry {
    fn into_keys(self, place: &str) -> Result<Keys, ErrorReport> {
        let wrong = |what: String, hint: &str| ErrorReport::invalid(format!("{place}: {what}")).with_hint(hint);
        let separator = match self.separator.as_deref() {
            None | Some("\\t") => '\t',
            Some(text) => {
                let mut characters = text.chars();
                characters.next().filter(|first| first.is_ascii() && characters.next().is_none()).ok_or_else(|| {
                    wrong(format!("`{text}` is not a separator"), "give one ASCII character, or \\t for a tab")
                })?
            }
        };
        let partition = self.partition.map(|text| {
            FieldRange::from_option(&text)
                .ok_or_else(|| wrong(format!("`{text}` are not fields of a key"), "write for example `-k1,2`"))
        });
        let sort = self.sort.map(|text| {
            SortField::from_options(&text)
                .ok_or_else(|| wrong(format!("`{text}` is not an order of keys"), "write for example `-k1,1 -k2,2nr`"))
        });
        Ok(Keys {
            separator,
            fields: self.fields.unwrap_or(1).max(1),
            partition: partition.transpose()?,
            sort: sort.transpose()?.unwrap_or_default(),
            divide: if self.points.is_empty() { Divide::Hash } else { Divide::Points(self.points) },
        })
    }
}

/// The mapper where there is none: lines become keys and values, as those of any mapper do.
const PASS_ON: &str = "cat";

/// The reducer of Hadoop's aggregate package: it is a query.
const AGGREGATE: &str = "aggregate";

/// What that does with keys like `LongValueSum:word`. A name that it does not know ends up in the error of a cast.
fn aggregates(table: &str) -> String {
    let of = |kind: &str, value: &str| format!("CASE WHEN kind = '{kind}' THEN {value} END");
    let (long, double) = ("CAST(value AS BIGINT)", "CAST(value AS DOUBLE)");
    let kinds = [
        ("LongValueSum", format!("sum({})", of("LongValueSum", long))),
        ("LongValueMax", format!("max({})", of("LongValueMax", long))),
        ("LongValueMin", format!("min({})", of("LongValueMin", long))),
        ("DoubleValueSum", format!("sum({})", of("DoubleValueSum", double))),
        ("StringValueMax", format!("max({})", of("StringValueMax", "value"))),
        ("StringValueMin", format!("min({})", of("StringValueMin", "value"))),
        ("UniqValueCount", format!("count(DISTINCT {})", of("UniqValueCount", "value"))),
    ];
    let cases: String =
        kinds.iter().map(|(kind, value)| format!(" WHEN '{kind}' THEN CAST({value} AS VARCHAR)")).collect();
    format!(
        "SELECT id AS key, CASE kind{cases} ELSE CAST(CAST(concat('no such aggregator: ', kind) AS BIGINT) AS VARCHAR) END \
         AS value FROM (SELECT split_part(key, ':', 1) AS kind, substr(key, strpos(key, ':') + 1) AS id, value \
         FROM {table}) GROUP BY kind, id"
    )
}

/// What `windrow mapreduce` was given.
#[derive(Clone, Debug, Default)]
pub struct Streaming {
    /// Command lines of a shell.
    pub mapper: Option<String>,
    pub combiner: Option<String>,
    pub reducer: Option<String>,
    pub files: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub partitions: Option<u32>,
    pub separator: Option<String>,
    pub key_fields: Option<u32>,
    pub partition: Option<String>,
    pub sort: Option<String>,
    pub network: bool,
    pub deterministic: bool,
}

impl Streaming {
    /// The query over the step's table whose rows are the output. Takes the reducer that is one.
    pub(super) fn take_query(&mut self, table: &str) -> Option<String> {
        self.reducer.take_if(|reducer| reducer == AGGREGATE).map(|_| aggregates(table))
    }

    /// Its step, whose files are looked for in `folder` and whose input is the table `input`.
    pub(super) fn into_made(self, name: &str, folder: &Path, input: &str) -> Result<MapReduce, ErrorReport> {
        let entry = |command: Option<String>| {
            command.map(|command| CodeEntry::shell(command, self.env.clone(), self.files.clone(), self.network))
        };
        let step = StepEntry {
            input: Some(StepInput(MapReduceInput::Table(input.to_owned()))),
            map: entry(self.mapper.or_else(|| Some(PASS_ON.to_owned()))),
            combine: entry(self.combiner),
            reduce: entry(self.reducer),
            keys: Some(KeysEntry {
                separator: self.separator,
                fields: self.key_fields,
                partition: self.partition,
                sort: self.sort,
                points: Vec::new(),
            }),
            deterministic: self.deterministic,
        };
        // A command line is the shell's, dollars and all.
        let mut nothing = Params::untouched();
        Ok(MapReduce { partitions: self.partitions, ..step.into_made(name, folder, None, &mut nothing)? })
    }
}
