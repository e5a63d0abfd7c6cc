//! Single-process DataFusion with Windrow's functions and overflow rule and nothing else of Windrow.
//!
//! Tests and benches compare every answer with it.

use std::sync::Arc;

use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionContext;

use crate::session::{base_config, base_state};

/// A plain context whose plans run on `target_partitions` threads in this process, without a memory limit.
pub fn oracle_context(target_partitions: usize) -> SessionContext {
    let config = base_config().with_target_partitions(target_partitions);
    SessionContext::new_with_state(base_state(config, Arc::new(RuntimeEnv::default())))
}
