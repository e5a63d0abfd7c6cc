//! A divided join gives the rows of DataFusion's, for every type of join.

use std::sync::Arc;

use arrow::array::{Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{JoinSide, JoinType, NullEquality};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, col};
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionConfig;

use super::{BuildSideBytes, allow, in_place_of};

const TYPES: [JoinType; 10] = [
    JoinType::Inner,
    JoinType::Left,
    JoinType::Right,
    JoinType::Full,
    JoinType::LeftSemi,
    JoinType::LeftAnti,
    JoinType::LeftMark,
    JoinType::RightSemi,
    JoinType::RightAnti,
    JoinType::RightMark,
];

/// Batches of `(k, s, v)`; `key` gives the key of each row.
fn table(rows: i64, key: impl Fn(i64) -> Option<i32>) -> Arc<dyn ExecutionPlan> {
    let fields = vec![
        Field::new("k", DataType::Int32, true),
        Field::new("s", DataType::Utf8, true),
        Field::new("v", DataType::Int64, false),
    ];
    let schema = Arc::new(Schema::new(fields));
    let rows: Vec<i64> = (0..rows).collect();
    let batch = |rows: &[i64]| {
        let keys: Int32Array = rows.iter().map(|row| key(*row)).collect();
        let texts: StringArray = rows.iter().map(|row| key(*row).map(|key| format!("text {}", key % 7))).collect();
        let values = Int64Array::from(rows.to_vec());
        RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(keys), Arc::new(texts), Arc::new(values)]).unwrap()
    };
    let batches: Vec<RecordBatch> = rows.chunks(500).map(batch).collect();
    MemorySourceConfig::try_new_exec(&[batches], Arc::clone(&schema), None).unwrap()
}

/// `build.v < probe.v + …`, so that some pairs of equal keys do not match.
fn filter(build: &Schema, probe: &Schema) -> JoinFilter {
    let schema = Schema::new(vec![build.field(2).clone(), probe.field(2).clone()]);
    let less: Arc<dyn PhysicalExpr> =
        Arc::new(BinaryExpr::new(Arc::new(Column::new("v", 0)), Operator::Lt, Arc::new(Column::new("v", 1))));
    let column = |side| ColumnIndex { index: 2, side };
    JoinFilter::new(less, vec![column(JoinSide::Left), column(JoinSide::Right)], Arc::new(schema))
}

struct Case {
    join_type: JoinType,
    nulls: NullEquality,
    filtered: bool,
    mode: PartitionMode,
}

fn join(case: &Case, build: &Arc<dyn ExecutionPlan>, probe: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let (left, right) = (build.schema(), probe.schema());
    let on = ["k", "s"].map(|name| (col(name, &left).unwrap(), col(name, &right).unwrap())).to_vec();
    let filter = case.filtered.then(|| filter(&left, &right));
    let (build, probe) = (Arc::clone(build), Arc::clone(probe));
    let join = HashJoinExec::try_new(build, probe, on, filter, &case.join_type, None, case.mode, case.nulls, false);
    Arc::new(join.unwrap())
}

async fn rows(plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in collect(plan, context).await.unwrap() {
        let options = FormatOptions::new().with_null("NULL");
        let columns: Vec<_> = batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
        let row = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|");
        rows.extend((0..batch.num_rows()).map(row));
    }
    rows.sort();
    rows
}

fn with_share(bytes: usize) -> Arc<TaskContext> {
    Arc::new(context(bytes))
}

fn context(bytes: usize) -> TaskContext {
    let config = SessionConfig::new().with_batch_size(512).with_extension(Arc::new(BuildSideBytes(bytes)));
    TaskContext::default().with_session_config(config)
}

fn divided(plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let divided = in_place_of(plan).unwrap();
    allow(&divided, &[0].into());
    divided
}

fn spilled_bytes(plan: &Arc<dyn ExecutionPlan>) -> usize {
    plan.metrics().unwrap().spilled_bytes().unwrap_or(0)
}

fn spilled_rows(plan: &Arc<dyn ExecutionPlan>) -> usize {
    plan.metrics().unwrap().spilled_rows().unwrap_or(0)
}

