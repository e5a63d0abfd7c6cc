//! Sends rows to partitions by the hash of their keys.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use datafusion::common::Result;
use datafusion::common::hash_utils::create_hashes;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::repartition::REPARTITION_RANDOM_STATE;

/// Rows go where DataFusion's own hash exchange would send them.
pub struct HashRouter {
    keys: Vec<Arc<dyn PhysicalExpr>>,
    partitions: u32,
    hashes: Vec<u64>,
    /// By row.
    numbers: Vec<u32>,
    /// By partition: its rows, and then where the next of them goes.
    places: Vec<u32>,
}

/// Rows in the order of their partitions.
pub struct Routed {
    pub rows: RecordBatch,
    /// Partitions that have rows, in order, with theirs.
    pub parts: Vec<(u32, Range<u32>)>,
}

impl Routed {
    /// The rows of each partition that has any. They share their memory.
    pub fn slices(&self) -> impl Iterator<Item = (usize, RecordBatch)> {
        let slice = |rows: &Range<u32>| self.rows.slice(rows.start as usize, rows.len());
        self.parts.iter().map(move |(partition, rows)| (*partition as usize, slice(rows)))
    }
}

impl HashRouter {
    pub fn new(keys: Vec<Arc<dyn PhysicalExpr>>, partitions: u32) -> HashRouter {
        let (hashes, numbers, places) = Default::default();
        HashRouter { keys, partitions: partitions.max(1), hashes, numbers, places }
    }

    pub fn route(&mut self, batch: &RecordBatch) -> Result<Routed> {
        let rows = batch.num_rows();
        let keys = self.keys.iter().map(|key| key.evaluate(batch)?.into_array(rows));
        let keys: Vec<ArrayRef> = keys.collect::<Result<_>>()?;
        self.hashes.clear();
        self.hashes.resize(rows, 0);
        create_hashes(&keys, REPARTITION_RANDOM_STATE.random_state(), &mut self.hashes)?;
        let partitions = u64::from(self.partitions);
        self.numbers.clear();
        self.numbers.extend(self.hashes.iter().map(|hash| (hash % partitions) as u32));
        self.places.clear();
        self.places.resize(self.partitions as usize, 0);
        self.numbers.iter().for_each(|number| self.places[*number as usize] += 1);
        let (mut parts, mut start) = (Vec::new(), 0);
        for (partition, place) in (0..).zip(&mut self.places) {
            let end = start + *place;
            *place = start;
            if end > start {
                parts.push((partition, start..end));
                start = end;
            }
        }
        if let [_] = parts.as_slice() {
            return Ok(Routed { rows: batch.clone(), parts });
        }
        let mut order = vec![0; rows];
        for (row, number) in (0..).zip(&self.numbers) {
            let place = &mut self.places[*number as usize];
            order[*place as usize] = row;
            *place += 1;
        }
        Ok(Routed { rows: take_record_batch(batch, &UInt32Array::from(order))?, parts })
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use datafusion::physical_expr::expressions::col;
    use datafusion::physical_plan::metrics::Time;
    use datafusion::physical_plan::repartition::BatchPartitioner;

    use super::*;

    #[test]
    fn rows_go_where_datafusion_sends_them() {
        let numbers = Int64Array::from_iter((0..1_000).map(|n| (n % 7 != 0).then_some(n % 50)));
        let texts = StringArray::from_iter_values((0..1_000).map(|n| format!("text {}", n % 3)));
        let batch = RecordBatch::try_from_iter([("n", Arc::new(numbers) as ArrayRef), ("t", Arc::new(texts) as _)]);
        let batch = batch.unwrap();
        let keys = vec![col("n", &batch.schema()).unwrap(), col("t", &batch.schema()).unwrap()];
        for (partitions, keys) in [(2, &keys[..]), (16, &keys[..1]), (100, &keys[..]), (1_000, &keys[..]), (3, &[])] {
            let mut theirs = BatchPartitioner::new_hash_partitioner(keys.to_vec(), partitions, Time::new()).unwrap();
            let theirs: Vec<_> = theirs.partition_iter(batch.clone()).unwrap().map(Result::unwrap).collect();
            let mut ours = HashRouter::new(keys.to_vec(), partitions as u32);
            for _ in 0..2 {
                assert_eq!(ours.route(&batch).unwrap().slices().collect::<Vec<_>>(), theirs, "{partitions}");
            }
        }
        let none = HashRouter::new(keys, 3).route(&batch.slice(0, 0)).unwrap();
        assert!(none.parts.is_empty() && none.rows.num_rows() == 0);
    }
}
