//! Runtime filters: the keys of a join's build side leave out probe rows before they are exchanged.
//!
//! Both sides of a partitioned join are divided by the hash of their keys. When the build side's parts are there, a task
//! for each of them makes a blocked Bloom filter of its keys (Putze, Sanders and Singler 2007), and the tasks of the
//! probe side, which have not started, drop the rows that no filter knows. A filter passes rows that it should not, and
//! never drops one that it should keep: the join above gives the same rows with it and without.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, BooleanArray, BooleanBufferBuilder, RecordBatch, UInt32Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type};
use datafusion::common::hash_utils::create_hashes;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, JoinType, Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::repartition::REPARTITION_RANDOM_STATE;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt};

use super::scans::partition_count;
use super::shuffle_read::{Reads, ShuffleReadExec};

/// Bits of a filter for each key: with four of them set, about one strange key in forty passes.
const BITS_PER_KEY: usize = 12;
/// Bytes of the filters of all parts of a join together: each probing task reads and holds them. A part with more keys
/// than its share has room for passes everything.
const FILTERS_BYTES_MAX: usize = 32 << 20;
/// Batches after which a filter that drops too little is left out.
const TRIAL_BATCHES: usize = 16;
/// It is left out if more than this part of the rows passes.
const PASSED_MAX: f64 = 0.8;

/// Whether rows of the probe side that find no key on the build side are of no use to the join.
pub(super) fn may_filter(join: &HashJoinExec) -> bool {
    let drops_probe_rows = matches!(
        join.join_type,
        JoinType::Inner
            | JoinType::Left
            | JoinType::LeftSemi
            | JoinType::LeftAnti
            | JoinType::LeftMark
            | JoinType::RightSemi
    );
    let nulls_match = join.null_equality == datafusion::common::NullEquality::NullEqualsNull;
    drops_probe_rows && !nulls_match && !join.null_aware && join.mode == PartitionMode::Partitioned
}

/// Whether something below has dropped rows, so that the other side has keys which are not there.
pub(super) fn has_fewer_keys(build: &Arc<dyn ExecutionPlan>) -> bool {
    build.is::<FilterExec>() || build.is::<HashJoinExec>() || build.children().into_iter().any(has_fewer_keys)
}

/// The exchange that `plan`'s columns `keys` come from, and the columns there; `None` if they are not what it is divided
/// by.
pub(super) fn exchange_of(plan: &Arc<dyn ExecutionPlan>, keys: Vec<usize>) -> Option<Arc<dyn ExecutionPlan>> {
    if let Some(read) = plan.downcast_ref::<ShuffleReadExec>() {
        let Partitioning::Hash(exprs, _) = &read.properties().partitioning else { return None };
        let divided: Option<Vec<usize>> =
            exprs.iter().map(|expr| Some(expr.downcast_ref::<Column>()?.index())).collect();
        return (read.reads() == Reads::Partition && divided? == keys).then(|| Arc::clone(plan));
    }
    let join = plan.downcast_ref::<HashJoinExec>().filter(|join| join.mode == PartitionMode::Partitioned)?;
    let keeps_left =
        matches!(join.join_type, JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti);
    if !keeps_left {
        return None;
    }
    let width = join.left().schema().fields().len();
    let of_left = |key: usize| {
        let at = match &join.projection {
            Some(projection) => *projection.get(key)?,
            None => key,
        };
        (at < width).then_some(at)
    };
    exchange_of(join.left(), keys.into_iter().map(of_left).collect::<Option<_>>()?)
}

/// A filter for each partition of its input.
#[derive(Clone, Debug)]
pub struct KeyFilterExec {
    input: Arc<dyn ExecutionPlan>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// Drops rows whose keys are in none of the filters.
#[derive(Clone, Debug)]
pub struct KeyProbeExec {
    input: Arc<dyn ExecutionPlan>,
    /// One partition with the filters of all parts.
    filters: Arc<dyn ExecutionPlan>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    /// Parts that the build side was divided into.
    parts: u32,
    metrics: ExecutionPlanMetricsSet,
}

/// The part, and the filter's bits: none if it passes everything.
fn filter_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("part", DataType::UInt32, false),
        Field::new("bits", DataType::Binary, false),
    ]))
}

