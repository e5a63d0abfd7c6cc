//! Bad records, written aside with the reason: files that are committed with the output of their job.

use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use arrow::json::LineDelimitedWriter;
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};

use super::isolate::Bad;
use super::run::{CodeContext, CodeRun};
use crate::sink::{OutputTarget, StagedFile, StagingArea, WriteIdentity, unique_name};

/// The records of one partition of an attempt. Its file begins with the first one.
#[derive(Default)]
pub(super) struct Aside(Option<(StagedFile, u64)>);

impl Aside {
    pub async fn add(&mut self, run: &CodeRun, bad: &Bad) -> Result<()> {
        let line = line(run, bad)?;
        let (file, records) = match &mut self.0 {
            Some(open) => open,
            None => self.0.insert((create(run).await?, 0)),
        };
        file.write(line.into_bytes()).await?;
        *records += 1;
        Ok(())
    }

    pub async fn finish(self, context: &CodeContext) -> Result<()> {
        if let Some((file, records)) = self.0 {
            let (file, place) = file.finish(records).await?;
            context.log.push(file, place);
        }
        Ok(())
    }
}

async fn create(run: &CodeRun) -> Result<StagedFile> {
    let missing = || internal_datafusion_err!("{} has no place for bad records", run.code.table);
    let target: &OutputTarget = run.code.aside.as_deref().ok_or_else(missing)?;
    let area = StagingArea::open(target, &run.context.stores).map_err(external)?;
    let identity = WriteIdentity { task: run.context.task, attempt: run.context.attempt };
    // Two operators of one plan may be the same code.
    let number = run.context.bad.files.fetch_add(1, Ordering::Relaxed);
    let name = unique_name(target, identity, (run.partition, number), "json");
    area.create(&name, &name).await
}

/// The record is as Arrow writes it, digit by digit.
fn line(run: &CodeRun, bad: &Bad) -> Result<String> {
    let text = |text: &str| serde_json::to_string(text).map_err(external);
    let Bad { place, record, report } = bad;
    Ok(format!(
        "{{\"place\":{},\"record\":{},\"reason\":{},\"detail\":{},\"task\":{},\"attempt\":{}}}\n",
        text(place)?,
        json(record)?,
        text(&report.what)?,
        text(&report.detail)?,
        text(&run.context.task.to_string())?,
        text(&run.context.attempt.to_string())?,
    ))
}

fn json(record: &RecordBatch) -> Result<String> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write_batches(&[record])?;
    writer.finish()?;
    Ok(String::from_utf8_lossy(&writer.into_inner()).trim_end().to_owned())
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
