//! The user's own code.

use windrow_model::{FieldRange, Framing, Keys, MapReduce, MapReduceInput, ShippedFile, SortField, UserCode};

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
        let UserCode { process, framing, columns, env, files } = code;
        let file =
            |ShippedFile { name, executable, bytes }| wire::ShippedFile { name, executable, bytes: bytes.into() };
        wire::UserCode {
            process,
            framing: framing.name().to_owned(),
            columns,
            env: env.into_iter().collect(),
            files: files.into_iter().map(file).collect(),
        }
    }
}

impl TryFrom<wire::UserCode> for UserCode {
    type Error = InvalidMessage;

    fn try_from(code: wire::UserCode) -> Result<Self, InvalidMessage> {
        let wire::UserCode { process, framing, columns, env, files } = code;
        let unknown = || InvalidMessage::new("UserCode.framing", format!("is the unknown framing `{framing}`"));
        let file = |file: wire::ShippedFile| ShippedFile {
            name: file.name,
            executable: file.executable,
            bytes: file.bytes.into(),
        };
        Ok(UserCode {
            framing: Framing::from_name(&framing).ok_or_else(unknown)?,
            process,
            columns,
            env: env.into_iter().collect(),
            files: files.into_iter().map(file).collect(),
        })
    }
}

impl From<Keys> for wire::Keys {
    fn from(keys: Keys) -> Self {
        let Keys { separator, fields, partition, sort } = keys;
        let field =
            |SortField { fields, numeric, reverse }| wire::SortField { fields: Some(fields.into()), numeric, reverse };
        wire::Keys {
            separator: separator.to_string(),
            fields,
            partition: partition.map(Into::into),
            sort: sort.into_iter().map(field).collect(),
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
