//! The tables of a job: those of its file and of `CREATE EXTERNAL TABLE`, opened when a statement first names them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SessionState;
use datafusion::prelude::SessionContext;
use url::Url;
use windrow_model::{ErrorKind, ErrorReport, TableFormat, TableSpec};

use crate::errors;
use crate::stores::{Stores, resolve_location};
use crate::tables::{Declared, OpenedTable, open_table};

const CATALOG: &str = "datafusion";
const SCHEMA: &str = "public";

/// A table of files, as declared.
#[derive(Clone, Debug)]
pub(super) struct FilesTable {
    pub location: Url,
    pub format: TableFormat,
    pub options: BTreeMap<String, String>,
    pub declared: Declared,
}

/// Columns of an open table that folder names tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Partitioning {
    /// Outermost folder first.
    pub columns: Vec<String>,
    /// Those that the files hold as well.
    pub doubled: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Catalog {
    files: BTreeMap<String, FilesTable>,
    /// Of open tables of files.
    partitioning: BTreeMap<String, Partitioning>,
    /// Tables of files whose provider in the session is the one to use.
    opened: BTreeSet<String>,
    /// Tables made by `CREATE TABLE AS`.
    made: BTreeSet<String>,
    views: BTreeMap<String, View>,
    /// Counts statements that write files.
    writes: u64,
}

/// A view keeps the plan it was made with, and so the files that its tables had then.
#[derive(Clone, Copy, Debug)]
struct View {
    /// The statement that makes it.
    statement: usize,
    /// `Catalog::writes` when it was made.
    writes: u64,
}

impl Catalog {
    pub fn from_specs(specs: &BTreeMap<String, TableSpec>, base: &str) -> Result<Catalog, ErrorReport> {
        let mut catalog = Catalog::default();
        for (name, spec) in specs {
            let location = resolve_location(base, &spec.location)
                .map_err(|report| ErrorReport { what: format!("table `{name}`: {}", report.what), ..report })?;
            let options = spec.options.clone();
            let table = FilesTable { location, format: spec.format, options, declared: Declared::default() };
            catalog.files.insert(name.clone(), table);
        }
        Ok(catalog)
    }

    /// Whether a table of the job has files there.
    pub fn reads_from(&self, location: &Url) -> bool {
        self.files.values().any(|table| overlap(&table.location, location))
    }

    /// The name inside the job's one schema; `None` for `information_schema` and other catalogs.
    pub fn local_name(reference: &TableReference) -> Option<String> {
        let resolved = reference.clone().resolve(CATALOG, SCHEMA);
        let local = resolved.catalog.as_ref() == CATALOG && resolved.schema.as_ref() == SCHEMA;
        local.then(|| resolved.table.to_string())
    }

    /// A table of files by the name that a statement gives it.
    pub fn files_table(&self, name: &str) -> Option<&FilesTable> {
        self.files.get(&self.find_files(name)?)
    }

