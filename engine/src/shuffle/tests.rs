//! Round trips of map outputs without a network: what is written is read back, and damage is found.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Int32Type, IntervalMonthDayNano, Schema, SchemaRef};
use bytes::Bytes;
use datafusion::physical_expr::expressions::col;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use windrow_model::{AttemptId, JobId, MapOutputId, StageId, TaskId, WorkerId};

use super::*;

const PARTITIONS: u32 = 3;

fn output_id(task: u32) -> MapOutputId {
    let stage = StageId { job: JobId(1), index: 0 };
    MapOutputId { task: TaskId { stage, index: task }, attempt: AttemptId { epoch: 1, n: u64::from(task) } }
}

fn place(dir: &tempfile::TempDir, memory_bytes: usize) -> OutputPlace {
    OutputPlace {
        dir: dir.path().to_owned(),
        memory: ShuffleMemory::new(memory_bytes),
        compression: ShuffleCompression::Lz4,
        batching_bytes: 1 << 20,
        segments: None,
    }
}

/// Rows of every kind of column that shares buffers or nests.
fn rows(count: i32) -> RecordBatch {
    let long = |n: i32| format!("a string that is too long for a view's inline bytes {n}");
    let texts: StringViewArray = (0..count).map(|n| (n % 5 != 0).then(|| long(n))).collect();
    let names: DictionaryArray<Int32Type> = (0..count).map(|n| ["red", "green", "blue"][(n % 3) as usize]).collect();
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>((0..count).map(|n| Some(vec![Some(n), None])));
    let view_lists = ListArray::new(
        Arc::new(Field::new_list_field(DataType::Utf8View, true)),
        OffsetBuffer::from_lengths((0..count).map(|_| 1)),
        Arc::new(texts.clone()),
        None,
    );
    let inner: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(long)));
    let structs = StructArray::from(vec![(Arc::new(Field::new("s", DataType::Utf8, false)), inner)]);
    RecordBatch::try_from_iter(vec![
        ("id", Arc::new(Int32Array::from_iter_values(0..count)) as ArrayRef),
        ("text", Arc::new(texts)),
        ("name", Arc::new(names)),
        ("list", Arc::new(lists)),
        ("views", Arc::new(view_lists)),
        ("struct", Arc::new(structs)),
    ])
    .unwrap()
}

fn write(place: OutputPlace, batches: &[RecordBatch], partitions: u32) -> (StoredOutput, u64) {
    let schema = batches[0].schema();
    let exprs = schema.fields().iter().take(1).map(|field| col(field.name(), &schema).unwrap());
    let exprs: Vec<_> = exprs.collect();
    let writer = OutputWriter::new(output_id(0), place, Arc::clone(&schema), partitions);
    let mut router = RowRouter::hash(&exprs, partitions);
    for batch in batches {
        writer.push(&mut router, batch.clone()).map_err(|_| "push").unwrap();
    }
    writer.finish().map_err(|_| "finish").unwrap()
}

/// Serves stored outputs in pieces of a few bytes, as a slow network would, after `damage` had its way with each piece.
struct Outputs {
    stored: BTreeMap<MapOutputId, Arc<StoredOutput>>,
    piece_len: usize,
    damage: fn(usize, PartBytes) -> Option<PartBytes>,
}

impl std::fmt::Debug for Outputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outputs")
    }
}

impl ShuffleSource for Outputs {
    fn open(&self, parts: Vec<PartAt>) -> BoxStream<'static, Result<PartBytes, FetchError>> {
        let mut pieces = Vec::new();
        for (part, at) in parts.iter().enumerate() {
            let Some(stored) = self.stored.get(&at.at.output) else {
                pieces.push(Err(FetchError::lost(&at.at, "gone")));
                continue;
            };
            let entry = stored.index()[at.partition as usize];
            let mut offset = 0;
            while offset < entry.len {
                let bytes = stored.read(at.partition, offset, self.piece_len).unwrap();
                offset += bytes.len() as u64;
                pieces.push(Ok(PartBytes::Chunk { part, bytes }));
            }
            let end = PartEnd { bytes: entry.len, rows: entry.rows, crc32: entry.crc32 };
            pieces.push(Ok(PartBytes::End { part, end }));
        }
        let damage = self.damage;
        let damaged = move |(nth, piece): (usize, Result<PartBytes, FetchError>)| match piece {
            Ok(piece) => damage(nth, piece).map(Ok),
            Err(error) => Some(Err(error)),
        };
        stream::iter(pieces.into_iter().enumerate().filter_map(damaged)).boxed()
    }
}

