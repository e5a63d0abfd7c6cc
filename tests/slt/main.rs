//! Every sqllogictest file on plain DataFusion (the oracle), on one worker and on four workers.
//!
//! A Windrow job is self-contained, so each record runs as a job of its own: all definitions before it, then the record.

#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::prelude::SessionContext;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};
use support::cluster::TestCluster;

/// An engine's complaint about a statement.
#[derive(Debug)]
struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

struct Oracle {
    context: SessionContext,
}

#[async_trait]
impl AsyncDB for Oracle {
    type Error = Refused;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refused> {
        let batches = windrow_engine::oracle::collect(&self.context, sql).await.map_err(|e| Refused(e.to_string()))?;
        Ok(output(sql, &batches))
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "oracle"
    }
}

struct Windrow<'a> {
    cluster: &'a TestCluster,
    definitions: Vec<String>,
}

#[async_trait]
impl AsyncDB for Windrow<'_> {
    type Error = Refused;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refused> {
        let mut script = self.definitions.join(";\n");
        script.push_str(";\n");
        script.push_str(sql);
        let batches = self.cluster.run_sql(&script).await.map_err(|report| Refused(report.to_string()))?;
        if is_definition(sql) {
            self.definitions.push(sql.trim().trim_end_matches(';').to_owned());
        }
        Ok(output(sql, &batches))
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "windrow"
    }
}

fn is_definition(sql: &str) -> bool {
    let word = sql.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    matches!(word.as_str(), "create" | "drop" | "set" | "reset" | "insert" | "copy")
}

fn output(sql: &str, batches: &[RecordBatch]) -> DBOutput<DefaultColumnType> {
    if is_definition(sql) {
        return DBOutput::StatementComplete(0);
    }
    let columns = batches.first().map_or(0, RecordBatch::num_columns);
    DBOutput::Rows { types: vec![DefaultColumnType::Any; columns], rows: support::rows::cells(batches) }
}

fn slt_files() -> Vec<PathBuf> {
    let only = std::env::var("WINDROW_SLT").unwrap_or_default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/slt");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("tests/slt is there")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .filter(|path| path.to_string_lossy().contains(&only))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no .slt file matches WINDROW_SLT={only}");
    files
}

fn script(file: &Path) -> String {
    let data = file.with_file_name("data");
    let text = std::fs::read_to_string(file).expect("a readable file");
    text.replace("${DATA}", &data.to_string_lossy())
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_datafusion_gives_the_expected_answers() {
    let mut failures = Vec::new();
    for file in slt_files() {
        let mut runner = Runner::new(|| async { Ok(Oracle { context: windrow_engine::oracle::oracle_context(2) }) });
        runner.with_column_validator(|_, _| true);
        collect_failures(&file, &mut runner, &mut failures).await;
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_gives_the_expected_answers() {
    same_answers_on(1, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_workers_give_the_expected_answers() {
    same_answers_on(4, 1).await;
}

async fn same_answers_on(workers: u32, slots: u32) {
    let cluster = TestCluster::start(workers, slots).await;
    let mut failures = Vec::new();
    for file in slt_files() {
        let mut runner = Runner::new(|| async { Ok(Windrow { cluster: &cluster, definitions: Vec::new() }) });
        runner.with_column_validator(|_, _| true);
        collect_failures(&file, &mut runner, &mut failures).await;
    }
    cluster.stop().await;
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Runs every record, so that one run shows all that is wrong.
async fn collect_failures<D, M>(file: &Path, runner: &mut Runner<D, M>, failures: &mut Vec<String>)
where
    D: AsyncDB<ColumnType = DefaultColumnType>,
    M: sqllogictest::MakeConnection<Conn = D>,
{
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let records = sqllogictest::parse_with_name(&script(file), name.clone()).expect("a well-formed .slt file");
    let mut done = 0;
    for record in records {
        if let Err(error) = runner.run_async(record).await {
            failures.push(error.display(false).to_string());
        }
        done += 1;
    }
    assert!(done > 1, "{name} holds no record");
}
