//! A fragment: everything about a stage that its tasks share, as bytes, and its content hash.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, internal_datafusion_err, internal_err};
use datafusion::execution::{SessionState, TaskContext};
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use datafusion::prelude::SessionConfig;
use datafusion_proto::physical_plan::{PhysicalPlanDecodeContext, PhysicalProtoConverterExtension};
use datafusion_proto::protobuf;
use prost::Message;
use windrow_model::FragmentHash;

use super::codec::{DecodeCodec, ExprDecoder, PlanDecoder, PlanEncoder};
use super::scans::partition_count;
use super::{DecodedFragment, OutputPartitioning, depth, spilling_join, splits};
use crate::session::base_config;

/// Raised when the messages change. Coordinator and workers of one cluster are of one build, so that a difference is
/// a bug and not an upgrade.
const VERSION: u32 = 1;

#[derive(Clone, PartialEq, prost::Message)]
struct FragmentMessage {
    #[prost(uint32, tag = "1")]
    version: u32,
    /// Levels of nesting in `plan`, which is kept as bytes so that this is known before it is decoded.
    #[prost(uint32, tag = "2")]
    depth: u32,
    #[prost(bytes = "bytes", tag = "3")]
    plan: Bytes,
    #[prost(message, optional, tag = "4")]
    output: Option<OutputMessage>,
    #[prost(message, repeated, tag = "5")]
    settings: Vec<SettingMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OutputMessage {
    #[prost(enumeration = "OutputKind", tag = "1")]
    kind: i32,
    #[prost(message, repeated, tag = "2")]
    exprs: Vec<protobuf::PhysicalExprNode>,
    #[prost(uint32, tag = "3")]
    partitions: u32,
    #[prost(message, optional, tag = "4")]
    ranges: Option<protobuf::Partitioning>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum OutputKind {
    Single = 0,
    Hash = 1,
    Sink = 2,
    Ranges = 3,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SettingMessage {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// Encodes a stage. `root` may hold files; they are left out.
pub(super) fn encode(
    root: &Arc<dyn ExecutionPlan>,
    output: &OutputPartitioning,
    settings: &[(String, String)],
) -> Result<Bytes> {
    let depth = depth::checked_depth(root)?;
    depth::on_deep_stack(depth, || {
        let encoder = PlanEncoder::new(root)?;
        let plan = encoder.encode(root)?.encode_to_vec().into();
        let settings = settings.iter().cloned().map(|(key, value)| SettingMessage { key, value }).collect();
        let output = Some(encode_output(output, &encoder)?);
        Ok(FragmentMessage { version: VERSION, depth, plan, output, settings }.encode_to_vec().into())
    })
}

fn encode_output(output: &OutputPartitioning, encoder: &PlanEncoder) -> Result<OutputMessage> {
    let (kind, exprs) = match output {
        OutputPartitioning::Single => (OutputKind::Single, &[][..]),
        OutputPartitioning::Sink => (OutputKind::Sink, &[][..]),
        OutputPartitioning::Hash { exprs, .. } => (OutputKind::Hash, exprs.as_slice()),
        OutputPartitioning::Ranges(_) => (OutputKind::Ranges, &[][..]),
    };
    let ranges = match output {
        OutputPartitioning::Ranges(ranges) => Some(encoder.encode_partitioning(&Partitioning::Range(ranges.clone()))?),
        _ => None,
    };
    let exprs = exprs.iter().map(|expr| encoder.encode_expr(expr)).collect::<Result<_>>()?;
    Ok(OutputMessage { kind: kind as i32, exprs, partitions: output.partitions(), ranges })
}

/// Settings of `config` that differ from [`base_config`], as text.
pub(super) fn settings_of(config: &ConfigOptions) -> Vec<(String, String)> {
    let base = base_config();
    let base: std::collections::BTreeMap<_, _> =
        base.options().entries().into_iter().map(|entry| (entry.key, entry.value)).collect();
    let changed = config.entries().into_iter().filter(|entry| base.get(&entry.key) != Some(&entry.value));
    let mut changed: Vec<(String, String)> = changed.filter_map(|entry| Some((entry.key, entry.value?))).collect();
    changed.sort();
    changed
}

/// Content hash: two passes of SipHash-1-3 with different prefixes. It names a fragment among those of one cluster;
/// it does not authenticate it.
pub(super) fn hash(fragment: &[u8]) -> FragmentHash {
    let mut bytes = [0; 16];
    for (half, prefix) in bytes.chunks_exact_mut(8).zip([0x57, 0x6e]) {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(prefix);
        hasher.write(fragment);
        half.copy_from_slice(&hasher.finish().to_le_bytes());
    }
    FragmentHash(bytes)
}

/// A fresh plan for one attempt at the task that executes `partitions`, with that task's files in its scans.
///
/// `base` gives functions, memory and object stores; the statement's settings are applied over `base`'s. Errors are
/// `Internal`: a fragment that cannot be read was written by another build or damaged.
pub fn decode_fragment(
    fragment: &Bytes,
    splits: Option<&Bytes>,
    partitions: &[u32],
    base: &SessionState,
) -> Result<DecodedFragment> {
    let message = FragmentMessage::decode(fragment.as_ref())
        .map_err(|error| internal_datafusion_err!("the fragment cannot be read: {error}"))?;
    if message.version != VERSION {
        return internal_err!("the fragment has version {}, this build reads {VERSION}", message.version);
    }
    if message.depth > depth::DEPTH_MAX {
        return internal_err!("the fragment nests {} levels deep", message.depth);
    }
    let decoded = depth::on_deep_stack(message.depth, || decode_message(&message, splits, base))?;
    spilling_join::allow(&decoded.plan, &partitions.iter().map(|&partition| partition as usize).collect());
    let count = partition_count(&decoded.plan);
    match partitions.iter().find(|&&partition| partition as usize >= count) {
        Some(partition) => internal_err!("the task wants partition {partition} of a fragment with {count}"),
        None => Ok(decoded),
    }
}

fn decode_message(message: &FragmentMessage, splits: Option<&Bytes>, base: &SessionState) -> Result<DecodedFragment> {
    let settings: Vec<(String, String)> =
        message.settings.iter().map(|setting| (setting.key.clone(), setting.value.clone())).collect();
    let task = TaskContext::from(base).with_session_config(configured(base.config().clone(), &settings)?);
    let codec = DecodeCodec;
    let decoder = PlanDecoder::new(splits::decode(splits)?);
    let context = PhysicalPlanDecodeContext::new(&task, &codec);
    let node = protobuf::PhysicalPlanNode::decode(message.plan.as_ref())
        .map_err(|error| internal_datafusion_err!("the fragment's plan cannot be read: {error}"))?;
    let plan = decoder.proto_to_execution_plan(&node, &context)?;
    let output = decode_output(message.output.as_ref(), &plan, context, &decoder)?;
    Ok(DecodedFragment { plan, output, settings })
}

fn configured(mut config: SessionConfig, settings: &[(String, String)]) -> Result<SessionConfig> {
    for (key, value) in settings {
        config.options_mut().set(key, value)?;
    }
    Ok(config)
}

fn decode_output(
    message: Option<&OutputMessage>,
    plan: &Arc<dyn ExecutionPlan>,
    context: PhysicalPlanDecodeContext<'_>,
    decoder: &PlanDecoder,
) -> Result<OutputPartitioning> {
    let message = message.ok_or_else(|| internal_datafusion_err!("the fragment has no output"))?;
    // Keys may refer to the values of scalar subqueries, which the root keeps.
    let context = match plan.downcast_ref::<ScalarSubqueryExec>() {
        Some(subqueries) => context.with_scalar_subquery_results(subqueries.results().clone()),
        None => context,
    };
    match message.kind() {
        OutputKind::Single => Ok(OutputPartitioning::Single),
        OutputKind::Sink => Ok(OutputPartitioning::Sink),
        OutputKind::Ranges => {
            let decoder = ExprDecoder::new(context, decoder);
            match decoder.decode_partitioning(message.ranges.as_ref(), &plan.schema())? {
                Partitioning::Range(ranges) => Ok(OutputPartitioning::Ranges(ranges)),
                other => internal_err!("the fragment divides by ranges and has {other}"),
            }
        }
        OutputKind::Hash => {
            let decoder = ExprDecoder::new(context, decoder);
            let exprs = message.exprs.iter().map(|expr| decoder.decode(expr, &plan.schema()));
            Ok(OutputPartitioning::Hash { exprs: exprs.collect::<Result<_>>()?, partitions: message.partitions })
        }
    }
}
