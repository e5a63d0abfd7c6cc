//! Functions that are not DataFusion's: those of WebAssembly modules (`wasm`), and arithmetic that fails on overflow
//! instead of wrapping around.
//!
//! DataFusion wraps silently in three places, and each has its counterpart here:
//! `sum` (`checked_sum`), `+`, `-`, `*` in physical plans (`checked_plan`), and constants that the optimiser
//! folds while planning (`constants`).
//! `avg` needs none: it sums integers as doubles and decimals with room for a billion times their range.

mod checked_plan;
mod checked_sum;
mod constants;
mod summable;
#[cfg(test)]
mod tests;
pub(crate) mod wasm;

use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::AggregateUDF;
use datafusion::optimizer::Optimizer;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use crate::joins::DropHints;

pub use checked_plan::{checked, fail_on_overflow};
pub use checked_sum::CheckedSum;

/// Registers the checked functions and rules. The builder must have its default features already.
pub(crate) fn install(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    let sum = Arc::new(AggregateUDF::from(CheckedSum::default()));
    let aggregates = builder.aggregate_functions().get_or_insert_default();
    aggregates.retain(|function| function.name() != sum.name());
    aggregates.push(sum);
    // Both run first: before constants are folded, and before expressions move into places that cannot be rewritten.
    let mut logical = Optimizer::new().rules;
    logical.insert(0, Arc::new(constants::ConstantOverflow));
    let mut physical = PhysicalOptimizer::new().rules;
    physical.insert(0, Arc::new(checked_plan::FailOnOverflow));
    // Sizes that were estimated are for the choice of joins' sides and for nothing after it.
    let chosen = physical.iter().position(|rule| rule.name() == "join_selection").map_or(physical.len(), |at| at + 1);
    physical.insert(chosen, Arc::new(DropHints));
    builder.with_optimizer_rules(logical).with_physical_optimizer_rules(physical)
}