fn inputs(stored: StoredOutput, damage: fn(usize, PartBytes) -> Option<PartBytes>) -> TaskInputs {
    let stored = BTreeMap::from([(output_id(0), Arc::new(stored))]);
    let at = OutputAt { output: output_id(0), worker: WorkerId(1), address: String::new() };
    TaskInputs {
        source: Arc::new(Outputs { stored, piece_len: 1000, damage }),
        stages: BTreeMap::from([(0, vec![at])]),
        sizes: BTreeMap::new(),
    }
}

fn read_partition(
    inputs: &TaskInputs,
    which: ReadSelection,
    schema: &SchemaRef,
) -> datafusion::error::Result<Vec<RecordBatch>> {
    let stream = read(inputs, 0, which, Arc::clone(schema), &ExecutionPlanMetricsSet::new(), 0)?;
    futures::executor::block_on(stream.try_collect())
}

fn intact(_: usize, piece: PartBytes) -> Option<PartBytes> {
    Some(piece)
}

fn read_sorted(stored: StoredOutput, schema: &SchemaRef) -> RecordBatch {
    let partitions = stored.index().len() as u32;
    let inputs = inputs(stored, intact);
    let read = |partition| read_partition(&inputs, ReadSelection::Partition(partition), schema).unwrap();
    let all: Vec<RecordBatch> = (0..partitions).flat_map(read).collect();
    let all = concat_batches(schema, &all).unwrap();
    let order = arrow::compute::sort_to_indices(all.column(0), None, None).unwrap();
    take_record_batch(&all, &order).unwrap()
}

fn fetch_error(error: datafusion::error::DataFusionError) -> FetchError {
    match error {
        datafusion::error::DataFusionError::External(error) => *error.downcast::<FetchError>().unwrap(),
        other => panic!("not a fetch error: {other}"),
    }
}

#[test]
fn rows_of_every_shape_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let batch = rows(5000);
    let halves = [batch.slice(0, 1234), batch.slice(1234, batch.num_rows() - 1234)];
    let (stored, spill_bytes) = write(place(&dir, 64 << 20), &halves, PARTITIONS);
    assert!(stored.is_in_memory());
    assert_eq!((stored.rows(), spill_bytes), (5000, 0));
    assert_eq!(read_sorted(stored, &batch.schema()), batch);
}

