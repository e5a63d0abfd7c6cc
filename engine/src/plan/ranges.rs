//! A table that is written in an order is sorted range by range, in as many tasks as there are ranges.
//!
//! DataFusion sorts every partition and merges them in one place. Where what is sorted comes from files, a sample of it
//! gives split points, rows are exchanged by them, and each task sorts and writes one range: the files of a task follow
//! those of the task before. What the sample gets wrong makes ranges uneven, never rows out of order.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{SortColumn, concat, lexsort_to_indices};
use datafusion::common::{Result, ScalarValue, SplitPoint};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::listing::{FileRange, PartitionedFile};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::SessionState;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr, RangePartitioning};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning, replace_children_if_necessary};
use futures::StreamExt;

use super::scans::{file_bytes, file_scan, partition_count};
use crate::shuffle::RangeRouter;

/// Places in the files where rows are looked at.
const PLACES: u64 = 24;
/// Rows at each of them, at most.
const ROWS_PER_PLACE: usize = 1024;
/// Bytes of a file that are read for one place, at most. A row group begins in them unless it is larger.
const BYTES_PER_PLACE: i64 = 256 << 20;
/// How long planning may take for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Sampled rows for each range, at least: with fewer, ranges would be too uneven.
const ROWS_PER_RANGE_MIN: usize = 16;

/// `plan` with its rows sorted in at most `partitions` ranges, or as it was, if it is not a merge of sorted files.
pub async fn in_ranges(
    plan: Arc<dyn ExecutionPlan>,
    partitions: usize,
    session: &SessionState,
) -> Result<Arc<dyn ExecutionPlan>> {
    let Some((ordering, input)) = merged(&plan) else { return Ok(plan) };
    let Some(sampled) = at_places(&input)? else { return Ok(plan) };
    let ranges = async {
        let keys = keys(&sampled, &ordering, session).await?;
        let points = split_points(&keys, &ordering, partitions)?;
        let ranges = RangePartitioning::try_new(ordering.clone(), points)?;
        // Not every type that can be sorted can be compared in this way.
        RangeRouter::new(&ranges, &input.schema()).map(|_| ranges)
    };
    // A table whose rows are hard to find is not sampled, and whatever cannot be read now is not there for the job,
    // either, which says so better.
    let ranges = match tokio::time::timeout(PATIENCE, ranges).await {
        Ok(Ok(ranges)) if !ranges.split_points().is_empty() => ranges,
        _ => return Ok(plan),
    };
    let divided = RepartitionExec::try_new(input, Partitioning::Range(ranges))?;
    Ok(Arc::new(SortExec::new(ordering, Arc::new(divided)).with_preserve_partitioning(true)))
}

/// The order and the unsorted input of a merge of sorted partitions.
fn merged(plan: &Arc<dyn ExecutionPlan>) -> Option<(LexOrdering, Arc<dyn ExecutionPlan>)> {
    let merge = plan.downcast_ref::<SortPreservingMergeExec>().filter(|merge| merge.fetch().is_none())?;
    let sort = merge.input().downcast_ref::<SortExec>().filter(|sort| sort.fetch().is_none())?;
    let schema = sort.input().schema();
    // Nested values are not always compared as they are sorted, and dice give another key each time.
    let plain = |key: &PhysicalSortExpr| {
        !is_volatile(&key.expr) && key.expr.data_type(&schema).is_ok_and(|kind| !kind.is_nested())
    };
    sort.expr().iter().all(plain).then_some(())?;
    Some((sort.expr().clone(), Arc::clone(sort.input())))
}

/// `plan`, which must do no more than read, filter and project files, over some places in its files; each is a
/// partition.
fn at_places(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(scan) = file_scan(plan) {
        return Ok(scan_at_places(scan));
    }
    let [input] = plan.children()[..] else { return Ok(None) };
    if !plan.is::<FilterExec>() && !plan.is::<ProjectionExec>() && !plan.is::<RepartitionExec>() {
        return Ok(None);
    }
    match at_places(input)? {
        Some(input) if plan.is::<RepartitionExec>() => Ok(Some(input)),
        Some(input) => replace_children_if_necessary(Arc::clone(plan), vec![input]).map(Some),
        None => Ok(None),
    }
}

fn scan_at_places(scan: &FileScanConfig) -> Option<Arc<dyn ExecutionPlan>> {
    if scan.limit.is_some() || scan.file_compression_type != FileCompressionType::UNCOMPRESSED {
        return None;
    }
    let files: Vec<&PartitionedFile> = scan.file_groups.iter().flat_map(FileGroup::iter).collect();
    let groups = places(&files).into_iter().map(|file| FileGroup::new(vec![file])).collect();
    Some(DataSourceExec::from_data_source(FileScanConfigBuilder::from(scan.clone()).with_file_groups(groups).build()))
}

/// Places at equal distances over all bytes. A file with one place at most is read from its start, because a Parquet
/// file of one row group has nothing that begins later.
fn places(files: &[&PartitionedFile]) -> Vec<PartitionedFile> {
    let total: u64 = files.iter().map(|file| file_bytes(file)).sum();
    let step = (total / PLACES).max(1);
    let (mut begins, mut next, mut places) = (0, step / 2, Vec::new());
    for file in files {
        let (bytes, mut first) = (file_bytes(file), true);
        let (start, end) = match &file.range {
            Some(range) => (range.start, range.end),
            None => (0, i64::try_from(bytes).unwrap_or(i64::MAX)),
        };
        while next < begins + bytes {
            let within = if first { 0 } else { i64::try_from(next - begins).unwrap_or(0) };
            let mut place = (*file).clone();
            let start = start + within;
            place.range = Some(FileRange { start, end: end.min(start.saturating_add(BYTES_PER_PLACE)) });
            places.push(place);
            first = false;
            next += step;
        }
        begins += bytes;
    }
    places
}

