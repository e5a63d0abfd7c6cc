//! The plan node that stands for an exchange: the leaf through which a task reads other stages' map outputs.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_datafusion_err, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions,
};

use crate::shuffle::{self, ReadSelection, StageSize, TaskInputs};

/// Which map outputs a partition of a [`ShuffleReadExec`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Partition p reads reduce partition p of every map output (hash exchange).
    Partition,
    /// The only partition reads partition 0 of every map output (gather, broadcast).
    All,
    /// Partition t reads partition 0 of map task t's output (sorted runs, tables of earlier statements).
    Each,
}

impl Reads {
    fn selection(self, partition: u32) -> ReadSelection {
        match self {
            Reads::Partition => ReadSelection::Partition(partition),
            Reads::All => ReadSelection::All,
            Reads::Each => ReadSelection::Task(partition),
        }
    }
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reads::Partition => "partition",
            Reads::All => "all",
            Reads::Each => "each",
        })
    }
}

/// Whether the partitions that one task executes of `plan` do so one after the other. Those that read parts of an
/// exchange do: each was planned as a task of its own, and is to have the task's memory and threads to itself.
pub(crate) fn take_turns(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let reads_a_part = plan.downcast_ref::<ShuffleReadExec>().is_some_and(|read| read.reads == Reads::Partition);
    reads_a_part || plan.children().into_iter().any(take_turns)
}

/// Reads the map outputs of a stage. `execute` needs [`TaskInputs`] among the session config's extensions.
#[derive(Clone, Debug)]
pub struct ShuffleReadExec {
    stage: u32,
    reads: Reads,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ShuffleReadExec {
    /// `partitioning` tells how rows are divided among this node's partitions; `ordering` holds within each of them.
    pub fn new(
        stage: u32,
        schema: SchemaRef,
        reads: Reads,
        partitioning: Partitioning,
        ordering: Option<LexOrdering>,
    ) -> ShuffleReadExec {
        let facts = EquivalenceProperties::new_with_orderings(schema, ordering);
        ShuffleReadExec::with_facts(stage, reads, partitioning, facts)
    }

    /// The same with everything that is known about the rows; their schema is that of `facts`.
    pub fn with_facts(stage: u32, reads: Reads, partitioning: Partitioning, facts: EquivalenceProperties) -> Self {
        let properties = PlanProperties::new(facts, partitioning, EmissionType::Incremental, Boundedness::Bounded)
            .with_scheduling_type(SchedulingType::Cooperative);
        ShuffleReadExec { stage, reads, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }

    /// Index within the job of the stage it reads.
    pub fn stage(&self) -> u32 {
        self.stage
    }

    pub fn reads(&self) -> Reads {
        self.reads
    }

    /// What one partition may be expected to have, by the sizes of whole stages.
    pub fn size(&self, inputs: &TaskInputs) -> Option<StageSize> {
        let whole = inputs.sizes.get(&self.stage)?;
        let parts = match self.reads {
            Reads::All => 1,
            Reads::Partition | Reads::Each => self.properties.partitioning.partition_count() as u64,
        };
        Some(StageSize { rows: whole.rows / parts, bytes: whole.bytes / parts })
    }
}

impl DisplayAs for ShuffleReadExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        match format {
            DisplayFormatType::TreeRender => write!(f, "stage={}", self.stage),
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                let partitions = self.properties.partitioning.partition_count();
                write!(f, "ShuffleReadExec: stage={}, reads={}, partitions={partitions}", self.stage, self.reads)
            }
        }
    }
}

impl ExecutionPlan for ShuffleReadExec {
    fn name(&self) -> &str {
        "ShuffleReadExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("ShuffleReadExec is a leaf") }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let inputs = context.session_config().get_extension::<TaskInputs>().ok_or_else(|| {
            internal_datafusion_err!("the attempt was not told where the map outputs of stage {} are", self.stage)
        })?;
        let index =
            u32::try_from(partition).map_err(|_| internal_datafusion_err!("partition {partition} is too large"))?;
        shuffle::read(&inputs, self.stage, self.reads.selection(index), self.schema(), &self.metrics, partition)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