#[test]
fn spilled_outputs_hold_the_same_bytes_as_those_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let batches: Vec<RecordBatch> = (0..20).map(|_| rows(3000)).collect();
    let (memory, _) = write(place(&dir, 64 << 20), &batches, PARTITIONS);
    let small = place(&dir, 10_000);
    let (spilled, spill_bytes) = write(small.clone(), &batches, PARTITIONS);
    assert!(!spilled.is_in_memory() && spill_bytes > 0);
    assert_eq!(spilled.index(), memory.index());
    assert_eq!(spilled.read_all().unwrap(), memory.read_all().unwrap());
    assert_eq!(small.memory.used_bytes(), 0);
    let demoted = memory.demoted(dir.path().join("demoted")).unwrap().unwrap();
    assert_eq!(demoted.read_all().unwrap(), spilled.read_all().unwrap());
    drop((memory, spilled, demoted));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn another_process_can_map_what_is_stored_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let batches: Vec<RecordBatch> = (0..60).map(|_| rows(3000)).collect();
    let segments = Segments::new(1);
    let sharing = OutputPlace { segments: Some(Arc::clone(&segments)), ..place(&dir, 64 << 20) };
    let (stored, _) = write(sharing.clone(), &batches, PARTITIONS);
    let (heap, _) = write(place(&dir, 64 << 20), &batches, PARTITIONS);
    assert_eq!(stored.index(), heap.index());
    let (mut mapped_bytes, mut most) = (0, 0);
    for (partition, entry) in stored.index().iter().enumerate() {
        let (partition, mut offset) = (partition as u32, 0);
        while offset < entry.len {
            let next = stored.read(partition, offset, usize::MAX).unwrap();
            if let Some(shared) = stored.shared(partition, offset, 1) {
                assert_eq!(shared.segment.map(&shared.extents).unwrap(), std::slice::from_ref(&next));
                mapped_bytes += next.len() as u64;
                most = most.max(stored.shared(partition, offset, 1000).unwrap().extents.len());
            }
            offset += next.len() as u64;
        }
    }
    // What came before the output was large enough stays in the heap.
    assert!(mapped_bytes > stored.bytes() / 2, "{mapped_bytes} of {} bytes", stored.bytes());
    assert!(most > 1, "several chunks at once");
    assert_eq!(stored.shared(0, 1, 1000), None, "chunks are shared whole");
    drop(stored);
    let small = OutputPlace { memory: ShuffleMemory::new(600_000), ..sharing };
    let (spilled, _) = write(small, &batches, PARTITIONS);
    assert!(!spilled.is_in_memory());
    assert_eq!(spilled.read_all().unwrap(), heap.read_all().unwrap());
    assert!(segments.create().is_some(), "nothing of it is left in memory");
}

#[test]
fn an_empty_partition_is_no_bytes_and_an_empty_single_output_tells_its_schema() {
    let dir = tempfile::tempdir().unwrap();
    let one = rows(1);
    let (stored, _) = write(place(&dir, 1 << 20), std::slice::from_ref(&one), PARTITIONS);
    assert_eq!(stored.index().iter().filter(|partition| partition.len == 0).count(), 2);
    assert_eq!(read_sorted(stored, &one.schema()), one);
    let (single, _) = write(place(&dir, 1 << 20), &[one.slice(0, 0)], 1);
    let bytes = single.read_all().unwrap();
    let reader = arrow::ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
    assert_eq!(reader.schema(), one.schema());
}

#[test]
fn rows_without_columns_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let schema = Arc::new(Schema::empty());
    let options = RecordBatchOptions::new().with_row_count(Some(20_000));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), vec![], &options).unwrap();
    let writer = OutputWriter::new(output_id(0), place(&dir, 1 << 20), Arc::clone(&schema), 1);
    writer.push(&mut RowRouter::single(), batch).map_err(|_| "push").unwrap();
    let (stored, _) = writer.finish().map_err(|_| "finish").unwrap();
    let read = read_partition(&inputs(stored, intact), ReadSelection::All, &schema).unwrap();
    assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>(), 20_000);
}

#[test]
fn a_few_rows_of_a_large_page_do_not_carry_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let few = rows(50_000).slice(100, 10);
    let (stored, _) = write(place(&dir, 64 << 20), &[few], 1);
    assert!(stored.bytes() < 10_000, "{} bytes", stored.bytes());
}

#[test]
fn a_flipped_bit_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let batch = rows(5000);
    let (stored, _) = write(place(&dir, 64 << 20), std::slice::from_ref(&batch), 1);
    let flipped = inputs(stored, |nth, piece| match piece {
        PartBytes::Chunk { part, bytes } if nth == 20 => {
            let mut bytes = bytes.to_vec();
            bytes[500] ^= 1;
            Some(PartBytes::Chunk { part, bytes: Bytes::from(bytes) })
        }
        other => Some(other),
    });
    let error = read_partition(&flipped, ReadSelection::All, &batch.schema()).unwrap_err();
    assert!(matches!(fetch_error(error), FetchError::Corrupt { worker: WorkerId(1), .. }));
}

