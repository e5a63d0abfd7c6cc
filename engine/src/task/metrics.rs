//! Reads what the operators of an executed plan have counted.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;

use crate::shuffle::BYTES_FETCHED;

/// Longest description of an operator that is reported, in characters.
const DETAIL_CHARS_MAX: usize = 200;

/// What one operator did in one attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorMetrics {
    /// Depth in the plan's tree, 0 for the root.
    pub depth: u32,
    pub name: String,
    pub detail: String,
    /// Rows it put out.
    pub rows: u64,
    /// In-memory bytes of those rows, or for a leaf the encoded bytes it read.
    pub bytes: u64,
    pub elapsed_ns: u64,
    pub spill_bytes: u64,
}

/// Sums over a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanTotals {
    pub rows_in: u64,
    pub bytes_in: u64,
    pub spill_bytes: u64,
    pub compute_ns: u64,
}

/// The metrics of every operator, root first, and their sums.
pub fn collect(plan: &Arc<dyn ExecutionPlan>) -> (Vec<OperatorMetrics>, PlanTotals) {
    let mut operators = Vec::new();
    let mut totals = PlanTotals::default();
    let mut pending = vec![(Arc::clone(plan), 0)];
    while let Some((node, depth)) = pending.pop() {
        let operator = measure(&node, depth);
        totals.spill_bytes += operator.spill_bytes;
        totals.compute_ns += operator.elapsed_ns;
        let children = node.children();
        if children.is_empty() {
            totals.rows_in += operator.rows;
            totals.bytes_in += operator.bytes;
        }
        pending.extend(children.into_iter().rev().map(|child| (Arc::clone(child), depth + 1)));
        operators.push(operator);
    }
    (operators, totals)
}

/// Rows that all operators have put out and nanoseconds that they have computed, so far.
pub fn moved(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let metrics = plan.metrics().unwrap_or_default();
    let rows = metrics.output_rows().unwrap_or(0) as u64;
    let own = rows.wrapping_add(elapsed(&metrics, plan.children().is_empty()));
    plan.children().into_iter().map(moved).fold(own, u64::wrapping_add)
}

fn measure(node: &Arc<dyn ExecutionPlan>, depth: u32) -> OperatorMetrics {
    let metrics = node.metrics().unwrap_or_default();
    let sum = |name: &str| metrics.sum_by_name(name).map_or(0, |value| value.as_usize() as u64);
    let is_leaf = node.children().is_empty();
    OperatorMetrics {
        depth,
        name: node.name().to_owned(),
        detail: detail(node),
        rows: metrics.output_rows().unwrap_or(0) as u64,
        bytes: if is_leaf { sum("bytes_scanned") + sum(BYTES_FETCHED) } else { sum("output_bytes") },
        elapsed_ns: elapsed(&metrics, is_leaf),
        spill_bytes: metrics.spilled_bytes().unwrap_or(0) as u64,
    }
}

/// File scans count their decoding apart from `elapsed_compute`.
fn elapsed(metrics: &MetricsSet, is_leaf: bool) -> u64 {
    let compute = metrics.elapsed_compute().unwrap_or(0) as u64;
    let scan = metrics.sum_by_name("time_elapsed_processing").map_or(0, |value| value.as_usize() as u64);
    if is_leaf { compute.max(scan) } else { compute }
}

/// The operator's own one-line description, without its name in front.
fn detail(node: &Arc<dyn ExecutionPlan>) -> String {
    let line = DisplayableExecutionPlan::new(node.as_ref()).one_line().to_string();
    let line = line.trim();
    let rest = line.strip_prefix(node.name()).unwrap_or(line);
    let rest = rest.strip_prefix(':').unwrap_or(rest).trim();
    rest.chars().take(DETAIL_CHARS_MAX).collect()
}
