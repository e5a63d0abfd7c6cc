//! Where plans are cut.

use expect_test::{Expect, expect};

use super::bed::Bed;

async fn check(bed: Bed, sql: &str, expected: Expect) {
    expected.assert_eq(&bed.tasks(3).await.shape(sql).await);
}

#[tokio::test]
async fn a_grouped_aggregate_is_cut_at_its_hash_exchange() {
    check(
        Bed::new(),
        "SELECT region, count(*) FROM orders GROUP BY region",
        expect![[r#"
            many workers: the test says so
            stage 0 (scan orders, partial aggregate): 2 tasks → 3 partitions by hash of [region@0]
                AggregateExec Partial
                  DataSourceExec
            stage 1 (aggregate): 3 tasks, reads stage 0 → result
                ProjectionExec
                  AggregateExec FinalPartitioned
                    ShuffleReadExec: stage=0, reads=partition, partitions=3
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_global_aggregate_is_gathered_into_one_task() {
    check(
        Bed::new(),
        "SELECT sum(amount) FROM orders",
        expect![[r#"
            many workers: the test says so
            stage 0 (scan orders, partial aggregate): 2 tasks → one partition
                AggregateExec Partial
                  DataSourceExec
            stage 1 (aggregate): 1 task, reads stage 0 → result
                AggregateExec Final
                  ShuffleReadExec: stage=0, reads=all, partitions=1
        "#]],
    )
    .await;
}

#[tokio::test]
async fn sorted_runs_are_merged_by_their_reader() {
    check(
        Bed::new(),
        "SELECT id FROM orders ORDER BY amount, id",
        expect![[r#"
            many workers: the test says so
            stage 0 (scan orders, sort): 2 tasks → one partition
                SortExec
                  DataSourceExec
            stage 1 (merge): 1 task, reads stage 0 → result
                ProjectionExec
                  SortPreservingMergeExec
                    ShuffleReadExec: stage=0, reads=each, partitions=2
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_limit_is_applied_by_each_task_and_again_by_the_reader() {
    check(
        Bed::new(),
        "SELECT id FROM orders WHERE amount > 10 LIMIT 5",
        expect![[r#"
            many workers: the test says so
            stage 0 (scan orders, filter): 3 tasks → one partition
                FilterExec
                  DataSourceExec
            stage 1 (limit): 1 task, reads stage 0, indeterminate → result
                GlobalLimitExec
                  ShuffleReadExec: stage=0, reads=all, partitions=1
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_join_of_large_sides_divides_both_by_the_key() {
    let sql = "SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer = c.id";
    check(
        Bed::without_broadcast(),
        sql,
        expect![[r#"
            many workers: the test says so
            stage 0 (scan customers): 3 tasks → 3 partitions by hash of [id@0]
                DataSourceExec
            stage 1 (scan orders): 2 tasks → 3 partitions by hash of [customer@1]
                DataSourceExec
            stage 2 (join): 3 tasks, reads stages 0, 1 → result
                HashJoinExec Partitioned
                  ShuffleReadExec: stage=0, reads=partition, partitions=3
                  ShuffleReadExec: stage=1, reads=partition, partitions=3
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_small_build_side_is_evaluated_once_and_read_by_every_task() {
    let sql = "SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer = c.id";
    check(
        Bed::new(),
        sql,
        expect![[r#"
            many workers: the test says so
            stage 0 (scan customers): 3 tasks → one partition
                DataSourceExec
            stage 1 (scan orders, join): 2 tasks, reads stage 0 → result
                HashJoinExec CollectLeft
                  ShuffleReadExec: stage=0, reads=all, partitions=1
                  DataSourceExec
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_build_side_of_one_partition_becomes_a_stage_of_its_own() {
    let sql = "SELECT o.id, t.name FROM orders o JOIN tiny t ON o.customer = t.id";
    check(
        Bed::new().with("datafusion.optimizer.repartition_file_scans", "false"),
        sql,
        expect![[r#"
            many workers: the test says so
            stage 0 (scan tiny): 1 task → one partition
                DataSourceExec
            stage 1 (scan orders, join): 2 tasks, reads stage 0 → result
                HashJoinExec CollectLeft
                  ShuffleReadExec: stage=0, reads=all, partitions=1
                  DataSourceExec
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_scalar_subquery_is_one_stage_that_other_stages_read() {
    let sql = "SELECT region, count(*) FROM orders WHERE amount > (SELECT avg(level) FROM customers) GROUP BY region";
    check(
        Bed::new(),
        sql,
        expect![[r#"
            many workers: the test says so
            stage 0 (scan customers, partial aggregate): 3 tasks → one partition
                AggregateExec Partial
                  DataSourceExec
            stage 1 (aggregate): 1 task, reads stage 0 → one partition
                AggregateExec Final
                  ShuffleReadExec: stage=0, reads=all, partitions=1
            stage 2 (scan orders, filter, partial aggregate): 3 tasks, reads stage 1 → 3 partitions by hash of [region@0]
                ScalarSubqueryExec
                  AggregateExec Partial
                    FilterExec
                      DataSourceExec
                  ShuffleReadExec: stage=1, reads=all, partitions=1
            stage 3 (aggregate): 3 tasks, reads stage 2 → result
                ProjectionExec
                  AggregateExec FinalPartitioned
                    ShuffleReadExec: stage=2, reads=partition, partitions=3
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_union_has_a_task_for_each_partition_of_its_inputs() {
    check(
        Bed::new(),
        "SELECT id FROM orders UNION ALL SELECT id FROM tiny",
        expect![[r#"
            many workers: the test says so
            stage 0 (scan orders, scan tiny, union): 3 tasks → result
                UnionExec
                  DataSourceExec
                  DataSourceExec
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_window_without_partitions_runs_in_one_task() {
    check(
        Bed::new(),
        "SELECT id, row_number() OVER (ORDER BY id) FROM orders",
        expect![[r#"
            many workers: the test says so
            stage 0 (scan orders, sort): 2 tasks → one partition
                SortExec
                  DataSourceExec
            stage 1 (merge, window): 1 task, reads stage 0 → result
                BoundedWindowAggExec [Sorted]
                  SortPreservingMergeExec
                    ShuffleReadExec: stage=0, reads=each, partitions=2
        "#]],
    )
    .await;
}
