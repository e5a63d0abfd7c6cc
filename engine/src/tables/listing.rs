//! Turns a location into a table.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::config::TableOptions;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::execution::SessionState;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use url::Url;
use windrow_model::{ErrorKind, ErrorReport, TableFormat};

use super::files::{Holdings, holdings, relative_path};
use super::provider::FileTable;
use super::{csv_nulls, formats, headers, hive, text};
use crate::stores::{Stores, display_location, object_path, store_url};

/// What `CREATE EXTERNAL TABLE` says about a table's columns; empty means "look at the files".
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// All columns, partition columns included.
    pub columns: Option<SchemaRef>,
    /// Names in `PARTITIONED BY`, outermost folder first. `None` infers them from `key=value` folders.
    pub partition_columns: Option<Vec<String>>,
}

/// A table whose list of files is fixed.
#[derive(Debug)]
pub struct OpenedTable {
    pub provider: Arc<dyn TableProvider>,
    /// Columns that come from folder names, outermost folder first.
    pub partition_columns: Vec<String>,
    /// Columns that folder names tell and the files hold as well; they are read from the files.
    pub doubled_columns: Vec<String>,
}

/// Opens the file or folder at `location` as table `name`; the list of files is fixed here.
///
/// A folder means every file in it and below it whose name does not start with `_` or `.`, or the files of its newest
/// published manifest. `key=value` folders become columns, `Utf8` unless declared.
pub async fn open_table(
    name: &str,
    location: &Url,
    format: TableFormat,
    options: &BTreeMap<String, String>,
    declared: &Declared,
    session: &SessionState,
    stores: &Stores,
) -> Result<OpenedTable, ErrorReport> {
    let opening = Opening { name, location, format, declared, session };
    let found = holdings(location, stores).await.map_err(|report| opening.name_table(report))?;
    // An empty file has no rows and, in most formats, no schema to learn.
    let files: Vec<ObjectMeta> = found.files.iter().filter(|file| file.size > 0).cloned().collect();
    let store = stores.get(location)?;
    let (reader, parsed) = formats::reader(session.default_table_options(), format, options, &files)
        .map_err(|report| opening.name_table(report))?;
    if files.is_empty() && declared.columns.is_none() {
        return Err(opening.nothing_there(&found));
    }
    opening.check_headers(&files, &parsed, &*store).await?;
    let partitions = opening.partitions(&files)?;
    let file_schema = opening.file_schema(&*reader, &store, &files, &partitions).await?;
    let nulls = parsed.csv.null_regex.as_deref().filter(|_| format == TableFormat::Csv);
    opening.opened(reader, file_schema, partitions, files, nulls)
}

/// One table being opened: what every step and every error needs.
struct Opening<'a> {
    name: &'a str,
    location: &'a Url,
    format: TableFormat,
    declared: &'a Declared,
    session: &'a SessionState,
}

/// Partition columns and, for each file, their raw values.
struct Partitions {
    columns: Vec<String>,
    values: Vec<Vec<Option<String>>>,
}