#[test]
fn missing_bytes_are_a_loss_and_not_an_end_of_data() {
    let batch = rows(5000);
    let losses: [fn(usize, PartBytes) -> Option<PartBytes>; 3] = [
        // Everything from some piece on is missing.
        |nth, piece| (nth < 5).then_some(piece),
        // Only the end is missing.
        |_, piece| matches!(piece, PartBytes::Chunk { .. }).then_some(piece),
        // Nothing comes at all.
        |_, _| None,
    ];
    for damage in losses {
        let dir = tempfile::tempdir().unwrap();
        let (stored, _) = write(place(&dir, 64 << 20), std::slice::from_ref(&batch), 1);
        let error = read_partition(&inputs(stored, damage), ReadSelection::All, &batch.schema()).unwrap_err();
        assert!(matches!(fetch_error(error), FetchError::Lost { .. }));
    }
}

#[test]
fn a_wrong_row_count_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let batch = rows(10);
    let (stored, _) = write(place(&dir, 1 << 20), std::slice::from_ref(&batch), 1);
    let wrong = inputs(stored, |_, piece| match piece {
        PartBytes::End { part, end } => Some(PartBytes::End { part, end: PartEnd { rows: end.rows + 1, ..end } }),
        chunk => Some(chunk),
    });
    let error = read_partition(&wrong, ReadSelection::All, &batch.schema()).unwrap_err();
    assert!(matches!(fetch_error(error), FetchError::Corrupt { .. }));
}

#[test]
fn a_dropped_writer_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let batch = rows(30_000);
    let small = place(&dir, 1000);
    let writer = OutputWriter::new(output_id(0), small.clone(), batch.schema(), 1);
    writer.push(&mut RowRouter::single(), batch).map_err(|_| "push").unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    drop(writer);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    assert_eq!(small.memory.used_bytes(), 0);
}

/// What happens to a part on its way.
type Damage = fn(SmallPart) -> SmallPart;

/// Serves the only partition of each output as a whole.
struct SmallOutputs {
    stored: BTreeMap<MapOutputId, StoredOutput>,
    damage: Damage,
}

impl std::fmt::Debug for SmallOutputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SmallOutputs")
    }
}

impl ShuffleSource for SmallOutputs {
    fn open(&self, parts: Vec<PartAt>) -> BoxStream<'static, Result<PartBytes, FetchError>> {
        let whole = |(part, at): (usize, &PartAt)| {
            let (bytes, entry) = self.stored[&at.at.output].small(at.partition, u64::MAX).unwrap();
            let end = PartEnd { bytes: entry.len, rows: entry.rows, crc32: entry.crc32 };
            (self.damage)(SmallPart { part, bytes, end })
        };
        let parts: Vec<SmallPart> = parts.iter().enumerate().map(whole).collect();
        stream::iter(parts.chunks(100).map(|parts| Ok(PartBytes::Small(parts.to_vec()))).collect::<Vec<_>>()).boxed()
    }
}

fn small_inputs(batches: &[RecordBatch], damage: Damage) -> TaskInputs {
    let dir = tempfile::tempdir().unwrap();
    let store = |(task, batch): (u32, &RecordBatch)| {
        let (stored, _) = write(place(&dir, 64 << 20), std::slice::from_ref(batch), 1);
        (output_id(task), stored)
    };
    let stored: BTreeMap<MapOutputId, StoredOutput> = (0..).zip(batches).map(store).collect();
    let at = |output: &MapOutputId| OutputAt { output: *output, worker: WorkerId(1), address: String::new() };
    TaskInputs {
        stages: BTreeMap::from([(0, stored.keys().map(at).collect())]),
        source: Arc::new(SmallOutputs { stored, damage }),
        sizes: BTreeMap::new(),
    }
}

#[test]
fn small_parts_come_back_together() {
    let all = rows(5000);
    // Dictionaries of their own, no rows at all, and more than fit one batch together.
    let parts: Vec<RecordBatch> = (0..500).map(|n| all.slice(n * 10, if n % 9 == 0 { 0 } else { 10 })).collect();
    let read = read_partition(&small_inputs(&parts, |part| part), ReadSelection::All, &all.schema()).unwrap();
    assert!(read.len() <= 2, "{} batches", read.len());
    let (expected, read) =
        (concat_batches(&all.schema(), &parts).unwrap(), concat_batches(&all.schema(), &read).unwrap());
    assert_eq!(read.num_rows(), expected.num_rows());
    for (read, expected) in read.columns().iter().zip(expected.columns()) {
        let printed = |array: &ArrayRef| {
            arrow::util::pretty::pretty_format_columns("", std::slice::from_ref(array)).unwrap().to_string()
        };
        assert_eq!(printed(read), printed(expected));
    }
}

