//! Tables of several Parquet files in a folder of their own, and sessions that plan over them.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{CsvReadOptions, ParquetReadOptions, SessionConfig, SessionContext};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use crate::plan::{Distributed, Spread, configure, distribute, explain};
use crate::session::{base_config, base_state};

/// Rows of each file of `orders`.
const ORDERS_PER_FILE: i64 = 50;

pub(super) struct Bed {
    folder: TempDir,
    /// `SET` statements of every session, as (key, value).
    settings: Vec<(&'static str, &'static str)>,
}

/// A session that plans the way a job's session does.
pub(super) struct Planner {
    pub context: SessionContext,
    pub spread: Spread,
}

impl Bed {
    /// `orders` (4 files), `customers` (3 files, fewer rows), `gaps` (2 files, with NULL keys), `tiny` (1 file),
    /// `nothing` (1 file without rows).
    pub fn new() -> Bed {
        let folder = tempfile::tempdir().unwrap();
        for file in 0..4 {
            write(&folder.path().join("orders"), file, orders(file));
        }
        for file in 0..3 {
            write(&folder.path().join("customers"), file, customers(file));
        }
        for file in 0..2 {
            write(&folder.path().join("gaps"), file, gaps(file));
        }
        write(&folder.path().join("tiny"), 0, customers(0).slice(0, 3));
        write(&folder.path().join("nothing"), 0, customers(0).slice(0, 0));
        Bed { folder, settings: Vec::new() }
    }

    /// The same tables, with no join collecting a side because it is small.
    pub fn without_broadcast() -> Bed {
        Bed::new()
            .with("datafusion.optimizer.hash_join_single_partition_threshold", "0")
            .with("datafusion.optimizer.hash_join_single_partition_threshold_rows", "0")
    }

    pub fn with(mut self, key: &'static str, value: &'static str) -> Bed {
        self.settings.push((key, value));
        self
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A session for `spread`. Files are divided however small they are.
    pub async fn planner(&self, spread: Spread) -> Planner {
        let context = self.context(configure(base_config(), &spread)).await;
        Planner { context, spread }
    }

    pub async fn tasks(&self, partitions: u32) -> Planner {
        self.planner(Spread::Tasks { partitions, why: "the test says so".to_owned() }).await
    }

    pub async fn whole(&self, slots: u32) -> Planner {
        self.planner(Spread::Whole { slots, why: "the test says so".to_owned() }).await
    }

    async fn context(&self, mut config: SessionConfig) -> SessionContext {
        let options = config.options_mut();
        options.set("datafusion.optimizer.repartition_file_min_size", "1").unwrap();
        for (key, value) in &self.settings {
            options.set(key, value).unwrap();
        }
        let context = SessionContext::new_with_state(base_state(config, Arc::new(RuntimeEnv::default())));
        for table in ["orders", "customers", "gaps", "tiny", "nothing"] {
            let location = format!("{}/", self.folder.path().join(table).display());
            context.register_parquet(table, location, ParquetReadOptions::default()).await.unwrap();
        }
        context
    }

    /// What plain DataFusion answers.
    pub async fn oracle(&self, sql: &str) -> Result<Vec<RecordBatch>, String> {
        let context = self.context(base_config().with_target_partitions(2)).await;
        let frame = context.sql(sql).await.map_err(|error| error.to_string())?;
        frame.collect().await.map_err(|error| error.to_string())
    }
}

impl Planner {
    pub fn state(&self) -> SessionState {
        self.context.state()
    }

    pub async fn csv(&self, name: &str, location: &Path, options: CsvReadOptions<'_>) {
        self.context.register_csv(name, location.display().to_string(), options).await.unwrap();
    }

