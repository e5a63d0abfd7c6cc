//! The plan node that writes its input's rows as files.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use arrow::datatypes::Schema;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::StreamExt;

use super::OutputTarget;
use super::table_files::{TableFiles, TableWriteMetrics, WriteSettings, write_all};

/// Writes each input partition into files of its own and emits no rows.
///
/// `execute` needs [`super::WriteIdentity`] and [`super::WriteLog`] in the session's extensions.
#[derive(Debug)]
pub struct TableWriteExec {
    input: Arc<dyn ExecutionPlan>,
    target: Arc<OutputTarget>,
    properties: Arc<PlanProperties>,
    /// Numbers the files of this plan: one plan is one attempt.
    names: Arc<AtomicU32>,
    metrics: ExecutionPlanMetricsSet,
}

impl TableWriteExec {
    pub fn new(input: Arc<dyn ExecutionPlan>, target: Arc<OutputTarget>) -> Self {
        let partitions = input.output_partitioning().partition_count();
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::new(Schema::empty())),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Final,
            Boundedness::Bounded,
        ));
        TableWriteExec { input, target, properties, names: Arc::default(), metrics: ExecutionPlanMetricsSet::new() }
    }

    pub fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }

    pub fn target(&self) -> &Arc<OutputTarget> {
        &self.target
    }

    /// The node without its input, for a fragment.
    pub fn encode(&self) -> Vec<u8> {
        self.target.to_bytes()
    }

    /// Reads back what [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8], input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let target = OutputTarget::from_bytes(bytes).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(Arc::new(TableWriteExec::new(input, Arc::new(target))))
    }
}

impl DisplayAs for TableWriteExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "TableWriteExec: {} to {}, mode {}",
            self.target.format.name(),
            self.target.location,
            self.target.mode.name()
        )?;
        if !self.target.partition_by.is_empty() {
            write!(f, ", by [{}]", self.target.partition_by.join(", "))?;
        }
        Ok(())
    }
}

impl ExecutionPlan for TableWriteExec {
    fn name(&self) -> &str {
        "TableWriteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = <[_; 1]>::try_from(children)
            .map_err(|_| DataFusionError::Internal("TableWriteExec has one input".into()))?;
        Ok(Arc::new(TableWriteExec::new(input, Arc::clone(&self.target))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let settings =
            WriteSettings::new(&self.target, &self.input.schema(), &context, partition, Arc::clone(&self.names))?;
        // A single file exists even without rows; a folder needs one file from which its columns can be learned.
        let keeps_empty = partition == 0 && (self.target.single_file || settings.shows_schema_when_empty());
        let metrics = TableWriteMetrics {
            rows: MetricBuilder::new(&self.metrics).output_rows(partition),
            bytes: MetricBuilder::new(&self.metrics).counter("bytes_written", partition),
            files: MetricBuilder::new(&self.metrics).counter("files_written", partition),
            elapsed: MetricBuilder::new(&self.metrics).elapsed_compute(partition),
        };
        let files = TableFiles::open(settings, metrics, context.memory_pool())?;
        let written = futures::stream::once(write_all(input, files, keeps_empty));
        let errors = written.filter_map(|ended| async move { ended.err().map(Err) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), errors)))
    }
}
