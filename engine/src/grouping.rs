//! Rows put in the order of the parts they belong to.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;

/// The rows of `batch` by part, those of one part in their order, each with the number of its part; parts without rows
/// are left out. `parts` gives the part of each row, below `count`.
pub(crate) fn by_part(
    batch: &RecordBatch,
    parts: &[usize],
    count: usize,
) -> Result<Vec<(usize, RecordBatch)>, ArrowError> {
    let mut ends = vec![0; count];
    parts.iter().for_each(|&part| ends[part] += 1);
    if let Some(only) = ends.iter().position(|rows| *rows == parts.len()).filter(|_| !parts.is_empty()) {
        return Ok(vec![(only, batch.clone())]);
    }
    let mut next = vec![0; count];
    let mut sum = 0;
    for (end, next) in ends.iter_mut().zip(&mut next) {
        *next = sum;
        sum += *end;
        *end = sum;
    }
    let starts = next.clone();
    let mut order = vec![0; parts.len()];
    for (row, &part) in parts.iter().enumerate() {
        order[next[part]] = row as u32;
        next[part] += 1;
    }
    let ordered = take_record_batch(batch, &UInt32Array::from(order))?;
    let slice = |part: usize| (part, ordered.slice(starts[part], ends[part] - starts[part]));
    Ok((0..count).filter(|&part| ends[part] > starts[part]).map(slice).collect())
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
