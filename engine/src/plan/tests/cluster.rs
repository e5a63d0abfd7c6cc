//! A cluster in a hash map: runs every stage's tasks one after the other from their bytes alone, as workers would, and
//! hands map outputs over in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionState, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::Time;
use datafusion::physical_plan::repartition::BatchPartitioner;
use datafusion::prelude::SessionConfig;
use futures::stream::{BoxStream, StreamExt};
use futures::{TryStreamExt, future};
use windrow_model::{AttemptId, Determinism, InputShare, JobId, MapOutputId, StageId, TaskId, TaskPlan, WorkerId};

use super::bed::Planner;
use crate::plan::{
    BuildSideBytes, CutStage, DecodedFragment, Distributed, OutputPartitioning, allow_coalescing, allow_sharing,
    decode_fragment, distribute,
};
use crate::session::{base_config, base_state};
use crate::shuffle::{FetchError, OutputAt, PartAt, PartBytes, PartEnd, ShuffleSource, StageSize, TaskInputs};

/// Stored bytes of one reduce partition and their footer.
type Part = (Bytes, PartEnd);

/// By (stage, task, reduce partition).
#[derive(Debug, Default)]
struct Outputs(HashMap<(u32, u32, u32), Part>);

impl ShuffleSource for Outputs {
    fn open(&self, parts: Vec<PartAt>) -> BoxStream<'static, Result<PartBytes, FetchError>> {
        let pieces: Vec<_> = parts.iter().enumerate().flat_map(|(part, at)| self.pieces(part, at)).collect();
        futures::stream::iter(pieces).boxed()
    }
}

impl Outputs {
    fn pieces(&self, part: usize, at: &PartAt) -> Vec<Result<PartBytes, FetchError>> {
        let task = at.at.output.task;
        match self.0.get(&(task.stage.index, task.index, at.partition)) {
            Some((bytes, end)) => {
                vec![Ok(PartBytes::Chunk { part, bytes: bytes.clone() }), Ok(PartBytes::End { part, end: *end })]
            }
            None => vec![Err(FetchError::lost(&at.at, "no such output"))],
        }
    }
}

/// Plans, distributes and runs `sql`; gives the rows of the root stage, task after task.
pub(super) async fn run(planner: &Planner, sql: &str) -> Result<Vec<RecordBatch>> {
    let plan = planner.context.sql(sql).await?.create_physical_plan().await?;
    let distributed = distribute(plan, &planner.spread, 0, &planner.state())?;
    run_stages(&distributed).await
}

/// The same with small partitions put together: two tasks do what each stage allows.
pub(super) async fn run_coalesced(planner: &Planner, sql: &str) -> Result<Vec<RecordBatch>> {
    run_stages(&coalesced(planner, sql).await?).await
}

pub(super) async fn coalesced(planner: &Planner, sql: &str) -> Result<Distributed> {
    let plan = planner.context.sql(sql).await?.create_physical_plan().await?;
    let mut distributed = distribute(plan, &planner.spread, 0, &planner.state())?;
    allow_coalescing(&mut distributed, 1, false);
    for stage in &mut distributed.stages {
        let Some(how) = &stage.plan.coalescing else { continue };
        let count = stage.plan.tasks.len() as u32;
        let is_first = |partition: &u32| if how.in_order { *partition < count / 2 } else { *partition % 2 == 1 };
        let (first, second): (Vec<u32>, Vec<u32>) = (0..count).partition(is_first);
        let groups = [first, second].into_iter().filter(|partitions| !partitions.is_empty());
        let task = |partitions| TaskPlan { partitions, slots: 1, ..TaskPlan::default() };
        stage.plan.tasks = groups.map(task).collect();
        stage.splits = vec![None; stage.plan.tasks.len()];
    }
    Ok(distributed)
}

/// The same with each partition that may be shared read by three tasks. `side` chooses among the inputs that may be.
pub(super) async fn run_shared(planner: &Planner, sql: &str, side: usize) -> Result<Vec<RecordBatch>> {
    run_stages(&shared(planner, sql, side).await?).await
}

