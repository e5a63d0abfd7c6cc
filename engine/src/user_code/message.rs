//! Code in a fragment.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::error::DataFusionError;
use datafusion_proto::protobuf;
use windrow_model::{FieldRange, Framing, Keys, ShippedFile, SortField, UserCode};

use super::{PlacedCode, Role};

#[derive(Clone, PartialEq, prost::Message)]
pub struct PlacedCodeMessage {
    #[prost(string, tag = "1")]
    table: String,
    /// 0 map, 1 combine, 2 reduce.
    #[prost(uint32, tag = "2")]
    role: u32,
    #[prost(string, repeated, tag = "3")]
    process: Vec<String>,
    #[prost(string, tag = "4")]
    framing: String,
    #[prost(btree_map = "string, string", tag = "5")]
    env: std::collections::BTreeMap<String, String>,
    #[prost(message, repeated, tag = "6")]
    files: Vec<FileMessage>,
    #[prost(string, tag = "7")]
    separator: String,
    #[prost(uint32, tag = "8")]
    fields: u32,
    #[prost(message, optional, tag = "9")]
    partition: Option<RangeMessage>,
    #[prost(message, repeated, tag = "10")]
    sort: Vec<SortMessage>,
    #[prost(bool, tag = "11")]
    deterministic: bool,
    #[prost(message, optional, tag = "12")]
    schema: Option<protobuf::Schema>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FileMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bool, tag = "2")]
    executable: bool,
    #[prost(bytes = "vec", tag = "3")]
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct RangeMessage {
    #[prost(uint32, tag = "1")]
    first: u32,
    #[prost(uint32, optional, tag = "2")]
    last: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct SortMessage {
    #[prost(message, optional, tag = "1")]
    fields: Option<RangeMessage>,
    #[prost(bool, tag = "2")]
    numeric: bool,
    #[prost(bool, tag = "3")]
    reverse: bool,
}

impl TryFrom<&PlacedCode> for PlacedCodeMessage {
    type Error = DataFusionError;

    fn try_from(placed: &PlacedCode) -> Result<Self, DataFusionError> {
        let PlacedCode { table, role, code, keys, deterministic, schema, .. } = placed;
        let range = |FieldRange { first, last }| RangeMessage { first, last };
        let file = |file: &ShippedFile| FileMessage {
            name: file.name.clone(),
            executable: file.executable,
            bytes: file.bytes.clone(),
        };
        let sort = |sort: &SortField| SortMessage {
            fields: Some(range(sort.fields)),
            numeric: sort.numeric,
            reverse: sort.reverse,
        };
        Ok(PlacedCodeMessage {
            schema: Some(protobuf::Schema::try_from(schema.as_ref())?),
            table: table.clone(),
            role: *role as u32,
            process: code.process.clone(),
            framing: code.framing.name().to_owned(),
            env: code.env.clone(),
            files: code.files.iter().map(file).collect(),
            separator: keys.separator.to_string(),
            fields: keys.fields,
            partition: keys.partition.map(range),
            sort: keys.sort.iter().map(sort).collect(),
            deterministic: *deterministic,
        })
    }
}

impl PlacedCodeMessage {
    /// `None` if another build has written it.
    pub fn decode(self) -> Option<PlacedCode> {
        let range = |range: RangeMessage| FieldRange { first: range.first, last: range.last };
        let sort = |sort: SortMessage| {
            Some(SortField { fields: range(sort.fields?), numeric: sort.numeric, reverse: sort.reverse })
        };
        let file = |file: FileMessage| ShippedFile { name: file.name, executable: file.executable, bytes: file.bytes };
        let schema = Schema::try_from(self.schema.as_ref()?).ok()?;
        Some(PlacedCode {
            schema: Arc::new(schema),
            partitions: None,
            table: self.table,
            role: [Role::Map, Role::Combine, Role::Reduce].into_iter().find(|role| *role as u32 == self.role)?,
            code: UserCode {
                process: self.process,
                framing: Framing::from_name(&self.framing)?,
                // They have become the schema.
                columns: None,
                env: self.env,
                files: self.files.into_iter().map(file).collect(),
            },
            keys: Keys {
                separator: self.separator.chars().next()?,
                fields: self.fields,
                partition: self.partition.map(range),
                sort: self.sort.into_iter().map(sort).collect::<Option<_>>()?,
            },
            deterministic: self.deterministic,
        })
    }
}
