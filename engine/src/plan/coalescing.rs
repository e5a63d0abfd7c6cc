//! Which stages may have their partitions run together, by fewer tasks than were planned, or shared among several.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::{JoinSide, JoinType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::projection::ProjectionExec;
use windrow_model::Coalescing;

use super::shuffle_read::{Reads, ShuffleReadExec};
use super::{CutStage, Distributed, OutputPartitioning};
use crate::user_code::UserCodeExec;

/// Lets the scheduler do so where a task reads one part of an exchange and nobody asks which task wrote what, so that
/// tasks read about `target_bytes` each. `keeps_root`: later statements read the tasks of the root one by one.
pub fn allow_coalescing(plan: &mut Distributed, target_bytes: u64, keeps_root: bool) {
    if target_bytes == 0 {
        return;
    }
    let mut one_by_one: BTreeSet<u32> = keeps_root.then_some(plan.root).into_iter().collect();
    for stage in &plan.stages {
        visit(&stage.physical, &mut |read| {
            if read.reads() == Reads::Each {
                one_by_one.insert(read.stage());
            }
        });
    }
    let by_range = |stage: &CutStage| matches!(stage.output, OutputPartitioning::Ranges(_)).then_some(stage.plan.index);
    let by_range: BTreeSet<u32> = plan.stages.iter().filter_map(by_range).collect();
    for stage in &mut plan.stages {
        let (mut divided, mut in_order) = (false, false);
        visit(&stage.physical, &mut |read| {
            divided |= read.reads() == Reads::Partition;
            in_order |= by_range.contains(&read.stage());
        });
        let reads_files = stage.splits.iter().any(Option::is_some);
        // A job that asks for so many reducers finds as many files.
        if divided && !reads_files && !runs_code(&stage.physical) && !one_by_one.contains(&stage.plan.index) {
            stage.plan.coalescing = Some(Coalescing { target_bytes, in_order, shareable: Vec::new() });
        }
    }
}

/// Names, in stages that may be coalesced, the exchanges of which several tasks may read a share each.
pub fn allow_sharing(plan: &mut Distributed) {
    for stage in &mut plan.stages {
        let Some(how) = &mut stage.plan.coalescing else { continue };
        let (mut all, mut may) = (Vec::new(), Vec::new());
        visit(&stage.physical, &mut |read| all.push(read.stage()));
        follow(&stage.physical, &mut may);
        // An exchange that is read twice would be shared in both places.
        may.retain(|index| all.iter().filter(|read| *read == index).count() == 1);
        how.shareable = may;
    }
}

/// Finds the exchanges over which `plan` distributes: the rows that it makes of all of one's rows are those that it makes
/// of each share of them, together. Aggregates do as long as others combine what they give.
fn follow(plan: &Arc<dyn ExecutionPlan>, found: &mut Vec<u32>) {
    if let Some(read) = plan.downcast_ref::<ShuffleReadExec>() {
        found.extend((read.reads() == Reads::Partition).then_some(read.stage()));
    }
    if plan.fetch().is_some() {
        return;
    }
    let aggregate = plan.downcast_ref::<AggregateExec>();
    let combined = aggregate.is_some_and(|aggregate| *aggregate.mode() == AggregateMode::Partial);
    if combined || plan.is::<FilterExec>() || plan.is::<ProjectionExec>() {
        plan.children().into_iter().for_each(|input| follow(input, found));
    } else if let Some(join) = plan.downcast_ref::<HashJoinExec>().filter(|join| !join.null_aware) {
        if is_shareable(*join.join_type(), JoinSide::Left) && *join.partition_mode() == PartitionMode::Partitioned {
            follow(join.left(), found);
        }
        if is_shareable(*join.join_type(), JoinSide::Right) {
            follow(join.right(), found);
        }
    }
}

/// Whether what becomes of a row of this side depends on no other row of it.
fn is_shareable(join: JoinType, side: JoinSide) -> bool {
    match join {
        JoinType::Inner => true,
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => side == JoinSide::Left,
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => side == JoinSide::Right,
        JoinType::Full => false,
    }
}

fn runs_code(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<UserCodeExec>() || plan.children().into_iter().any(runs_code)
}

fn visit(plan: &Arc<dyn ExecutionPlan>, see: &mut impl FnMut(&ShuffleReadExec)) {
    if let Some(read) = plan.downcast_ref::<ShuffleReadExec>() {
        see(read);
    }
    for child in plan.children() {
        visit(child, see);
    }
}
