//! A table over a fixed list of files.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DFSchema, Result, Statistics, project_schema};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::listing::helpers::{expr_applicable_for_cols, filter_partitioned_file};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::datasource::{DefaultTableSource, TableType};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableScan};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use parking_lot::Mutex;

/// A table over files that were listed once, when it was opened.
#[derive(Debug)]
pub struct FileTable {
    store: ObjectStoreUrl,
    format: Arc<dyn FileFormat>,
    schema: TableSchema,
    files: Vec<PartitionedFile>,
    /// The same files with their statistics, read at the first scan: many tables of a job are never scanned.
    measured: Mutex<Option<Arc<Vec<PartitionedFile>>>>,
}

impl FileTable {
    /// `partition_fields` follow the columns of `file_schema`; each file carries one value for each of them.
    pub fn new(
        store: ObjectStoreUrl,
        format: Arc<dyn FileFormat>,
        file_schema: SchemaRef,
        partition_fields: Vec<FieldRef>,
        files: Vec<PartitionedFile>,
    ) -> Self {
        let schema = TableSchema::builder(file_schema).with_table_partition_cols(partition_fields).build();
        FileTable { store, format, schema, files, measured: Mutex::new(None) }
    }

    /// The table that `scan` reads, if it is one of files.
    pub fn of(scan: &TableScan) -> Option<&FileTable> {
        let source = (scan.source.as_ref() as &dyn Any).downcast_ref::<DefaultTableSource>()?;
        (source.table_provider.as_ref() as &dyn Any).downcast_ref::<FileTable>()
    }

    /// The files, as they were when the table was opened.
    pub fn files(&self) -> &[PartitionedFile] {
        &self.files
    }

    /// Rows, and ranges of columns, of all files together, as their footers tell them.
    pub async fn statistics(&self, session: &dyn Session) -> Result<Statistics> {
        let files = self.measured_files(session).await?;
        if files.is_empty() {
            return Ok(Statistics { num_rows: Precision::Exact(0), ..Statistics::new_unknown(&self.schema()) });
        }
        merged_statistics(&files, &self.schema(), true)
    }

    /// Reads the first `rows` rows of each of `count` files that lie evenly among all.
    pub async fn first_rows(
        &self,
        session: &dyn Session,
        columns: Vec<usize>,
        rows: usize,
        count: usize,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let every = self.files.len().div_ceil(count.max(1)).max(1);
        let groups = self.files.iter().step_by(every).map(|file| FileGroup::new(vec![file.clone()]));
        let source = self.format.file_source(self.schema.clone());
        let scan = FileScanConfigBuilder::new(self.store.clone(), source)
            .with_file_groups(groups.collect())
            .with_projection_indices(Some(columns))?
            .with_limit(Some(rows))
            .build();
        self.format.create_physical_plan(session, scan).await
    }

    fn partition_names(&self) -> Vec<&str> {
        self.schema.table_partition_cols().iter().map(|field| field.name().as_str()).collect()
    }

    fn prunes(&self, filter: &Expr) -> bool {
        let names = self.partition_names();
        !names.is_empty() && expr_applicable_for_cols(&names, filter)
    }

    async fn measured_files(&self, session: &dyn Session) -> Result<Arc<Vec<PartitionedFile>>> {
        if let Some(files) = &*self.measured.lock() {
            return Ok(Arc::clone(files));
        }
        let store = session.runtime_env().object_store(&self.store)?;
        let at_once = session.config_options().execution.meta_fetch_concurrency.get();
        let files: Vec<PartitionedFile> = stream::iter(self.files.clone())
            .map(|file| self.measure(session, &store, file))
            .buffered(at_once)
            .try_collect()
            .await?;
        let files = Arc::new(files);
        *self.measured.lock() = Some(Arc::clone(&files));
        Ok(files)
    }

    async fn measure(
        &self,
        session: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        file: PartitionedFile,
    ) -> Result<PartitionedFile> {
        let schema = Arc::clone(self.schema.file_schema());
        let meta = self.format.infer_stats_and_ordering(session, store, schema, &file.object_meta).await?;
        Ok(with_statistics(file, meta.statistics).with_ordering(meta.ordering))
    }

    fn pruned(&self, files: &[PartitionedFile], filters: &[Expr]) -> Result<Vec<PartitionedFile>> {
        let pruning: Vec<Expr> = filters.iter().filter(|filter| self.prunes(filter)).cloned().collect();
        if pruning.is_empty() {
            return Ok(files.to_vec());
        }
        let fields = self.schema.table_partition_cols().clone();
        let schema = DFSchema::try_from(Schema::new(fields))?;
        files.iter().filter_map(|file| filter_partitioned_file(file.clone(), &pruning, &schema).transpose()).collect()
    }
}

/// Attaches a file's statistics; a null partition value is not the non-null constant that DataFusion takes it for.
fn with_statistics(file: PartitionedFile, statistics: Statistics) -> PartitionedFile {
    let mut file = file.with_statistics(Arc::new(statistics));
    let nulls = file.partition_values.iter().map(|value| value.is_null());
    let nulls: Vec<bool> = nulls.collect();
    if let Some(statistics) = &mut file.statistics
        && nulls.contains(&true)
    {
        let statistics = Arc::make_mut(statistics);
        let first = statistics.column_statistics.len() - nulls.len();
        for at in (0..nulls.len()).filter(|at| nulls[*at]) {
            let unknown = ColumnStatistics { null_count: statistics.num_rows, ..ColumnStatistics::new_unknown() };
            statistics.column_statistics[first + at] = unknown;
        }
    }
    file
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.prunes(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let collect = session.config_options().execution.collect_statistics;
        let files = if collect { self.measured_files(session).await? } else { Arc::new(self.files.clone()) };
        let files = self.pruned(&files, filters)?;
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&self.schema(), projection)?)));
        }
        let statistics = merged_statistics(&files, &self.schema(), collect)?;
        let groups = FileGroup::new(files).split_files(session.config_options().execution.target_partitions.max(1));
        let source = self.format.file_source(self.schema.clone());
        let scan = FileScanConfigBuilder::new(self.store.clone(), source)
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        self.format.create_physical_plan(session, scan).await
    }
}

fn merged_statistics(files: &[PartitionedFile], schema: &SchemaRef, collected: bool) -> Result<Statistics> {
    let known: Vec<&Statistics> = files.iter().filter_map(|file| file.statistics.as_deref()).collect();
    if !collected || known.len() < files.len() {
        let bytes = files.iter().map(|file| file.object_meta.size as usize).sum();
        return Ok(Statistics { total_byte_size: Precision::Inexact(bytes), ..Statistics::new_unknown(schema) });
    }
    Statistics::try_merge_iter(known, schema)
}
