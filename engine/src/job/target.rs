//! Where a statement's rows are written: `COPY`, `INSERT` and the job's `output:`.

use std::collections::BTreeMap;

use datafusion::logical_expr::dml::InsertOp;
use datafusion::sql::parser::CopyToStatement;
use datafusion::sql::sqlparser::ast::Value;
use url::Url;
use uuid::Uuid;
use windrow_model::{ErrorKind, ErrorReport, JobId, OutputMode, OutputSpec, TableFormat};

use super::catalog::{FilesTable, Partitioning};
use crate::errors;
use crate::sink::OutputTarget;
use crate::stores::resolve_location;

/// The option of `COPY` that says what to do with what is there.
const MODE_OPTION: &str = "mode";

/// The job and the folder that relative locations start from.
pub(super) struct Writer<'a> {
    pub job: JobId,
    pub base: &'a str,
}

impl Writer<'_> {
    /// A file replaces the file of that name, as everywhere; a folder that is not empty is an error unless the
    /// option `mode` says otherwise.
    pub fn copy(&self, copy: &CopyToStatement) -> Result<OutputTarget, ErrorReport> {
        let location = resolve_location(self.base, &copy.target)?;
        let mut options = options(copy.options.iter())?;
        let format = match &copy.stored_as {
            Some(name) => format_named(name)?,
            None => format_of_location(&location).ok_or_else(|| no_format(&copy.target))?,
        };
        let single_file = copy.partitioned_by.is_empty() && format_of_location(&location) == Some(format);
        let mode = match options.remove(MODE_OPTION).or_else(|| options.remove("format.mode")) {
            Some(name) => mode_named(&name)?,
            None if single_file => OutputMode::Overwrite,
            None => OutputMode::Error,
        };
        Ok(self.target(location, single_file, format, mode, copy.partitioned_by.clone(), options))
    }

    /// `INSERT` into a table of files adds files to its folder, or replaces them.
    pub fn insert(
        &self,
        name: &str,
        table: &FilesTable,
        partitioning: Partitioning,
        op: InsertOp,
    ) -> Result<OutputTarget, ErrorReport> {
        let mode = match op {
            InsertOp::Append => OutputMode::Append,
            InsertOp::Overwrite => OutputMode::Overwrite,
            InsertOp::Replace => {
                return Err(ErrorReport::new(ErrorKind::Unsupported, "REPLACE INTO is not supported")
                    .with_hint("write INSERT OVERWRITE to replace the whole table"));
            }
        };
        let single_file = format_of_location(&table.location) == Some(table.format);
        if single_file && mode == OutputMode::Append {
            return Err(ErrorReport::invalid(format!("table `{name}` is one file, to which rows cannot be added"))
                .with_hint("make its LOCATION a folder, or write INSERT OVERWRITE"));
        }
        if let Some(column) = partitioning.doubled.first() {
            let what = format!("rows cannot be inserted into `{name}`");
            return Err(ErrorReport::new(ErrorKind::Unsupported, what)
                .with_detail(format!("its column `{column}` is in the names of its folders and inside its files too"))
                .with_hint("write to another folder with COPY … PARTITIONED BY, and read that one"));
        }
        let (location, partition_by) = (table.location.clone(), partitioning.columns);
        Ok(self.target(location, single_file, table.format, mode, partition_by, table.options.clone()))
    }

    pub fn output(&self, output: &OutputSpec) -> Result<OutputTarget, ErrorReport> {
        let location = resolve_location(self.base, &output.location)?;
        let single_file = output.partition_by.is_empty() && format_of_location(&location) == Some(output.format);
        let (partition_by, options) = (output.partition_by.clone(), output.options.clone());
        Ok(self.target(location, single_file, output.format, output.mode, partition_by, options))
    }

    fn target(
        &self,
        location: Url,
        single_file: bool,
        format: TableFormat,
        mode: OutputMode,
        partition_by: Vec<String>,
        options: BTreeMap<String, String>,
    ) -> OutputTarget {
        let commit_id = Uuid::now_v7();
        OutputTarget { location, single_file, format, mode, partition_by, options, commit_id, job: self.job.0 }
    }
}