impl KeyFilterExec {
    /// `input` is divided by the hash of `keys`.
    pub fn new(input: Arc<dyn ExecutionPlan>, keys: Vec<Arc<dyn PhysicalExpr>>) -> KeyFilterExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(filter_schema()),
            Partitioning::UnknownPartitioning(partition_count(&input)),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        KeyFilterExec { input, keys, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }

    pub fn keys(&self) -> &[Arc<dyn PhysicalExpr>] {
        &self.keys
    }
}

impl KeyProbeExec {
    pub fn new(
        input: Arc<dyn ExecutionPlan>,
        filters: Arc<dyn ExecutionPlan>,
        keys: Vec<Arc<dyn PhysicalExpr>>,
        parts: u32,
    ) -> KeyProbeExec {
        KeyProbeExec { input, filters, keys, parts, metrics: ExecutionPlanMetricsSet::new() }
    }

    pub fn keys(&self) -> &[Arc<dyn PhysicalExpr>] {
        &self.keys
    }

    pub fn parts(&self) -> u32 {
        self.parts
    }
}

/// Which part an exchange puts a hash into: its remainder, without a division for each.
#[derive(Clone, Copy, Debug)]
struct Parts {
    count: u64,
    reciprocal: u64,
}

impl Parts {
    fn new(count: u64) -> Parts {
        Parts { count, reciprocal: u64::MAX / count }
    }

    /// Keys of one part. Blocks are rounded up to a power of two, to twice as many at most.
    fn keys_max(self) -> usize {
        FILTERS_BYTES_MAX * 8 / BITS_PER_KEY / 2 / self.count as usize
    }

    fn of(self, hash: u64) -> u64 {
        // The reciprocal is rounded down, so that the quotient is right or one too small.
        let quotient = ((u128::from(hash) * u128::from(self.reciprocal)) >> 64) as u64;
        let rest = hash - quotient * self.count;
        if rest >= self.count { rest - self.count } else { rest }
    }
}

/// Hashes of rows' keys, as exchanges compute them.
pub(super) struct Hashes {
    keys: Vec<Arc<dyn PhysicalExpr>>,
    buffer: Vec<u64>,
}

impl Hashes {
    pub fn new(keys: &[Arc<dyn PhysicalExpr>]) -> Hashes {
        Hashes { keys: keys.to_vec(), buffer: Vec::new() }
    }

    pub fn of(&mut self, batch: &RecordBatch) -> Result<&[u64]> {
        let keys = self.keys.iter().map(|key| key.evaluate(batch)?.into_array(batch.num_rows()));
        let keys: Vec<ArrayRef> = keys.collect::<Result<_>>()?;
        self.buffer.clear();
        self.buffer.resize(batch.num_rows(), 0);
        create_hashes(&keys, REPARTITION_RANDOM_STATE.random_state(), &mut self.buffer)?;
        Ok(&self.buffer)
    }
}

/// A blocked Bloom filter of 64-bit blocks.
#[derive(Debug, Default)]
struct Bloom {
    /// A power of two of them; none if everything passes.
    blocks: Vec<u64>,
}

impl Bloom {
    fn of(hashes: &[u64]) -> Bloom {
        let count = (hashes.len() * BITS_PER_KEY).div_ceil(64).next_power_of_two();
        let mut bloom = Bloom { blocks: vec![0; count] };
        for hash in hashes {
            let (block, bits) = bloom.place(*hash);
            bloom.blocks[block] |= bits;
        }
        bloom
    }

    /// The low bits of a hash have chosen the part, so that all its bits are mixed again.
    fn place(&self, hash: u64) -> (usize, u64) {
        let mixed = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = mixed ^ (mixed >> 29);
        let bits = (0..4).fold(0, |bits, nth| bits | 1 << (mixed >> (6 * nth) & 63));
        ((mixed >> 32) as usize & (self.blocks.len() - 1), bits)
    }

    fn passes(&self, hash: u64) -> bool {
        if self.blocks.is_empty() {
            return true;
        }
        let (block, bits) = self.place(hash);
        self.blocks[block] & bits == bits
    }

