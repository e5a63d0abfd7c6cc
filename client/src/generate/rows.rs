//! Writes one Parquet file.

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::Ordering;

use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use windrow_model::{ErrorKind, ErrorReport};

use super::Progress;
use crate::errors;

/// Large enough for good compression, small enough that one file still splits between tasks.
const ROW_GROUP_ROWS: usize = 1 << 20;

/// Writes the batches and returns the bytes of the file, which is on disk when this returns.
pub(super) fn write_file(
    path: &Path,
    batches: impl Iterator<Item = RecordBatch>,
    progress: &Progress,
) -> Result<u64, ErrorReport> {
    let unwritable = |error: std::io::Error| errors::io("write", path, &error);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(unwritable)?;
    }
    let file = File::create_new(path).map_err(unwritable)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build();
    let mut batches = batches.peekable();
    let Some(schema) = batches.peek().map(RecordBatch::schema) else {
        return Err(ErrorReport::internal(format!("no rows were planned for `{}`", path.display())));
    };
    let failed = |error: ParquetError| parquet_failed(path, error);
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).map_err(failed)?;
    for batch in batches {
        if progress.stop.load(Ordering::Relaxed) {
            return Err(ErrorReport::new(ErrorKind::Cancelled, "the generator was stopped; nothing was left behind"));
        }
        writer.write(&batch).map_err(failed)?;
        progress.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
    }
    let file = writer.into_inner().map_err(failed)?;
    file.sync_all().map_err(unwritable)?;
    Ok(file.metadata().map_err(unwritable)?.len())
}

fn parquet_failed(path: &Path, error: ParquetError) -> ErrorReport {
    match error {
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(error) => errors::io("write", path, &error),
            Err(cause) => unexpected(path, &cause.to_string()),
        },
        error => unexpected(path, &error.to_string()),
    }
}

fn unexpected(path: &Path, detail: &str) -> ErrorReport {
    ErrorReport::new(ErrorKind::Internal, format!("cannot write `{}`", path.display())).with_detail(detail)
}
