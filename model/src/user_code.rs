//! The user's own map and reduce code, as a job names it.

use std::collections::BTreeMap;

/// A table that the user's own code makes of another one: map, then combine, then sort by key, then reduce. Every step may
/// be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapReduce {
    pub input: MapReduceInput,
    pub map: Option<UserCode>,
    /// Runs on what a map task puts out, as often as it pays: none, once, or several times over.
    pub combine: Option<UserCode>,
    pub reduce: Option<UserCode>,
    /// Tasks that reduce; `None`: as many as the planner finds right.
    pub partitions: Option<u32>,
    pub keys: Keys,
    /// The code gives the same rows for the same rows, whatever their order within a key. Otherwise the loss of an output makes its readers run again, too.
    pub deterministic: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapReduceInput {
    /// A table of the job.
    Table(String),
    /// The rows of a query.
    Query(String),
}

/// Code that reads rows and writes rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCode {
    pub runs: Runs,
    /// Columns of the rows that it writes, as in `CREATE TABLE`; `None`: those of lines, a key and a value.
    pub columns: Option<String>,
    /// What it is told beside what all code is told: environment of a process, parameters of other code.
    pub env: BTreeMap<String, String>,
    pub on_error: OnError,
    pub limits: CodeLimits,
}

/// What runs a piece of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runs {
    /// A program and its arguments; it reads standard input and writes standard output.
    Process {
        command: Vec<String>,
        framing: Framing,
        /// Put into the folder that the process is started in.
        files: Vec<ShippedFile>,
        /// It may use the network.
        network: bool,
    },
    /// A function of a WebAssembly module.
    Wasm { module: ShippedFile, function: String },
    /// Code that is part of the worker's own binary, by its name there.
    Native { name: String },
}

/// What becomes of a record at which code fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The attempt fails, and after as many as are allowed the job does.
    #[default]
    Fail,
    /// Bad records are left out, up to so many of a task.
    Skip { records_max: u64 },
    /// They are written aside with the reason, into this location.
    Quarantine { location: String },
}

/// What a piece of code may use. `None`: what its worker allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeLimits {
    /// Of a process with its children, or of a module's memory.
    pub memory_bytes: Option<u64>,
    /// Of a process with its children.
    pub cpu_ms: Option<u64>,
    /// In the folder of a process.
    pub disk_bytes: Option<u64>,
    /// Of a module, for each row.
    pub fuel_per_row: Option<u64>,
}

/// How rows look on a process's standard input and output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Lines: columns with tabs between them; a key, a tab, and a value.
    #[default]
    Lines,
    /// An Arrow IPC stream.
    Arrow,
}

/// A file that comes with a job.
#[derive(Clone, PartialEq, Eq)]
pub struct ShippedFile {
    /// A name without folders.
    pub name: String,
    pub executable: bool,
    pub bytes: Vec<u8>,
}

/// What of a line is its key, and how keys are divided and ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Between the fields of a line, and between its key and its value.
    pub separator: char,
    /// So many first fields of a line are its key; the rest is its value.
    pub fields: u32,
    /// Which fields of the key decide where a row goes: 1 is the first. `None`: the whole key.
    pub partition: Option<FieldRange>,
    /// Order of the rows that a reducer reads; empty: by the bytes of the whole key.
    pub sort: Vec<SortField>,
    /// How keys are divided among reducers.
    pub divide: Divide,
}

/// How rows are divided among reducers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Divide {
    /// By a hash of the key.
    #[default]
    Hash,
    /// By the number in the first column, which is no part of the key and which reducers do not read.
    Numbered,
    /// The keys of the first reducer are less than the first of these, and so on, so that the outputs follow each other.
    Points(Vec<String>),
}

/// From one field to another, both counted from 1 and included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldRange {
    pub first: u32,
    /// `None`: to the last one.
    pub last: Option<u32>,
}

