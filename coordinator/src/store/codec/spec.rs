//! Specifications of jobs and workers.

use std::time::Duration;

use prost::Message;
use windrow_model::{JobSpec, MapReduce, OutputMode, OutputSpec, Program, TableFormat, TableSpec};
use windrow_proto as wire;
use windrow_scheduler::WorkerSpec;

use super::invalid::{Invalid, named};
use super::pb;

/// Nanoseconds of a second, which a stored span never reaches.
const NANOSECONDS_END: u32 = 1_000_000_000;

impl From<&WorkerSpec> for pb::WorkerSpec {
    fn from(spec: &WorkerSpec) -> Self {
        let WorkerSpec { slots, memory_bytes, host, name } = spec.clone();
        pb::WorkerSpec { slots, memory_bytes, host, name }
    }
}

impl From<pb::WorkerSpec> for WorkerSpec {
    fn from(spec: pb::WorkerSpec) -> Self {
        let pb::WorkerSpec { slots, memory_bytes, host, name } = spec;
        WorkerSpec { slots, memory_bytes, host, name }
    }
}

impl From<&JobSpec> for pb::JobSpec {
    fn from(spec: &JobSpec) -> Self {
        let JobSpec { name, application, queue, priority, submitted_by, timeout, client_token, program } = spec;
        pb::JobSpec {
            name: name.clone(),
            application: application.clone(),
            queue: queue.clone(),
            priority: u32::from(*priority),
            submitted_by: submitted_by.clone(),
            timeout: timeout.map(span),
            client_token: client_token.clone(),
            program: Some(program.into()),
        }
    }
}

impl TryFrom<pb::JobSpec> for JobSpec {
    type Error = Invalid;

    fn try_from(spec: pb::JobSpec) -> Result<Self, Invalid> {
        let out_of_range = |_| Invalid::OutOfRange { field: "JobSpec.priority", value: u64::from(spec.priority) };
        Ok(JobSpec {
            priority: u8::try_from(spec.priority).map_err(out_of_range)?,
            name: spec.name,
            application: spec.application,
            queue: spec.queue,
            submitted_by: spec.submitted_by,
            timeout: spec.timeout.map(duration).transpose()?,
            client_token: spec.client_token,
            program: program(spec.program)?,
        })
    }
}

fn span(duration: Duration) -> pb::Span {
    pb::Span { seconds: duration.as_secs(), nanoseconds: duration.subsec_nanos() }
}

fn duration(span: pb::Span) -> Result<Duration, Invalid> {
    if span.nanoseconds >= NANOSECONDS_END {
        return Err(Invalid::OutOfRange { field: "Span.nanoseconds", value: u64::from(span.nanoseconds) });
    }
    Ok(Duration::new(span.seconds, span.nanoseconds))
}

impl From<&Program> for pb::job_spec::Program {
    fn from(program: &Program) -> Self {
        let Program::Sql { script, base, tables, made, output } = program;
        let stored = |made: &MapReduce| -> bytes::Bytes { wire::MapReduce::from(made.clone()).encode_to_vec().into() };
        pb::job_spec::Program::Sql(pb::SqlProgram {
            script: script.clone(),
            base: base.clone(),
            tables: tables.iter().map(|(name, table)| (name.clone(), table.into())).collect(),
            output: output.as_ref().map(Into::into),
            made: made.iter().map(|(name, made)| (name.clone(), stored(made))).collect(),
        })
    }
}

/// A kind of program that this build does not know decodes as none at all.
fn program(program: Option<pb::job_spec::Program>) -> Result<Program, Invalid> {
    let program = program.ok_or_else(|| Invalid::Unknown { field: "JobSpec.program", value: "program".to_owned() })?;
    let pb::job_spec::Program::Sql(sql) = program;
    let tables = sql.tables.into_iter().map(|(name, table)| Ok((name, table.try_into()?)));
    let made = sql.made.into_iter().map(|(name, bytes)| Ok((name, made(&bytes)?)));
    Ok(Program::Sql {
        script: sql.script,
        base: sql.base,
        tables: tables.collect::<Result<_, Invalid>>()?,
        made: made.collect::<Result<_, Invalid>>()?,
        output: sql.output.map(TryInto::try_into).transpose()?,
    })
}

fn made(bytes: &[u8]) -> Result<MapReduce, Invalid> {
    let unknown = |value: String| Invalid::Unknown { field: "SqlProgram.made", value };
    let message = wire::MapReduce::decode(bytes).map_err(|error| unknown(error.to_string()))?;
    message.try_into().map_err(|error: wire::InvalidMessage| unknown(error.to_string()))
}

impl From<&TableSpec> for pb::TableSpec {
    fn from(table: &TableSpec) -> Self {
        let TableSpec { location, format, options } = table;
        pb::TableSpec {
            location: location.clone(),
            format: format.name().to_owned(),
            options: options.clone().into_iter().collect(),
        }
    }
}

impl TryFrom<pb::TableSpec> for TableSpec {
    type Error = Invalid;

    fn try_from(table: pb::TableSpec) -> Result<Self, Invalid> {
        Ok(TableSpec {
            location: table.location,
            format: named(TableFormat::from_name(&table.format), "TableSpec.format", &table.format)?,
            options: table.options.into_iter().collect(),
        })
    }
}

impl From<&OutputSpec> for pb::OutputSpec {
    fn from(output: &OutputSpec) -> Self {
        let OutputSpec { location, format, mode, partition_by, options } = output;
        pb::OutputSpec {
            location: location.clone(),
            format: format.name().to_owned(),
            mode: mode.name().to_owned(),
            partition_by: partition_by.clone(),
            options: options.clone().into_iter().collect(),
        }
    }
}

impl TryFrom<pb::OutputSpec> for OutputSpec {
    type Error = Invalid;

    fn try_from(output: pb::OutputSpec) -> Result<Self, Invalid> {
        Ok(OutputSpec {
            location: output.location,
            format: named(TableFormat::from_name(&output.format), "OutputSpec.format", &output.format)?,
            mode: named(OutputMode::from_name(&output.mode), "OutputSpec.mode", &output.mode)?,
            partition_by: output.partition_by,
            options: output.options.into_iter().collect(),
        })
    }
}