impl Opening<'_> {
    fn name_table(&self, mut report: ErrorReport) -> ErrorReport {
        report.what = format!("table `{}`: {}", self.name, report.what);
        report
    }

    fn wrong(&self, detail: impl Into<String>) -> ErrorReport {
        let place = display_location(self.location);
        ErrorReport::invalid(format!("table `{}` at `{place}` cannot be opened", self.name)).with_detail(detail)
    }

    fn nothing_there(&self, found: &Holdings) -> ErrorReport {
        let place = display_location(self.location);
        let missing = crate::stores::local_path(self.location).is_some_and(|path| !path.exists());
        let report = |kind, what: &str| ErrorReport::new(kind, format!("table `{}`: `{place}` {what}", self.name));
        if missing {
            let hint = match place.contains(['*', '?', '[']) {
                true => "patterns are not expanded; name the folder, and every file in it is read",
                false => "check the location; a relative one starts from the job file's folder",
            };
            return report(ErrorKind::NotFound, "does not exist").with_hint(hint);
        }
        if found.single_file || !found.files.is_empty() {
            return report(ErrorKind::Invalid, "holds only empty files")
                .with_detail("there is nothing to learn the columns from")
                .with_hint("declare the columns: CREATE EXTERNAL TABLE name (column type, …)");
        }
        report(ErrorKind::NotFound, &format!("holds no {} files", self.format.name()))
            .with_detail("files and folders whose names start with `_` or `.` do not count")
            .with_hint("check the location, or declare the columns: CREATE EXTERNAL TABLE name (column type, …)")
    }

    async fn check_headers(
        &self,
        files: &[ObjectMeta],
        parsed: &TableOptions,
        store: &dyn ObjectStore,
    ) -> Result<(), ErrorReport> {
        let has_header = parsed.csv.has_header.unwrap_or(self.session.config().options().catalog.has_header);
        if self.format != TableFormat::Csv || !has_header || files.len() < 2 {
            return Ok(());
        }
        let compared = headers::compare(files, &parsed.csv, store, self.location).await;
        compared.map_err(|report| self.name_table(report))
    }

    /// Every file must lie in folders of the same columns; plain folders between them mean nothing.
    fn partitions(&self, files: &[ObjectMeta]) -> Result<Partitions, ErrorReport> {
        let prefix = object_path(self.location)?;
        let folders: Vec<Vec<(String, Option<String>)>> =
            files.iter().map(|file| folders_of(&file.location, &prefix)).collect();
        let columns = match (&self.declared.partition_columns, folders.first()) {
            (Some(names), _) => names.clone(),
            (None, Some(first)) => first.iter().map(|(column, _)| column.clone()).collect(),
            (None, None) => Vec::new(),
        };
        let mut values = Vec::with_capacity(files.len());
        for (file, folders) in files.iter().zip(folders) {
            if !folders.iter().map(|(column, _)| column).eq(columns.iter()) {
                return Err(self.wrong(format!(
                    "the folders of `{}` do not name the partition columns [{}] in this order",
                    file.location,
                    columns.join(", ")
                )));
            }
            values.push(folders.into_iter().map(|(_, value)| value).collect());
        }
        Ok(Partitions { columns, values })
    }

    /// The columns inside the files: declared, or merged over all files by name.
    async fn file_schema(
        &self,
        reader: &dyn FileFormat,
        store: &Arc<dyn ObjectStore>,
        files: &[ObjectMeta],
        partitions: &Partitions,
    ) -> Result<SchemaRef, ErrorReport> {
        if let Some(columns) = &self.declared.columns {
            let inside = columns.fields().iter().filter(|field| !partitions.columns.contains(field.name()));
            if self.format == TableFormat::Text {
                return text::declared(&inside.collect::<Vec<_>>()).map_err(|detail| self.wrong(detail));
            }
            return Ok(Arc::new(Schema::new(inside.cloned().collect::<Vec<FieldRef>>())));
        }
        let inferred = reader.infer_schema(self.session, store, files).await.map_err(|error| {
            let mut report = crate::errors::report(error, "reading the columns of a table");
            report.detail = format!("{}: {}", report.what, report.detail);
            report.what =
                format!("table `{}`: the columns of `{}` cannot be read", self.name, display_location(self.location));
            report
        })?;
        Ok(inferred)
    }

    fn opened(
        &self,
        reader: Arc<dyn FileFormat>,
        file_schema: SchemaRef,
        partitions: Partitions,
        files: Vec<ObjectMeta>,
        nulls: Option<&str>,
    ) -> Result<OpenedTable, ErrorReport> {
        // A column that the files hold themselves is read from them: it has its type there.
        let (kept, doubled): (Vec<usize>, Vec<usize>) =
            (0..partitions.columns.len()).partition(|at| file_schema.index_of(&partitions.columns[*at]).is_err());
        let fields: Vec<FieldRef> = kept.iter().map(|at| self.partition_field(&partitions.columns[*at])).collect();
        let mut listed = Vec::with_capacity(files.len());
        for (meta, values) in files.into_iter().zip(&partitions.values) {
            let typed = kept.iter().zip(&fields).map(|(at, field)| self.typed(values[*at].as_deref(), field, &meta));
            let typed = typed.collect::<Result<Vec<_>, _>>()?;
            listed.push(PartitionedFile::new_from_meta(meta).with_partition_values(typed));
        }
        let store = store_url(self.location)?;
        let provider: Arc<dyn TableProvider> = match nulls {
            None => Arc::new(FileTable::new(store, reader, file_schema, fields, listed)),
            Some(nulls) => {
                let text = csv_nulls::as_text(&file_schema);
                let files = FileTable::new(store, reader, text, fields, listed);
                let view = csv_nulls::view(self.name, files, &file_schema, nulls);
                view.map_err(|error| self.wrong(error.strip_backtrace()))?
            }
        };
        let names = |indices: Vec<usize>| indices.into_iter().map(|at| partitions.columns[at].clone()).collect();
        Ok(OpenedTable { provider, partition_columns: names(kept), doubled_columns: names(doubled) })
    }

    fn partition_field(&self, column: &str) -> FieldRef {
        let declared = self.declared.columns.as_ref().and_then(|columns| columns.field_with_name(column).ok());
        let data_type = declared.map_or(DataType::Utf8, |field| field.data_type().clone());
        Arc::new(Field::new(column, data_type, true))
    }

    fn typed(
        &self,
        value: Option<&str>,
        field: &Field,
        file: &ObjectMeta,
    ) -> Result<datafusion::common::ScalarValue, ErrorReport> {
        hive::typed_value(value, field.data_type()).map_err(|_| {
            self.wrong(format!(
                "`{}` in the path `{}` is not a value of the partition column `{}` ({})",
                value.unwrap_or_default(),
                file.location,
                field.name(),
                field.data_type()
            ))
        })
    }
}

/// `key=value` folders between the location and the file.
fn folders_of(path: &Path, prefix: &Path) -> Vec<(String, Option<String>)> {
    let relative = relative_path(path, prefix).unwrap_or_default();
    let (folders, _) = relative.rsplit_once('/').unwrap_or_default();
    folders.split('/').filter_map(hive::parse_folder).collect()
}
