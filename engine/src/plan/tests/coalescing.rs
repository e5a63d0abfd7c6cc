//! Which stages may have their partitions put together.

use windrow_model::Coalescing;

use super::bed::Bed;
use crate::plan::allow_coalescing;

/// By stage, in order.
async fn allowed(bed: &Bed, sql: &str, keeps_root: bool) -> Vec<bool> {
    let mut distributed = bed.tasks(8).await.distribute(sql).await;
    allow_coalescing(&mut distributed, 64, keeps_root);
    let stages = distributed.stages.iter().map(|stage| stage.plan.coalescing);
    stages
        .map(|coalescing| {
            assert!(coalescing.is_none_or(|how| how == Coalescing { target_bytes: 64, in_order: false }));
            coalescing.is_some()
        })
        .collect()
}

#[tokio::test]
async fn what_reads_one_part_of_an_exchange_may_be_put_together() {
    let bed = Bed::without_broadcast();
    assert_eq!(allowed(&bed, "SELECT region, count(*) FROM orders GROUP BY region", false).await, [false, true]);
    let join = "SELECT o.id, c.level FROM orders o JOIN customers c ON o.customer = c.id";
    assert_eq!(allowed(&bed, join, false).await.last(), Some(&true));
}

#[tokio::test]
async fn tasks_that_are_read_one_by_one_may_not() {
    let bed = Bed::new();
    let grouped = "SELECT region, count(*) FROM orders GROUP BY region";
    assert_eq!(allowed(&bed, grouped, true).await, [false, false], "a table of later statements");
    let sorted = format!("{grouped} ORDER BY region");
    assert_eq!(allowed(&bed, &sorted, false).await, [false, false, false], "sorted runs");
}
