//! Decides whether a statement runs whole on one worker or as many tasks, and sets the planner up for it.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::config::OptimizerOptions;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use windrow_model::{ClusterShape, format_bytes};

use super::{Spread, scans};
use crate::job::EngineOptions;
use crate::tables::FileTable;

/// What a job may raise [`EngineOptions::partitions_max`] to: 16.8 million pairs of a map output and its reader.
pub const PARTITIONS_LIMIT: u32 = 4096;

/// Bytes in memory for each byte of input: Parquet files decode to about four times their size.
const EXPANSION: u64 = 4;

/// Partitions are a multiple of the slots up to so many for each of them: three equal tasks on two slots take as long
/// as four. Beyond it, one task more or less makes no difference.
const EVEN_ROUNDS_MAX: u64 = 4;

/// What a statement reads, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputBytes {
    pub total: u64,
    /// Of its largest scan.
    pub largest_scan: u64,
}

impl InputBytes {
    fn of(scans: impl Iterator<Item = u64>) -> InputBytes {
        scans.fold(InputBytes::default(), |bytes, scan| InputBytes {
            total: bytes.total + scan,
            largest_scan: bytes.largest_scan.max(scan),
        })
    }
}

/// A plan that fits one worker runs whole on it: no shuffle, no tax. Anything else is cut into stages.
pub fn choose_spread(cluster: ClusterShape, input: InputBytes, options: &EngineOptions) -> Spread {
    let slots = cluster.slots_max.max(1);
    let reads = format_bytes(input.total);
    if cluster.workers <= 1 {
        return Spread::Whole { slots, why: "one worker has all the slots".to_owned() };
    }
    if input.total <= options.small_job_bytes {
        let limit = format_bytes(options.small_job_bytes);
        return Spread::Whole { slots, why: format!("it reads {reads}, and up to {limit} fits one worker") };
    }
    let partitions = choose_partitions(cluster, input, options);
    let why = format!("it reads {reads}, spread over {} slots of {} workers", cluster.slots, cluster.workers);
    Spread::Tasks { partitions, why }
}

/// As few as give each slot a task, keep a scan's tasks near the aimed size, and let a task hold its part of
/// everything that is read in half of its slot's memory: joins build their tables of it.
fn choose_partitions(cluster: ClusterShape, input: InputBytes, options: &EngineOptions) -> u32 {
    let slots = u64::from(cluster.slots.max(1));
    let by_scan = input.largest_scan.div_ceil(options.partition_bytes.max(1));
    let slot_memory = cluster.memory_bytes_min / u64::from(cluster.slots_max.max(1));
    let by_memory = input.total.saturating_mul(EXPANSION).div_ceil((slot_memory / 2).max(1));
    let wanted = by_scan.max(by_memory).max(slots);
    let even = if wanted <= slots * EVEN_ROUNDS_MAX { wanted.next_multiple_of(slots) } else { wanted };
    u32::try_from(even).unwrap_or(u32::MAX).clamp(1, options.partitions_max.max(1))
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
/// Rows count where the bytes are not known, which is so above any join: 64 bytes are a row of a few columns.
fn broadcast_limits(partitions: u32) -> (usize, usize) {
    let bytes = ((64 << 20) / partitions.max(1) as usize).clamp(1 << 20, 32 << 20);
    (bytes, (bytes / 64).max(128 << 10))
}

/// Bytes of all file ranges that `plan` scans.
pub fn input_bytes(plan: &Arc<dyn ExecutionPlan>) -> InputBytes {
    let of_scan = |scan: &FileScanConfig| {
        scan.file_groups.iter().flat_map(|group| group.files()).map(scans::file_bytes).sum::<u64>()
    };
    InputBytes::of(scans::file_scans(plan).into_iter().map(of_scan))
}

/// Bytes of all files of the tables that `logical` scans: what [`input_bytes`] will be, unless partitions are pruned.
pub fn table_bytes(logical: &LogicalPlan) -> Result<InputBytes> {
    let mut scans = Vec::new();
    logical.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(table) = FileTable::of(scan)
        {
            scans.push(table.files().iter().map(|file| file.object_meta.size).sum());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(InputBytes::of(scans.into_iter()))
}
