//! A cap on how deeply plans and expressions nest. Encoding, decoding and evaluating recurse with that depth, and a
//! stack that overflows kills the process.

use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, exec_datafusion_err, plan_err};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;

/// Levels of operators plus levels of the deepest expression. Decoding takes a few KiB of stack for each.
pub(super) const DEPTH_MAX: u32 = 4_000;

/// Up to this depth, the ordinary stack of a thread is large enough.
const DEPTH_SHALLOW: u32 = 48;

/// Stack for decoding a fragment of [`DEPTH_MAX`] levels.
const DEEP_STACK_BYTES: usize = 128 << 20;

/// Depth of `plan`, or an error if it exceeds [`DEPTH_MAX`].
pub(super) fn checked_depth(plan: &Arc<dyn ExecutionPlan>) -> Result<u32> {
    let depth = plan_depth(plan)?;
    if depth > DEPTH_MAX {
        return plan_err!("the statement nests {depth} levels deep, which is more than {DEPTH_MAX}; split it up");
    }
    Ok(depth)
}

fn plan_depth(plan: &Arc<dyn ExecutionPlan>) -> Result<u32> {
    let mut deepest = 0;
    plan.apply_expressions(&mut |expr| {
        deepest = deepest.max(expr_depth(expr));
        Ok(TreeNodeRecursion::Continue)
    })?;
    for child in plan.children() {
        deepest = deepest.max(plan_depth(child)?);
    }
    Ok(deepest + 1)
}

/// Counts with a stack on the heap: nothing is known yet about how deep `expr` is.
fn expr_depth(expr: &Arc<dyn PhysicalExpr>) -> u32 {
    let mut deepest = 0;
    let mut open = vec![(expr, 1)];
    while let Some((expr, depth)) = open.pop() {
        deepest = deepest.max(depth);
        open.extend(expr.children().into_iter().map(|child| (child, depth + 1)));
    }
    deepest
}

/// Runs `work` where a plan of `depth` levels fits the stack.
pub(super) fn on_deep_stack<T: Send>(depth: u32, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    if depth <= DEPTH_SHALLOW {
        return work();
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("deep-plan".to_owned()).stack_size(DEEP_STACK_BYTES);
        let running = thread.spawn_scoped(scope, work)?;
        running.join().map_err(|_| exec_datafusion_err!("a thread that reads or writes a deep plan panicked"))?
    })
}
