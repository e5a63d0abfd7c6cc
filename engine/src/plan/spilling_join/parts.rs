//! Joins two inputs within a share of memory, part by part if need be.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::utils::memory::RecordBatchMemoryCounter;
use datafusion::common::{DataFusionError, JoinType, Result, internal_datafusion_err, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::spill_file::SpillFile;
use datafusion::execution::{SendableRecordBatchStream, TaskContext, async_try_stream};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::metrics::{BaselineMetrics, SpillMetrics};
use datafusion::physical_plan::stream::{EmptyRecordBatchStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions, SpillManager,
};
use futures::StreamExt;
use parking_lot::Mutex;

use super::divide::{LEVELS, divide};
use super::{Ran, TABLE_BYTES_PER_ROW};

/// Of a part that nearly all rows of the whole are in, more divisions would make no less.
const MOSTLY: (usize, usize) = (9, 10);

/// What two inputs are joined with.
pub(super) struct Parts {
    pub join: Arc<HashJoinExec>,
    /// Bytes that a build side may take.
    pub share: usize,
    pub partition: usize,
    pub metrics: BaselineMetrics,
    pub spill_metrics: SpillMetrics,
    pub ran: Ran,
    pub context: Arc<TaskContext>,
}

/// Two inputs, or parts of them with the same hashes.
pub(super) struct Part {
    pub build: Rows,
    pub probe: Rows,
    /// How often they were divided.
    pub level: usize,
}

/// One side of a part.
pub(super) enum Rows {
    /// Of one partition, not executed yet.
    Plan(Arc<dyn ExecutionPlan>),
    Stream(SendableRecordBatchStream),
    /// Can be read again; `None` has no rows.
    File(Option<Arc<dyn SpillFile>>),
}

/// The beginning of a build side.
struct Collected {
    batches: Vec<RecordBatch>,
    memory: MemoryReservation,
    /// Reserved for the hash table.
    table_bytes: usize,
    /// There is more.
    rest: Option<SendableRecordBatchStream>,
}

impl Parts {
    pub fn join(self, whole: Part) -> SendableRecordBatchStream {
        let schema = self.join.schema();
        let rows = async_try_stream(|mut rows| async move {
            let mut waiting = vec![whole];
            while let Some(part) = waiting.pop() {
                let Some(mut joined) = self.next(part, &mut waiting).await? else { continue };
                while let Some(batch) = joined.next().await {
                    rows.emit(batch?).await;
                }
            }
            Ok::<_, DataFusionError>(())
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }

    /// The joined rows of `part`; none yet if it was divided, and its parts wait.
    async fn next(&self, part: Part, waiting: &mut Vec<Part>) -> Result<Option<SendableRecordBatchStream>> {
        let Part { build, probe, level } = part;
        let mut collected = self.collect(self.open(build, self.join.left())?).await?;
        match (collected.rest.take(), probe) {
            (None, probe) => self.hash_join(collected, None, probe, level).map(Some),
            (Some(rest), probe) if level < LEVELS => {
                self.divide(collected, rest, probe, level, waiting).await?;
                Ok(None)
            }
            (Some(rest), Rows::File(probe)) if each_build_row_is_alone(*self.join.join_type()) => {
                waiting.push(Part { build: Rows::Stream(rest), probe: Rows::File(probe.clone()), level });
                self.hash_join(collected, None, Rows::File(probe), level).map(Some)
            }
            // It fits into what others leave, or the error names the join.
            (rest, probe) => self.hash_join(collected, rest, probe, level).map(Some),
        }
    }

    /// As much of a build side as its share of memory holds, and one batch more if there is more.
    async fn collect(&self, mut build: SendableRecordBatchStream) -> Result<Collected> {
        let memory = MemoryConsumer::new(format!("HashJoinInput[{}]", self.partition));
        let memory = memory.register(self.context.memory_pool());
        let mut counter = RecordBatchMemoryCounter::new();
        let mut collected = Collected { batches: Vec::new(), memory, table_bytes: 0, rest: None };
        let mut used = 0;
        while let Some(batch) = build.next().await {
            let batch = batch?;
            let (bytes, table) = (counter.count_batch(&batch), batch.num_rows() * TABLE_BYTES_PER_ROW);
            // The join copies its build side into one batch while it still has the many.
            used += 2 * bytes + table;
            let fits = used <= self.share && collected.memory.try_grow(bytes + table).is_ok();
            collected.batches.push(batch);
            if !fits {
                collected.rest = Some(build);
                return Ok(collected);
            }
            collected.table_bytes += table;
        }
        Ok(collected)
    }

    async fn divide(
        &self,
        build: Collected,
        rest: SendableRecordBatchStream,
        probe: Rows,
        level: usize,
        waiting: &mut Vec<Part>,
    ) -> Result<()> {
        let (build_keys, probe_keys): (Vec<_>, Vec<_>) = self.join.on().iter().cloned().unzip();
        let computing = self.metrics.elapsed_compute();
        let Collected { batches, memory, .. } = build;
        let batches = Box::pin(futures::stream::iter(batches.into_iter().map(Ok)).chain(rest));
        let builds = divide(batches, &build_keys, level, &self.files(self.join.left()), computing).await?;
        drop(memory);
        let probe = self.open(probe, self.join.right())?;
        let probes = divide(probe, &probe_keys, level, &self.files(self.join.right()), computing).await?;
        let rows: usize = builds.iter().map(|build| build.rows).sum();
        for (build, probe) in builds.into_iter().zip(probes) {
            let one_key = build.rows * MOSTLY.1 > rows * MOSTLY.0;
            // What cannot be joined in chunks is divided as long as it can be: there may be two keys after all.
            let in_chunks = one_key && each_build_row_is_alone(*self.join.join_type());
            let level = if in_chunks { LEVELS } else { level + 1 };
            waiting.push(Part { build: Rows::File(build.file), probe: Rows::File(probe.file), level });
        }
        Ok(())
    }

    fn files(&self, side: &Arc<dyn ExecutionPlan>) -> SpillManager {
        SpillManager::new(self.context.runtime_env(), self.spill_metrics.clone(), side.schema())
            .with_compression_type(self.context.session_config().spill_compression())
    }

    fn open(&self, rows: Rows, side: &Arc<dyn ExecutionPlan>) -> Result<SendableRecordBatchStream> {
        match rows {
            Rows::Plan(plan) => plan.execute(0, Arc::clone(&self.context)),
            Rows::Stream(stream) => Ok(stream),
            Rows::File(Some(file)) => self.files(side).read_spill_as_stream(file, None),
            Rows::File(None) => Ok(Box::pin(EmptyRecordBatchStream::new(side.schema()))),
        }
    }

    /// DataFusion's join, of a build side that fits.
    fn hash_join(
        &self,
        build: Collected,
        rest: Option<SendableRecordBatchStream>,
        probe: Rows,
        level: usize,
    ) -> Result<SendableRecordBatchStream> {
        let build = build.replay(self.join.left().schema(), rest);
        let probe = match probe {
            Rows::Plan(plan) => plan,
            probe => Arc::new(StreamExec::new(self.open(probe, self.join.right())?)),
        };
        let mut join = self.join.builder();
        if level > 0 {
            // A filter of its keys would be that of one part, and a side that is collected would be kept for others.
            join = join.reset_state().with_partition_mode(PartitionMode::Partitioned);
        }
        let inputs: Vec<Arc<dyn ExecutionPlan>> = vec![Arc::new(StreamExec::new(build)), probe];
        let join = join.with_new_children(inputs)?.recompute_properties().build_exec()?;
        if level > 0 {
            // Unless its state was reset, it counts where the join counts that it was made from.
            self.ran.lock().push(Arc::clone(&join));
        }
        join.execute(0, Arc::clone(&self.context))
    }
}

impl Collected {
    /// The collected batches, whose memory is given back as they are taken, and `rest` after them.
    fn replay(self, schema: SchemaRef, rest: Option<SendableRecordBatchStream>) -> SendableRecordBatchStream {
        let Collected { batches, memory, table_bytes, .. } = self;
        let rows = async_try_stream(move |mut rows| async move {
            let mut counter = RecordBatchMemoryCounter::new();
            for batch in batches {
                memory.try_shrink(counter.count_batch(&batch).min(memory.size() - table_bytes))?;
                rows.emit(batch).await;
            }
            if let Some(mut rest) = rest {
                while let Some(batch) = rest.next().await {
                    rows.emit(batch?).await;
                }
            }
            Ok::<_, DataFusionError>(())
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }
}

/// Whether a build row's part in the answer depends on probe rows alone, and not on other build rows.
pub(super) fn each_build_row_is_alone(join_type: JoinType) -> bool {
    match join_type {
        JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => true,
        JoinType::Right | JoinType::Full | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => false,
    }
}

/// One partition, executed once.
pub(super) struct StreamExec {
    stream: Mutex<Option<SendableRecordBatchStream>>,
    properties: Arc<PlanProperties>,
}

impl StreamExec {
    pub fn new(stream: SendableRecordBatchStream) -> StreamExec {
        let facts = EquivalenceProperties::new(stream.schema());
        let one = Partitioning::UnknownPartitioning(1);
        let properties = PlanProperties::new(facts, one, EmissionType::Incremental, Boundedness::Bounded);
        StreamExec { stream: Mutex::new(Some(stream)), properties: Arc::new(properties) }
    }
}

impl fmt::Debug for StreamExec {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("StreamExec")
    }
}

impl DisplayAs for StreamExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("StreamExec")
    }
}

impl ExecutionPlan for StreamExec {
    fn name(&self) -> &str {
        "StreamExec"
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
        if children.is_empty() { Ok(self) } else { internal_err!("StreamExec is a leaf") }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.stream.lock().take().ok_or_else(|| internal_datafusion_err!("a stream is executed twice"))
    }
}