pub(super) async fn shared(planner: &Planner, sql: &str, side: usize) -> Result<Distributed> {
    let plan = planner.context.sql(sql).await?.create_physical_plan().await?;
    let mut distributed = distribute(plan, &planner.spread, 0, &planner.state())?;
    allow_coalescing(&mut distributed, 1, false);
    allow_sharing(&mut distributed);
    for stage in &mut distributed.stages {
        let shareable = stage.plan.coalescing.as_ref().map_or(&[][..], |how| &how.shareable);
        let Some(&input) = shareable.get(side % shareable.len().max(1)) else { continue };
        let shares = (0..3).map(|index| InputShare { stage: input, index, of: 3 });
        let shared = |task: &TaskPlan| {
            shares.clone().map(|share| TaskPlan { share: Some(share), ..task.clone() }).collect::<Vec<_>>()
        };
        stage.plan.tasks = stage.plan.tasks.iter().flat_map(shared).collect();
        stage.splits = vec![None; stage.plan.tasks.len()];
    }
    Ok(distributed)
}

pub(super) async fn run_stages(distributed: &Distributed) -> Result<Vec<RecordBatch>> {
    run_with(distributed, false).await
}

/// The same, but half of the readers of each stage read what a second run of its tasks has written, for which its
/// inputs came in another order: as if outputs were lost when the other half had read them. Stages that say that they
/// are indeterminate are not run twice: the scheduler runs all their readers again.
pub(super) async fn run_with_losses(distributed: &Distributed) -> Result<Vec<RecordBatch>> {
    run_with(distributed, true).await
}

async fn run_with(distributed: &Distributed, losses: bool) -> Result<Vec<RecordBatch>> {
    let mut outputs = Arc::new(Outputs::default());
    let mut tasks = BTreeMap::new();
    let mut rows = Vec::new();
    for stage in &distributed.stages {
        let mut written = HashMap::new();
        for task in 0..stage.plan.tasks.len() as u32 {
            let mut batches = run_task(stage, task, &outputs, &tasks, false).await?;
            if losses && stage.plan.determinism != Determinism::Indeterminate {
                let again = run_task(stage, task, &outputs, &tasks, true).await?;
                let odd = |(partition, batches): (usize, _)| (partition % 2 == 1).then_some((partition, batches));
                for (partition, written) in again.into_iter().enumerate().filter_map(odd) {
                    batches[partition] = written;
                }
            }
            rows = if stage.plan.index == distributed.root && task > 0 { rows } else { Vec::new() };
            for (partition, batches) in batches.into_iter().enumerate() {
                let schema = stage.physical.schema();
                written.insert((stage.plan.index, task, partition as u32), encode(&schema, &batches)?);
                rows.extend(batches);
            }
        }
        Arc::get_mut(&mut outputs).expect("no task of the stage is running").0.extend(written);
        tasks.insert(stage.plan.index, stage.plan.tasks.len() as u32);
    }
    Ok(rows)
}

/// The state of a worker: functions and defaults, but no table.
pub(super) fn worker_state() -> SessionState {
    base_state(base_config(), Arc::new(RuntimeEnv::default()))
}

pub(super) fn decode(stage: &CutStage, task: u32) -> Result<DecodedFragment> {
    let splits = stage.splits[task as usize].as_ref();
    decode_fragment(&stage.fragment, splits, &stage.plan.tasks[task as usize].partitions, &worker_state())
}

