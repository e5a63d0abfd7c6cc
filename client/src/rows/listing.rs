//! Lists of things (jobs, workers, attempts): a table for people, lines of JSON or CSV for programs.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::record_batch::RecordBatch;
use serde_json::Value;

use super::{PrintError, RowFormat, RowPrinter};

/// Rows of JSON objects with the columns that people see.
#[derive(Debug)]
pub struct Listing {
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    objects: Vec<Value>,
}

impl Listing {
    pub fn new(columns: &[&'static str]) -> Listing {
        Listing { columns: columns.to_vec(), rows: Vec::new(), objects: Vec::new() }
    }

    /// `cells` are for people, in the order of the columns; `object` is the same and more for programs.
    pub fn push(&mut self, cells: Vec<String>, object: Value) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
        self.objects.push(object);
    }

    /// A row that only people see.
    pub fn push_row(&mut self, cells: Vec<String>) {
        self.push(cells, Value::Null);
    }

    pub fn print(&self, format: RowFormat, mut out: impl Write) -> Result<(), PrintError> {
        match format {
            RowFormat::Table => Ok(writeln!(out, "{}", self.table())?),
            RowFormat::Json => {
                self.objects.iter().try_for_each(|object| writeln!(out, "{object}"))?;
                Ok(())
            }
            RowFormat::Csv => self.csv(out),
        }
    }

    /// The table without a frame, for a narrow terminal.
    pub fn table(&self) -> String {
        let mut table = comfy_table::Table::new();
        table
            .load_preset(comfy_table::presets::NOTHING)
            .set_header(self.columns.iter().map(|name| name.to_uppercase()));
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        table.add_rows(&self.rows);
        table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    fn csv(&self, out: impl Write) -> Result<(), PrintError> {
        let column = |at: usize| StringArray::from_iter_values(self.rows.iter().map(|row| row[at].as_str()));
        let columns = self.columns.iter().enumerate().map(|(at, name)| (*name, Arc::new(column(at)) as ArrayRef));
        let batch = RecordBatch::try_from_iter(columns)?;
        let mut printer = RowPrinter::start(RowFormat::Csv, batch.schema(), out)?;
        printer.print(&batch)?;
        printer.finish()
    }
}
