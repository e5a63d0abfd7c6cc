//! What attempts leave behind.

use windrow_model::{TaskOutput, Timestamp, WrittenFile};
use windrow_scheduler::{AttemptRun, CommittedTask};

use super::invalid::{Invalid, each, required};
use super::pb;

impl From<&WrittenFile> for pb::WrittenFile {
    fn from(file: &WrittenFile) -> Self {
        let WrittenFile { path, staged, parts, rows, bytes } = file.clone();
        pb::WrittenFile { path, staged, parts, rows, bytes }
    }
}

impl From<pb::WrittenFile> for WrittenFile {
    fn from(file: pb::WrittenFile) -> Self {
        let pb::WrittenFile { path, staged, parts, rows, bytes } = file;
        WrittenFile { path, staged, parts, rows, bytes }
    }
}

impl From<&TaskOutput> for pb::TaskOutput {
    fn from(output: &TaskOutput) -> Self {
        let TaskOutput {
            rows,
            bytes,
            partition_bytes,
            inline,
            files,
            rows_in,
            bytes_in,
            memory_bytes_peak,
            memory_bytes_held,
            spill_bytes,
            counters,
        } = output;
        pb::TaskOutput {
            rows: *rows,
            bytes: *bytes,
            partition_bytes: partition_bytes.clone(),
            inline: inline.clone().map(Into::into),
            files: each(files),
            rows_in: *rows_in,
            bytes_in: *bytes_in,
            memory_bytes_peak: *memory_bytes_peak,
            memory_bytes_held: *memory_bytes_held,
            spill_bytes: *spill_bytes,
            counters: counters.clone().into_iter().collect(),
        }
    }
}

impl From<pb::TaskOutput> for TaskOutput {
    fn from(output: pb::TaskOutput) -> Self {
        TaskOutput {
            rows: output.rows,
            bytes: output.bytes,
            partition_bytes: output.partition_bytes,
            inline: output.inline.map(Into::into),
            files: output.files.into_iter().map(Into::into).collect(),
            rows_in: output.rows_in,
            bytes_in: output.bytes_in,
            memory_bytes_peak: output.memory_bytes_peak,
            memory_bytes_held: output.memory_bytes_held,
            spill_bytes: output.spill_bytes,
            counters: output.counters.into_iter().collect(),
        }
    }
}

impl From<&CommittedTask> for pb::CommittedTask {
    fn from(committed: &CommittedTask) -> Self {
        let CommittedTask { task, attempt, files } = committed;
        pb::CommittedTask { task: Some(task.into()), attempt: Some(attempt.into()), files: each(files) }
    }
}

impl TryFrom<pb::CommittedTask> for CommittedTask {
    type Error = Invalid;

    fn try_from(committed: pb::CommittedTask) -> Result<Self, Invalid> {
        Ok(CommittedTask {
            task: required(committed.task, "CommittedTask.task")?.into(),
            attempt: required(committed.attempt, "CommittedTask.attempt")?.into(),
            files: committed.files.into_iter().map(Into::into).collect(),
        })
    }
}

impl From<&AttemptRun> for pb::AttemptRun {
    fn from(run: &AttemptRun) -> Self {
        let AttemptRun { try_number, slots, speculative, assigned_at, started_at } = *run;
        pb::AttemptRun {
            try_number,
            slots,
            speculative,
            assigned_at_us: assigned_at.0,
            started_at_us: started_at.map(|at| at.0),
        }
    }
}

impl From<pb::AttemptRun> for AttemptRun {
    fn from(run: pb::AttemptRun) -> Self {
        AttemptRun {
            try_number: run.try_number,
            slots: run.slots,
            speculative: run.speculative,
            assigned_at: Timestamp(run.assigned_at_us),
            started_at: run.started_at_us.map(Timestamp),
        }
    }
}
