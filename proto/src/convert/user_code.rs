//! The user's own code.

use windrow_model::{
    CodeLimits, Divide, FieldRange, Framing, Keys, MapReduce, MapReduceInput, OnError, Runs, ShippedFile, SortField,
    UserCode,
};

use super::{InvalidMessage, required};
use crate as wire;

impl From<MapReduce> for wire::MapReduce {
    fn from(made: MapReduce) -> Self {
        let MapReduce { input, map, combine, reduce, partitions, keys, deterministic } = made;
        wire::MapReduce {
            input: Some(match input {
                MapReduceInput::Table(name) => wire::map_reduce::Input::Table(name),
                MapReduceInput::Query(sql) => wire::map_reduce::Input::Query(sql),
            }),
            map: map.map(Into::into),
            combine: combine.map(Into::into),
            reduce: reduce.map(Into::into),
            partitions,
            keys: Some(keys.into()),
            deterministic,
        }
    }
}

impl TryFrom<wire::MapReduce> for MapReduce {
    type Error = InvalidMessage;

    fn try_from(made: wire::MapReduce) -> Result<Self, InvalidMessage> {
        Ok(MapReduce {
            input: match required(made.input, "MapReduce.input")? {
                wire::map_reduce::Input::Table(name) => MapReduceInput::Table(name),
                wire::map_reduce::Input::Query(sql) => MapReduceInput::Query(sql),
            },
            map: made.map.map(TryInto::try_into).transpose()?,
            combine: made.combine.map(TryInto::try_into).transpose()?,
            reduce: made.reduce.map(TryInto::try_into).transpose()?,
            partitions: made.partitions,
            keys: required(made.keys, "MapReduce.keys")?.try_into()?,
            deterministic: made.deterministic,
        })
    }
}

impl From<UserCode> for wire::UserCode {
    fn from(code: UserCode) -> Self {
        let UserCode { runs, columns, env, on_error, limits } = code;
        wire::UserCode {
            runs: Some(runs.into()),
            columns,
            env: env.into_iter().collect(),
            on_error: match on_error {
                OnError::Fail => None,
                OnError::Skip { records_max } => Some(wire::user_code::OnError::Skip(records_max)),
                OnError::Quarantine { location } => Some(wire::user_code::OnError::Quarantine(location)),
            },
            limits: Some(limits.into()),
        }
    }
}

impl TryFrom<wire::UserCode> for UserCode {
    type Error = InvalidMessage;

    fn try_from(code: wire::UserCode) -> Result<Self, InvalidMessage> {
        let wire::UserCode { runs, columns, env, on_error, limits } = code;
        Ok(UserCode {
            runs: required(runs, "UserCode.runs")?.try_into()?,
            columns,
            env: env.into_iter().collect(),
            on_error: match on_error {
                None => OnError::Fail,
                Some(wire::user_code::OnError::Skip(records_max)) => OnError::Skip { records_max },
                Some(wire::user_code::OnError::Quarantine(location)) => OnError::Quarantine { location },
            },
            limits: limits.unwrap_or_default().into(),
        })
    }
}

impl From<Runs> for wire::user_code::Runs {
    fn from(runs: Runs) -> Self {
        match runs {
            Runs::Process { command, framing, files, network } => wire::user_code::Runs::Process(wire::ProcessCode {
                command,
                framing: framing.name().to_owned(),
                files: files.into_iter().map(Into::into).collect(),
                network,
            }),
            Runs::Wasm { module, function } => {
                wire::user_code::Runs::Wasm(wire::WasmCode { module: Some(module.into()), function })
            }
            Runs::Native { name } => wire::user_code::Runs::Native(name),
        }
    }
}

impl TryFrom<wire::user_code::Runs> for Runs {
    type Error = InvalidMessage;

    fn try_from(runs: wire::user_code::Runs) -> Result<Self, InvalidMessage> {
        Ok(match runs {
            wire::user_code::Runs::Process(wire::ProcessCode { command, framing, files, network }) => {
                let unknown =
                    || InvalidMessage::new("ProcessCode.framing", format!("is the unknown framing `{framing}`"));
                let framing = Framing::from_name(&framing).ok_or_else(unknown)?;
                Runs::Process { command, framing, files: files.into_iter().map(Into::into).collect(), network }
            }
            wire::user_code::Runs::Wasm(wire::WasmCode { module, function }) => {
                Runs::Wasm { module: required(module, "WasmCode.module")?.into(), function }
            }
            wire::user_code::Runs::Native(name) => Runs::Native { name },
        })
    }
}

impl From<ShippedFile> for wire::ShippedFile {
    fn from(ShippedFile { name, executable, bytes }: ShippedFile) -> Self {
        wire::ShippedFile { name, executable, bytes: bytes.into() }
    }
}

impl From<wire::ShippedFile> for ShippedFile {
    fn from(wire::ShippedFile { name, executable, bytes }: wire::ShippedFile) -> Self {
        ShippedFile { name, executable, bytes: bytes.into() }
    }
}

impl From<CodeLimits> for wire::CodeLimits {
    fn from(CodeLimits { memory_bytes, cpu_ms, disk_bytes, fuel_per_row }: CodeLimits) -> Self {
        wire::CodeLimits { memory_bytes, cpu_ms, disk_bytes, fuel_per_row }
    }
}

impl From<wire::CodeLimits> for CodeLimits {
    fn from(wire::CodeLimits { memory_bytes, cpu_ms, disk_bytes, fuel_per_row }: wire::CodeLimits) -> Self {
        CodeLimits { memory_bytes, cpu_ms, disk_bytes, fuel_per_row }
    }
}

impl From<Keys> for wire::Keys {
    fn from(keys: Keys) -> Self {
        let Keys { separator, fields, partition, sort, divide } = keys;
        let (numbered, points) = match divide {
            Divide::Hash => (false, Vec::new()),
            Divide::Numbered => (true, Vec::new()),
            Divide::Points(points) => (false, points),
        };
        let field =
            |SortField { fields, numeric, reverse }| wire::SortField { fields: Some(fields.into()), numeric, reverse };
        wire::Keys {
            separator: separator.to_string(),
            fields,
            partition: partition.map(Into::into),
            sort: sort.into_iter().map(field).collect(),
            numbered,
            points,
        }
    }
}

impl TryFrom<wire::Keys> for Keys {
    type Error = InvalidMessage;

    fn try_from(keys: wire::Keys) -> Result<Self, InvalidMessage> {
        let mut characters = keys.separator.chars();
        let (Some(separator), None) = (characters.next(), characters.next()) else {
            return Err(InvalidMessage::new("Keys.separator", format!("is `{}`, not one character", keys.separator)));
        };
        let field = |field: wire::SortField| {
            let fields = required(field.fields, "SortField.fields")?.into();
            Ok(SortField { fields, numeric: field.numeric, reverse: field.reverse })
        };
        Ok(Keys {
            separator,
            fields: keys.fields,
            partition: keys.partition.map(Into::into),
            sort: keys.sort.into_iter().map(field).collect::<Result<_, InvalidMessage>>()?,
            divide: match (keys.numbered, keys.points) {
                (true, _) => Divide::Numbered,
                (false, points) if points.is_empty() => Divide::Hash,
                (false, points) => Divide::Points(points),
            },
        })
    }
}

impl From<FieldRange> for wire::FieldRange {
    fn from(range: FieldRange) -> Self {
        wire::FieldRange { first: range.first, last: range.last }
    }
}

impl From<wire::FieldRange> for FieldRange {
    fn from(range: wire::FieldRange) -> Self {
        FieldRange { first: range.first, last: range.last }
    }
}
