//! What all sessions of one coordinator share.

use std::fmt;
use std::sync::Arc;

use datafusion::execution::runtime_env::RuntimeEnv;
use windrow_model::ErrorReport;

use super::EngineOptions;
use crate::session;
use crate::stores::Stores;

/// Stores with their connections, and the cache of file footers, so that a job plans over files that an earlier one
/// has read without reading their footers again. One per coordinator.
pub struct PlanEnvironment {
    pub(super) options: EngineOptions,
    pub(super) stores: Arc<Stores>,
    pub(super) runtime: Arc<RuntimeEnv>,
}

impl PlanEnvironment {
    pub fn new(options: EngineOptions, stores: Arc<Stores>) -> Result<Arc<PlanEnvironment>, ErrorReport> {
        let runtime = session::runtime(None, None, Arc::clone(&stores))?;
        Ok(Arc::new(PlanEnvironment { options, stores, runtime }))
    }
}

impl fmt::Debug for PlanEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlanEnvironment").field("options", &self.options).finish_non_exhaustive()
    }
}
