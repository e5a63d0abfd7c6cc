//! Prints rows as they come: a table for people, lines of JSON or CSV for programs.

mod listing;
mod table;

use std::io::{self, Write};

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::json::writer::LineDelimited;
use arrow::record_batch::RecordBatch;
use windrow_model::{ErrorKind, ErrorReport};

pub use listing::Listing;
use table::TablePrinter;

/// How rows are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowFormat {
    #[default]
    Table,
    /// One JSON object a line.
    Json,
    /// With a header line.
    Csv,
}

/// Why printing stopped.
#[derive(Debug)]
pub enum PrintError {
    /// The reader of the output has gone, as `head` does when it has enough. Nothing is wrong.
    Closed,
    Report(ErrorReport),
}

impl From<ErrorReport> for PrintError {
    fn from(report: ErrorReport) -> Self {
        PrintError::Report(report)
    }
}

impl From<io::Error> for PrintError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return PrintError::Closed;
        }
        let kind = match error.kind() {
            io::ErrorKind::StorageFull => ErrorKind::Exhausted,
            _ => ErrorKind::Unavailable,
        };
        PrintError::Report(ErrorReport::new(kind, "cannot write the rows to the output").with_detail(error.to_string()))
    }
}

impl From<ArrowError> for PrintError {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, error) => error.into(),
            error => PrintError::Report(
                ErrorReport::new(ErrorKind::Unsupported, "rows of this type cannot be printed in the chosen form")
                    .with_detail(error.to_string())
                    .with_hint("--output json prints nested values; CAST prints the others as text"),
            ),
        }
    }
}

/// Prints the batches of one result. `finish` must be called: it prints what is still held back.
pub struct RowPrinter<W: Write>(Form<W>);

enum Form<W: Write> {
    Table(TablePrinter<W>),
    Json(arrow::json::Writer<W, LineDelimited>),
    Csv(Box<arrow::csv::Writer<W>>),
}

impl<W: Write> RowPrinter<W> {
    /// Starts a result; prints the header if there is one.
    pub fn start(format: RowFormat, schema: SchemaRef, mut out: W) -> Result<RowPrinter<W>, PrintError> {
        Ok(RowPrinter(match format {
            RowFormat::Table => Form::Table(TablePrinter::new(schema, out)),
            RowFormat::Json => Form::Json(arrow::json::WriterBuilder::new().with_explicit_nulls(true).build(out)),
            RowFormat::Csv => {
                // The header is written here so that an empty result has one too.
                let header = RecordBatch::new_empty(schema);
                arrow::csv::WriterBuilder::new().with_header(true).build(&mut out).write(&header)?;
                Form::Csv(Box::new(arrow::csv::WriterBuilder::new().with_header(false).build(out)))
            }
        }))
    }

    pub fn print(&mut self, batch: &RecordBatch) -> Result<(), PrintError> {
        match &mut self.0 {
            Form::Table(table) => table.print(batch),
            Form::Json(json) => Ok(json.write(batch)?),
            Form::Csv(csv) => Ok(csv.write(batch)?),
        }
    }

    pub fn finish(self) -> Result<(), PrintError> {
        match self.0 {
            Form::Table(table) => table.finish(),
            Form::Json(mut json) => {
                json.finish()?;
                Ok(json.into_inner().flush()?)
            }
            Form::Csv(csv) => Ok(csv.into_inner().flush()?),
        }
    }
}

#[cfg(test)]
mod tests;
