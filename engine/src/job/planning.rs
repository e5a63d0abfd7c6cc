//! From one optimised logical plan to stages.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning};
use windrow_model::ClusterShape;

use super::EngineOptions;
use crate::joins;
use crate::plan::{self, Distributed, Spread};
use crate::sink::{OutputTarget, TableWriteExec};
use crate::user_code;

/// A statement that workers will run.
pub(super) struct Plan {
    pub logical: LogicalPlan,
    pub schema: SchemaRef,
    pub spread: Spread,
    pub distributed: Distributed,
    /// Where the user's code puts records at which it fails.
    pub asides: Vec<Arc<OutputTarget>>,
}

/// Plans for what the tables hold, and once more if the plan turns out to read so much less of them that it is spread
/// otherwise.
pub(super) async fn distribute(
    logical: &LogicalPlan,
    target: Option<&OutputTarget>,
    first_stage: u32,
    cluster: ClusterShape,
    options: &EngineOptions,
    session: &SessionState,
) -> Result<Plan> {
    let mut logical = session.optimize(logical)?;
    // What fits one worker is done before a better order would have been found.
    if options.order_joins && plan::table_bytes(&logical)?.total > options.small_job_bytes {
        logical = joins::order(logical, session).await?;
    }
    let expected = plan::choose_spread(cluster, plan::table_bytes(&logical)?, options);
    let (mut session, mut physical) = physical(&logical, &expected, session).await?;
    let spread = plan::choose_spread(cluster, plan::input_bytes(&physical), options);
    if width(&spread) != width(&expected) {
        (session, physical) = self::physical(&logical, &spread, &session).await?;
    }
    physical = user_code::with_exchanges(physical)?;
    let schema = physical.schema();
    let mut asides = user_code::asides(&physical);
    // One step may be read twice.
    asides.sort_by_key(|aside| aside.commit_id);
    asides.dedup_by_key(|aside| aside.commit_id);
    if let Some(target) = target {
        // One file is written by one task anyway, and values of partition columns are not ranges.
        if let (true, false, true, (false, partitions)) =
            (options.sort_ranges, target.single_file, target.partition_by.is_empty(), width(&spread))
        {
            physical = plan::in_ranges(physical, partitions as usize, &session).await?;
        }
        physical = write(physical, target, &spread)?;
    }
    let distributed = plan::distribute(physical, &spread, first_stage, &session)?;
    Ok(Plan { logical, schema, spread, distributed, asides })
}

/// What of a spread the physical plan depends on.
fn width(spread: &Spread) -> (bool, u32) {
    match spread {
        Spread::Whole { slots, .. } => (true, *slots),
        Spread::Tasks { partitions, .. } => (false, *partitions),
    }
}

async fn physical(
    optimized: &LogicalPlan,
    spread: &Spread,
    session: &SessionState,
) -> Result<(SessionState, Arc<dyn ExecutionPlan>)> {
    let mut session = session.clone();
    *session.config_mut() = plan::configure(session.config().clone(), spread);
    let plan = session.query_planner().create_physical_plan(optimized, &session).await?;
    Ok((session, plan))
}

/// Puts the sink on top, and below it the exchange that gives each file to one task.
fn write(input: Arc<dyn ExecutionPlan>, target: &OutputTarget, spread: &Spread) -> Result<Arc<dyn ExecutionPlan>> {
    let many = input.output_partitioning().partition_count() > 1;
    let input = match (many, target.single_file, target.partition_by.is_empty()) {
        (true, true, _) => gather(input),
        // Rows of one partition value meet in one task: otherwise every task would write a file for each value.
        (true, false, false) => by_partition_columns(input, target, width(spread).1)?,
        (true, false, true) | (false, _, _) => input,
    };
    Ok(Arc::new(TableWriteExec::new(input, Arc::new(target.clone()))))
}

fn gather(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    match input.output_ordering().cloned() {
        Some(ordering) => Arc::new(SortPreservingMergeExec::new(ordering, input)),
        None => Arc::new(CoalescePartitionsExec::new(input)),
    }
}

fn by_partition_columns(
    input: Arc<dyn ExecutionPlan>,
    target: &OutputTarget,
    partitions: u32,
) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = input.schema();
    let columns: Result<Vec<Arc<dyn PhysicalExpr>>> = target
        .partition_by
        .iter()
        .map(|name| Ok(Arc::new(Column::new(name, schema.index_of(name)?)) as Arc<dyn PhysicalExpr>))
        .collect();
    Ok(Arc::new(RepartitionExec::try_new(input, Partitioning::Hash(columns?, partitions.max(1) as usize))?))
}

impl Plan {
    /// One sentence for people.
    pub fn note(&self) -> String {
        match &self.spread {
            Spread::Whole { why, .. } => format!("runs whole on one worker: {why}"),
            Spread::Tasks { why, .. } => format!("runs on many workers: {why}"),
        }
    }

    /// Tasks of the stage whose outputs are the statement's rows.
    pub fn root_tasks(&self) -> usize {
        let root = self.distributed.stages.iter().find(|stage| stage.plan.index == self.distributed.root);
        root.map_or(0, |stage| stage.plan.tasks.len())
    }

    pub fn splits(&self) -> BTreeMap<(u32, u32), bytes::Bytes> {
        let stages = self.distributed.stages.iter();
        stages
            .flat_map(|stage| {
                let by_task = stage.splits.iter().zip(0_u32..);
                by_task.filter_map(|(splits, task)| Some(((stage.plan.index, task), splits.clone()?)))
            })
            .collect()
    }

    pub fn explain(&self) -> String {
        let logical: String =
            self.logical.display_indent().to_string().lines().map(|line| format!("    {line}\n")).collect();
        format!("{}logical plan:\n{logical}", plan::explain(&self.distributed, &self.spread))
    }
}