    pub async fn physical(&self, sql: &str) -> Arc<dyn ExecutionPlan> {
        let frame = self.context.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        frame.create_physical_plan().await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub async fn distribute(&self, sql: &str) -> Distributed {
        let plan = self.physical(sql).await;
        distribute(plan, &self.spread, 0, &self.state()).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The plan as text: one line for each stage and one for each operator, without what differs between machines.
    pub async fn shape(&self, sql: &str) -> String {
        let text = explain(&self.distribute(sql).await, &self.spread);
        text.lines().map(|line| outline(line) + "\n").collect()
    }
}

/// An operator's name alone, except for those of the exchange.
fn outline(line: &str) -> String {
    let Some(operator) = line.strip_prefix("    ") else {
        return without_bytes(line);
    };
    if operator.contains("ShuffleReadExec") {
        return line.to_owned();
    }
    let name = operator.split([':', ' ']).find(|word| !word.is_empty()).unwrap_or_default();
    let indent = operator.len() - operator.trim_start().len();
    let mode = operator.split("mode=").nth(1).and_then(|rest| rest.split([',', ' ']).next());
    let mode = mode.map(|mode| format!(" {mode}")).unwrap_or_default();
    format!("    {}{name}{mode}", " ".repeat(indent))
}

/// `3 tasks, 1.2 KiB of files → result` without the size, which compression decides.
fn without_bytes(line: &str) -> String {
    match line.split_once(" of files") {
        Some((before, after)) => format!("{}{after}", &before[..before.rfind(", ").unwrap_or(before.len())]),
        None => line.to_owned(),
    }
}

/// Rows as text in an order of their own, so that two answers can be compared.
pub(super) fn sorted(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = listed(batches);
    lines.sort();
    lines
}

/// Rows as text, in order.
pub(super) fn listed(batches: &[RecordBatch]) -> Vec<String> {
    let batches: Vec<RecordBatch> = batches.iter().filter(|batch| batch.num_rows() > 0).cloned().collect();
    if batches.is_empty() {
        return Vec::new();
    }
    let text = pretty_format_batches(&batches).unwrap().to_string();
    let rows = text.lines().skip(3).filter(|line| !line.starts_with('+'));
    rows.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>().join("|")).collect()
}

fn orders(file: i64) -> RecordBatch {
    let ids = (0..ORDERS_PER_FILE).map(|row| file * ORDERS_PER_FILE + row);
    batch(vec![
        ("id", Arc::new(ids.clone().collect::<Int64Array>())),
        ("customer", Arc::new(ids.clone().map(|id| (id % 11 != 3).then_some(id % 40)).collect::<Int64Array>())),
        ("amount", Arc::new(ids.clone().map(|id| id * 7 % 100).collect::<Int64Array>())),
        ("price", Arc::new(ids.clone().map(|id| (id * 13 % 50) as f64 / 4.0).collect::<Float64Array>())),
        ("region", Arc::new(ids.map(|id| ["north", "south", "east"].get(id as usize % 4)).collect::<StringArray>())),
    ])
}

fn customers(file: i64) -> RecordBatch {
    let ids = (0..10).map(|row| file * 10 + row);
    batch(vec![
        ("id", Arc::new(ids.clone().collect::<Int64Array>())),
        ("name", Arc::new(ids.clone().map(|id| Some(format!("customer {id}"))).collect::<StringArray>())),
        ("level", Arc::new(ids.map(|id| id % 4).collect::<Int64Array>())),
    ])
}

fn gaps(file: i64) -> RecordBatch {
    let rows = (0..12).map(|row| file * 12 + row);
    batch(vec![
        ("key", Arc::new(rows.clone().map(|row| (row % 5 != 2).then_some(row * 2)).collect::<Int64Array>())),
        ("word", Arc::new(rows.map(|row| (row % 3 != 0).then(|| format!("w{row}"))).collect::<StringArray>())),
    ])
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// Small row groups, so that one file has several.
fn write(folder: &Path, file: i64, rows: RecordBatch) {
    std::fs::create_dir_all(folder).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(10)).build();
    let out = File::create(folder.join(format!("part-{file}.parquet"))).unwrap();
    let mut writer = ArrowWriter::try_new(out, rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
}
