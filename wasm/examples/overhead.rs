//! What a call into a module costs beside the same function in Rust: `cargo run --release -p windrow-wasm --example overhead`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray, StringBuilder};
use windrow_wasm::{Grants, Instance, Limits, Module};

/// Rows of a batch, as the engine has them.
const ROWS: usize = 8192;

/// Rounds of both, one after the other, of which the median is shown.
const ROUNDS: usize = 31;

/// Calls in a round.
const CALLS: usize = 20;

type Native = fn(&RecordBatch) -> ArrayRef;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bytes = wat::parse_str(include_str!("../../examples/wasm/functions.wat"))?;
    let loaded = Instant::now();
    let module = Module::load(&bytes, Grants::default())?;
    println!("compiling: {:.1} ms", loaded.elapsed().as_secs_f64() * 1e3);
    println!("starting an instance: {:.1} µs", 1e6 * median(|| drop(black_box(module.start(Limits::default())))));
    let mut instance = module.start(Limits::default())?;
    let cases: [(&str, RecordBatch, Native); 2] = [("plus_tax", prices()?, plus_tax), ("slug", titles()?, slug)];
    println!("{:<10} {:>6} {:>12} {:>12} {:>8}", "function", "rows", "module ns", "native ns", "ratio");
    for (function, rows, native) in &cases {
        for count in [1, 64, ROWS] {
            show(&mut instance, function, &rows.slice(0, count), *native)?;
        }
    }
    Ok(())
}

/// Nanoseconds per row of both, for one size of batches.
fn show(
    instance: &mut Instance,
    function: &str,
    rows: &RecordBatch,
    native: Native,
) -> Result<(), Box<dyn std::error::Error>> {
    assert_eq!(instance.call(function, rows)?[0].column(0), &native(rows));
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        inside.push(seconds(|| drop(black_box(instance.call(function, black_box(rows))))));
        outside.push(seconds(|| drop(black_box(native(black_box(rows))))));
    }
    let per_row = |times: &mut [f64]| middle(times) * 1e9 / rows.num_rows() as f64;
    let (inside, outside) = (per_row(&mut inside), per_row(&mut outside));
    println!("{function:<10} {:>6} {inside:>12.2} {outside:>12.2} {:>8.2}", rows.num_rows(), inside / outside);
    Ok(())
}

fn seconds(mut act: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..CALLS).for_each(|_| act());
    start.elapsed().as_secs_f64() / CALLS as f64
}

fn median(mut act: impl FnMut()) -> f64 {
    middle(&mut (0..ROUNDS).map(|_| seconds(&mut act)).collect::<Vec<_>>())
}

fn middle(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn prices() -> Result<RecordBatch, arrow::error::ArrowError> {
    let prices = Float64Array::from_iter_values((0..ROWS).map(|row| row as f64 * 0.37));
    let rates = Float64Array::from_iter_values((0..ROWS).map(|row| (row % 25) as f64 / 100.0));
    RecordBatch::try_from_iter([("price", Arc::new(prices) as ArrayRef), ("rate", Arc::new(rates))])
}

fn titles() -> Result<RecordBatch, arrow::error::ArrowError> {
    let titles = (0..ROWS).map(|row| format!("The {row}th Title, of {} -- and More!", row * 31));
    RecordBatch::try_from_iter([("text", Arc::new(StringArray::from_iter_values(titles)) as ArrayRef)])
}

fn plus_tax(rows: &RecordBatch) -> ArrayRef {
    let column = |index: usize| rows.column(index).as_any().downcast_ref::<Float64Array>().expect("made by `prices`");
    let totals = arrow::compute::binary(column(0), column(1), |price, rate| price * (1.0 + rate));
    Arc::new(totals.expect("columns of a batch are of one length") as Float64Array)
}

fn slug(rows: &RecordBatch) -> ArrayRef {
    let titles = rows.column(0).as_any().downcast_ref::<StringArray>().expect("made by `titles`");
    let mut slugs = StringBuilder::with_capacity(titles.len(), titles.value_data().len());
    let mut slug = String::new();
    for title in titles {
        slug.clear();
        push_slug(&mut slug, title.unwrap_or_default());
        slugs.append_option(title.map(|_| &slug));
    }
    Arc::new(slugs.finish())
}

fn push_slug(slug: &mut String, title: &str) {
    let mut in_run = false;
    for byte in title.bytes() {
        let is_kept = byte.is_ascii_alphanumeric();
        match is_kept {
            true => slug.push(byte.to_ascii_lowercase().into()),
            false if in_run => {}
            false => slug.push('-'),
        }
        in_run = !is_kept;
    }
}
