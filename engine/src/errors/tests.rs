//! What users read, by kind of error.

use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryPool, TrackConsumersPool};
use expect_test::{Expect, expect};
use parquet::errors::ParquetError;
use windrow_model::{AttemptId, ErrorReport, Failure, JobId, MapOutputId, StageId, TaskId, WorkerId};

use super::{failure, nearest, report};
use crate::oracle::oracle_context;
use crate::shuffle::FetchError;

fn show(report: &ErrorReport) -> String {
    format!("{} | {} | {} | {}", report.kind, report.what, report.detail, report.hint)
}

fn check(error: DataFusionError, expected: Expect) {
    expected.assert_eq(&show(&report(error, "line 1")));
}

async fn sql_error(sql: &str) -> DataFusionError {
    let context = oracle_context(1);
    context.sql("CREATE TABLE flights (carrier VARCHAR, delay INT) AS VALUES ('AA', 5)").await.unwrap();
    match context.sql(sql).await {
        Err(error) => error,
        Ok(frame) => frame.collect().await.unwrap_err(),
    }
}

fn task() -> TaskId {
    TaskId { stage: StageId { job: JobId(7), index: 2 }, index: 1 }
}

#[tokio::test]
async fn planner_errors() {
    check(
        sql_error("SELECT carier FROM flights").await,
        expect!["invalid | line 1: there is no column `carier` |  | did you mean `carrier`?"],
    );
    check(
        sql_error("SELECT whatever FROM flights").await,
        expect![[
            r#"invalid | line 1: there is no column `whatever` |  | the columns here are `flights.carrier`, `flights.delay`"#
        ]],
    );
    check(
        sql_error("SELECT 1 FROM flight").await,
        expect![
            "not-found | line 1: there is no table `flight` |  | name it under `tables:` in the job file, or with CREATE EXTERNAL TABLE"
        ],
    );
    check(
        sql_error("SELECT a FROM (SELECT 1 AS a) x, (SELECT 2 AS a) y").await,
        expect![[
            r#"invalid | line 1: Ambiguous reference to unqualified field a |  | write the table's name in front, as in `t.a`"#
        ]],
    );
}

#[tokio::test]
async fn errors_of_values() {
    let cast = report(sql_error("SELECT CAST(carrier AS INT) FROM flights").await, "line 1");
    expect!["invalid | line 1: a value cannot be converted | Cannot cast string 'AA' to value of Int32 type | TRY_CAST gives NULL for such values"]
        .assert_eq(&show(&cast));
    check(
        sql_error("SELECT delay / 0 FROM flights").await,
        expect!["invalid | line 1: division by zero |  | write x / nullif(y, 0) to get NULL where y is zero"],
    );
    check(
        sql_error("SELECT sum(delay + 9223372036854775805) FROM flights").await,
        expect![
            "invalid | line 1: arithmetic overflow | Overflow happened on: 5 + 9223372036854775805 | cast to a wider type first, for example CAST(x AS DECIMAL(38, 0)) or CAST(x AS DOUBLE)"
        ],
    );
}

#[test]
fn a_wrapped_error_is_that_of_its_root() {
    let inner = ArrowError::CsvError("incorrect number of fields for line 3, expected 2 got 1".to_owned());
    let wrapped = DataFusionError::Shared(Arc::new(DataFusionError::Context(
        "reading".to_owned(),
        Box::new(DataFusionError::External(Box::new(ArrowError::ExternalError(Box::new(DataFusionError::from(
            inner,
        )))))),
    )));
    check(
        wrapped,
        expect![
            "invalid | line 1: a row of a CSV file has the wrong number of columns | incorrect number of fields for line 3, expected 2 got 1 | fix that line, check the delimiter, or allow short rows with OPTIONS ('format.truncated_rows' 'true')"
        ],
    );
    check(
        DataFusionError::from(ParquetError::General("Invalid Parquet file. Corrupt footer".to_owned())),
        expect![
            "corrupt | line 1: a Parquet file cannot be read | Parquet error: Invalid Parquet file. Corrupt footer | the file is truncated or damaged; write it again"
        ],
    );
}

#[test]
fn out_of_memory_names_the_operator() {
    let pool: Arc<dyn MemoryPool> =
        Arc::new(TrackConsumersPool::new(FairSpillPool::new(1000), std::num::NonZeroUsize::new(2).unwrap()));
    let reservation = MemoryConsumer::new("HashJoinInput").register(&pool);
    let error = reservation.try_grow(4000).unwrap_err();
    let Failure::OutOfMemory(report) = failure(error, task()) else { panic!("not typed as out of memory") };
    expect!["task job-7.2.1 failed: out of memory: `HashJoinInput` asked for 3.9 KB more"].assert_eq(&report.what);
    assert!(report.hint.contains("--memory"));
}

#[test]
fn failures_keep_their_type_through_wrappers() {
    let output = MapOutputId { task: task(), attempt: AttemptId { epoch: 1, n: 3 } };
    let (worker, detail) = (WorkerId(4), "gone".to_owned());
    let lost = FetchError::Lost { output, worker, detail: detail.clone() };
    let unreached_peer = FetchError::Unreached { output, worker, detail: detail.clone() };
    for (error, unreached) in [(lost, false), (unreached_peer, true)] {
        let wrapped = DataFusionError::Shared(Arc::new(
            DataFusionError::ArrowError(
                Box::new(ArrowError::ExternalError(Box::new(DataFusionError::External(Box::new(error))))),
                None,
            )
            .context("merging"),
        ));
        let expected = Failure::FetchFailed { output, peer: worker, detail: detail.clone(), unreached };
        assert_eq!(failure(wrapped, task()), expected);
    }

    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    assert_eq!(failure(DataFusionError::IoError(full), task()).name(), "disk-full");
    let overflow = ArrowError::ArithmeticOverflow("x".to_owned());
    assert_eq!(failure(DataFusionError::from(overflow), task()).name(), "query");
    let slow = object_store::Error::Generic { store: "S3", source: "timed out".into() };
    assert_eq!(failure(DataFusionError::from(slow), task()).name(), "unavailable");
    let missing = object_store::Error::NotFound { path: "a/b".to_owned(), source: "404".into() };
    assert_eq!(failure(DataFusionError::from(missing), task()).name(), "query");
    assert_eq!(failure(DataFusionError::Internal("x".to_owned()), task()).name(), "internal");
}

#[test]
fn the_nearest_name_must_be_near() {
    assert_eq!(nearest("flihgts", ["flights", "airports"]), Some("flights"));
    assert_eq!(nearest("FLIGHTS", ["flights"]), Some("flights"));
    assert_eq!(nearest("orders", ["flights", "airports"]), None);
    assert_eq!(nearest("a", ["b"]), None);
}
