//! Splits a batch by the values of its partition columns.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use std::sync::Arc;
use windrow_model::ErrorReport;

use super::OutputTarget;
use crate::tables::hive;

/// Which columns become folders and which go into the files.
#[derive(Debug)]
pub struct RowSplit {
    folders: Vec<usize>,
    kept: Vec<usize>,
    names: Vec<String>,
    file_schema: SchemaRef,
}

impl RowSplit {
    /// Fails if a partition column is missing, given twice, of a type that has no text, or if no column is left.
    pub fn new(target: &OutputTarget, schema: &Schema) -> Result<RowSplit, ErrorReport> {
        let wrong = |what: String| ErrorReport::invalid(what).with_hint("check `partition_by` / PARTITIONED BY");
        let mut folders = Vec::new();
        for name in &target.partition_by {
            let at = schema.index_of(name).map_err(|_| {
                let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                wrong(format!("the partition column `{name}` is not in the output"))
                    .with_detail(format!("its columns are {}", names.join(", ")))
            })?;
            if folders.contains(&at) {
                return Err(wrong(format!("the partition column `{name}` is given twice")));
            }
            if schema.field(at).data_type().is_nested() {
                return Err(wrong(format!(
                    "the partition column `{name}` has the type {}, which is no folder name",
                    schema.field(at).data_type()
                )));
            }
            folders.push(at);
        }
        let kept: Vec<usize> = (0..schema.fields().len()).filter(|at| !folders.contains(at)).collect();
        if kept.is_empty() {
            return Err(wrong("every column of the output is a partition column: the files would be empty".into()));
        }
        let file_schema = Arc::new(schema.project(&kept).map_err(|error| ErrorReport::internal(error.to_string()))?);
        Ok(RowSplit { folders, kept, names: target.partition_by.clone(), file_schema })
    }

    /// Columns of the files.
    pub fn file_schema(&self) -> &SchemaRef {
        &self.file_schema
    }

    /// The folder for a file without rows: all partition values null, so that a reader still finds the columns.
    pub fn empty_folder(&self) -> String {
        self.folder(&vec![None; self.names.len()])
    }

    /// Parts of `batch` by folder (`a=1/b=2`, or empty without partition columns); row order is kept within each.
    pub fn split(&self, batch: &RecordBatch) -> Result<Vec<(String, RecordBatch)>> {
        if self.folders.is_empty() {
            return Ok(vec![(String::new(), batch.clone())]);
        }
        let texts = self.folders.iter().map(|at| as_text(batch.column(*at))).collect::<Result<Vec<ArrayRef>>>()?;
        let mut order: Vec<Vec<Option<&str>>> = Vec::new();
        let mut rows: HashMap<Vec<Option<&str>>, Vec<u32>> = HashMap::new();
        for row in 0..batch.num_rows() {
            let key: Vec<Option<&str>> = texts.iter().map(|text| text_at(text, row)).collect();
            let number = u32::try_from(row).map_err(|error| DataFusionError::External(Box::new(error)))?;
            match rows.get_mut(&key) {
                Some(rows) => rows.push(number),
                None => {
                    order.push(key.clone());
                    rows.insert(key, vec![number]);
                }
            }
        }
        let files = batch.project(&self.kept)?;
        let whole = order.len() == 1;
        let mut parts = Vec::with_capacity(order.len());
        for key in order {
            let numbers = rows.remove(&key).unwrap_or_default();
            let part = if whole { files.clone() } else { take_record_batch(&files, &UInt32Array::from(numbers))? };
            parts.push((self.folder(&key), part));
        }
        Ok(parts)
    }

    fn folder(&self, values: &[Option<&str>]) -> String {
        let names: Vec<String> =
            self.names.iter().zip(values).map(|(name, value)| hive::folder_name(name, *value)).collect();
        names.join("/")
    }
}

fn text_at(texts: &ArrayRef, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.as_string::<i32>().value(row))
}

fn as_text(values: &ArrayRef) -> Result<ArrayRef> {
    Ok(cast(values, &DataType::Utf8)?)
}
