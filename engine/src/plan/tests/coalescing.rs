//! Which stages may have their partitions put together.

use windrow_model::Coalescing;

use super::bed::Bed;
use super::cluster::worker_state;
use crate::plan::spilling_join::may_be_divided;
use crate::plan::{allow_coalescing, allow_sharing, decode_fragment};

/// By stage, in order.
async fn allowed(bed: &Bed, sql: &str, keeps_root: bool) -> Vec<bool> {
    let mut distributed = bed.tasks(8).await.distribute(sql).await;
    allow_coalescing(&mut distributed, 64, keeps_root);
    let stages = distributed.stages.iter().map(|stage| stage.plan.coalescing.as_ref());
    stages
        .map(|coalescing| {
            let expected = Coalescing { target_bytes: 64, in_order: false, shareable: Vec::new() };
            assert!(coalescing.is_none_or(|how| *how == expected));
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

#[tokio::test]
async fn joins_of_several_partitions_may_be_divided_as_those_of_one() {
    for (bed, broadcasts) in [(Bed::without_broadcast(), false), (Bed::new(), true)] {
        let sql = "SELECT o.region, c.level, count(*) FROM orders o JOIN customers c ON o.customer = c.id \
                   GROUP BY o.region, c.level";
        let distributed = bed.tasks(8).await.distribute(sql).await;
        let mut joins = 0;
        for stage in distributed.stages.iter().filter(|stage| stage.splits.iter().all(Option::is_none)) {
            let allowed = |partitions: &[u32]| {
                may_be_divided(&decode_fragment(&stage.fragment, None, partitions, &worker_state()).unwrap().plan)
            };
            let several: Vec<u32> = (0..stage.plan.tasks.len() as u32).collect();
            assert_eq!(allowed(&several), allowed(&[0]), "{}", stage.plan.label);
            joins += allowed(&several).into_iter().filter(|allowed| *allowed).count();
        }
        assert!(broadcasts || joins == 1, "{joins} joins of several partitions");
    }
}

/// The labels of the inputs that may be shared, by stages that have some.
async fn shareable(bed: &Bed, sql: &str) -> Vec<Vec<String>> {
    let mut distributed = bed.tasks(8).await.distribute(sql).await;
    allow_coalescing(&mut distributed, 64, false);
    allow_sharing(&mut distributed);
    let label = |stage: &u32| {
        let label = &distributed.stages[*stage as usize].plan.label;
        ["orders", "customers"].into_iter().find(|table| label.contains(table)).unwrap_or(label).to_owned()
    };
    let shareable = distributed.stages.iter().filter_map(|stage| stage.plan.coalescing.as_ref());
    shareable.map(|how| how.shareable.iter().map(label).collect()).collect()
}

#[tokio::test]
async fn only_what_becomes_of_a_row_alone_may_be_shared() {
    let bed = Bed::without_broadcast();
    let join = |kind: &str| format!("SELECT o.id FROM orders o {kind} JOIN customers c ON o.customer = c.id");
    assert_eq!(shareable(&bed, &join("INNER")).await, [["customers", "orders"]]);
    assert_eq!(shareable(&bed, &join("LEFT")).await, [["orders"]]);
    assert_eq!(shareable(&bed, &join("LEFT SEMI")).await, [["orders"]]);
    assert_eq!(shareable(&bed, &join("LEFT ANTI")).await, [["orders"]]);
    assert_eq!(
        shareable(&bed, "SELECT c.id FROM orders o RIGHT JOIN customers c ON o.customer = c.id").await,
        [["customers"]]
    );
    assert_eq!(shareable(&bed, &join("FULL")).await, [Vec::<String>::new()]);
    let grouped = "SELECT region, count(*) FROM orders GROUP BY region";
    assert_eq!(shareable(&bed, grouped).await, [Vec::<String>::new()], "groups are as a whole");
}
