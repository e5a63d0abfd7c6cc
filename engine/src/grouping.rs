//! Rows put in the order of the parts they belong to.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;

/// The rows of `batch` by part, those of one part in their order, each with the number of its part; parts without rows
/// are left out. `parts` gives the part of each row, below `count`. Parts share no memory: one that waits for more rows
/// does not keep the others.
pub(crate) fn by_part(
    batch: &RecordBatch,
    parts: &[usize],
    count: usize,
) -> Result<Vec<(usize, RecordBatch)>, ArrowError> {
    let mut rows: Vec<Vec<u32>> = vec![Vec::new(); count];
    for (row, &part) in parts.iter().enumerate() {
        rows[part].push(row as u32);
    }
    let of_part = |(part, rows): (usize, Vec<u32>)| match rows.len() {
        0 => None,
        all if all == parts.len() => Some(Ok((part, batch.clone()))),
        _ => Some(take_record_batch(batch, &UInt32Array::from(rows)).map(|taken| (part, taken))),
    };
    rows.into_iter().enumerate().filter_map(of_part).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn grouped(parts: &[usize], count: usize) -> Vec<(usize, Vec<i64>)> {
        let rows = Int64Array::from_iter_values(0..parts.len() as i64);
        let batch = RecordBatch::try_from_iter([("n", Arc::new(rows) as _)]).unwrap();
        let grouped = by_part(&batch, parts, count).unwrap().into_iter();
        grouped.map(|(part, rows)| (part, rows.column(0).as_primitive::<Int64Type>().values().to_vec())).collect()
    }

    #[test]
    fn rows_keep_their_order_within_a_part() {
        assert_eq!(grouped(&[2, 0, 2, 3, 0], 5), [(0, vec![1, 4]), (2, vec![0, 2]), (3, vec![3])]);
        assert_eq!(grouped(&[1, 1], 2), [(1, vec![0, 1])]);
        assert_eq!(grouped(&[], 2), []);
    }
}
