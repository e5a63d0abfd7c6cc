//! Where the rows of an attempt's plan go: into a map output, or nowhere when the plan itself writes files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use windrow_model::{Failure, TaskId};

use super::TaskProgress;
use crate::errors;
use crate::plan::{OutputPartitioning, input_files};
use crate::shuffle::{OutputError, OutputWriter, RowRouter, StoredOutput};
use crate::tables::ReadTrouble;

/// Shared by the threads of one attempt.
pub struct RowsOut {
    kind: Kind,
    rows: AtomicU64,
    encode_ns: AtomicU64,
}

enum Kind {
    Stored { writer: Box<OutputWriter>, output: OutputPartitioning, schema: SchemaRef },
    Dropped,
}

/// What is left when all rows have gone out.
pub struct RowsEnded {
    /// Rows that were stored or dropped.
    pub rows: u64,
    pub stored: Option<StoredOutput>,
    pub spill_bytes: u64,
    /// Time spent partitioning, encoding and writing, in nanoseconds.
    pub encode_ns: u64,
}

impl RowsOut {
    pub fn stored(writer: OutputWriter, output: OutputPartitioning, schema: SchemaRef) -> Self {
        RowsOut::new(Kind::Stored { writer: Box::new(writer), output, schema })
    }

    /// Rows are counted and dropped: a plan that writes files emits none, `EXPLAIN ANALYZE` wants none.
    pub fn dropped() -> Self {
        RowsOut::new(Kind::Dropped)
    }

    fn new(kind: Kind) -> Self {
        RowsOut { kind, rows: AtomicU64::new(0), encode_ns: AtomicU64::new(0) }
    }

    fn router(&self) -> Result<RowRouter, OutputError> {
        Ok(match &self.kind {
            Kind::Stored { output: OutputPartitioning::Hash { exprs, partitions }, .. } => {
                RowRouter::hash(exprs, *partitions)
            }
            Kind::Stored { output: OutputPartitioning::Ranges(ranges), schema, .. } => {
                RowRouter::ranges(ranges, schema)?
            }
            Kind::Stored { .. } | Kind::Dropped => RowRouter::single(),
        })
    }

    fn push(&self, router: &mut RowRouter, batch: RecordBatch) -> Result<(), OutputError> {
        self.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        let started = Instant::now();
        let pushed = match &self.kind {
            Kind::Stored { writer, .. } => writer.push(router, batch),
            Kind::Dropped => Ok(()),
        };
        self.encode_ns.fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
        pushed
    }

    pub fn finish(self) -> Result<RowsEnded, OutputError> {
        let (rows, mut encode_ns) = (self.rows.into_inner(), self.encode_ns.into_inner());
        match self.kind {
            Kind::Dropped => Ok(RowsEnded { rows, stored: None, spill_bytes: 0, encode_ns }),
            Kind::Stored { writer, .. } => {
                let started = Instant::now();
                let (stored, spill_bytes) = writer.finish()?;
                encode_ns += started.elapsed().as_nanos() as u64;
                Ok(RowsEnded { rows, stored: Some(stored), spill_bytes, encode_ns })
            }
        }
    }
}

/// Executes one partition of the plan to its end.
pub async fn drain(
    plan: Arc<dyn ExecutionPlan>,
    partition: u32,
    context: Arc<TaskContext>,
    out: Arc<RowsOut>,
    progress: Arc<TaskProgress>,
    task: TaskId,
) -> Result<(), Failure> {
    let mut router = out.router().map_err(|error| error.into_failure(task))?;
    let trouble = context.session_config().get_extension::<ReadTrouble>();
    let failed = |error| {
        let trouble = trouble.as_ref().and_then(|trouble| trouble.newest());
        errors::failure_reading(error, task, trouble, || input_files(&plan))
    };
    let mut rows = plan.execute(partition as usize, context).map_err(failed)?;
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(failed)?;
        progress.add(batch.num_rows() as u64, batch.get_array_memory_size() as u64);
        out.push(&mut router, batch).map_err(|error| error.into_failure(task))?;
    }
    Ok(())
}
