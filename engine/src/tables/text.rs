//! Text files: each line is a row of one column, without its end (`\n` or `\r\n`; the last one may have none).
//!
//! A byte range of a file holds the lines that begin in it, so that tasks can share a file.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, GetExt, Result, Statistics, internal_err};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    CsvSource, FileOpenFuture, FileOpener, FileScanConfig, FileScanConfigBuilder, FileSource,
};
use datafusion::datasource::projection::{ProjectionOpener, SplitProjection};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use windrow_model::{ErrorReport, format_bytes};

use crate::session::BATCH_ROWS;

/// The column.
pub const LINE: &str = "line";

/// Bytes of one read of a file that is not compressed.
const READ_BYTES: u64 = 4 << 20;

/// Lines of one batch have at most so many bytes together, unless one alone has more.
const BATCH_BYTES: usize = 8 << 20;

/// A longer line is taken for a file that is no text.
const LINE_BYTES_MAX: usize = 256 << 20;

/// What a text file's rows are.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(LINE, DataType::Utf8, false)]))
}

/// The same under the name that a statement has declared.
pub fn declared(columns: &[&FieldRef]) -> std::result::Result<SchemaRef, String> {
    match columns {
        [column] if matches!(column.data_type(), DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8) => {
            Ok(Arc::new(Schema::new(vec![Field::new(column.name(), DataType::Utf8, column.is_nullable())])))
        }
        _ => Err("text files have one column, and it is VARCHAR".to_owned()),
    }
}

/// Reads text files.
#[derive(Debug)]
pub struct TextFormat {
    compression: FileCompressionType,
}

impl TextFormat {
    pub fn new(compression: FileCompressionType) -> TextFormat {
        TextFormat { compression }
    }
}

#[async_trait]
impl FileFormat for TextFormat {
    fn get_ext(&self) -> String {
        "txt".to_owned()
    }

    fn get_ext_with_compression(&self, compression: &FileCompressionType) -> Result<String> {
        Ok(format!("{}{}", self.get_ext(), compression.get_ext()))
    }

    fn compression_type(&self) -> Option<FileCompressionType> {
        Some(self.compression)
    }

    async fn infer_schema(&self, _: &dyn Session, _: &Arc<dyn ObjectStore>, _: &[ObjectMeta]) -> Result<SchemaRef> {
        Ok(schema())
    }

    async fn infer_stats(
        &self,
        _: &dyn Session,
        _: &Arc<dyn ObjectStore>,
        schema: SchemaRef,
        _: &ObjectMeta,
    ) -> Result<Statistics> {
        Ok(Statistics::new_unknown(&schema))
    }

    async fn create_physical_plan(&self, _: &dyn Session, scan: FileScanConfig) -> Result<Arc<dyn ExecutionPlan>> {
        let scan = FileScanConfigBuilder::from(scan).with_file_compression_type(self.compression).build();
        Ok(DataSourceExec::from_data_source(scan))
    }

    fn file_source(&self, schema: TableSchema) -> Arc<dyn FileSource> {
        Arc::new(TextSource::new(CsvSource::new(schema)))
    }
}

/// What a scan reads of text files. Which columns of the table that is, is kept by a source of CSV files, which also
/// stands for it in a fragment: DataFusion's messages know those.
#[derive(Clone)]
pub struct TextSource {
    columns: CsvSource,
    batch_rows: usize,
    metrics: ExecutionPlanMetricsSet,
}

impl TextSource {
    pub fn new(columns: CsvSource) -> TextSource {
        TextSource { columns, batch_rows: BATCH_ROWS, metrics: ExecutionPlanMetricsSet::new() }
    }

    /// The source that a fragment carries.
    pub fn columns(&self) -> &CsvSource {
        &self.columns
    }
}

impl FileSource for TextSource {
    fn create_file_opener(
        &self,
        store: Arc<dyn ObjectStore>,
        scan: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let file_schema = self.columns.table_schema().file_schema();
        let Some(projection) = self.columns.projection() else { return internal_err!("a text scan has no columns") };
        let projection = SplitProjection::new(file_schema, projection);
        let opener = TextOpener {
            store,
            schema: Arc::new(file_schema.project(&projection.file_indices)?),
            compression: scan.file_compression_type,
            batch_rows: self.batch_rows,
            metrics: BaselineMetrics::new(&self.metrics, partition),
        };
        ProjectionOpener::try_new(projection, Arc::new(opener), file_schema)
    }

    fn table_schema(&self) -> &TableSchema {
        self.columns.table_schema()
    }

    fn with_batch_size(&self, batch_rows: usize) -> Arc<dyn FileSource> {
        Arc::new(TextSource { batch_rows, ..self.clone() })
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.columns.projection()
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        let pushed = self.columns.try_pushdown_projection(projection)?;
        let columns = pushed.as_deref().and_then(|source| source.downcast_ref::<CsvSource>()).cloned();
        Ok(columns.map(|columns| Arc::new(TextSource { columns, ..self.clone() }) as Arc<dyn FileSource>))
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        "text"
    }

    fn apply_expressions(
        &self,
        act: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.columns.apply_expressions(act)
    }
}