    fn to_bytes(&self) -> Vec<u8> {
        self.blocks.iter().flat_map(|block| block.to_le_bytes()).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Bloom> {
        let (blocks, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() || !(blocks.is_empty() || blocks.len().is_power_of_two()) {
            return internal_err!("a filter of keys has {} bytes", bytes.len());
        }
        Ok(Bloom { blocks: blocks.iter().map(|block| u64::from_le_bytes(*block)).collect() })
    }
}

impl DisplayAs for KeyFilterExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "KeyFilterExec: keys=[{}]", text(&self.keys))
    }
}

impl DisplayAs for KeyProbeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "KeyProbeExec: keys=[{}], parts={}", text(&self.keys), self.parts)
    }
}

fn text(keys: &[Arc<dyn PhysicalExpr>]) -> String {
    keys.iter().map(|key| key.to_string()).collect::<Vec<_>>().join(", ")
}

fn visit(
    keys: &[Arc<dyn PhysicalExpr>],
    act: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
) -> Result<TreeNodeRecursion> {
    for key in keys {
        if act(key)? == TreeNodeRecursion::Stop {
            return Ok(TreeNodeRecursion::Stop);
        }
    }
    Ok(TreeNodeRecursion::Continue)
}

impl ExecutionPlan for KeyFilterExec {
    fn name(&self) -> &str {
        "KeyFilterExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        act: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        visit(&self.keys, act)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.as_slice() {
            [input] => Ok(Arc::new(KeyFilterExec::new(Arc::clone(input), self.keys.clone()))),
            _ => internal_err!("KeyFilterExec has one input"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let memory = MemoryConsumer::new("KeyFilter").register(context.memory_pool());
        let (keys, parts) = (Hashes::new(&self.keys), Parts::new(partition_count(&self.input) as u64));
        let filter = async move {
            let bloom = collect(input, keys, partition, parts, &memory, &metrics).await?.unwrap_or_default();
            let part = UInt32Array::from(vec![partition as u32]);
            let bits = BinaryArray::from_vec(vec![&bloom.to_bytes()]);
            Ok(RecordBatch::try_new(filter_schema(), vec![Arc::new(part), Arc::new(bits)])?)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(filter_schema(), futures::stream::once(filter))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// `None` if the keys are too many, or are not divided as the probe side takes for granted.
async fn collect(
    mut input: SendableRecordBatchStream,
    mut keys: Hashes,
    partition: usize,
    parts: Parts,
    memory: &MemoryReservation,
    metrics: &BaselineMetrics,
) -> Result<Option<Bloom>> {
    let mut hashes: Vec<u64> = Vec::new();
    while let Some(batch) = input.next().await {
        let batch = batch?;
        let _computing = metrics.elapsed_compute().timer();
        let new = keys.of(&batch)?;
        let divided = new.iter().all(|hash| parts.of(*hash) == partition as u64);
        let fits = hashes.len() + new.len() <= parts.keys_max() && memory.try_grow(size_of_val(new)).is_ok();
        if !divided || !fits {
            return Ok(None);
        }
        hashes.extend_from_slice(new);
        metrics.record_output(batch.num_rows());
    }
    let _computing = metrics.elapsed_compute().timer();
    Ok(Some(Bloom::of(&hashes)))
}

impl ExecutionPlan for KeyProbeExec {
    fn name(&self) -> &str {
        "KeyProbeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input, &self.filters]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true, false]
    }

    fn apply_expressions(
        &self,
        act: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        visit(&self.keys, act)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.as_slice() {
            [input, filters] => {
                let (input, filters) = (Arc::clone(input), Arc::clone(filters));
                Ok(Arc::new(KeyProbeExec::new(input, filters, self.keys.clone(), self.parts)))
            }
            _ => internal_err!("KeyProbeExec has two inputs"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let filters = self.filters.execute(0, Arc::clone(&context))?;
        let memory = MemoryConsumer::new("KeyProbe").register(context.memory_pool());
        let input = self.input.execute(partition, context)?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let (keys, parts, schema) = (Hashes::new(&self.keys), self.parts, self.schema());
        let probed = async move {
            let blooms = read(filters, parts, &memory).await?;
            let probe = Probe { keys, blooms, _memory: memory, metrics, batches: 0, rows: 0, passed: 0 };
            Ok::<_, DataFusionError>(futures::stream::try_unfold((input, probe), next))
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::once(probed).try_flatten())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The filters by part. A part without one would drop rows that match; one that memory has no room for passes everything.
async fn read(mut filters: SendableRecordBatchStream, parts: u32, memory: &MemoryReservation) -> Result<Vec<Bloom>> {
    let mut blooms: Vec<Option<Bloom>> = (0..parts).map(|_| None).collect();
    while let Some(batch) = filters.next().await {
        let batch = batch?;
        let (part, bits) = (batch.column(0).as_primitive::<UInt32Type>(), batch.column(1).as_binary::<i32>());
        for row in 0..batch.num_rows() {
            match blooms.get_mut(part.value(row) as usize) {
                Some(place @ None) if memory.try_grow(bits.value(row).len()).is_err() => {
                    *place = Some(Bloom::default())
                }
                Some(place @ None) => *place = Some(Bloom::from_bytes(bits.value(row))?),
                _ => return internal_err!("a filter of keys is of the part {}", part.value(row)),
            }
        }
    }
    match blooms.into_iter().collect::<Option<Vec<Bloom>>>() {
        Some(blooms) => Ok(blooms),
        None => internal_err!("a filter of keys is missing"),
    }
}

struct Probe {
    keys: Hashes,
    blooms: Vec<Bloom>,
    _memory: MemoryReservation,
    metrics: BaselineMetrics,
    batches: usize,
    rows: usize,
    passed: usize,
}

async fn next(
    (mut input, mut probe): (SendableRecordBatchStream, Probe),
) -> Result<Option<(RecordBatch, (SendableRecordBatchStream, Probe))>> {
    while let Some(batch) = input.try_next().await? {
        let kept = probe.kept(batch)?;
        if kept.num_rows() > 0 {
            probe.metrics.record_output(kept.num_rows());
            return Ok(Some((kept, (input, probe))));
        }
    }
    Ok(None)
}

impl Probe {
    fn kept(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let pays = self.passed as f64 <= self.rows as f64 * PASSED_MAX;
        if self.batches >= TRIAL_BATCHES && !pays {
            return Ok(batch);
        }
        let _computing = self.metrics.elapsed_compute().timer();
        let parts = Parts::new(self.blooms.len() as u64);
        let hashes = self.keys.of(&batch)?;
        let mut mask = BooleanBufferBuilder::new(hashes.len());
        let mut passed = 0;
        for hash in hashes {
            let passes = self.blooms[parts.of(*hash) as usize].passes(*hash);
            passed += usize::from(passes);
            mask.append(passes);
        }
        self.batches += 1;
        self.rows += batch.num_rows();
        self.passed += passed;
        if passed == batch.num_rows() {
            return Ok(batch);
        }
        Ok(filter_record_batch(&batch, &BooleanArray::new(mask.finish(), None))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_the_part_that_its_remainder_says() {
        for count in [1, 2, 3, 7, 16, 17, 255, 4096] {
            let parts = Parts::new(count);
            for hash in
                (0..1000).map(|n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15)).chain([u64::MAX, u64::MAX - 1, 0, 1])
            {
                assert_eq!(parts.of(hash), hash % count, "{hash} of {count}");
            }
        }
    }

    #[test]
    fn a_filter_keeps_every_key_and_few_others() {
        let hash = |n: u64| n.wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(17);
        let keys: Vec<u64> = (0..10_000).map(hash).collect();
        let bloom = Bloom::from_bytes(&Bloom::of(&keys).to_bytes()).unwrap();
        assert!(keys.iter().all(|key| bloom.passes(*key)));
        let strangers = (10_000..110_000).map(hash).filter(|stranger| bloom.passes(*stranger)).count();
        assert!(strangers < 5_000, "{strangers} of 100,000 pass");
        assert!(!Bloom::of(&[]).passes(hash(1)), "no key, no row");
        assert!(Bloom::default().passes(hash(1)), "no filter, every row");
        let full = |count| Bloom::of(&vec![1; Parts::new(count).keys_max()]).to_bytes().len() * count as usize;
        assert!([1, 17, 256, 4096].into_iter().all(|count| full(count) <= FILTERS_BYTES_MAX));
        assert!(Bloom::from_bytes(&[0; 24]).is_err() && Bloom::from_bytes(&[0; 9]).is_err());
    }
}
