//! The eight tables of TPC-H.

use arrow::record_batch::RecordBatch;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow, SupplierArrow,
};

use super::PlannedFile;

/// Rows per generated batch.
const BATCH_ROWS: usize = 8192;

/// A folder per table; the large tables in `parts` files, nation and region in one.
pub(super) fn plan(scale: f64, parts: u32) -> Vec<PlannedFile> {
    // Beyond i32 the generator has no parts; the caller's limit lies far below.
    let count = i32::try_from(parts).unwrap_or(i32::MAX);
    let mut files = Vec::new();
    macro_rules! table {
        ($name:literal, $count:expr, $arrow:ident, $generator:ident) => {
            for part in 1..=$count {
                let rows = move || {
                    batches(
                        $arrow::new($generator::new(scale, part, $count)).with_batch_size(BATCH_ROWS),
                        $arrow::schema_ref(),
                    )
                };
                files.push(PlannedFile { path: file_path($name, part), rows: Box::new(rows) });
            }
        };
    }
    // The largest first, so that no thread is left alone with them at the end.
    table!("lineitem", count, LineItemArrow, LineItemGenerator);
    table!("orders", count, OrderArrow, OrderGenerator);
    table!("partsupp", count, PartSuppArrow, PartSuppGenerator);
    table!("customer", count, CustomerArrow, CustomerGenerator);
    table!("part", count, PartArrow, PartGenerator);
    table!("supplier", count, SupplierArrow, SupplierGenerator);
    table!("nation", 1, NationArrow, NationGenerator);
    table!("region", 1, RegionArrow, RegionGenerator);
    files
}

fn file_path(table: &str, part: i32) -> String {
    format!("{table}/part-{:04}.parquet", part - 1)
}

type Batches = Box<dyn Iterator<Item = RecordBatch>>;

/// An empty part still makes a file with the table's schema.
fn batches(
    generator: impl Iterator<Item = Result<RecordBatch, arrow::error::ArrowError>> + 'static,
    schema: arrow::datatypes::SchemaRef,
) -> Batches {
    let rows = generator.map(|batch| batch.expect("the generator builds its columns to its own schema"));
    Box::new(std::iter::once(RecordBatch::new_empty(schema)).chain(rows))
}