struct TextOpener {
    store: Arc<dyn ObjectStore>,
    /// The column, or none of it where rows are only counted.
    schema: SchemaRef,
    compression: FileCompressionType,
    batch_rows: usize,
    metrics: BaselineMetrics,
}

impl FileOpener for TextOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        if self.schema.fields().iter().any(|field| field.data_type() != &DataType::Utf8) {
            return internal_err!("the column of a text file is not text");
        }
        let (store, path, size) = (Arc::clone(&self.store), file.object_meta.location, file.object_meta.size);
        let range = file.range.map_or(0..size, |range| range.start.max(0) as u64..range.end.max(0) as u64);
        // The byte before it tells whether a line begins with the range.
        let from = range.start.saturating_sub(1);
        let bytes = match self.compression.is_compressed() {
            true => decompressed(Arc::clone(&store), path.clone(), self.compression),
            false => read_on(store, path.clone(), from, size),
        };
        let lines = Lines {
            path,
            schema: Arc::clone(&self.schema),
            batch_rows: self.batch_rows,
            end: if self.compression.is_compressed() { u64::MAX } else { range.end },
            at: from,
            skips: range.start > 0,
            line: Vec::new(),
            batch: Batch::default(),
        };
        let metrics = self.metrics.clone();
        Ok(Box::pin(async move { Ok(batches(bytes, lines, metrics)) }))
    }
}

/// The bytes of a file from `offset` to its end, as far as they are polled.
fn read_on(store: Arc<dyn ObjectStore>, path: Path, offset: u64, size: u64) -> BoxStream<'static, Result<Bytes>> {
    let chunks = stream::try_unfold(offset, move |offset| {
        let (store, path) = (Arc::clone(&store), path.clone());
        async move {
            if offset >= size {
                return Ok(None);
            }
            let end = size.min(offset + READ_BYTES);
            let bytes = store.get_range(&path, offset..end).await?;
            Ok(Some((bytes, end)))
        }
    });
    chunks.boxed()
}

fn decompressed(
    store: Arc<dyn ObjectStore>,
    path: Path,
    compression: FileCompressionType,
) -> BoxStream<'static, Result<Bytes>> {
    let opened = async move {
        let bytes = store.get(&path).await?.into_stream();
        compression.convert_stream(bytes.map_err(DataFusionError::from).boxed())
    };
    stream::once(opened).try_flatten().boxed()
}

/// The lines of one range of a file.
struct Lines {
    path: Path,
    schema: SchemaRef,
    batch_rows: usize,
    /// Lines that begin here or later are another task's.
    end: u64,
    /// Where the next byte lies in the file.
    at: u64,
    /// The first line began before the range.
    skips: bool,
    /// The line that is not complete yet.
    line: Vec<u8>,
    batch: Batch,
}

#[derive(Default)]
struct Batch {
    values: Vec<u8>,
    /// Ends of the lines in `values`.
    ends: Vec<i32>,
    /// Where the first line begins in the file.
    start: u64,
}

fn batches(
    bytes: BoxStream<'static, Result<Bytes>>,
    lines: Lines,
    metrics: BaselineMetrics,
) -> BoxStream<'static, Result<RecordBatch>> {
    let state = (bytes.fuse(), lines, false);
    let read = stream::try_unfold(state, move |(mut bytes, mut lines, ended)| {
        let metrics = metrics.clone();
        async move {
            if ended {
                return Ok(None);
            }
            let mut ready = Vec::new();
            while ready.is_empty() {
                match bytes.try_next().await? {
                    Some(chunk) => {
                        let _timer = metrics.elapsed_compute().timer();
                        if lines.take(&chunk, &mut ready)? {
                            lines.flush(&mut ready)?;
                            return Ok(Some((ready, (bytes, lines, true))));
                        }
                    }
                    None => {
                        lines.finish(&mut ready)?;
                        return Ok(Some((ready, (bytes, lines, true))));
                    }
                }
            }
            Ok::<_, DataFusionError>(Some((ready, (bytes, lines, false))))
        }
    });
    read.map_ok(|batches| stream::iter(batches.into_iter().map(Ok))).try_flatten().boxed()
}

impl Lines {
    /// Takes the next bytes of the file; whether the range has ended.
    fn take(&mut self, chunk: &[u8], ready: &mut Vec<RecordBatch>) -> Result<bool> {
        let mut start = 0;
        for newline in memchr::memchr_iter(b'\n', chunk) {
            let begins_at = self.at - self.line.len() as u64;
            let rest = &chunk[start..newline];
            self.at += rest.len() as u64 + 1;
            start = newline + 1;
            if std::mem::take(&mut self.skips) {
                self.line.clear();
            } else if begins_at >= self.end {
                return Ok(true);
            } else if self.line.is_empty() {
                self.push(rest, begins_at, ready)?;
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(rest);
                self.push(&line, begins_at, ready)?;
                line.clear();
                self.line = line;
            }
            if self.at >= self.end {
                return Ok(true);
            }
        }
        let rest = &chunk[start..];
        self.at += rest.len() as u64;
        if !self.skips {
            self.line.extend_from_slice(rest);
        }
        if self.line.len() > LINE_BYTES_MAX {
            let begins_at = self.at - self.line.len() as u64;
            return Err(self.wrong(begins_at, format!("a line of more than {}", format_bytes(LINE_BYTES_MAX as u64))));
        }
        Ok(false)
    }