#[test]
fn small_parts_may_have_schemas_of_their_own() {
    let named = |name: &str, from: i32| {
        RecordBatch::try_from_iter([(name, Arc::new(Int32Array::from_iter_values(from..from + 3)) as ArrayRef)])
            .unwrap()
    };
    let parts = [named("a", 0), named("b", 3), named("b", 6), named("a", 9)];
    let read = read_partition(&small_inputs(&parts, |part| part), ReadSelection::All, &parts[0].schema()).unwrap();
    assert_eq!(
        concat_batches(&parts[0].schema(), &read).unwrap(),
        RecordBatch::try_from_iter([("a", Arc::new(Int32Array::from_iter_values(0..12)) as ArrayRef)]).unwrap()
    );
}

#[test]
fn small_parts_without_any_bytes_of_rows_come_back() {
    let counted = |rows| {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap()
    };
    let nulls = |rows| RecordBatch::try_from_iter([("n", Arc::new(NullArray::new(rows)) as ArrayRef)]).unwrap();
    for parts in [[counted(3), counted(4)], [nulls(3), nulls(4)]] {
        let schema = parts[0].schema();
        let read = read_partition(&small_inputs(&parts, |part| part), ReadSelection::All, &schema).unwrap();
        assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>(), 7, "{schema}");
    }
}

#[test]
fn damage_to_a_small_part_is_found() {
    let parts: Vec<RecordBatch> = (0..20).map(|_| rows(7)).collect();
    let damages: [(Damage, bool); 4] = [
        (|part| if part.part == 9 { SmallPart { bytes: part.bytes.slice(..100), ..part } } else { part }, true),
        (
            |part| {
                if part.part == 9 {
                    SmallPart { end: PartEnd { crc32: part.end.crc32 ^ 1, ..part.end }, ..part }
                } else {
                    part
                }
            },
            false,
        ),
        (|part| if part.part == 9 { SmallPart { end: PartEnd { rows: 8, ..part.end }, ..part } } else { part }, false),
        (
            |part| {
                let bytes = part.bytes.slice(..part.bytes.len() - 8);
                let end = PartEnd { bytes: bytes.len() as u64, crc32: crc32fast::hash(&bytes), ..part.end };
                if part.part == 9 { SmallPart { bytes, end, ..part } } else { part }
            },
            false,
        ),
    ];
    for (nth, (damage, is_lost)) in damages.into_iter().enumerate() {
        let error = read_partition(&small_inputs(&parts, damage), ReadSelection::All, &parts[0].schema()).unwrap_err();
        match fetch_error(error) {
            FetchError::Lost { output, .. } => assert!(is_lost && output == output_id(9), "damage {nth}"),
            FetchError::Corrupt { output, .. } => assert!(!is_lost && output == output_id(9), "damage {nth}"),
            FetchError::Unreached { .. } => panic!("damage {nth}"),
        }
    }
}

