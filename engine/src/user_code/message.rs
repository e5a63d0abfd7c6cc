//! Code in a fragment.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::error::DataFusionError;
use datafusion_proto::protobuf;
use windrow_model::{CodeLimits, Divide, FieldRange, Framing, Keys, OnError, Runs, ShippedFile, SortField, UserCode};

use super::{PlacedCode, Role};
use crate::sink::OutputTarget;

#[derive(Clone, PartialEq, prost::Message)]
pub struct PlacedCodeMessage {
    #[prost(string, tag = "1")]
    table: String,
    /// 0 map, 1 combine, 2 reduce.
    #[prost(uint32, tag = "2")]
    role: u32,
    #[prost(oneof = "RunsMessage", tags = "3, 4, 5")]
    runs: Option<RunsMessage>,
    #[prost(btree_map = "string, string", tag = "6")]
    env: std::collections::BTreeMap<String, String>,
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
    /// Only whether rows are numbered: the rest has become the exchange.
    #[prost(bool, tag = "13")]
    numbered: bool,
    #[prost(oneof = "OnErrorMessage", tags = "14, 15")]
    on_error: Option<OnErrorMessage>,
    #[prost(message, optional, tag = "16")]
    limits: Option<LimitsMessage>,
    /// An [`OutputTarget`]; empty: none.
    #[prost(bytes = "vec", tag = "17")]
    aside: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum RunsMessage {
    #[prost(message, tag = "3")]
    Process(ProcessMessage),
    #[prost(message, tag = "4")]
    Wasm(WasmMessage),
    #[prost(string, tag = "5")]
    Native(String),
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProcessMessage {
    #[prost(string, repeated, tag = "1")]
    command: Vec<String>,
    #[prost(string, tag = "2")]
    framing: String,
    #[prost(message, repeated, tag = "3")]
    files: Vec<FileMessage>,
    #[prost(bool, tag = "4")]
    network: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WasmMessage {
    #[prost(message, optional, tag = "1")]
    module: Option<FileMessage>,
    #[prost(string, tag = "2")]
    function: String,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum OnErrorMessage {
    #[prost(uint64, tag = "14")]
    Skip(u64),
    #[prost(string, tag = "15")]
    Quarantine(String),
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct LimitsMessage {
    #[prost(uint64, optional, tag = "1")]
    memory_bytes: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    cpu_ms: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    disk_bytes: Option<u64>,
    #[prost(uint64, optional, tag = "4")]
    fuel_per_row: Option<u64>,
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
        let PlacedCode { table, role, code, keys, deterministic, schema, aside, partitions: _ } = placed;
        let range = |FieldRange { first, last }| RangeMessage { first, last };
        let sort = |sort: &SortField| SortMessage {
            fields: Some(range(sort.fields)),
            numeric: sort.numeric,
            reverse: sort.reverse,
        };
        let CodeLimits { memory_bytes, cpu_ms, disk_bytes, fuel_per_row } = code.limits;
        Ok(PlacedCodeMessage {
            schema: Some(protobuf::Schema::try_from(schema.as_ref())?),
            table: table.clone(),
            role: *role as u32,
            runs: Some(runs_message(&code.runs)),
            env: code.env.clone(),
            separator: keys.separator.to_string(),
            fields: keys.fields,
            partition: keys.partition.map(range),
            sort: keys.sort.iter().map(sort).collect(),
            deterministic: *deterministic,
            numbered: keys.divide == Divide::Numbered,
            on_error: match &code.on_error {
                OnError::Fail => None,
                OnError::Skip { records_max } => Some(OnErrorMessage::Skip(*records_max)),
                OnError::Quarantine { location } => Some(OnErrorMessage::Quarantine(location.clone())),
            },
            limits: Some(LimitsMessage { memory_bytes, cpu_ms, disk_bytes, fuel_per_row }),
            aside: aside.as_ref().map(|aside| aside.to_bytes()).unwrap_or_default(),
        })
    }
}

fn runs_message(runs: &Runs) -> RunsMessage {
    let file = |file: &ShippedFile| FileMessage {
        name: file.name.clone(),
        executable: file.executable,
        bytes: file.bytes.clone(),
    };
    match runs {
        Runs::Process { command, framing, files, network } => RunsMessage::Process(ProcessMessage {
            command: command.clone(),
            framing: framing.name().to_owned(),
            files: files.iter().map(file).collect(),
            network: *network,
        }),
        Runs::Wasm { module, function } => {
            RunsMessage::Wasm(WasmMessage { module: Some(file(module)), function: function.clone() })
        }
        Runs::Native { name } => RunsMessage::Native(name.clone()),
    }
}

/// `None` if another build has written it.
fn runs(message: RunsMessage) -> Option<Runs> {
    let file = |file: FileMessage| ShippedFile { name: file.name, executable: file.executable, bytes: file.bytes };
    Some(match message {
        RunsMessage::Process(ProcessMessage { command, framing, files, network }) => Runs::Process {
            command,
            framing: Framing::from_name(&framing)?,
            files: files.into_iter().map(file).collect(),
            network,
        },
        RunsMessage::Wasm(WasmMessage { module, function }) => Runs::Wasm { module: file(module?), function },
        RunsMessage::Native(name) => Runs::Native { name },
    })
}

impl PlacedCodeMessage {
    /// `None` if another build has written it.
    pub fn decode(self) -> Option<PlacedCode> {
        let range = |range: RangeMessage| FieldRange { first: range.first, last: range.last };
        let sort = |sort: SortMessage| {
            Some(SortField { fields: range(sort.fields?), numeric: sort.numeric, reverse: sort.reverse })
        };
        let schema = Schema::try_from(self.schema.as_ref()?).ok()?;
        let LimitsMessage { memory_bytes, cpu_ms, disk_bytes, fuel_per_row } = self.limits?;
        Some(PlacedCode {
            schema: Arc::new(schema),
            partitions: None,
            table: self.table,
            role: [Role::Map, Role::Combine, Role::Reduce].into_iter().find(|role| *role as u32 == self.role)?,
            code: UserCode {
                runs: runs(self.runs?)?,
                // They have become the schema.
                columns: None,
                env: self.env,
                on_error: match self.on_error {
                    None => OnError::Fail,
                    Some(OnErrorMessage::Skip(records_max)) => OnError::Skip { records_max },
                    Some(OnErrorMessage::Quarantine(location)) => OnError::Quarantine { location },
                },
                limits: CodeLimits { memory_bytes, cpu_ms, disk_bytes, fuel_per_row },
            },
            keys: Keys {
                separator: self.separator.chars().next()?,
                fields: self.fields,
                partition: self.partition.map(range),
                sort: self.sort.into_iter().map(sort).collect::<Option<_>>()?,
                divide: if self.numbered { Divide::Numbered } else { Divide::Hash },
            },
            deterministic: self.deterministic,
            aside: match self.aside.as_slice() {
                [] => None,
                bytes => Some(Arc::new(OutputTarget::from_bytes(bytes).ok()?)),
            },
        })
    }
}
