//! Divides rows by a hash of their keys into files.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::BatchCoalescer;
use datafusion::common::Result;
use datafusion::execution::spill_file::SpillFile;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::SpillManager;
use datafusion::physical_plan::metrics::Time;
use futures::{Stream, StreamExt};

use crate::grouping::by_part;
use crate::plan::key_filter::Hashes;

/// Parts that one division makes.
pub(super) const PARTS: usize = 16;

/// Batches in files, in rows: each part has one in memory while it is written.
const FILE_BATCH_ROWS: usize = 4096;

/// Odd numbers that mix a hash anew at each level: rows that came together at one are divided at the next.
/// The golden ratio and multiples of it, as fractions of 2^64.
const MIXERS: [u64; 4] = [0x9e37_79b9_7f4a_7c15, 0xdaa6_6d2c_7ddf_743f, 0x1715_609f_7c74_6c69, 0x5384_5412_7b09_6493];

/// Levels of division. Rows that are still together after all of them have the same key, or nearly.
pub(super) const LEVELS: usize = MIXERS.len();

/// The rows of one part; `None` if it has none.
pub(super) struct Divided {
    pub file: Option<Arc<dyn SpillFile>>,
    pub rows: usize,
}

/// Writes `rows` into one file for each part.
pub(super) async fn divide(
    mut rows: impl Stream<Item = Result<RecordBatch>> + Unpin,
    keys: &[Arc<dyn PhysicalExpr>],
    level: usize,
    spill: &SpillManager,
    computing: &Time,
) -> Result<Vec<Divided>> {
    let mut hashes = Hashes::new(keys);
    let mut files = Vec::with_capacity(PARTS);
    for _ in 0..PARTS {
        let file = spill.create_in_progress_file("a part of a join")?;
        files.push((file, BatchCoalescer::new(Arc::clone(spill.schema()), FILE_BATCH_ROWS), 0));
    }
    let mut put = |batch: &RecordBatch| -> Result<()> {
        let parts: Vec<usize> = hashes.of(batch)?.iter().map(|hash| part_of(*hash, level)).collect();
        for (part, of_part) in by_part(batch, &parts, PARTS)? {
            let (file, waiting, rows) = &mut files[part];
            *rows += of_part.num_rows();
            waiting.push_batch(of_part)?;
            while let Some(full) = waiting.next_completed_batch() {
                file.append_batch(&full)?;
            }
        }
        Ok(())
    };
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        let _computing = computing.timer();
        put(&batch)?;
    }
    let mut divided = Vec::with_capacity(PARTS);
    for (mut file, mut waiting, rows) in files {
        waiting.finish_buffered_batch()?;
        while let Some(last) = waiting.next_completed_batch() {
            file.append_batch(&last)?;
        }
        divided.push(Divided { file: file.finish()?, rows });
    }
    Ok(divided)
}

fn part_of(hash: u64, level: usize) -> usize {
    // Folded, so that all bits take part: exchanges have divided by the hash already.
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(MIXERS[level % LEVELS]);
    ((u128::from(mixed) * PARTS as u128) >> 64) as usize
}
