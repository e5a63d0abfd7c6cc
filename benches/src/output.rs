//! What a statement has written: counts and sums that must be equal between engines, and the order of its rows.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use arrow::row::{OwnedRow, RowConverter, SortField};
use arrow::util::pretty::pretty_format_batches;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::prelude::ParquetReadOptions;
use windrow_engine::oracle;

pub struct Output {
    /// A query on the table `written` with one row.
    pub sums: &'static str,
    /// Columns that rows are ordered by, over all files in the order of their names.
    pub ordered_by: &'static [&'static str],
}

impl Output {
    /// # Errors
    /// If rows are out of order, or there are none.
    pub async fn describe(&self, folder: &Path) -> anyhow::Result<String> {
        let context = oracle::oracle_context(2);
        context.register_parquet("written", folder.to_string_lossy(), ParquetReadOptions::default()).await?;
        let sums = oracle::collect(&context, self.sums).await?;
        self.check_order(folder)?;
        Ok(pretty_format_batches(&sums)?.to_string())
    }

    fn check_order(&self, folder: &Path) -> anyhow::Result<()> {
        let mut last: Option<OwnedRow> = None;
        for file in if self.ordered_by.is_empty() { Vec::new() } else { files(folder)? } {
            let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&file)?)?;
            let mask = ProjectionMask::columns(builder.parquet_schema(), self.ordered_by.iter().copied());
            for batch in builder.with_projection(mask).with_batch_size(65_536).build()? {
                let batch = batch?;
                let columns = self.ordered_by.iter().map(|name| batch.column_by_name(name).cloned().context(*name));
                let columns = columns.collect::<anyhow::Result<Vec<_>>>()?;
                let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
                let rows = RowConverter::new(fields)?.convert_columns(&columns)?;
                for row in 0..rows.num_rows() {
                    let before = if row > 0 { Some(rows.row(row - 1)) } else { last.as_ref().map(OwnedRow::row) };
                    if before.is_some_and(|before| before.as_ref() > rows.row(row).as_ref()) {
                        bail!("`{}` is not in order", file.display());
                    }
                }
                if rows.num_rows() > 0 {
                    last = Some(rows.row(rows.num_rows() - 1).owned());
                }
            }
        }
        Ok(())
    }
}

/// Files by their whole paths, in order.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
