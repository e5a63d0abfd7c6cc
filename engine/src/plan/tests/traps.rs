//! What has bitten others: see "Traps" in the design.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::logical_expr::{self, col};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use windrow_model::{Determinism, OutputFormat, OutputMode};

use super::bed::{Bed, sorted};
use super::cluster::{coalesced, decode, run, run_with_losses, shared};
use crate::plan::scans::file_scans;
use crate::plan::{Distributed, OutputPartitioning, Reads, ShuffleReadExec, distribute};
use crate::sink::{OutputTarget, TableWriteExec};

/// Byte ranges of each file that the tasks of the first stage read, from the tasks' own splits.
fn ranges(distributed: &Distributed) -> BTreeMap<String, Vec<(u64, u64)>> {
    let stage = &distributed.stages[0];
    let mut ranges: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
    for task in 0..stage.plan.tasks.len() as u32 {
        let plan = decode(stage, task).unwrap().plan;
        for file in file_scans(&plan).iter().flat_map(|scan| &scan.file_groups).flat_map(|group| group.files()) {
            ranges.entry(file.object_meta.location.to_string()).or_default().push(range(file));
        }
    }
    ranges.values_mut().for_each(|ranges| ranges.sort_unstable());
    ranges
}

fn range(file: &PartitionedFile) -> (u64, u64) {
    file.range.as_ref().map_or((0, file.object_meta.size), |range| (range.start as u64, range.end as u64))
}

fn assert_covered_once(distributed: &Distributed, files: usize) {
    let ranges = ranges(distributed);
    assert_eq!(ranges.len(), files);
    for (file, ranges) in ranges {
        assert_eq!(ranges[0].0, 0, "{file}");
        assert!(ranges.windows(2).all(|pair| pair[0].1 == pair[1].0), "{file}: {ranges:?}");
    }
}

fn classes(distributed: &Distributed) -> Vec<Determinism> {
    distributed.stages.iter().map(|stage| stage.plan.determinism).collect()
}

#[tokio::test]
async fn many_small_files_are_grouped_into_tasks() {
    let bed = Bed::new().with("datafusion.optimizer.repartition_file_scans", "false");
    let distributed = bed.tasks(2).await.distribute("SELECT id FROM orders").await;
    assert_eq!(distributed.stages[0].plan.tasks.len(), 2);
    assert_covered_once(&distributed, 4);
}

#[tokio::test]
async fn tasks_divide_large_files_by_ranges_that_do_not_overlap() {
    let distributed = Bed::new().tasks(7).await.distribute("SELECT id FROM orders").await;
    assert_eq!(distributed.stages[0].plan.tasks.len(), 7);
    assert_covered_once(&distributed, 4);
}

#[tokio::test]
async fn a_task_carries_the_files_of_its_own_partitions_only() {
    let bed = Bed::new().with("datafusion.optimizer.repartition_file_scans", "false");
    let sql = "SELECT id FROM orders UNION ALL SELECT id FROM customers UNION ALL SELECT id FROM tiny";
    let distributed = bed.tasks(4).await.distribute(sql).await;
    let stage = &distributed.stages[0];
    assert_eq!(stage.plan.tasks.len(), 4 + 3 + 1);
    for task in 0..8 {
        let plan = decode(stage, task).unwrap().plan;
        let scans = file_scans(&plan);
        let files: usize = scans.iter().flat_map(|scan| &scan.file_groups).map(|group| group.len()).sum();
        assert_eq!(files, 1, "task {task}");
    }
}

#[tokio::test]
async fn a_task_that_holds_part_of_a_scan_does_not_steal_the_rest() {
    let distributed = Bed::new().tasks(3).await.distribute("SELECT id FROM orders").await;
    let settings = decode(&distributed.stages[0], 0).unwrap().settings;
    let key = "datafusion.execution.enable_file_stream_work_stealing".to_owned();
    assert!(settings.contains(&(key, "false".to_owned())), "{settings:?}");
}

#[tokio::test]
async fn no_join_waits_for_a_dynamic_filter_of_other_tasks() {
    let sql = "SELECT o.id FROM orders o JOIN customers c ON o.customer = c.id WHERE c.level = 1";
    let bed = Bed::without_broadcast();
    for stage in bed.tasks(3).await.distribute(sql).await.stages {
        assert!(produced_filters(&stage.physical).is_empty());
    }
    let whole = bed.whole(3).await.distribute(sql).await;
    assert!(!produced_filters(&whole.stages[0].physical).is_empty(), "a whole plan keeps them");
}

#[tokio::test]
async fn a_plan_whose_joins_would_wait_for_other_tasks_is_refused() {
    let whole = Bed::without_broadcast().whole(3).await;
    let plan =
        whole.physical("SELECT o.id FROM orders o JOIN customers c ON o.customer = c.id WHERE c.level = 1").await;
    let tasks = Bed::new().tasks(3).await;
    let error = distribute(plan, &tasks.spread, 0, &tasks.state()).unwrap_err().to_string();
    assert!(error.contains("dynamic filter"), "{error}");
}