/// Rows of every kind of column that can be stored row by row, with nulls.
fn plain_rows(count: i64) -> RecordBatch {
    let some = |n: i64| n % 3 != 0;
    let text = |n: i64| match n % 4 {
        0 => String::new(),
        1 => "inline".to_owned(),
        _ => format!("a text that is too long for a view's inline bytes {n}"),
    };
    let numbers = || (0..count).map(move |n| some(n).then_some(n * 1_000_003 - 500));
    let floats = [f64::NAN, -f64::NAN, -0.0, 0.0, f64::INFINITY, 1e-300];
    let texts = || (0..count).map(move |n| some(n).then(|| text(n)));
    let bytes = || texts().map(|text| text.map(String::into_bytes));
    let fixed = (0..count).map(|n| some(n).then(|| n.to_le_bytes()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(0..count)),
        Arc::new(numbers().collect::<Int64Array>()),
        Arc::new((0..count).map(|n| some(n).then_some(n as u8)).collect::<UInt8Array>()),
        Arc::new((0..count).map(|n| some(n).then_some(floats[n as usize % 6])).collect::<Float64Array>()),
        Arc::new((0..count).map(|n| some(n).then_some(n % 2 == 0)).collect::<BooleanArray>()),
        Arc::new(
            numbers().map(|n| n.map(i128::from)).collect::<Decimal128Array>().with_precision_and_scale(20, 3).unwrap(),
        ),
        Arc::new(numbers().collect::<TimestampMicrosecondArray>().with_timezone("+02:00")),
        Arc::new((0..count).map(|n| some(n).then_some(n as i32)).collect::<Date32Array>()),
        Arc::new(
            numbers()
                .map(|n| n.map(|n| IntervalMonthDayNano::new(n as i32, 2, n)))
                .collect::<IntervalMonthDayNanoArray>(),
        ),
        Arc::new(texts().collect::<StringArray>()),
        Arc::new(texts().collect::<LargeStringArray>()),
        Arc::new(texts().collect::<StringViewArray>()),
        Arc::new(bytes().collect::<BinaryArray>()),
        Arc::new(bytes().collect::<BinaryViewArray>()),
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(fixed, 8).unwrap()),
    ];
    RecordBatch::try_from_iter(columns.into_iter().enumerate().map(|(n, column)| (format!("c{n}"), column))).unwrap()
}

/// Whether the first partition with rows is stored row by row.
fn is_by_row(stored: &StoredOutput) -> bool {
    super::rows::are_rows(&stored.read_all().unwrap())
}

