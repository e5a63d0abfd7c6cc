//! What the tasks of a stage that have ended on this worker teach those that come after them.

use std::collections::VecDeque;
use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use parking_lot::Mutex;
use windrow_model::StageId;

/// Stages that are remembered, the newest.
const STAGES_MAX: usize = 64;

/// Name of DataFusion's metric that counts rows which a partial aggregate has passed on ungrouped.
const PASSED_ON: &str = "skipped_aggregation_rows";

/// Stages of which a task has found that grouping its rows before the exchange saves nothing.
#[derive(Debug, Default)]
pub struct Feedback {
    not_worth_grouping: Mutex<VecDeque<StageId>>,
}

impl Feedback {
    /// Learns from the metrics of a plan that was executed.
    pub fn learn(&self, stage: StageId, plan: &Arc<dyn ExecutionPlan>) {
        let mut stages = self.not_worth_grouping.lock();
        if stages.contains(&stage) || !has_passed_on(plan) {
            return;
        }
        stages.truncate(STAGES_MAX - 1);
        stages.push_front(stage);
    }

    /// Partial aggregates group 100,000 rows before they judge; where another task has judged, a batch is enough. Each
    /// still judges by its own rows.
    pub fn apply(&self, stage: StageId, config: &mut SessionConfig) {
        if self.not_worth_grouping.lock().contains(&stage) {
            config.options_mut().execution.skip_partial_aggregation_probe_rows_threshold = 1;
        }
    }
}

fn has_passed_on(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let rows = plan.metrics().and_then(|metrics| metrics.sum_by_name(PASSED_ON));
    rows.is_some_and(|rows| rows.as_usize() > 0) || plan.children().into_iter().any(has_passed_on)
}
