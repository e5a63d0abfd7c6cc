//! Decides whether a statement runs whole on one worker or as many tasks, and sets the planner up for it.

use std::sync::Arc;

use datafusion::config::OptimizerOptions;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use windrow_model::{ClusterShape, format_bytes};

use super::{Spread, scans};
use crate::job::EngineOptions;

/// Reduce partitions of one exchange. Each map output keeps an index entry per reduce partition, every reducer fetches
/// from every worker, and the task that merges sorted runs holds a stream with its window open for each run: beyond
/// this, partitions grow and operators spill instead.
const PARTITIONS_MAX: u64 = 256;

/// A plan that fits one worker runs whole on it: no shuffle, no tax. Anything else is cut into stages.
pub fn choose_spread(cluster: ClusterShape, input_bytes: u64, options: &EngineOptions) -> Spread {
    let slots = cluster.slots_max.max(1);
    let input = format_bytes(input_bytes);
    if cluster.workers <= 1 {
        return Spread::Whole { slots, why: "one worker has all the slots".to_owned() };
    }
    if input_bytes <= options.small_job_bytes {
        let limit = format_bytes(options.small_job_bytes);
        return Spread::Whole { slots, why: format!("it reads {input}, and up to {limit} fits one worker") };
    }
    let wanted = input_bytes.div_ceil(options.partition_bytes.max(1)).max(u64::from(cluster.slots));
    let partitions = u32::try_from(wanted.clamp(1, PARTITIONS_MAX)).expect("I-P1: PARTITIONS_MAX fits 32 bits");
    let why = format!("it reads {input}, spread over {} slots of {} workers", cluster.slots, cluster.workers);
    Spread::Tasks { partitions, why }
}

/// Sets the number of partitions and the planner's switches for `spread`.
pub fn configure(mut config: SessionConfig, spread: &Spread) -> SessionConfig {
    match spread {
        Spread::Whole { slots, .. } => config.with_target_partitions(*slots as usize),
        Spread::Tasks { partitions, .. } => {
            let options = config.options_mut();
            // A task of one partition would make all the others' rows only to throw them away, and a re-run would
            // deal rows in another order.
            options.optimizer.enable_round_robin_repartition = false;
            // A join's filter is complete when every partition of its build side has reported. A task runs one of
            // them, so that it would wait for ever.
            options.optimizer.enable_join_dynamic_filter_pushdown = false;
            // A task that holds part of a scan must read that part and no other.
            options.execution.enable_file_stream_work_stealing = false;
            let (mut bytes, mut rows) = broadcast_limits(*partitions);
            let defaults = OptimizerOptions::default();
            if options.optimizer.hash_join_single_partition_threshold != defaults.hash_join_single_partition_threshold {
                bytes = options.optimizer.hash_join_single_partition_threshold;
            }
            if options.optimizer.hash_join_single_partition_threshold_rows
                != defaults.hash_join_single_partition_threshold_rows
            {
                rows = options.optimizer.hash_join_single_partition_threshold_rows;
            }
            options.optimizer.hash_join_single_partition_threshold = bytes;
            options.optimizer.hash_join_single_partition_threshold_rows = rows;
            config.with_target_partitions(*partitions as usize)
        }
    }
}

/// Largest build side, in estimated bytes and rows, that every task reads whole rather than a part of each side.
///
/// All tasks together build it `partitions` times, which pays while it is small beside what would be exchanged.
/// Measured on TPC-H scale 1 with two tasks; a hash join cannot spill, which keeps the upper bound low.
fn broadcast_limits(partitions: u32) -> (usize, usize) {
    let share = |total: usize, least: usize| (total / partitions.max(1) as usize).max(least);
    (share(64 << 20, 1 << 20).min(32 << 20), share(4 << 20, 128 << 10).min(2 << 20))
}

/// Bytes of all file ranges that `plan` scans.
pub fn input_bytes(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let scans = scans::file_scans(plan);
    scans.iter().flat_map(|scan| &scan.file_groups).flat_map(|group| group.files()).map(scans::file_bytes).sum()
}