fn produced_filters(plan: &Arc<dyn ExecutionPlan>) -> Vec<String> {
    let own = plan.dynamic_expressions_produced().into_iter().map(|filter| filter.to_string());
    own.chain(plan.children().into_iter().flat_map(produced_filters)).collect()
}

#[tokio::test]
async fn a_collected_side_that_emits_rows_is_divided_by_its_key() {
    let sql = "SELECT c.name, o.id FROM customers c LEFT JOIN orders o ON o.customer = c.id";
    let planner = Bed::new().tasks(3).await;
    let planned =
        datafusion::physical_plan::displayable(planner.physical(sql).await.as_ref()).indent(false).to_string();
    assert!(planned.contains("mode=CollectLeft, join_type=Left"), "{planned}");
    let shape = planner.shape(sql).await;
    assert!(shape.contains("HashJoinExec Partitioned"), "{shape}");
}

#[tokio::test]
async fn a_null_aware_anti_join_sees_all_probe_rows_in_one_task() {
    let sql = "SELECT name FROM customers WHERE id NOT IN (SELECT key FROM gaps)";
    let distributed = Bed::new().tasks(3).await.distribute(sql).await;
    let join = distributed.stages.iter().find(|stage| stage.plan.label.contains("join")).unwrap();
    assert_eq!(join.plan.tasks.len(), 1);
}

#[tokio::test]
async fn a_scalar_subquery_of_two_rows_is_an_error() {
    let bed = Bed::new();
    for sql in [
        "SELECT id FROM orders WHERE amount > (SELECT level FROM customers)",
        "SELECT id, (SELECT id FROM tiny) AS n FROM orders WHERE id < 0",
    ] {
        for planner in [bed.tasks(3).await, bed.whole(2).await] {
            let error = run(&planner, sql).await.unwrap_err().to_string();
            assert!(error.contains("more than one row"), "{error}");
        }
    }
}

#[tokio::test]
async fn plans_without_files_have_as_many_tasks_as_partitions() {
    let planner = Bed::new().tasks(4).await;
    for (sql, tasks) in [
        ("SELECT 1", 1),
        ("SELECT 1 WHERE false", 1),
        ("SELECT * FROM (VALUES (1), (2)) AS t (k)", 1),
        ("SELECT value FROM generate_series(1, 10)", 1),
        ("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3", 3),
    ] {
        let distributed = planner.distribute(sql).await;
        let root = &distributed.stages[distributed.root as usize];
        assert_eq!(root.plan.tasks.len(), tasks, "{sql}");
        assert!(root.splits.iter().all(Option::is_none), "{sql}");
    }
}

#[tokio::test]
async fn a_recursive_query_stays_whole_in_one_task() {
    let sql = "WITH RECURSIVE w AS (SELECT id, level FROM customers WHERE id = 1 UNION ALL \
               SELECT c.id, c.level FROM customers c JOIN w ON c.id = w.id * 2) SELECT id FROM w";
    let distributed = Bed::new().tasks(3).await.distribute(sql).await;
    let [stage] = distributed.stages.as_slice() else { panic!("{} stages", distributed.stages.len()) };
    assert_eq!(stage.plan.tasks.len(), 1);
}

#[tokio::test]
async fn a_stage_that_only_scans_is_determinate() {
    let distributed = Bed::new().tasks(3).await.distribute("SELECT id + 1 FROM orders WHERE amount > 5").await;
    assert_eq!(classes(&distributed), [Determinism::Determinate]);
}

#[tokio::test]
async fn a_stage_that_hashes_rows_gives_them_in_any_order() {
    let distributed = Bed::new().tasks(3).await.distribute("SELECT region, count(*) FROM orders GROUP BY region").await;
    assert_eq!(classes(&distributed), [Determinism::Unordered, Determinism::Unordered]);
}

#[tokio::test]
async fn a_limit_without_an_order_is_indeterminate_where_rows_meet() {
    let distributed = Bed::new().tasks(3).await.distribute("SELECT id FROM orders WHERE amount > 10 LIMIT 5").await;
    assert_eq!(classes(&distributed), [Determinism::Determinate, Determinism::Indeterminate]);
}

#[tokio::test]
async fn a_stage_that_rolls_dice_is_indeterminate() {
    let distributed = Bed::new().tasks(3).await.distribute("SELECT id, random() FROM orders").await;
    assert_eq!(classes(&distributed), [Determinism::Indeterminate]);
    let distributed = Bed::new().tasks(3).await.distribute("SELECT id FROM orders WHERE random() < 0.5").await;
    assert_eq!(classes(&distributed), [Determinism::Indeterminate]);
}

#[tokio::test]
async fn rows_divided_by_a_sum_of_floats_are_indeterminate() {
    let sql = "SELECT s, count(*) FROM (SELECT region, sum(price) AS s FROM orders GROUP BY region) GROUP BY s";
    let distributed = Bed::new().tasks(3).await.distribute(sql).await;
    assert_eq!(classes(&distributed)[1], Determinism::Indeterminate);
}

