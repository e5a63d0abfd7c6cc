//! Job specifications.

use std::time::Duration;

use windrow_model::{JobSpec, OutputMode, OutputSpec, Program, TableFormat, TableSpec};

use super::{InvalidMessage, required};
use crate as wire;

/// Highest priority of a job.
const PRIORITY_MAX: u32 = 100;

impl From<TableSpec> for wire::TableSpec {
    fn from(table: TableSpec) -> Self {
        wire::TableSpec {
            location: table.location,
            format: table.format.name().to_owned(),
            options: table.options.into_iter().collect(),
        }
    }
}

impl TryFrom<wire::TableSpec> for TableSpec {
    type Error = InvalidMessage;

    fn try_from(table: wire::TableSpec) -> Result<Self, InvalidMessage> {
        Ok(TableSpec {
            location: table.location,
            format: format_from_wire(&table.format, "TableSpec.format")?,
            options: table.options.into_iter().collect(),
        })
    }
}

fn format_from_wire(name: &str, field: &'static str) -> Result<TableFormat, InvalidMessage> {
    TableFormat::from_name(name).ok_or_else(|| InvalidMessage::new(field, format!("is the unknown format `{name}`")))
}

impl From<OutputSpec> for wire::OutputSpec {
    fn from(output: OutputSpec) -> Self {
        wire::OutputSpec {
            location: output.location,
            format: output.format.name().to_owned(),
            mode: output.mode.name().to_owned(),
            partition_by: output.partition_by,
            options: output.options.into_iter().collect(),
        }
    }
}

impl TryFrom<wire::OutputSpec> for OutputSpec {
    type Error = InvalidMessage;

    fn try_from(output: wire::OutputSpec) -> Result<Self, InvalidMessage> {
        let mode = OutputMode::from_name(&output.mode)
            .ok_or_else(|| InvalidMessage::new("OutputSpec.mode", format!("is the unknown mode `{}`", output.mode)))?;
        Ok(OutputSpec {
            location: output.location,
            format: format_from_wire(&output.format, "OutputSpec.format")?,
            mode,
            partition_by: output.partition_by,
            options: output.options.into_iter().collect(),
        })
    }
}

impl From<Program> for wire::job_spec::Program {
    fn from(program: Program) -> Self {
        let Program::Sql { script, base, tables, made, output } = program;
        wire::job_spec::Program::Sql(wire::SqlProgram {
            script,
            base,
            tables: tables.into_iter().map(|(name, table)| (name, table.into())).collect(),
            output: output.map(Into::into),
            made: made.into_iter().map(|(name, made)| (name, made.into())).collect(),
        })
    }
}

impl TryFrom<wire::job_spec::Program> for Program {
    type Error = InvalidMessage;