    /// The file has ended.
    fn finish(&mut self, ready: &mut Vec<RecordBatch>) -> Result<()> {
        let line = std::mem::take(&mut self.line);
        let begins_at = self.at - line.len() as u64;
        if !line.is_empty() && begins_at < self.end {
            self.push(&line, begins_at, ready)?;
        }
        self.flush(ready)
    }

    fn push(&mut self, line: &[u8], begins_at: u64, ready: &mut Vec<RecordBatch>) -> Result<()> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.batch.ends.len() >= self.batch_rows
            || (self.batch.values.len() + line.len() > BATCH_BYTES && !self.batch.ends.is_empty())
        {
            self.flush(ready)?;
        }
        if self.batch.ends.is_empty() {
            self.batch.start = begins_at;
        }
        self.batch.values.extend_from_slice(line);
        // A batch has at most one line of more than its limit, and that has less than 2 GiB.
        self.batch.ends.push(self.batch.values.len() as i32);
        Ok(())
    }

    fn flush(&mut self, ready: &mut Vec<RecordBatch>) -> Result<()> {
        let Batch { values, ends, start } = std::mem::take(&mut self.batch);
        if ends.is_empty() {
            return Ok(());
        }
        let rows = ends.len();
        let offsets: Vec<i32> = std::iter::once(0).chain(ends).collect();
        let text = StringArray::try_new(OffsetBuffer::new(offsets.clone().into()), Buffer::from_vec(values), None);
        let text =
            text.map_err(|error| self.wrong(start, format!("the lines from there on are not UTF-8: {error}")))?;
        let columns: Vec<ArrayRef> = self.schema.fields().iter().map(|_| Arc::new(text.clone()) as ArrayRef).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        ready.push(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?);
        Ok(())
    }

    fn wrong(&self, offset: u64, detail: String) -> DataFusionError {
        let report = ErrorReport::invalid(format!("`/{}` cannot be read as text", self.path))
            .with_detail(format!("at byte {offset}: {detail}"))
            .with_hint("text files hold UTF-8; convert the file, for example with `iconv -t utf-8`, or read it as another format");
        DataFusionError::External(Box::new(report))
    }
}

impl fmt::Debug for TextSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TextSource")
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    async fn lines(text: &[u8], range: std::ops::Range<u64>) -> Result<Vec<String>> {
        let store = Arc::new(InMemory::new());
        let path = Path::from("a.txt");
        store.put(&path, text.to_vec().into()).await.unwrap();
        let opener = TextOpener {
            store,
            schema: schema(),
            compression: FileCompressionType::UNCOMPRESSED,
            batch_rows: 3,
            metrics: BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), 0),
        };
        let file = PartitionedFile::new("a.txt", text.len() as u64).with_range(range.start as i64, range.end as i64);
        let batches: Vec<RecordBatch> = opener.open(file)?.await?.try_collect().await?;
        assert!(batches.iter().all(|batch| (1..=3).contains(&batch.num_rows())));
        let text = |batch: &RecordBatch| {
            let column = batch.column(0).as_any().downcast_ref::<StringArray>().unwrap().clone();
            column.iter().map(|line| line.unwrap().to_owned()).collect::<Vec<_>>()
        };
        Ok(batches.iter().flat_map(text).collect())
    }

    #[tokio::test]
    async fn each_line_is_a_row_whatever_its_end() {
        let all = |text: &'static [u8]| lines(text, 0..text.len() as u64);
        assert_eq!(all(b"a\nb\r\n\nc").await.unwrap(), ["a", "b", "", "c"]);
        assert_eq!(all(b"a\n").await.unwrap(), ["a"]);
        assert_eq!(all(b"\n\n").await.unwrap(), ["", ""]);
        assert_eq!(all(b"").await.unwrap(), Vec::<String>::new());
        assert_eq!(all("ä\tb\nc d\n".as_bytes()).await.unwrap(), ["ä\tb", "c d"]);
    }

    #[tokio::test]
    async fn every_way_to_divide_a_file_gives_each_line_once() {
        let text = b"one\ntwo\n\nfour\r\nfive and more\n6\n\n\nlast";
        let size = text.len() as u64;
        let whole = lines(text, 0..size).await.unwrap();
        for cut in 0..=size {
            for second in cut..=size {
                let mut parts = lines(text, 0..cut).await.unwrap();
                parts.extend(lines(text, cut..second).await.unwrap());
                parts.extend(lines(text, second..size).await.unwrap());
                assert_eq!(parts, whole, "cut at {cut} and {second}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_text_is_named() {
        let error = lines(b"fine\nfine\nfine\nnot \xff fine\n", 0..21).await.unwrap_err().to_string();
        assert!(error.contains("/a.txt") && error.contains("byte 15"), "{error}");
    }
}
