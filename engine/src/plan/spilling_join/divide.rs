//! Divides rows by a hash of their keys into files.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{BatchCoalescer, take_record_batch};
use datafusion::common::Result;
use datafusion::execution::spill_file::SpillFile;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::SpillManager;
use datafusion::physical_plan::metrics::Time;
use futures::{Stream, StreamExt};

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
        let of = hashes.of(batch)?.iter().map(|hash| part_of(*hash, level));
        let (order, ends) = by_part(of);
        let ordered = take_record_batch(batch, &order)?;
        let mut start = 0;
        for ((file, waiting, rows), end) in files.iter_mut().zip(ends) {
            if end > start {
                waiting.push_batch(ordered.slice(start, end - start))?;
                *rows += end - start;
            }
            while let Some(full) = waiting.next_completed_batch() {
                file.append_batch(&full)?;
            }
            start = end;
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

/// Indices of rows by part, and where each part ends among them.
fn by_part(parts: impl Iterator<Item = usize>) -> (UInt32Array, [usize; PARTS]) {
    let parts: Vec<usize> = parts.collect();
    let mut ends = [0; PARTS];
    parts.iter().for_each(|&part| ends[part] += 1);
    let mut next = [0; PARTS];
    let mut sum = 0;
    for (end, next) in ends.iter_mut().zip(&mut next) {
        *next = sum;
        sum += *end;
        *end = sum;
    }
    let mut order = vec![0; parts.len()];
    for (row, &part) in parts.iter().enumerate() {
        order[next[part]] = row as u32;
        next[part] += 1;
    }
    (UInt32Array::from(order), ends)
}