/// Rows of one task by reduce partition.
async fn run_task(
    stage: &CutStage,
    task: u32,
    outputs: &Arc<Outputs>,
    tasks: &BTreeMap<u32, u32>,
    backwards: bool,
) -> Result<Vec<Vec<RecordBatch>>> {
    let decoded = decode(stage, task)?;
    let inputs = stage.plan.inputs.iter().map(|input| {
        let mut outputs = outputs_of(input.stage, tasks[&input.stage]);
        if backwards {
            outputs.reverse();
        }
        (input.stage, outputs)
    });
    let sizes = stage.plan.inputs.iter().map(|input| (input.stage, pretended_size(input.stage, backwards)));
    let mut inputs = TaskInputs { source: Arc::clone(outputs) as _, stages: inputs.collect(), sizes: sizes.collect() };
    if let Some(share) = stage.plan.tasks[task as usize].share {
        inputs.keep(share);
    }
    let context = task_context(&decoded, inputs, backwards);
    let partitions = &stage.plan.tasks[task as usize].partitions;
    let rows = collect(&decoded.plan, partitions, context).await?;
    route(&decoded.output, rows)
}

/// All partitions at once: an output that nobody polls would fill up.
async fn collect(
    plan: &Arc<dyn ExecutionPlan>,
    partitions: &[u32],
    context: Arc<TaskContext>,
) -> Result<Vec<RecordBatch>> {
    let streams = partitions.iter().map(|&partition| plan.execute(partition as usize, Arc::clone(&context)));
    let streams = streams.collect::<Result<Vec<_>>>()?;
    let all = future::try_join_all(streams.into_iter().map(|stream| stream.try_collect::<Vec<_>>())).await?;
    Ok(all.into_iter().flatten().collect())
}

/// Every other stage pretends to be large, so that half of the joins of two exchanges build their other side; a second
/// run builds the planned ones.
fn pretended_size(stage: u32, again: bool) -> StageSize {
    let large = stage.is_multiple_of(2) && !again;
    StageSize { rows: if large { 1 << 30 } else { 1 }, bytes: 1 << 10 }
}

/// Joins are divided unless they are tiny; a second run has room for them.
fn task_context(decoded: &DecodedFragment, inputs: TaskInputs, again: bool) -> Arc<TaskContext> {
    let share = BuildSideBytes(if again { 64 << 20 } else { 2 << 10 });
    let mut config: SessionConfig = base_config().with_extension(Arc::new(inputs)).with_extension(Arc::new(share));
    for (key, value) in &decoded.settings {
        config.options_mut().set(key, value).unwrap();
    }
    Arc::new(TaskContext::from(&worker_state()).with_session_config(config))
}

fn outputs_of(stage: u32, tasks: u32) -> Vec<OutputAt> {
    let at = |index| OutputAt {
        output: MapOutputId {
            task: TaskId { stage: StageId { job: JobId(1), index: stage }, index },
            attempt: AttemptId { epoch: 1, n: 1 },
        },
        worker: WorkerId(1),
        address: String::new(),
    };
    (0..tasks).map(at).collect()
}

fn route(output: &OutputPartitioning, rows: Vec<RecordBatch>) -> Result<Vec<Vec<RecordBatch>>> {
    let count = output.partitions() as usize;
    let mut routed = vec![Vec::new(); count];
    let mut partitioner = match output {
        OutputPartitioning::Single | OutputPartitioning::Sink => return Ok(vec![rows]),
        OutputPartitioning::Hash { exprs, .. } => {
            BatchPartitioner::new_hash_partitioner(exprs.clone(), count, Time::default())?
        }
        OutputPartitioning::Ranges(ranges) => BatchPartitioner::new_range_partitioner(ranges, Time::default()),
    };
    for batch in rows {
        partitioner.partition(batch, |partition, batch| {
            routed[partition].push(batch);
            Ok(())
        })?;
    }
    Ok(routed)
}

fn encode(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Part> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, schema)?;
    for batch in batches {
        let batch = RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec())
            .or_else(|error| if batch.num_columns() == 0 { Ok(batch.clone()) } else { Err(error) })?;
        writer.write(&batch)?;
    }
    writer.finish().map_err(DataFusionError::from)?;
    drop(writer);
    let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    let end = PartEnd { bytes: bytes.len() as u64, rows, crc32: crc32fast::hash(&bytes) };
    Ok((bytes.into(), end))
}