/// Options under DataFusion's names: a key without a dot is one of the format's.
pub(super) fn options<'a>(
    pairs: impl Iterator<Item = &'a (String, Value)>,
) -> Result<BTreeMap<String, String>, ErrorReport> {
    pairs
        .map(|(key, value)| {
            let key = key.to_lowercase();
            let key = if key.contains('.') || key == MODE_OPTION { key } else { format!("format.{key}") };
            match value {
                Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Ok((key, text.clone())),
                Value::Number(number, _) => Ok((key, number.to_string())),
                Value::Boolean(flag) => Ok((key, flag.to_string())),
                other => Err(ErrorReport::invalid(format!("option `{key}` cannot be {other}"))
                    .with_hint("write a text in single quotes, a number, true or false")),
            }
        })
        .collect()
}

/// `STORED AS`.
pub(super) fn format_named(name: &str) -> Result<TableFormat, ErrorReport> {
    match name.to_ascii_uppercase().as_str() {
        "PARQUET" => Ok(TableFormat::Parquet),
        "CSV" => Ok(TableFormat::Csv),
        "JSON" | "NDJSON" | "JSONL" => Ok(TableFormat::Json),
        "TEXT" | "TEXTFILE" => Ok(TableFormat::Text),
        _ => {
            let hint = match errors::nearest(name, ["PARQUET", "CSV", "JSON", "NDJSON", "TEXT"]) {
                Some(near) => format!("did you mean STORED AS {near}?"),
                None => "formats are PARQUET, CSV, JSON (one object per line) and TEXT (lines)".to_owned(),
            };
            Err(ErrorReport::new(ErrorKind::Unsupported, format!("files cannot be STORED AS {name}")).with_hint(hint))
        }
    }
}

/// The format that a file's name says; a compression's ending may follow. `None` for folders.
fn format_of_location(location: &Url) -> Option<TableFormat> {
    let name = location.path().rsplit('/').next()?.to_ascii_lowercase();
    let name =
        [".gz", ".gzip", ".zst", ".bz2", ".xz"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    let (stem, extension) = name.rsplit_once('.')?;
    match (stem.is_empty(), extension) {
        (true, _) => None,
        (false, "parquet") => Some(TableFormat::Parquet),
        (false, "csv") => Some(TableFormat::Csv),
        (false, "json" | "ndjson" | "jsonl") => Some(TableFormat::Json),
        (false, "txt" | "text") => Some(TableFormat::Text),
        (false, _) => None,
    }
}

fn mode_named(name: &str) -> Result<OutputMode, ErrorReport> {
    OutputMode::from_name(&name.to_ascii_lowercase()).ok_or_else(|| {
        ErrorReport::invalid(format!("`{name}` is not an output mode"))
            .with_hint("modes are overwrite, append and error")
    })
}

fn no_format(target: &str) -> ErrorReport {
    ErrorReport::invalid(format!("the format of `{target}` is not known"))
        .with_hint("add STORED AS PARQUET, CSV or JSON, or end the name in .parquet, .csv or .json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Action, split};

    fn copy(sql: &str) -> Result<OutputTarget, ErrorReport> {
        let statement = split(sql).unwrap()[0].parse().unwrap();
        let Ok(Action::Copy(copy)) = Action::of(statement) else { panic!("not a COPY: {sql}") };
        Writer { job: JobId(7), base: "file:///data/" }.copy(&copy)
    }

    #[test]
    fn a_file_name_makes_one_file_and_anything_else_a_folder() {
        let file = copy("COPY t TO 'out/a.csv.gz'").unwrap();
        assert!(file.single_file);
        assert_eq!((file.format, file.mode), (TableFormat::Csv, OutputMode::Overwrite));
        assert_eq!(file.location.as_str(), "file:///data/out/a.csv.gz");
        let folder = copy("COPY t TO 'out' STORED AS parquet OPTIONS (compression zstd)").unwrap();
        assert!(!folder.single_file);
        assert_eq!((folder.format, folder.mode), (TableFormat::Parquet, OutputMode::Error));
        assert_eq!(folder.options.get("format.compression").map(String::as_str), Some("zstd"));
        let parts = copy("COPY t TO 'out.parquet' PARTITIONED BY (a) OPTIONS ('mode' 'append')").unwrap();
        assert!(!parts.single_file);
        assert_eq!(parts.mode, OutputMode::Append);
        assert_eq!(parts.partition_by, ["a"]);
    }

    #[test]
    fn a_target_without_a_format_is_refused() {
        assert!(copy("COPY t TO 'out'").unwrap_err().hint.contains("STORED AS"));
        assert!(copy("COPY t TO 'out' STORED AS PARQET").unwrap_err().hint.contains("PARQUET"));
    }
}
