//! The files that one partition of a table write has open.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::config::TableOptions;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{Count, Time};
use futures::StreamExt;
use windrow_model::{AttemptId, ErrorReport, TableFormat};

use super::encode::{Encoder, extension};
use super::split_rows::RowSplit;
use super::staging::{StagedFile, StagingArea};
use super::{OutputTarget, WriteIdentity, WriteLog};
use crate::stores::Stores;
use crate::tables::formats;

/// A file is closed at this size and the next one begun.
const FILE_BYTES_TARGET: u64 = 128 << 20;
/// Files open at once for one partition of the plan. With more partition values than this the least recently used
/// file is closed, so rows that arrive unsorted make more and smaller files, not more memory.
const OPEN_FILES_MAX: usize = 32;
/// Memory claimed before the first row arrives: an input that sorts or aggregates would take all of it otherwise.
const MEMORY_FLOOR: usize = 16 << 20;
/// The least that is worth starting with.
const MEMORY_FLOOR_MIN: usize = 1 << 20;

/// How this attempt writes.
pub struct WriteSettings {
    target: Arc<OutputTarget>,
    options: TableOptions,
    split: RowSplit,
    area: StagingArea,
    identity: WriteIdentity,
    log: Arc<WriteLog>,
    /// Of the plan.
    partition: usize,
    names: Arc<AtomicU32>,
}

impl WriteSettings {
    pub fn new(
        target: &Arc<OutputTarget>,
        schema: &SchemaRef,
        context: &TaskContext,
        partition: usize,
        names: Arc<AtomicU32>,
    ) -> Result<WriteSettings> {
        let config = context.session_config();
        let missing = |what: &str| DataFusionError::Internal(format!("a table write runs without its {what}"));
        let identity = config.get_extension::<WriteIdentity>().ok_or_else(|| missing("identity"))?;
        let log = config.get_extension::<WriteLog>().ok_or_else(|| missing("log"))?;
        let stores = config.get_extension::<Stores>();
        let stores = stores.unwrap_or_else(Stores::from_env);
        let external = |report: ErrorReport| DataFusionError::External(Box::new(report));
        let defaults = TableOptions::default_from_session_config(config.options());
        Ok(WriteSettings {
            options: formats::table_options(defaults, target.format, &target.options).map_err(external)?,
            split: RowSplit::new(target, schema).map_err(external)?,
            area: StagingArea::open(target, &stores).map_err(external)?,
            target: Arc::clone(target),
            identity: *identity,
            log,
            partition,
            names,
        })
    }

    /// Formats whose empty file still names its columns.
    pub fn shows_schema_when_empty(&self) -> bool {
        match self.target.format {
            TableFormat::Parquet => true,
            TableFormat::Csv => self.options.csv.has_header.unwrap_or(true),
            TableFormat::Json | TableFormat::Text => false,
        }
    }

    /// A name no other attempt, job or cluster gives. Names of one attempt sort by partition, and then as its files were begun: a table that is
    /// written in an order is read in it, file by file.
    fn next_name(&self) -> String {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let extension = extension(self.target.format, &self.options);
        unique_name(&self.target, self.identity, (self.partition, number), &extension)
    }

    fn published_path(&self, folder: &str, name: &str) -> String {
        match (self.target.single_file, folder) {
            (true, _) => super::target::file_name(&self.target).unwrap_or_else(|| name.to_owned()),
            (false, "") => name.to_owned(),
            (false, folder) => format!("{folder}/{name}"),
        }
    }
}

/// Of a file of an attempt, by the plan's partition and a number; no other attempt, job or cluster gives it. It holds
/// [`OutputTarget::mark`].
pub fn unique_name(
    target: &OutputTarget,
    identity: WriteIdentity,
    (partition, number): (usize, u32),
    extension: &str,
) -> String {
    let WriteIdentity { task, attempt: AttemptId { epoch, n } } = identity;
    format!("part-{:05}-{epoch}-{n}-{partition:04}{number:06}-{}.{extension}", task.index, target.mark())
}

/// What `EXPLAIN ANALYZE` shows of a table write.
pub struct TableWriteMetrics {
    pub rows: Count,
    pub bytes: Count,
    pub files: Count,
    pub elapsed: Time,
}

/// The files of one partition: open ones, removed if it is dropped early, and those it has put into the attempt's log.
pub struct TableFiles {
    settings: WriteSettings,
    metrics: TableWriteMetrics,
    memory: MemoryReservation,
    floor: usize,
    open: HashMap<String, OpenFile>,
    /// Counts writes, to find the least recently used file.
    clock: u64,
    has_finished: bool,
}

