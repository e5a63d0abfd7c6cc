//! Which stages may have their partitions run together, by fewer tasks than were planned.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use windrow_model::Coalescing;

use super::shuffle_read::{Reads, ShuffleReadExec};
use super::{CutStage, Distributed, OutputPartitioning};

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
        if divided && !reads_files && !one_by_one.contains(&stage.plan.index) {
            stage.plan.coalescing = Some(Coalescing { target_bytes, in_order });
        }
    }
}

fn visit(plan: &Arc<dyn ExecutionPlan>, see: &mut impl FnMut(&ShuffleReadExec)) {
    if let Some(read) = plan.downcast_ref::<ShuffleReadExec>() {
        see(read);
    }
    for child in plan.children() {
        visit(child, see);
    }
}