    /// Whether there is a table or view of exactly this name.
    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name) || self.made.contains(name) || self.views.contains_key(name)
    }

    /// How the files of an open table are laid out.
    pub fn partitioning(&self, name: &str) -> Partitioning {
        self.partitioning.get(name).cloned().unwrap_or_default()
    }

    pub fn is_made(&self, name: &str) -> bool {
        self.made.contains(name)
    }

    pub fn all_files_tables(&self) -> Vec<TableReference> {
        self.files.keys().map(|name| TableReference::bare(name.as_str())).collect()
    }

    /// Opens those of `references` that are tables of files and not open yet.
    pub async fn open(
        &mut self,
        references: &[TableReference],
        context: &SessionContext,
        session: &SessionState,
        stores: &Stores,
    ) -> Result<(), ErrorReport> {
        for wanted in references.iter().filter_map(Self::local_name) {
            let Some(name) = self.find_files(&wanted) else { continue };
            if self.opened.contains(&wanted) {
                continue;
            }
            let opened = open_files(&name, &self.files[&name], session, stores).await?;
            self.register_files(&wanted, opened, context)?;
        }
        Ok(())
    }

    /// Unquoted names arrive in lower case, while a job file may write them in any.
    fn find_files(&self, wanted: &str) -> Option<String> {
        if self.files.contains_key(wanted) {
            return Some(wanted.to_owned());
        }
        if self.made.contains(wanted) {
            return None;
        }
        self.files.keys().find(|name| name.eq_ignore_ascii_case(wanted)).cloned()
    }

    /// Declares and opens a table of files.
    pub async fn create_files_table(
        &mut self,
        name: &str,
        table: FilesTable,
        context: &SessionContext,
        session: &SessionState,
        stores: &Stores,
    ) -> Result<(), ErrorReport> {
        let opened = open_files(name, &table, session, stores).await?;
        self.register_files(name, opened, context)?;
        self.files.insert(name.to_owned(), table);
        self.made.remove(name);
        Ok(())
    }

    fn register_files(&mut self, name: &str, opened: OpenedTable, context: &SessionContext) -> Result<(), ErrorReport> {
        let OpenedTable { provider, partition_columns, doubled_columns } = opened;
        register(context, name, provider)?;
        let partitioning = Partitioning { columns: partition_columns, doubled: doubled_columns };
        self.partitioning.insert(name.to_owned(), partitioning);
        self.opened.insert(name.to_owned());
        Ok(())
    }

    pub fn create_made_table(
        &mut self,
        name: &str,
        provider: Arc<dyn TableProvider>,
        context: &SessionContext,
    ) -> Result<(), ErrorReport> {
        register(context, name, provider)?;
        self.files.remove(name);
        self.opened.remove(name);
        self.made.insert(name.to_owned());
        Ok(())
    }

    /// Puts in a table that the user's own code makes.
    pub fn register_made(
        &self,
        name: &str,
        provider: Arc<dyn TableProvider>,
        context: &SessionContext,
    ) -> Result<(), ErrorReport> {
        register(context, name, provider)
    }

    /// Notes that statement number `statement` has made the view `name`, or made it again.
    pub fn made_view(&mut self, name: &str, statement: usize) {
        self.views.insert(name.to_owned(), View { statement, writes: self.writes });
    }

    /// The statement that makes the view `name`, if files have been written since it was made.
    pub fn outdated_view(&self, name: &str) -> Option<usize> {
        self.views.get(name).filter(|view| view.writes < self.writes).map(|view| view.statement)
    }

    pub fn forget(&mut self, name: &str) {
        self.views.remove(name);
        self.files.remove(name);
        self.opened.remove(name);
        self.made.remove(name);
    }

    /// Tables that have files at or below `location`, or whose folder is inside of it, are opened again on their next
    /// use: a statement has written there.
    pub fn written_to(&mut self, location: &Url) {
        self.writes += 1;
        let files = &self.files;
        self.opened.retain(|name| {
            let table = files.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, table)| table);
            !table.is_some_and(|table| overlap(&table.location, location))
        });
    }
}

pub(super) fn overlap(left: &Url, right: &Url) -> bool {
    let (left, right) = (left.as_str().trim_end_matches('/'), right.as_str().trim_end_matches('/'));
    let inside = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    inside(left, right) || inside(right, left)
}

async fn open_files(
    name: &str,
    table: &FilesTable,
    session: &SessionState,
    stores: &Stores,
) -> Result<OpenedTable, ErrorReport> {
    let FilesTable { location, format, options, declared } = table;
    match (open_table(name, location, *format, options, declared, session, stores).await, &declared.columns) {
        // A table that is about to be written to for the first time: its columns are known without a file.
        (Err(report), Some(columns)) if report.kind == ErrorKind::NotFound => Ok(OpenedTable {
            provider: Arc::new(EmptyTable::new(Arc::clone(columns))),
            partition_columns: declared.partition_columns.clone().unwrap_or_default(),
            doubled_columns: Vec::new(),
        }),
        (opened, _) => opened,
    }
}

/// Puts a provider in place of the one of that name, if there is one.
fn register(context: &SessionContext, name: &str, provider: Arc<dyn TableProvider>) -> Result<(), ErrorReport> {
    let reference = TableReference::bare(name);
    context
        .deregister_table(reference.clone())
        .and_then(|_| context.register_table(reference, provider))
        .map(drop)
        .map_err(|error| errors::report(error, &format!("table `{name}`")))
}
