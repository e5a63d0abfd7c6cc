//! Where the rows that a piece of code reads come from, for messages about one of them.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::projection::ProjectionExec;
use futures::TryStreamExt;
use parking_lot::Mutex;

use crate::plan::file_scan;

/// Of the rows of one partition.
pub struct Origin {
    input: Arc<dyn ExecutionPlan>,
    partition: usize,
    context: Arc<TaskContext>,
    /// Rows of its first files, as far as they were counted.
    counted: Mutex<Vec<u64>>,
}

impl Origin {
    pub fn new(input: Arc<dyn ExecutionPlan>, partition: usize, context: Arc<TaskContext>) -> Origin {
        Origin { input, partition, context, counted: Mutex::default() }
    }

    /// Row number `row`, counted from 0, in words that count from 1. Reads files again to count their rows, once each.
    pub async fn of(&self, row: u64) -> String {
        let of_partition = || format!("row {} of partition {}", row + 1, self.partition);
        let Some(scan) = scan_of(&self.input) else { return of_partition() };
        let Some(files) = scan.file_groups.get(self.partition) else { return of_partition() };
        self.in_files(scan, files, row).await.ok().flatten().unwrap_or_else(of_partition)
    }

    async fn in_files(&self, scan: &FileScanConfig, files: &FileGroup, mut row: u64) -> Result<Option<String>> {
        for (nth, file) in files.iter().enumerate() {
            // Rows that are beyond all others are in the last file.
            if nth + 1 == files.len() {
                return Ok(Some(place(scan, file, row)));
            }
            let known = self.counted.lock().get(nth).copied();
            let rows = match known {
                Some(rows) => rows,
                None => {
                    let rows = rows_of(scan, file, &self.context).await?;
                    self.counted.lock().push(rows);
                    rows
                }
            };
            if row < rows {
                return Ok(Some(place(scan, file, row)));
            }
            row -= rows;
        }
        Ok(None)
    }
}

/// A file scan whose rows `plan` passes on one by one.
fn scan_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    if let Some(scan) = file_scan(plan) {
        return Some(scan);
    }
    let passes = plan.is::<ProjectionExec>() || plan.is::<CooperativeExec>();
    plan.children().into_iter().next().filter(|_| passes).and_then(scan_of)
}

async fn rows_of(scan: &FileScanConfig, file: &PartitionedFile, context: &Arc<TaskContext>) -> Result<u64> {
    let groups = vec![FileGroup::new(vec![file.clone()])];
    let alone = FileScanConfigBuilder::from(scan.clone()).with_file_groups(groups).build();
    let mut batches = DataSourceExec::from_data_source(alone).execute(0, Arc::clone(context))?;
    let mut rows = 0;
    while let Some(batch) = batches.try_next().await? {
        rows += batch.num_rows() as u64;
    }
    Ok(rows)
}

fn place(scan: &FileScanConfig, file: &PartitionedFile, row: u64) -> String {
    let store = scan.object_store_url.as_str().trim_end_matches('/');
    let path = format!("{}/{}", store.strip_prefix("file:").unwrap_or(store), file.object_meta.location);
    let whole = file.object_meta.size;
    match &file.range {
        Some(range) if range.start > 0 || u64::try_from(range.end).unwrap_or(whole) < whole => {
            format!("row {} of `{path}` after byte {}", row + 1, range.start)
        }
        _ => format!("row {} of `{path}`", row + 1),
    }
}