/// SPARK-23207: rows dealt in turn to tasks, a loss in between, and distinct rows were lost and doubled.
#[tokio::test]
async fn distinct_rows_that_were_dealt_in_turn_survive_a_loss() {
    let planner = Bed::new().tasks(5).await;
    let numbers = planner.context.sql("SELECT value FROM generate_series(1, 1000000)").await.unwrap();
    let frame = numbers
        .repartition(logical_expr::Partitioning::Hash(vec![col("value")], 5))
        .and_then(|frame| frame.repartition(logical_expr::Partitioning::RoundRobinBatch(7)))
        .and_then(|frame| frame.distinct())
        .unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    let distributed = distribute(plan, &planner.spread, 0, &planner.state()).unwrap();
    assert!(distributed.stages.len() > 1, "nothing is exchanged: nothing was tested");

    let rows = run_with_losses(&distributed).await.unwrap();

    let values = rows.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
    let mut values: Vec<i64> = values.collect();
    values.sort_unstable();
    assert_eq!(values.len(), 1_000_000);
    assert!(values.iter().zip(1..).all(|(value, wanted)| *value == wanted), "rows were lost and doubled");
}

#[tokio::test]
async fn a_loss_between_two_readers_changes_no_answer() {
    let bed = Bed::without_broadcast();
    let planner = bed.tasks(4).await;
    for sql in [
        "SELECT region, count(*), sum(amount) FROM orders GROUP BY region",
        "SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer = c.id",
        "SELECT count(DISTINCT customer), max(price) FROM orders",
        "SELECT level, count(*) FROM (SELECT DISTINCT c.level, o.region FROM orders o JOIN customers c \
         ON o.customer = c.id) GROUP BY level",
        "SELECT region, amount FROM orders ORDER BY amount, id LIMIT 7",
        "SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM orders LIMIT 90)",
    ] {
        let expected = sorted(&bed.oracle(sql).await.unwrap());
        // As planned, with partitions put together, and with partitions shared.
        let plans = [
            planner.distribute(sql).await,
            coalesced(&planner, sql).await.unwrap(),
            shared(&planner, sql, 0).await.unwrap(),
            shared(&planner, sql, 1).await.unwrap(),
        ];
        for (nth, plan) in plans.iter().enumerate() {
            let rows = run_with_losses(plan).await.unwrap_or_else(|error| panic!("{sql}, {nth}: {error}"));
            assert_eq!(sorted(&rows), expected, "{sql}, {nth}");
        }
    }
}

#[tokio::test]
async fn a_table_of_an_earlier_statement_is_an_input_like_any_other() {
    let planner = Bed::new().tasks(3).await;
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    let table = ShuffleReadExec::new(7, schema, Reads::Each, Partitioning::UnknownPartitioning(3), None);
    let table: Arc<dyn ExecutionPlan> = Arc::new(table);
    let distributed = distribute(Arc::clone(&table), &planner.spread, 9, &planner.state()).unwrap();
    let plan = &distributed.stages[0].plan;
    assert_eq!((plan.index, plan.inputs[0].stage, plan.tasks.len(), distributed.root), (9, 7, 3, 9));
    let gathered = Arc::new(CoalescePartitionsExec::new(table));
    let distributed = distribute(gathered, &planner.spread, 9, &planner.state()).unwrap();
    assert_eq!(distributed.stages.len(), 1, "its map outputs are gathered from where they are");
}

#[tokio::test]
async fn arithmetic_still_fails_on_overflow_after_decoding() {
    let bed = Bed::new();
    for planner in [bed.tasks(3).await, bed.whole(2).await] {
        let error = run(&planner, "SELECT id + 9223372036854775800 FROM orders").await.unwrap_err().to_string();
        assert!(error.to_lowercase().contains("overflow"), "{error}");
    }
}

#[tokio::test]
async fn every_task_writes_its_own_part_of_a_table() {
    let planner = Bed::new().tasks(3).await;
    let input = planner.physical("SELECT id FROM orders ORDER BY id").await;
    let unsorted = planner.physical("SELECT region, count(*) FROM orders GROUP BY region").await;
    for (input, tasks) in [(input, 1), (unsorted, 3)] {
        let write = Arc::new(TableWriteExec::new(input, Arc::new(target())));
        let distributed = distribute(write, &planner.spread, 0, &planner.state()).unwrap();
        let root = distributed.stages.last().unwrap();
        assert!(matches!(root.output, OutputPartitioning::Sink));
        assert_eq!(root.plan.tasks.len(), tasks);
        let decoded = decode(root, 0).unwrap().plan;
        assert_eq!(decoded.downcast_ref::<TableWriteExec>().unwrap().target().as_ref(), &target());
    }
}

fn target() -> OutputTarget {
    OutputTarget {
        location: "file:///somewhere/".parse().unwrap(),
        single_file: false,
        format: OutputFormat::Parquet,
        mode: OutputMode::Error,
        partition_by: Vec::new(),
        options: BTreeMap::new(),
        commit_id: uuid::Uuid::nil(),
        job: 1,
    }
}