    fn try_from(program: wire::job_spec::Program) -> Result<Self, InvalidMessage> {
        let wire::job_spec::Program::Sql(sql) = program;
        let tables = sql.tables.into_iter().map(|(name, table)| Ok((name, table.try_into()?)));
        let made = sql.made.into_iter().map(|(name, made)| Ok((name, made.try_into()?)));
        Ok(Program::Sql {
            script: sql.script,
            base: sql.base,
            tables: tables.collect::<Result<_, InvalidMessage>>()?,
            made: made.collect::<Result<_, InvalidMessage>>()?,
            output: sql.output.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<JobSpec> for wire::JobSpec {
    fn from(spec: JobSpec) -> Self {
        wire::JobSpec {
            name: spec.name,
            application: spec.application,
            queue: spec.queue,
            priority: u32::from(spec.priority),
            submitted_by: spec.submitted_by,
            timeout_ms: spec.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            client_token: spec.client_token,
            program: Some(spec.program.into()),
        }
    }
}

impl TryFrom<wire::JobSpec> for JobSpec {
    type Error = InvalidMessage;

    fn try_from(spec: wire::JobSpec) -> Result<Self, InvalidMessage> {
        if spec.priority > PRIORITY_MAX {
            let problem = format!("is {}; priorities go from 0 to {PRIORITY_MAX}", spec.priority);
            return Err(InvalidMessage::new("JobSpec.priority", problem));
        }
        Ok(JobSpec {
            name: spec.name,
            application: spec.application,
            queue: spec.queue,
            priority: u8::try_from(spec.priority).expect("checked against PRIORITY_MAX above"),
            submitted_by: spec.submitted_by,
            timeout: spec.timeout_ms.map(Duration::from_millis),
            client_token: spec.client_token,
            program: required(spec.program, "JobSpec.program")?.try_into()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use windrow_model::{
        CodeLimits, Divide, FieldRange, Framing, Keys, MapReduce, MapReduceInput, OnError, Runs, ShippedFile,
        SortField, UserCode,
    };

    fn spec() -> JobSpec {
        let table = TableSpec {
            location: "./flights/".into(),
            format: TableFormat::Csv,
            options: BTreeMap::from([("format.has_header".into(), "true".into())]),
        };
        let output = OutputSpec {
            location: "./out/".into(),
            format: TableFormat::Parquet,
            mode: OutputMode::Append,
            partition_by: vec!["day".into()],
            options: BTreeMap::new(),
        };
        JobSpec {
            name: "late-flights".into(),
            application: "default".into(),
            queue: "default".into(),
            priority: 50,
            submitted_by: "someone".into(),
            timeout: Some(Duration::from_secs(90)),
            client_token: Some("token".into()),
            program: Program::Sql {
                script: "SELECT 1".into(),
                base: "file:///jobs/".into(),
                tables: BTreeMap::from([("flights".into(), table)]),
                made: BTreeMap::from([("words".into(), made())]),
                output: Some(output),
            },
        }
    }

    fn made() -> MapReduce {
        let range = FieldRange { first: 2, last: Some(2) };
        let file = |name: &str| ShippedFile { name: name.into(), executable: true, bytes: vec![1, 2] };
        let code = UserCode {
            runs: Runs::Process {
                command: vec!["./sum.py".into(), "-v".into()],
                framing: Framing::Arrow,
                files: vec![file("sum.py")],
                network: true,
            },
            columns: Some("word VARCHAR, n BIGINT".into()),
            env: BTreeMap::from([("LIMIT".into(), "7".into())]),
            on_error: OnError::Skip { records_max: 3 },
            limits: CodeLimits { memory_bytes: Some(1), cpu_ms: Some(2), disk_bytes: None, fuel_per_row: Some(4) },
        };
        let wasm = UserCode {
            runs: Runs::Wasm { module: file("m.wasm"), function: "sum".into() },
            on_error: OnError::Quarantine { location: "./bad/".into() },
            ..code.clone()
        };
        let native = UserCode { runs: Runs::Native { name: "sum".into() }, on_error: OnError::Fail, ..code.clone() };
        MapReduce {
            input: MapReduceInput::Query("SELECT 1".into()),
            map: Some(native),
            combine: Some(wasm),
            reduce: Some(code),
            partitions: Some(4),
            keys: Keys {
                fields: 2,
                partition: Some(FieldRange { last: None, ..range }),
                sort: vec![SortField { fields: range, numeric: true, reverse: true }],
                divide: Divide::Points(vec!["m".into()]),
                ..Keys::default()
            },
            deterministic: true,
        }
    }

    #[test]
    fn a_job_spec_survives_the_wire() {
        assert_eq!(JobSpec::try_from(wire::JobSpec::from(spec())), Ok(spec()));
    }

    #[test]
    fn a_priority_beyond_the_scale_is_refused() {
        let wire = wire::JobSpec { priority: 101, ..spec().into() };
        assert_eq!(JobSpec::try_from(wire).expect_err("too high").field, "JobSpec.priority");
    }

    #[test]
    fn an_unknown_format_is_named() {
        let wire = wire::TableSpec { location: "x".into(), format: "xml".into(), ..Default::default() };
        let error = TableSpec::try_from(wire).expect_err("no such format");
        assert_eq!(error.to_string(), "invalid message: `TableSpec.format` is the unknown format `xml`");
    }
}
