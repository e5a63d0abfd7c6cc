//! Joins that collect one side whole: the build side is evaluated once and every task reads it.
//!
//! A join that also emits rows *of the build side* (left, full, semi, anti, mark) must see every probe row before it
//! can say which of them had no match. Several tasks with a copy of the build side each would emit them several
//! times, so that such a join is divided by its keys, or done in one task if it has none.

use std::sync::Arc;

use datafusion::common::{JoinType, Result, internal_err};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, PartitionMode};
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

use super::cut::Cut;
use super::scans::partition_count;
use super::shuffle_read::ShuffleReadExec;

pub(super) fn at_hash_join(
    cut: &mut Cut,
    plan: &Arc<dyn ExecutionPlan>,
    join: &HashJoinExec,
) -> Result<Arc<dyn ExecutionPlan>> {
    let probe = cut.below(join.right())?;
    if partition_count(&probe) == 1 || !emits_build_rows(join.join_type) {
        return with_build_side(cut, plan, join.left(), probe);
    }
    if join.null_aware {
        // One NULL on the probe side empties the whole answer: somebody must see all of it.
        let probe = cut.gather(probe, None)?;
        return with_build_side(cut, plan, join.left(), probe);
    }
    let build = cut.below(ungathered(join.left()))?;
    let (build_keys, probe_keys) = join.on().iter().cloned().unzip();
    let partitions = cut.partitions;
    let build = cut.hash_exchange(build, build_keys, partitions, false)?;
    let probe = cut.hash_exchange(probe, probe_keys, partitions, false)?;
    join.builder()
        .with_partition_mode(PartitionMode::Partitioned)
        .with_new_children(vec![build, probe])?
        .recompute_properties()
        .build_exec()
}

pub(super) fn at_nested_loop_join(
    cut: &mut Cut,
    plan: &Arc<dyn ExecutionPlan>,
    join: &NestedLoopJoinExec,
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut probe = cut.below(join.right())?;
    if emits_build_rows(*join.join_type()) {
        probe = cut.gather(probe, None)?;
    }
    with_build_side(cut, plan, join.left(), probe)
}

pub(super) fn at_cross_join(cut: &mut Cut, plan: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let [build, probe] = plan.children()[..] else {
        return internal_err!("a join has {} inputs", plan.children().len());
    };
    let probe = cut.below(probe)?;
    with_build_side(cut, plan, build, probe)
}

/// The join with its probe side cut already. One task evaluates the build side in place; several share it.
fn with_build_side(
    cut: &mut Cut,
    plan: &Arc<dyn ExecutionPlan>,
    build: &Arc<dyn ExecutionPlan>,
    probe: Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut build = cut.below(build)?;
    if partition_count(&probe) > 1 && !is_free(&build) {
        build = cut.share(build)?;
    }
    replace_children_if_necessary(Arc::clone(plan), vec![build, probe])
}

/// Whether every task may as well evaluate `build` itself.
fn is_free(build: &Arc<dyn ExecutionPlan>) -> bool {
    build.is::<ShuffleReadExec>() || build.is::<EmptyExec>() || build.is::<PlaceholderRowExec>()
}

/// What a gather of everything gathers: an exchange by keys takes its place.
fn ungathered(build: &Arc<dyn ExecutionPlan>) -> &Arc<dyn ExecutionPlan> {
    match build.downcast_ref::<CoalescePartitionsExec>() {
        Some(gather) if gather.fetch().is_none() => gather.input(),
        _ => build,
    }
}

fn emits_build_rows(join_type: JoinType) -> bool {
    match join_type {
        JoinType::Left | JoinType::Full | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => true,
        JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => false,
    }
}

/// Whether a join below `plan` fills a dynamic filter. It is complete when every partition of the join has reported,
/// and a task executes a few of them, one after the other: it would wait for ever.
pub(super) fn waits_for_all_tasks(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let waits = plan.is::<HashJoinExec>() && !plan.dynamic_expressions_produced().is_empty();
    (waits && partition_count(plan) > 1) || plan.children().into_iter().any(waits_for_all_tasks)
}
