//! One worker or many.

use windrow_model::ClusterShape;

use super::bed::Bed;
use crate::job::EngineOptions;
use crate::plan::{InputBytes, Spread, choose_spread, input_bytes};

const MIB: u64 = 1 << 20;

fn cluster(workers: u32, slots: u32) -> ClusterShape {
    ClusterShape { workers, slots: workers * slots, slots_max: slots, memory_bytes_min: 1 << 30 }
}

fn options() -> EngineOptions {
    EngineOptions { small_job_bytes: 8 * MIB, partition_bytes: 128 * MIB, ..EngineOptions::default() }
}

fn slots(spread: &Spread) -> Option<u32> {
    match spread {
        Spread::Whole { slots, .. } => Some(*slots),
        Spread::Tasks { .. } => None,
    }
}

fn partitions(spread: &Spread) -> Option<u32> {
    match spread {
        Spread::Whole { .. } => None,
        Spread::Tasks { partitions, .. } => Some(*partitions),
    }
}

/// One scan.
fn scan(bytes: u64) -> InputBytes {
    InputBytes { total: bytes, largest_scan: bytes }
}

#[test]
fn a_single_worker_runs_everything_whole_with_all_its_slots() {
    assert_eq!(slots(&choose_spread(cluster(1, 4), scan(1 << 40), &options())), Some(4));
}

#[test]
fn a_cluster_without_workers_is_planned_as_one() {
    assert_eq!(slots(&choose_spread(cluster(0, 0), scan(1 << 40), &options())), Some(1));
}

#[test]
fn a_small_input_runs_whole_although_there_are_many_workers() {
    let spread = choose_spread(cluster(4, 2), scan(8 * MIB), &options());
    assert_eq!(slots(&spread), Some(2));
    assert_eq!(spread.why(), "it reads 8.0 MiB, and up to 8.0 MiB fits one worker");
}

#[test]
fn a_larger_input_gets_a_partition_for_each_slot_or_for_each_portion_of_its_largest_scan() {
    let partitions = |input| partitions(&choose_spread(cluster(4, 2), input, &options()));
    assert_eq!(partitions(scan(9 * MIB)), Some(8));
    assert_eq!(partitions(scan(512 * MIB)), Some(8));
    assert_eq!(partitions(InputBytes { total: 1024 * MIB, largest_scan: 300 * MIB }), Some(16), "by memory");
    assert_eq!(partitions(scan(1280 * MIB + 1)), Some(24), "eleven by size, twenty-one by memory");
    assert_eq!(partitions(scan(40 << 30)), Some(256));
    assert_eq!(partitions(scan(u64::MAX)), Some(256));
    let more = EngineOptions { partitions_max: 512, ..options() };
    assert_eq!(self::partitions(&choose_spread(cluster(4, 2), scan(u64::MAX), &more)), Some(512));
}

#[test]
fn partitions_come_in_whole_rounds_of_the_slots_while_they_are_few() {
    let roomy = ClusterShape { memory_bytes_min: 1 << 40, ..cluster(3, 1) };
    let partitions = |mib| partitions(&choose_spread(roomy, scan(mib * MIB), &options()));
    assert_eq!([partitions(500), partitions(1280), partitions(1664)], [Some(6), Some(12), Some(13)]);
}

#[tokio::test]
async fn a_whole_plan_is_one_task_with_all_partitions() {
    let whole = Bed::new().whole(3).await.distribute("SELECT id FROM orders").await;
    let [stage] = whole.stages.as_slice() else { panic!("{} stages", whole.stages.len()) };
    let [task] = stage.plan.tasks.as_slice() else { panic!("{} tasks", stage.plan.tasks.len()) };
    assert_eq!((task.partitions.as_slice(), task.slots), ([0, 1, 2].as_slice(), 3));
}

#[tokio::test]
async fn input_bytes_are_the_bytes_of_the_files_scanned() {
    let bed = Bed::new();
    let files = std::fs::read_dir(bed.path().join("orders")).unwrap();
    let expected: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    let plan = bed.tasks(3).await.physical("SELECT id FROM orders ORDER BY id").await;
    assert_eq!(input_bytes(&plan), scan(expected));
}