/// One part of an order of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortField {
    pub fields: FieldRange,
    /// By the number that the text is; text that is none is the number 0.
    pub numeric: bool,
    pub reverse: bool,
}

impl Default for Keys {
    fn default() -> Self {
        Keys { separator: '\t', fields: 1, partition: None, sort: Vec::new(), divide: Divide::Hash }
    }
}

impl Framing {
    pub fn name(self) -> &'static str {
        match self {
            Framing::Lines => "lines",
            Framing::Arrow => "arrow",
        }
    }

    pub fn from_name(name: &str) -> Option<Framing> {
        [Framing::Lines, Framing::Arrow].into_iter().find(|framing| framing.name() == name)
    }
}

impl FieldRange {
    /// Reads `1,2`, `2` (from there to the last) and `2,2`.
    fn read(text: &str) -> Option<FieldRange> {
        let (first, last) = text.split_once(',').map_or((text, None), |(first, last)| (first, Some(last)));
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
        let (first, last) = (number(first)?, last.map(|last| number(last).ok_or(())).transpose().ok()?);
        last.is_none_or(|last| last >= first).then_some(FieldRange { first, last })
    }

    /// Reads the option of a partitioner: `-k1,2`. `None` if it is none.
    pub fn from_option(text: &str) -> Option<FieldRange> {
        FieldRange::read(text.trim().strip_prefix("-k")?)
    }
}

impl SortField {
    /// Reads the options of `sort`: `-k1,2 -k2,2nr`; a lone `-n` or `-r` is for all of them. `None` if it is none.
    pub fn from_options(text: &str) -> Option<Vec<SortField>> {
        let (mut fields, mut numeric, mut reverse) = (Vec::new(), false, false);
        for word in text.split_whitespace() {
            let word = word.strip_prefix('-')?;
            match word.strip_prefix('k') {
                Some(key) => {
                    let range = key.trim_end_matches(['n', 'r']);
                    let flags = &key[range.len()..];
                    let fields_of = FieldRange::read(range)?;
                    fields.push(SortField {
                        fields: fields_of,
                        numeric: flags.contains('n'),
                        reverse: flags.contains('r'),
                    });
                }
                None if !word.is_empty() && word.chars().all(|flag| matches!(flag, 'n' | 'r')) => {
                    numeric |= word.contains('n');
                    reverse |= word.contains('r');
                }
                None => return None,
            }
        }
        if fields.is_empty() {
            fields.push(SortField { fields: FieldRange { first: 1, last: None }, numeric: false, reverse: false });
        }
        // Flags of its own are all that a key has.
        for field in fields.iter_mut().filter(|field| !field.numeric && !field.reverse) {
            (field.numeric, field.reverse) = (numeric, reverse);
        }
        Some(fields)
    }
}

impl std::fmt::Debug for ShippedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ShippedFile({}, {} bytes)", self.name, self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u32, last: Option<u32>) -> FieldRange {
        FieldRange { first, last }
    }

    #[test]
    fn options_are_those_of_sort() {
        let field = |fields, numeric, reverse| SortField { fields, numeric, reverse };
        assert_eq!(FieldRange::from_option("-k1,2"), Some(range(1, Some(2))));
        assert_eq!(FieldRange::from_option("-k2"), Some(range(2, None)));
        assert_eq!(
            SortField::from_options("-k1,1 -k2,2nr"),
            Some(vec![field(range(1, Some(1)), false, false), field(range(2, Some(2)), true, true)])
        );
        assert_eq!(SortField::from_options("-r"), Some(vec![field(range(1, None), false, true)]));
        assert_eq!(
            SortField::from_options("-nr -k2 -k1,1r"),
            Some(vec![field(range(2, None), true, true), field(range(1, Some(1)), false, true)])
        );
        for wrong in ["-k0", "-k2,1", "-kx", "k1", "-x", "-"] {
            assert_eq!(SortField::from_options(wrong), None, "{wrong}");
        }
        assert_eq!(FieldRange::from_option("-k1,2n"), None);
    }
}
