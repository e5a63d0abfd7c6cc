//! Rows as text, so that answers of different engines can be compared in any order.

use datafusion::arrow::array::{Array, Float32Array, Float64Array, RecordBatch};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// Every row of the batches, one text a cell.
pub fn cells(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    batches.iter().flat_map(batch_cells).collect()
}

/// Every row as one line, sorted.
pub fn sorted_lines(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines: Vec<String> = cells(batches).into_iter().map(|row| row.join("|")).collect();
    lines.sort_unstable();
    lines
}

fn batch_cells(batch: &RecordBatch) -> Vec<Vec<String>> {
    let columns: Vec<Vec<String>> = batch.columns().iter().map(|column| column_cells(column.as_ref())).collect();
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect()
}

fn column_cells(column: &dyn Array) -> Vec<String> {
    if let Some(floats) = column.as_any().downcast_ref::<Float64Array>() {
        return floats.iter().map(|value| value.map_or_else(|| "NULL".to_owned(), float_cell)).collect();
    }
    if let Some(floats) = column.as_any().downcast_ref::<Float32Array>() {
        return floats
            .iter()
            .map(|value| value.map_or_else(|| "NULL".to_owned(), |v| float_cell(f64::from(v))))
            .collect();
    }
    let options = FormatOptions::default().with_null("NULL");
    let formatter = ArrayFormatter::try_new(column, &options).expect("every Arrow type can be printed");
    (0..column.len()).map(|row| formatter.value(row).to_string()).map(named_empty).collect()
}

/// Floats are summed in another order on each engine: twelve significant digits are compared.
fn float_cell(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    let rounded: f64 = format!("{value:.11e}").parse().expect("a printed float parses");
    if rounded == 0.0 { "0".to_owned() } else { rounded.to_string() }
}

fn named_empty(text: String) -> String {
    if text.is_empty() { "(empty)".to_owned() } else { text }
}
