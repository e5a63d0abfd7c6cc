//! Fails on overflow in constants, before the optimiser folds them with wrapping arithmetic.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::physical_expr::create_physical_expr;

use super::checked_plan::checked;
use crate::errors;

/// Leaves the plan as it is; errors if a constant part of it overflows.
#[derive(Debug)]
pub(super) struct ConstantOverflow;

impl OptimizerRule for ConstantOverflow {
    fn name(&self) -> &str {
        "constant_overflow"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        plan.apply_expressions(|expr| expr.apply(check))?;
        Ok(Transformed::no(plan))
    }
}

fn check(expr: &Expr) -> Result<TreeNodeRecursion> {
    match expr {
        Expr::BinaryExpr(binary) if wraps(binary.op) && is_constant(expr) => {
            evaluate(expr)?;
            Ok(TreeNodeRecursion::Jump)
        }
        _ => Ok(TreeNodeRecursion::Continue),
    }
}

fn wraps(op: Operator) -> bool {
    matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply)
}

/// Literals, casts and arithmetic of these. Everything else is left for execution, where it is checked too.
fn is_constant(expr: &Expr) -> bool {
    let mut constant = true;
    let visited = expr.apply(|part| {
        constant &= match part {
            Expr::Literal(..) | Expr::Cast(_) | Expr::Negative(_) => true,
            Expr::BinaryExpr(BinaryExpr { op, .. }) => wraps(*op),
            _ => false,
        };
        Ok(if constant { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    visited.is_ok() && constant
}

fn evaluate(expr: &Expr) -> Result<()> {
    // Other failures (a bad cast) are the optimiser's to report, in its own words and only if they are reached.
    let no_subqueries = PhysicalPlanningContext::default();
    let Ok(physical) = create_physical_expr(expr, &DFSchema::empty(), &ExecutionProps::new(), &no_subqueries) else {
        return Ok(());
    };
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let one_row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
    match checked(physical)?.evaluate(&one_row) {
        Err(error) if errors::is_overflow(&error) => Err(error),
        _ => Ok(()),
    }
}
