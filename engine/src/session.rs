//! The one base that coordinator and workers share, so that a plan decodes as it was made.
//!
//! Everything that changes what a plan means (functions, defaults) is decided here and nowhere else.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool, UnboundedMemoryPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionConfig;
use windrow_model::ErrorReport;

use crate::functions;
use crate::joins::HintPlanner;
use crate::stores::Stores;

/// Rows of a batch. Large enough to amortise per-batch work, small enough for a batch to stay in a core's cache.
pub const BATCH_ROWS: usize = 8192;

/// Memory consumers named in an "out of memory" report.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::new(5).expect("5 is not zero");

/// Bytes of file footers kept between tasks of one process.
const METADATA_CACHE_BYTES: usize = 64 << 20;

/// Spilling is bounded by the disk, not by a quota: a full disk is reported as such.
const SPILL_BYTES_MAX: u64 = u64::MAX / 2;

/// Spill files one merge pass may open: each holds a file handle and one batch.
const SPILL_MERGE_FAN_IN: usize = 64;

/// DataFusion's own value: bytes that a sort sets aside for its final merge when there is plenty of memory.
const SORT_SPILL_RESERVATION_BYTES: usize = 10 << 20;

/// Windrow's defaults. A fragment carries only the settings that differ from these.
pub fn base_config() -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_batch_size(BATCH_ROWS)
        .with_collect_statistics(true)
        .with_information_schema(true)
        // The number of cores of this machine must not leak into plans made for other machines.
        .with_target_partitions(1);
    let execution = &mut config.options_mut().execution;
    execution.planning_concurrency = 1;
    execution.sort_spill_reservation_bytes = SORT_SPILL_RESERVATION_BYTES;
    config
}

/// Scales the reservations that operators make up front to a memory pool of `memory_bytes`.
///
/// A worker applies it on top of a fragment's settings: the size of the pool is the worker's, not the plan's.
pub fn fit_to_memory(mut config: SessionConfig, memory_bytes: u64) -> SessionConfig {
    let share = usize::try_from(memory_bytes / 32).unwrap_or(usize::MAX);
    let execution = &mut config.options_mut().execution;
    execution.sort_spill_reservation_bytes = execution.sort_spill_reservation_bytes.min(share);
    execution.sort_in_place_threshold_bytes = execution.sort_in_place_threshold_bytes.min(share);
    execution.sort_pushdown_buffer_capacity = execution.sort_pushdown_buffer_capacity.min(share.saturating_mul(8));
    config
}

/// All functions and planner rules of DataFusion, with Windrow's checked ones in place of those that wrap on overflow.
pub fn base_state(config: SessionConfig, runtime: Arc<RuntimeEnv>) -> SessionState {
    let builder = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_query_planner(Arc::new(HintPlanner));
    functions::install(builder).build()
}

/// Memory, spill directory and object stores of one process.
///
/// `memory_bytes` bounds the pool that all operators share (`None`: no bound, for planning and tests).
/// `spill_dir` is created if it does not exist; `None` spills into the operating system's temporary folder.
pub fn runtime(
    memory_bytes: Option<u64>,
    spill_dir: Option<PathBuf>,
    stores: Arc<Stores>,
) -> Result<Arc<RuntimeEnv>, ErrorReport> {
    let mode = match &spill_dir {
        Some(dir) => DiskManagerMode::Directories(vec![create_spill_dir(dir)?]),
        None => DiskManagerMode::OsTmpDirectory,
    };
    let disk = DiskManagerBuilder::default()
        .with_mode(mode)
        .with_max_temp_directory_size(SPILL_BYTES_MAX)
        .with_max_spill_merge_fan_in(SPILL_MERGE_FAN_IN);
    RuntimeEnvBuilder::new()
        .with_memory_pool(memory_pool(memory_bytes))
        .with_disk_manager_builder(disk)
        .with_object_store_registry(stores)
        .with_metadata_cache_limit(METADATA_CACHE_BYTES)
        // A listing is made once per job and fixed there; a cached one would hide files between jobs.
        .with_object_list_cache_limit(0)
        .build_arc()
        .map_err(|error| crate::errors::report(error, "setting up memory and spill space"))
}

fn memory_pool(memory_bytes: Option<u64>) -> Arc<dyn MemoryPool> {
    match memory_bytes {
        None => Arc::new(UnboundedMemoryPool::default()),
        Some(bytes) => {
            let pool = FairSpillPool::new(usize::try_from(bytes).unwrap_or(usize::MAX));
            Arc::new(TrackConsumersPool::new(pool, CONSUMERS_NAMED))
        }
    }
}

fn create_spill_dir(dir: &PathBuf) -> Result<PathBuf, ErrorReport> {
    std::fs::create_dir_all(dir).map_err(|error| {
        ErrorReport::invalid(format!("cannot create the spill folder `{}`", dir.display()))
            .with_detail(error.to_string())
            .with_hint("give another --work-dir, or make this one writable")
    })?;
    Ok(dir.clone())
}