/// The keys of the first rows of each partition of `plan`, column by column.
async fn keys(plan: &Arc<dyn ExecutionPlan>, order: &LexOrdering, session: &SessionState) -> Result<Vec<ArrayRef>> {
    let mut columns: Vec<Vec<ArrayRef>> = vec![Vec::new(); order.len()];
    for partition in 0..partition_count(plan) {
        let mut rows = plan.execute(partition, session.task_ctx())?;
        let mut wanted = ROWS_PER_PLACE;
        while let Some(batch) = rows.next().await {
            let batch: RecordBatch = batch?;
            let batch = batch.slice(0, batch.num_rows().min(wanted));
            for (column, key) in columns.iter_mut().zip(order) {
                column.push(key.expr.evaluate(&batch)?.into_array(batch.num_rows())?);
            }
            wanted -= batch.num_rows();
            if wanted == 0 {
                break;
            }
        }
    }
    let joined = columns.iter().map(|parts| concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>()));
    Ok(joined.collect::<Result<_, _>>()?)
}

/// Keys that divide the sorted sample evenly; equal ones count once.
fn split_points(keys: &[ArrayRef], order: &LexOrdering, partitions: usize) -> Result<Vec<SplitPoint>> {
    let rows = keys.first().map_or(0, |column| column.len());
    let ranges = partitions.min(rows / ROWS_PER_RANGE_MIN);
    let columns: Vec<SortColumn> = keys
        .iter()
        .zip(order)
        .map(|(values, key)| SortColumn { values: Arc::clone(values), options: Some(key.options) })
        .collect();
    let sorted = lexsort_to_indices(&columns, None)?;
    let mut points: Vec<Vec<ScalarValue>> = Vec::new();
    for nth in 1..ranges {
        let row = sorted.value(nth * rows / ranges) as usize;
        let point = keys.iter().map(|column| ScalarValue::try_from_array(column, row)).collect::<Result<_>>()?;
        if points.last() != Some(&point) {
            points.push(point);
        }
    }
    Ok(points.into_iter().map(SplitPoint::new).collect())
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::compute::SortOptions;
    use datafusion::datasource::MemTable;
    use datafusion::physical_expr::expressions::Column;

    use super::*;

    fn order(options: SortOptions) -> LexOrdering {
        let key = |name, index| PhysicalSortExpr::new(Arc::new(Column::new(name, index)), options);
        LexOrdering::new([key("a", 0), key("b", 1)]).unwrap()
    }

    async fn is_merged(order: &str) -> bool {
        let context = crate::oracle::oracle_context(2);
        let rows = context.sql("SELECT column1 AS a, make_array(column1) AS b FROM (VALUES (1), (2))").await.unwrap();
        let batches = rows.collect().await.unwrap();
        let table = MemTable::try_new(batches[0].schema(), vec![batches.clone(), batches]).unwrap();
        context.register_table("t", Arc::new(table)).unwrap();
        let sql = format!("SELECT * FROM t ORDER BY {order}");
        let plan = context.sql(&sql).await.unwrap().create_physical_plan().await.unwrap();
        assert!(plan.is::<SortPreservingMergeExec>(), "{order}");
        merged(&plan).is_some()
    }

    #[tokio::test]
    async fn dice_and_nested_keys_are_merged_as_ever() {
        assert!(is_merged("a").await && is_merged("a % 2 DESC, a").await);
        assert!(!is_merged("a + random()").await && !is_merged("b").await && !is_merged("a, b").await);
    }

    #[test]
    fn split_points_divide_the_sample_evenly_and_are_not_repeated() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..1000).rev()));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; 1000]));
        let points = split_points(&[numbers, Arc::clone(&texts)], &order(SortOptions::default()), 4).unwrap();
        let first = |point: &SplitPoint| point.values()[0].clone();
        assert_eq!(points.iter().map(first).collect::<Vec<_>>(), [250, 500, 750].map(|n| ScalarValue::Int64(Some(n))));
        let descending = SortOptions { descending: true, nulls_first: true };
        let ones: ArrayRef = Arc::new(Int64Array::from(vec![1; 1000]));
        let points = split_points(&[ones, texts], &order(descending), 4).unwrap();
        assert_eq!(points.len(), 1);
        assert!(split_points(&[Arc::new(Int64Array::from(vec![1; 3]))], &order(descending), 4).unwrap().is_empty());
    }

    #[test]
    fn places_are_spread_over_all_bytes() {
        let file = |bytes| PartitionedFile::new("f", bytes);
        let (small, large) = (file(10), file(990_000));
        let places: Vec<FileRange> =
            places(&[&small, &large, &small]).into_iter().map(|place| place.range.unwrap()).collect();
        assert_eq!(places.len() as u64, PLACES);
        assert_eq!((places[0].start, places[0].end), (0, 990_000));
        assert!(places.windows(2).all(|pair| pair[0].start < pair[1].start));
        assert_eq!(super::places(&[]).len(), 0);
    }
}
