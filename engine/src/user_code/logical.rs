//! Code as a node of a logical plan, and on its way into a physical one.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, DFSchemaRef, Result, internal_err};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, SortExpr, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use windrow_model::{CodeLimits, Divide, Keys, MapReduce, MapReduceInput, OnError, Runs, ShippedFile, UserCode};

use super::reducers::{self, ToReducersExec};
use super::{PlacedCode, Role, UserCodeExec, keys};
use crate::sink::OutputTarget;

/// What the rows are that each piece of code writes.
pub(crate) struct Schemas {
    pub map: SchemaRef,
    pub combine: SchemaRef,
    pub reduce: SchemaRef,
}

/// The rows of table `table`, which `made` makes of the rows of `input`.
/// `aside` is where the mapper's bad records go.
pub(crate) fn made_of(
    table: &str,
    made: &MapReduce,
    schemas: Schemas,
    aside: Option<OutputTarget>,
    input: LogicalPlan,
) -> Result<LogicalPlan> {
    let mut plan = input;
    let mut aside = aside.map(Arc::new);
    let Schemas { map, combine, reduce } = schemas;
    let pieces =
        [(Role::Map, &made.map, map), (Role::Combine, &made.combine, combine), (Role::Reduce, &made.reduce, reduce)];
    for (role, code, schema) in pieces {
        if let Some(code) = code {
            plan = placed(table, made, role, code, schema, plan, aside.take_if(|_| role == Role::Map))?;
        }
    }
    Ok(plan)
}

/// The rows that a table function gives for the rows of `input`.
pub(crate) fn rows_of_function(
    name: &str,
    module: &ShippedFile,
    export: &str,
    limits: CodeLimits,
    schema: &SchemaRef,
    input: LogicalPlan,
) -> Result<LogicalPlan> {
    let code = UserCode {
        runs: Runs::Wasm { module: module.clone(), function: export.to_owned() },
        columns: None,
        env: BTreeMap::new(),
        on_error: OnError::Fail,
        limits,
    };
    let made = MapReduce {
        input: MapReduceInput::Table(String::new()),
        map: None,
        combine: None,
        reduce: None,
        partitions: None,
        keys: Keys::default(),
        deterministic: true,
    };
    placed(name, &made, Role::Map, &code, Arc::clone(schema), input, None)
}

fn placed(
    table: &str,
    made: &MapReduce,
    role: Role,
    code: &UserCode,
    schema: SchemaRef,
    input: LogicalPlan,
    aside: Option<Arc<OutputTarget>>,
) -> Result<LogicalPlan> {
    let rows = input.schema().as_arrow();
    let (partition, order) = match role {
        Role::Map => Default::default(),
        Role::Combine => (Vec::new(), keys::order(&made.keys, rows)?),
        Role::Reduce => (keys::partition(&made.keys, rows)?, keys::order(&made.keys, &without_number(made, rows))?),
    };
    let placed = PlacedCode {
        table: table.to_owned(),
        role,
        code: code.clone(),
        keys: made.keys.clone(),
        deterministic: made.deterministic,
        schema: Arc::clone(&schema),
        partitions: made.partitions.filter(|_| role == Role::Reduce),
        aside,
    };
    let schema = Arc::new(DFSchema::try_from(schema)?);
    let node = UserCodeNode { input, code: Arc::new(placed), schema, partition, order, held: Vec::new() };
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

/// What a reducer reads of rows that begin with its number.
fn without_number(made: &MapReduce, rows: &Schema) -> Schema {
    let skipped = usize::from(made.keys.divide == Divide::Numbered);
    Schema::new(rows.fields().iter().skip(skipped).cloned().collect::<Vec<_>>())
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct UserCodeNode {
    input: LogicalPlan,
    code: Arc<PlacedCode>,
    schema: DFSchemaRef,
    /// Over the rows of `input`.
    partition: Vec<Expr>,
    order: Vec<SortExpr>,
    /// Conditions without columns, on the rows that the code writes. DataFusion pushes them below any node.
    held: Vec<Expr>,
}

impl Hash for UserCodeNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.code.table.hash(state);
        self.code.role.hash(state);
    }
}

impl PartialOrd for UserCodeNode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.input.partial_cmp(&other.input)
    }
}

impl UserDefinedLogicalNodeCore for UserCodeNode {
    fn name(&self) -> &str {
        "UserCode"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let order = self.order.iter().map(|sort| sort.expr.clone());
        self.partition.iter().cloned().chain(order).chain(self.held.iter().cloned()).collect()
    }

    /// Code reads every column, and what is dropped after it is not what could be dropped before it.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    fn necessary_children_exprs(&self, _: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![(0..self.input.schema().fields().len()).collect()])
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "UserCode: {}", self.code)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (Some(mut input), true) = (inputs.pop(), inputs.is_empty()) else {
            return internal_err!("user code has one input");
        };
        if exprs.len() != self.partition.len() + self.order.len() + self.held.len() {
            return internal_err!("user code has {} expressions", exprs.len());
        }
        let mut exprs = exprs.into_iter();
        let partition = exprs.by_ref().take(self.partition.len()).collect();
        let order =
            self.order.iter().zip(exprs.by_ref()).map(|(sort, expr)| SortExpr { expr, ..sort.clone() }).collect();
        let mut held: Vec<Expr> = exprs.collect();
        if let LogicalPlan::Filter(filter) = &input
            && *filter.input == self.input
        {
            held.push(filter.predicate.clone());
            input = self.input.clone();
        }
        Ok(UserCodeNode { input, partition, order, held, ..self.clone() })
    }
}

/// Makes the operator.
pub(crate) struct UserCodePlanner;

#[async_trait]
impl ExtensionPlanner for UserCodePlanner {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        logical: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<UserCodeNode>() else { return Ok(None) };
        let ([input], [logical]) = (inputs, logical) else { return internal_err!("user code has one input") };
        let schema = logical.schema();
        let physical = |expr: &Expr| planner.create_physical_expr(expr, schema, session, context);
        let sorted = |sort: &SortExpr| {
            let options = SortOptions { descending: !sort.asc, nulls_first: sort.nulls_first };
            Ok(PhysicalSortExpr { expr: physical(&sort.expr)?, options })
        };
        let partition: Vec<_> = node.partition.iter().map(physical).collect::<Result<_>>()?;
        let order = node.order.iter().map(sorted).collect::<Result<_>>()?;
        let input = match reducers::partitioning(&node.code, &partition, &input.schema())? {
            Some(partitioning) => Arc::new(ToReducersExec::new(Arc::clone(input), partitioning)) as _,
            None => Arc::clone(input),
        };
        let code = Arc::new(UserCodeExec::new(input, Arc::clone(&node.code), partition, order));
        let held = node.held.iter().map(|expr| planner.create_physical_expr(expr, &node.schema, session, context));
        held.collect::<Result<Vec<_>>>()?
            .into_iter()
            .try_fold(code as Arc<dyn ExecutionPlan>, |rows, condition| {
                Ok(Arc::new(FilterExec::try_new(condition, rows)?) as Arc<dyn ExecutionPlan>)
            })
            .map(Some)
    }
}