async fn check(build: Arc<dyn ExecutionPlan>, probe: Arc<dyn ExecutionPlan>, types: &[JoinType], share: usize) {
    for &join_type in types {
        for (filtered, nulls, mode) in [
            (false, NullEquality::NullEqualsNothing, PartitionMode::CollectLeft),
            (true, NullEquality::NullEqualsNull, PartitionMode::Partitioned),
        ] {
            let case = Case { join_type, nulls, filtered, mode };
            let wanted = rows(join(&case, &build, &probe), Arc::new(TaskContext::default())).await;

            let small = divided(join(&case, &build, &probe));
            assert_eq!(rows(Arc::clone(&small), with_share(share)).await, wanted, "{join_type}, filtered: {filtered}");
            assert!(spilled_bytes(&small) > 0, "{join_type} was not divided");
            assert_eq!(small.metrics().unwrap().output_rows(), Some(wanted.len()), "{join_type}");

            let large = divided(join(&case, &build, &probe));
            assert_eq!(
                rows(Arc::clone(&large), with_share(64 << 20)).await,
                wanted,
                "{join_type}, filtered: {filtered}"
            );
            assert_eq!((spilled_bytes(&large), large.metrics().unwrap().output_rows()), (0, Some(wanted.len())));
        }
    }
}

#[tokio::test]
async fn all_types_of_join_give_the_same_rows_when_divided() {
    let build = table(6_000, |row| (row % 11 != 0).then_some((row * 7 % 2_500) as i32));
    let probe = table(5_000, |row| (row % 13 != 0).then_some((row * 3 % 3_000) as i32));
    // Once, and again and again.
    check(Arc::clone(&build), Arc::clone(&probe), &TYPES, 200_000).await;
    check(build, probe, &TYPES, 6_000).await;
}

#[tokio::test]
async fn rows_of_one_key_are_joined_in_chunks() {
    let build = table(4_000, |row| Some(if row % 50 == 0 { row as i32 } else { 5 }));
    let probe = table(60, |row| Some(row as i32 % 10));
    check(build, probe, &TYPES, 40_000).await;
}

#[tokio::test]
async fn rows_of_one_key_are_not_divided_again_and_again() {
    let build = table(20_000, |_| Some(5));
    let probe = table(100, |row| Some(row as i32 % 10));
    let case = Case {
        join_type: JoinType::Inner,
        nulls: NullEquality::NullEqualsNothing,
        filtered: true,
        mode: PartitionMode::Partitioned,
    };
    let plan = divided(join(&case, &build, &probe));
    collect(Arc::clone(&plan), with_share(100_000)).await.unwrap();
    assert_eq!(spilled_rows(&plan), 20_100);
}

#[tokio::test]
async fn a_limit_inside_a_divided_join_holds() {
    let build = table(6_000, |row| Some(row as i32 % 100));
    let probe = table(1_000, |row| Some(row as i32 % 100));
    let case = Case {
        join_type: JoinType::Inner,
        nulls: NullEquality::NullEqualsNothing,
        filtered: false,
        mode: PartitionMode::Partitioned,
    };
    let limited = join(&case, &build, &probe).with_fetch(Some(1_234)).unwrap();
    assert_eq!(rows(divided(limited), with_share(50_000)).await.len(), 1_234);
}

#[tokio::test]
async fn files_are_gone_when_a_divided_join_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let runtime =
        crate::session::runtime(Some(64 << 20), Some(dir.path().to_owned()), crate::stores::Stores::from_env())
            .unwrap();
    let context = context(50_000).with_runtime(Arc::clone(&runtime));
    let build = table(6_000, |row| Some(row as i32));
    let case = Case {
        join_type: JoinType::Inner,
        nulls: NullEquality::NullEqualsNothing,
        filtered: false,
        mode: PartitionMode::Partitioned,
    };
    let plan = divided(join(&case, &build, &build));
    let mut stream = plan.execute(0, Arc::new(context)).unwrap();
    use futures::StreamExt;
    stream.next().await.unwrap().unwrap();
    assert!(spilled_bytes(&plan) > 0);
    drop((stream, plan));
    assert_eq!(runtime.memory_pool.reserved(), 0);
    let files = || walk(dir.path());
    for _ in 0..100 {
        if files() == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{} files are left", files());
}

fn walk(dir: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { walk(&path) } else { 1 }).sum()
}
