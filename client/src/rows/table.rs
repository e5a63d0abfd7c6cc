//! A table whose column widths are fixed by its first rows, so that any number of rows can follow.

use std::io::Write;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::PrintError;

/// Rows that are looked at before the widths are fixed; smaller results are always aligned.
const ROWS_MEASURED: usize = 2_000;
/// A longer value is printed whole but does not widen its column, once the widths are fixed.
const WIDTH_MAX: usize = 120;

pub(super) struct TablePrinter<W> {
    out: W,
    names: Vec<String>,
    right: Vec<bool>,
    held: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
}

impl<W: Write> TablePrinter<W> {
    pub fn new(schema: SchemaRef, out: W) -> Self {
        let names = schema.fields().iter().map(|field| one_line(field.name())).collect();
        let right = schema.fields().iter().map(|field| is_number(field.data_type())).collect();
        TablePrinter { out, names, right, held: Vec::new(), widths: None }
    }

    pub fn print(&mut self, batch: &RecordBatch) -> Result<(), PrintError> {
        let options = FormatOptions::default().with_null("NULL");
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let columns: Vec<ArrayFormatter<'_>> = columns.collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| Ok(one_line(&column.value(row).try_to_string()?)));
            self.row(cells.collect::<Result<_, PrintError>>()?)?;
        }
        Ok(())
    }

    fn row(&mut self, cells: Vec<String>) -> Result<(), PrintError> {
        match &self.widths {
            Some(widths) => write_row(&mut self.out, widths, &self.right, &cells),
            None => {
                self.held.push(cells);
                if self.held.len() == ROWS_MEASURED { self.fix_widths(WIDTH_MAX) } else { Ok(()) }
            }
        }
    }

    /// Prints the head and the rows held back.
    fn fix_widths(&mut self, width_max: usize) -> Result<(), PrintError> {
        let mut widths: Vec<usize> = self.names.iter().map(|name| width(name)).collect();
        for row in &self.held {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(cell).min(width_max));
            }
        }
        write_rule(&mut self.out, &widths)?;
        write_row(&mut self.out, &widths, &vec![false; widths.len()], &self.names)?;
        write_rule(&mut self.out, &widths)?;
        for row in std::mem::take(&mut self.held) {
            write_row(&mut self.out, &widths, &self.right, &row)?;
        }
        self.widths = Some(widths);
        Ok(())
    }

    pub fn finish(mut self) -> Result<(), PrintError> {
        if self.widths.is_none() {
            self.fix_widths(usize::MAX)?;
        }
        if let Some(widths) = &self.widths {
            write_rule(&mut self.out, widths)?;
        }
        Ok(self.out.flush()?)
    }
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// A row is a line: control characters are shown, not obeyed.
fn one_line(text: &str) -> String {
    if !text.contains(|c: char| c.is_control()) {
        return text.to_owned();
    }
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

fn write_rule(out: &mut impl Write, widths: &[usize]) -> Result<(), PrintError> {
    for width in widths {
        write!(out, "+{}", "-".repeat(width + 2))?;
    }
    Ok(writeln!(out, "+")?)
}

fn write_row(out: &mut impl Write, widths: &[usize], right: &[bool], cells: &[String]) -> Result<(), PrintError> {
    for ((wanted, right), cell) in widths.iter().zip(right).zip(cells) {
        let pad = " ".repeat(wanted.saturating_sub(width(cell)));
        if *right { write!(out, "| {pad}{cell} ")? } else { write!(out, "| {cell}{pad} ")? }
    }
    Ok(writeln!(out, "|")?)
}