#[test]
fn parts_of_a_few_rows_are_stored_row_by_row_and_come_back() {
    const MANY: u32 = 50;
    let dir = tempfile::tempdir().unwrap();
    let batch = plain_rows(2_000);
    let pieces = [batch.slice(0, 3), batch.slice(3, 1_500), batch.slice(1_503, 497)];
    let place = |memory_bytes| OutputPlace { batching_bytes: 8 << 20, ..place(&dir, memory_bytes) };
    let (stored, spill_bytes) = write(place(64 << 20), &pieces, MANY);
    assert!(is_by_row(&stored) && stored.is_in_memory());
    assert_eq!((stored.rows(), spill_bytes), (2_000, 0));
    let (on_disk, spill_bytes) = write(place(0), &pieces, MANY);
    assert!(!on_disk.is_in_memory() && spill_bytes == stored.bytes());
    assert_eq!(on_disk.read_all().unwrap(), stored.read_all().unwrap());
    assert_eq!(on_disk.index(), stored.index());
    let demoted = stored.demoted(dir.path().join("demoted")).unwrap().unwrap();
    assert_eq!(demoted.read_all().unwrap(), stored.read_all().unwrap());
    for (partition, entry) in stored.index().iter().enumerate() {
        let (small, of_small) = stored.small(partition as u32, u64::MAX).unwrap();
        assert_eq!((small.len() as u64, of_small), (entry.len, *entry));
        assert_eq!(on_disk.read(partition as u32, 0, usize::MAX).unwrap(), small);
        assert_eq!(stored.small(partition as u32, entry.len.wrapping_sub(1)).is_some(), entry.len == 0);
    }
    for stored in [stored, on_disk, demoted] {
        assert_eq!(read_sorted(stored, &batch.schema()), batch);
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn many_rows_and_a_large_partition_are_stored_as_columns() {
    let dir = tempfile::tempdir().unwrap();
    let same_key = |count: i64| {
        let keys: ArrayRef =
            Arc::new(Int64Array::from_iter_values((0..count).map(|n| if n % 50 == 0 { n } else { 1 })));
        RecordBatch::try_from_iter([("k", keys)]).unwrap()
    };
    let by_row = |batch: &RecordBatch, partitions: u32| {
        let (stored, _) = write(place(&dir, 64 << 20), std::slice::from_ref(batch), partitions);
        assert_eq!(stored.rows(), batch.num_rows() as u64);
        let by_row = is_by_row(&stored);
        assert_eq!(read_sorted(stored, &batch.schema()).num_rows(), batch.num_rows());
        by_row
    };
    assert!(by_row(&same_key(4_000), 50));
    assert!(!by_row(&same_key(5_000), 50), "one partition has more than 4096 rows");
    let narrow = |count| plain_rows(count).project(&[0]).unwrap();
    assert!(by_row(&narrow(1_279), 10) && !by_row(&narrow(1_280), 10), "128 rows for each partition");
    assert!(by_row(&plain_rows(300), 10) && !by_row(&plain_rows(1_000), 10), "16 KiB for each partition");
    assert!(!by_row(&plain_rows(10), 1), "there is nothing to divide");
    assert!(!by_row(&rows(100), 10), "lists are not stored so");
}

#[test]
fn parts_stored_row_by_row_travel_together() {
    let dir = tempfile::tempdir().unwrap();
    let all = plain_rows(9_000);
    let parts: Vec<RecordBatch> = (0..450).map(|n| all.slice(n * 20, 20)).collect();
    let store = |(task, batch): (u32, &RecordBatch)| {
        (output_id(task), write(place(&dir, 64 << 20), std::slice::from_ref(batch), 2).0)
    };
    let stored: BTreeMap<MapOutputId, StoredOutput> = (0..).zip(&parts).map(store).collect();
    assert!(stored.values().all(is_by_row));
    let outputs: Vec<_> = stored.keys().copied().collect();
    let at = |output: &MapOutputId| OutputAt { output: *output, worker: WorkerId(1), address: String::new() };
    let mut inputs = TaskInputs {
        stages: BTreeMap::from([(0, outputs.iter().map(at).collect())]),
        source: Arc::new(SmallOutputs { stored, damage: |part| part }),
        sizes: BTreeMap::new(),
    };
    let read =
        |inputs: &TaskInputs, partition| read_partition(inputs, ReadSelection::Partition(partition), &all.schema());
    let batches: Vec<RecordBatch> =
        [0, 1].into_iter().flat_map(|partition| read(&inputs, partition).unwrap()).collect();
    assert!(batches.len() <= 8, "{} batches", batches.len());
    let batches = concat_batches(&all.schema(), &batches).unwrap();
    let order = arrow::compute::sort_to_indices(batches.column(0), None, None).unwrap();
    assert_eq!(take_record_batch(&batches, &order).unwrap(), all);

    let damages: [Damage; 4] = [
        |part| if part.part == 9 { SmallPart { end: PartEnd { crc32: 7, ..part.end }, ..part } } else { part },
        |part| {
            if part.part == 9 {
                SmallPart { end: PartEnd { rows: part.end.rows + 1, ..part.end }, ..part }
            } else {
                part
            }
        },
        |part| if part.part == 9 { SmallPart { end: PartEnd { rows: u64::MAX, ..part.end }, ..part } } else { part },
        |part| {
            let bytes = part.bytes.slice(..part.bytes.len() - 1);
            let end = PartEnd { bytes: bytes.len() as u64, crc32: crc32fast::hash(&bytes), ..part.end };
            if part.part == 9 { SmallPart { bytes, end, ..part } } else { part }
        },
    ];
    for (nth, damage) in damages.into_iter().enumerate() {
        let stored = (0..).zip(&parts).map(store).collect();
        inputs.source = Arc::new(SmallOutputs { stored, damage });
        let error = fetch_error(read(&inputs, 0).unwrap_err());
        assert!(matches!(error, FetchError::Corrupt { output, .. } if output == output_id(9)), "damage {nth}: {error}");
    }
    let others = Arc::new(Schema::new(vec![Field::new("c0", DataType::Int64, false)]));
    inputs.source = Arc::new(SmallOutputs { stored: (0..).zip(&parts).map(store).collect(), damage: |part| part });
    let error = fetch_error(read_partition(&inputs, ReadSelection::Partition(0), &others).unwrap_err());
    assert!(error.to_string().contains("rows of other columns"), "{error}");
}
