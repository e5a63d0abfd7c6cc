//! What attempts leave behind.

use windrow_model::{TaskOutput, WrittenFile};

use crate as wire;

impl From<WrittenFile> for wire::WrittenFile {
    fn from(file: WrittenFile) -> Self {
        let WrittenFile { path, staged, parts, rows, bytes } = file;
        wire::WrittenFile { path, staged, parts, rows, bytes }
    }
}

impl From<wire::WrittenFile> for WrittenFile {
    fn from(file: wire::WrittenFile) -> Self {
        let wire::WrittenFile { path, staged, parts, rows, bytes } = file;
        WrittenFile { path, staged, parts, rows, bytes }
    }
}

impl From<TaskOutput> for wire::TaskOutput {
    fn from(output: TaskOutput) -> Self {
        wire::TaskOutput {
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

impl From<wire::TaskOutput> for TaskOutput {
    fn from(output: wire::TaskOutput) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_output_survives_the_wire() {
        let file = WrittenFile {
            path: "a=1/f.parquet".into(),
            staged: "s".into(),
            parts: vec!["p".into()],
            rows: 1,
            bytes: 2,
        };
        let output = TaskOutput {
            rows: 3,
            bytes: 4,
            partition_bytes: vec![1, 3],
            inline: Some(vec![0, 1]),
            files: vec![file],
            rows_in: 5,
            bytes_in: 6,
            memory_bytes_peak: 7,
            memory_bytes_held: 10,
            spill_bytes: 8,
            counters: [("lines".to_owned(), 9)].into(),
        };
        assert_eq!(TaskOutput::from(wire::TaskOutput::from(output.clone())), output);
    }
}