struct OpenFile {
    encoder: Encoder,
    staged: StagedFile,
    rows: u64,
    used: u64,
}

/// Writes every row of `input`, and tells the attempt's log about each finished file.
pub async fn write_all(mut input: SendableRecordBatchStream, mut files: TableFiles, keeps_empty: bool) -> Result<()> {
    while let Some(batch) = input.next().await {
        let batch = batch?;
        if batch.num_rows() > 0 {
            files.write(&batch).await?;
        }
    }
    files.finish(keeps_empty).await
}

impl TableFiles {
    pub fn open(settings: WriteSettings, metrics: TableWriteMetrics, pool: &Arc<dyn MemoryPool>) -> Result<TableFiles> {
        let memory = MemoryConsumer::new("TableWrite").register(pool);
        let mut floor = MEMORY_FLOOR;
        while let Err(error) = memory.try_resize(floor) {
            floor /= 2;
            if floor < MEMORY_FLOOR_MIN {
                return Err(error);
            }
        }
        Ok(TableFiles { settings, metrics, memory, floor, open: HashMap::new(), clock: 0, has_finished: false })
    }

    async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.metrics.rows.add(batch.num_rows());
        for (folder, part) in self.settings.split.split(batch)? {
            self.write_part(folder, &part).await?;
        }
        self.account().await
    }

    async fn write_part(&mut self, folder: String, part: &RecordBatch) -> Result<()> {
        if !self.open.contains_key(&folder) {
            self.open_file(&folder).await?;
        }
        self.clock += 1;
        let file = self.open.get_mut(&folder).expect("I-S2: the file was opened above if it was not open");
        file.used = self.clock;
        file.rows += part.num_rows() as u64;
        {
            let _encoding = self.metrics.elapsed.timer();
            file.encoder.write(part)?;
        }
        file.drain().await?;
        let full = file.bytes() >= FILE_BYTES_TARGET && !self.settings.target.single_file;
        if full { self.close(&folder).await } else { Ok(()) }
    }

    async fn open_file(&mut self, folder: &str) -> Result<()> {
        if self.open.len() >= OPEN_FILES_MAX {
            let oldest = self.open.iter().min_by_key(|(_, file)| file.used).map(|(folder, _)| folder.clone());
            if let Some(oldest) = oldest {
                self.close(&oldest).await?;
            }
        }
        let settings = &self.settings;
        let name = settings.next_name();
        let schema = Arc::clone(settings.split.file_schema());
        let encoder = Encoder::new(settings.target.format, &settings.options, schema)?;
        let staged = settings.area.create(&name, &settings.published_path(folder, &name)).await?;
        self.open.insert(folder.to_owned(), OpenFile { encoder, staged, rows: 0, used: self.clock });
        Ok(())
    }

    async fn close(&mut self, folder: &str) -> Result<()> {
        let Some(mut file) = self.open.remove(folder) else { return Ok(()) };
        let rest = file.encoder.finish()?;
        file.staged.write(rest).await?;
        let (written, place) = file.staged.finish(file.rows).await?;
        self.metrics.bytes.add(usize::try_from(written.bytes).unwrap_or(usize::MAX));
        self.metrics.files.add(1);
        self.settings.log.push(written, place);
        self.has_finished = true;
        Ok(())
    }

    /// Keeps the reservation at what the open files hold; if the pool refuses, buffered rows are written out early.
    async fn account(&mut self) -> Result<()> {
        if self.memory.try_resize(self.held_bytes().max(self.floor)).is_ok() {
            return Ok(());
        }
        for file in self.open.values_mut() {
            file.encoder.flush()?;
            file.drain().await?;
            file.staged.send_pending().await?;
        }
        self.memory.try_resize(self.held_bytes().max(self.floor))
    }

    fn held_bytes(&self) -> usize {
        self.open.values().map(|file| file.encoder.buffered_bytes().0 + file.staged.pending_bytes()).sum()
    }

    async fn finish(mut self, keeps_empty: bool) -> Result<()> {
        if keeps_empty && self.open.is_empty() && !self.has_finished {
            let folder = self.settings.split.empty_folder();
            self.open_file(&folder).await?;
        }
        let folders: Vec<String> = self.open.keys().cloned().collect();
        for folder in folders {
            self.close(&folder).await?;
        }
        Ok(())
    }
}

impl OpenFile {
    async fn drain(&mut self) -> Result<()> {
        let ready = self.encoder.take()?;
        if ready.is_empty() { Ok(()) } else { self.staged.write(ready).await }
    }

    /// What the file's size would be if it were closed now, nearly.
    fn bytes(&self) -> u64 {
        self.staged.bytes() + self.encoder.buffered_bytes().1 as u64
    }
}
