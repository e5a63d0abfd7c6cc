//! Plans and expressions to bytes and back: DataFusion's messages, plus nodes of our own.
//!
//! An expression that is shared (a dynamic filter between its producer and a scan) is one object again after decoding,
//! and arithmetic fails on overflow again, which DataFusion's messages do not carry.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::Schema;
use datafusion::common::{Result, internal_datafusion_err, internal_err, not_impl_err};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::memory::LazyMemoryExec;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::work_table::WorkTableExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use datafusion_proto::physical_plan::from_proto::{parse_physical_expr_with_converter, parse_protobuf_partitioning};
use datafusion_proto::physical_plan::to_proto::{serialize_partitioning, serialize_physical_expr_with_converter};
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalPlanNodeExt, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::{self, physical_plan_node::PhysicalPlanType};
use prost::Message;

use super::facts::{self, FactsMessage};
use super::key_filter::{KeyFilterExec, KeyProbeExec};
use super::recursive::{self, RecursiveMessage, WorkTableMessage, WorkTables};
use super::scans::{ScanNumbers, file_scan};
use super::series::{self, SeriesMessage};
use super::shuffle_read::{Reads, ShuffleReadExec};
use super::spilling_join;
use super::splits::{self, FilesByPartition, ScanMessage};
use crate::functions;
use crate::sink::TableWriteExec;
use crate::user_code::{PlacedCodeMessage, UserCodeExec};

/// A node that DataFusion's messages do not know, or not well enough.
#[derive(Clone, PartialEq, prost::Message)]
struct NodeMessage {
    #[prost(oneof = "Node", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9")]
    node: Option<Node>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Node {
    #[prost(message, tag = "1")]
    ShuffleRead(ShuffleReadMessage),
    #[prost(bytes, tag = "2")]
    TableWrite(Vec<u8>),
    #[prost(message, tag = "3")]
    Recursive(RecursiveMessage),
    #[prost(message, tag = "4")]
    WorkTable(WorkTableMessage),
    #[prost(message, tag = "5")]
    Scan(ScanMessage),
    #[prost(message, tag = "6")]
    Series(SeriesMessage),
    #[prost(message, tag = "7")]
    KeyFilter(KeyFilterMessage),
    #[prost(message, tag = "8")]
    KeyProbe(KeyFilterMessage),
    #[prost(message, boxed, tag = "9")]
    UserCode(Box<UserCodeMessage>),
}

#[derive(Clone, PartialEq, prost::Message)]
struct UserCodeMessage {
    #[prost(message, optional, tag = "1")]
    code: Option<PlacedCodeMessage>,
    #[prost(message, repeated, tag = "2")]
    partition: Vec<protobuf::PhysicalExprNode>,
    #[prost(message, repeated, tag = "3")]
    order: Vec<OrderMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OrderMessage {
    #[prost(message, optional, tag = "1")]
    expr: Option<protobuf::PhysicalExprNode>,
    #[prost(bool, tag = "2")]
    descending: bool,
    #[prost(bool, tag = "3")]
    nulls_first: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyFilterMessage {
    #[prost(message, repeated, tag = "1")]
    keys: Vec<protobuf::PhysicalExprNode>,
    /// Of a probe.
    #[prost(uint32, tag = "2")]
    parts: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ShuffleReadMessage {
    #[prost(uint32, tag = "1")]
    stage: u32,
    #[prost(enumeration = "ReadsMessage", tag = "2")]
    reads: i32,
    #[prost(message, optional, tag = "3")]
    schema: Option<protobuf::Schema>,
    #[prost(message, optional, tag = "4")]
    partitioning: Option<protobuf::Partitioning>,
    #[prost(message, optional, tag = "5")]
    facts: Option<FactsMessage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum ReadsMessage {
    Partition = 0,
    All = 1,
    Each = 2,
}

/// Encodes expressions outside of a plan.
pub(super) struct ExprEncoder<'a> {
    codec: &'a dyn PhysicalExtensionCodec,
    converter: &'a dyn PhysicalProtoConverterExtension,
}

impl ExprEncoder<'_> {
    pub fn encode(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<protobuf::PhysicalExprNode> {
        self.converter.physical_expr_to_proto(expr, self.codec)
    }
}

/// Decodes expressions outside of a plan.
pub(super) struct ExprDecoder<'a> {
    context: PhysicalPlanDecodeContext<'a>,
    converter: &'a dyn PhysicalProtoConverterExtension,
}

impl<'a> ExprDecoder<'a> {
    pub fn new(context: PhysicalPlanDecodeContext<'a>, converter: &'a dyn PhysicalProtoConverterExtension) -> Self {
        ExprDecoder { context, converter }
    }

    pub fn decode(&self, node: &protobuf::PhysicalExprNode, schema: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
        self.converter.proto_to_physical_expr(node, schema, &self.context)
    }

    pub fn decode_partitioning(&self, node: Option<&protobuf::Partitioning>, schema: &Schema) -> Result<Partitioning> {
        parse_protobuf_partitioning(node, &self.context, schema, self.converter)?
            .ok_or_else(|| internal_datafusion_err!("an exchange has no partitioning"))
    }
}

/// Encodes one fragment's plan.
pub(super) struct PlanEncoder {
    scans: ScanNumbers,
    work_tables: WorkTables,
}

impl PlanEncoder {
    pub fn new(root: &Arc<dyn ExecutionPlan>) -> Result<PlanEncoder> {
        Ok(PlanEncoder { scans: ScanNumbers::of(root), work_tables: WorkTables::of(root)? })
    }

    /// Errors with `NotImplemented`, naming the operator or expression, if there is no message for it.
    pub fn encode(&self, root: &Arc<dyn ExecutionPlan>) -> Result<protobuf::PhysicalPlanNode> {
        let codec = EncodeCodec::default();
        let encoded = self.execution_plan_to_proto(root, &codec);
        codec.explain(encoded)
    }

    pub fn encode_partitioning(&self, partitioning: &Partitioning) -> Result<protobuf::Partitioning> {
        let codec = EncodeCodec::default();
        let encoded = serialize_partitioning(partitioning, &codec, self);
        codec.explain(encoded)
    }

    pub fn encode_expr(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<protobuf::PhysicalExprNode> {
        let codec = EncodeCodec::default();
        let encoded = self.physical_expr_to_proto(expr, &codec);
        codec.explain(encoded)
    }

    fn own_node(&self, plan: &Arc<dyn ExecutionPlan>, codec: &dyn PhysicalExtensionCodec) -> Result<Option<Node>> {
        if let Some(scan) = file_scan(plan) {
            return self.scans.get(plan).map(|number| self.scan_node(scan, number, codec)).transpose();
        }
        if let Some(read) = plan.downcast_ref::<ShuffleReadExec>() {
            return Ok(Some(Node::ShuffleRead(encode_shuffle_read(read, self, codec)?)));
        }
        if let Some(write) = plan.downcast_ref::<TableWriteExec>() {
            return Ok(Some(Node::TableWrite(write.encode())));
        }
        let encoded = |keys: &[Arc<dyn PhysicalExpr>], parts| {
            let exprs = ExprEncoder { codec, converter: self };
            let keys = keys.iter().map(|key| exprs.encode(key)).collect::<Result<_>>()?;
            Ok::<_, datafusion::common::DataFusionError>(KeyFilterMessage { keys, parts })
        };
        if let Some(filter) = plan.downcast_ref::<KeyFilterExec>() {
            return Ok(Some(Node::KeyFilter(encoded(filter.keys(), 0)?)));
        }
        if let Some(probe) = plan.downcast_ref::<KeyProbeExec>() {
            return Ok(Some(Node::KeyProbe(encoded(probe.keys(), probe.parts())?)));
        }
        if let Some(code) = plan.downcast_ref::<UserCodeExec>() {
            return Ok(Some(Node::UserCode(Box::new(self.user_code(code, codec)?))));
        }
        if let Some(series) = plan.downcast_ref::<LazyMemoryExec>() {
            return self.series_node(series, codec).map(Some);
        }
        if let Some(query) = plan.downcast_ref::<RecursiveQueryExec>() {
            return Ok(Some(Node::Recursive(recursive::encode(query)?)));
        }
        match plan.downcast_ref::<WorkTableExec>() {
            Some(table) => Ok(Some(Node::WorkTable(self.work_tables.encode(table)?))),
            None => Ok(None),
        }
    }

    fn user_code(&self, code: &UserCodeExec, codec: &dyn PhysicalExtensionCodec) -> Result<UserCodeMessage> {
        let exprs = ExprEncoder { codec, converter: self };
        let order = code.order().iter().map(|sort| {
            let SortOptions { descending, nulls_first } = sort.options;
            Ok(OrderMessage { expr: Some(exprs.encode(&sort.expr)?), descending, nulls_first })
        });
        Ok(UserCodeMessage {
            code: Some(code.code().try_into()?),
            partition: code.partition().iter().map(|expr| exprs.encode(expr)).collect::<Result<_>>()?,
            order: order.collect::<Result<_>>()?,
        })
    }

    fn series_node(&self, series: &LazyMemoryExec, codec: &dyn PhysicalExtensionCodec) -> Result<Node> {
        let mut message = series::encode(series, &ExprEncoder { codec, converter: self })?;
        let whole = series::whole(series)?;
        let node = protobuf::PhysicalPlanNode::try_from_physical_plan_with_converter(whole, codec, self)?;
        message.plan = Some(Box::new(node));
        Ok(Node::Series(message))
    }

    fn scan_node(
        &self,
        scan: &datafusion::datasource::physical_plan::FileScanConfig,
        number: u32,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<Node> {
        let mut message = splits::describe_scan(scan, number);
        let empty = splits::without_files(scan);
        let node = protobuf::PhysicalPlanNode::try_from_physical_plan_with_converter(empty, codec, self)?;
        message.plan = Some(Box::new(node));
        Ok(Node::Scan(message))
    }
}

impl PhysicalProtoConverterExtension for PlanEncoder {
    fn proto_to_execution_plan(
        &self,
        _: &protobuf::PhysicalPlanNode,
        _: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        internal_err!("an encoder does not decode")
    }

    fn execution_plan_to_proto(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<protobuf::PhysicalPlanNode> {
        let Some(node) = self.own_node(plan, codec)? else {
            return protobuf::PhysicalPlanNode::try_from_physical_plan_with_converter(Arc::clone(plan), codec, self);
        };
        let children = plan.children();
        let inputs = children.into_iter().map(|child| self.execution_plan_to_proto(child, codec));
        let extension = protobuf::PhysicalExtensionNode {
            node: NodeMessage { node: Some(node) }.encode_to_vec(),
            inputs: inputs.collect::<Result<_>>()?,
        };
        Ok(protobuf::PhysicalPlanNode { physical_plan_type: Some(PhysicalPlanType::Extension(extension)) })
    }

    fn proto_to_physical_expr(
        &self,
        _: &protobuf::PhysicalExprNode,
        _: &Schema,
        _: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        internal_err!("an encoder does not decode")
    }

    fn physical_expr_to_proto(
        &self,
        expr: &Arc<dyn PhysicalExpr>,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<protobuf::PhysicalExprNode> {
        serialize_physical_expr_with_converter(expr, codec, self)
    }
}

fn encode_shuffle_read(
    read: &ShuffleReadExec,
    encoder: &PlanEncoder,
    codec: &dyn PhysicalExtensionCodec,
) -> Result<ShuffleReadMessage> {
    let exprs = ExprEncoder { codec, converter: encoder };
    let reads = match read.reads() {
        Reads::Partition => ReadsMessage::Partition,
        Reads::All => ReadsMessage::All,
        Reads::Each => ReadsMessage::Each,
    };
    Ok(ShuffleReadMessage {
        stage: read.stage(),
        reads: reads as i32,
        schema: Some(protobuf::Schema::try_from(read.schema().as_ref())?),
        partitioning: Some(serialize_partitioning(&read.properties().partitioning, codec, encoder)?),
        facts: Some(facts::encode(&read.properties().eq_properties, &exprs)?),
    })
}

/// Remembers what had no message, because DataFusion's own error prints the whole plan instead of its name.
#[derive(Debug, Default)]
struct EncodeCodec {
    refused: parking_lot::Mutex<Option<String>>,
}

impl EncodeCodec {
    fn explain<T>(&self, encoded: Result<T>) -> Result<T> {
        match self.refused.lock().take() {
            Some(name) => not_impl_err!("`{name}` cannot be sent to workers"),
            None => encoded,
        }
    }
}

impl PhysicalExtensionCodec for EncodeCodec {
    fn try_decode(
        &self,
        _: &[u8],
        _: &[Arc<dyn ExecutionPlan>],
        _: &TaskContext,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        internal_err!("an encoder does not decode")
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        _: &mut Vec<u8>,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        *self.refused.lock() = Some(node.name().to_owned());
        not_impl_err!("no message for {}", node.name())
    }

    fn try_encode_udf(&self, function: &ScalarUDF, bytes: &mut Vec<u8>) -> Result<()> {
        functions::wasm::encode_scalar(function, bytes);
        Ok(())
    }

    fn try_encode_udaf(&self, function: &AggregateUDF, bytes: &mut Vec<u8>) -> Result<()> {
        functions::wasm::encode_aggregate(function, bytes);
        Ok(())
    }

    fn try_encode_expr(
        &self,
        node: &Arc<dyn PhysicalExpr>,
        _: &mut Vec<u8>,
        _: &datafusion::physical_expr_common::physical_expr::proto_encode::PhysicalExprEncodeCtx<'_>,
    ) -> Result<()> {
        *self.refused.lock() = Some(node.to_string());
        not_impl_err!("no message for {node}")
    }
}

/// Reads the functions that come with a fragment.
#[derive(Debug)]
pub(super) struct DecodeCodec;

impl PhysicalExtensionCodec for DecodeCodec {
    fn try_decode(
        &self,
        _: &[u8],
        _: &[Arc<dyn ExecutionPlan>],
        _: &TaskContext,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        internal_err!("a node of the fragment has no message of ours")
    }

    fn try_encode(
        &self,
        _: Arc<dyn ExecutionPlan>,
        _: &mut Vec<u8>,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        internal_err!("a decoder does not encode")
    }

    fn try_decode_udf(&self, _: &str, bytes: &[u8]) -> Result<Arc<ScalarUDF>> {
        functions::wasm::decode_scalar(bytes).map(Arc::new)
    }

    fn try_decode_udaf(&self, _: &str, bytes: &[u8]) -> Result<Arc<AggregateUDF>> {
        functions::wasm::decode_aggregate(bytes).map(Arc::new)
    }
}

/// Decodes the plan of one fragment for one task.
pub(super) struct PlanDecoder {
    /// Shared expressions that have been decoded, by the id they had where they were made.
    shared: RefCell<HashMap<u64, Arc<dyn PhysicalExpr>>>,
    /// How many expressions enclose the one being decoded.
    nesting: Cell<u32>,
    /// The task's files.
    files: FilesByPartition,
}

impl PlanDecoder {
    pub fn new(files: FilesByPartition) -> PlanDecoder {
        PlanDecoder { shared: RefCell::default(), nesting: Cell::new(0), files }
    }

    /// Our own nodes. DataFusion's hook for them leaves out the scope of scalar subqueries.
    fn decode_own(
        &self,
        extension: &protobuf::PhysicalExtensionNode,
        context: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let message = NodeMessage::decode(extension.node.as_slice())
            .map_err(|error| internal_datafusion_err!("a node of the fragment cannot be read: {error}"))?;
        let inputs = extension.inputs.iter().map(|input| self.proto_to_execution_plan(input, context));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        match message.node {
            Some(Node::ShuffleRead(read)) => decode_shuffle_read(&read, context, self),
            Some(Node::TableWrite(write)) => match inputs.as_slice() {
                [input] => TableWriteExec::decode(&write, Arc::clone(input)),
                _ => internal_err!("TableWriteExec has {} inputs", inputs.len()),
            },
            Some(Node::Recursive(query)) => recursive::decode(&query, &inputs),
            Some(Node::WorkTable(table)) => recursive::decode_work_table(&table),
            Some(Node::Scan(scan)) => self.decode_scan(&scan, context),
            Some(Node::Series(series)) => {
                let whole = self.decode_inner(series.plan.as_deref(), context)?;
                series::decode(&series, &whole, &ExprDecoder::new(context.clone(), self))
            }
            Some(Node::KeyFilter(filter)) => match inputs.as_slice() {
                [input] => {
                    let keys = self.decode_keys(&filter, input, context)?;
                    Ok(Arc::new(KeyFilterExec::new(Arc::clone(input), keys)))
                }
                _ => internal_err!("KeyFilterExec has {} inputs", inputs.len()),
            },
            Some(Node::KeyProbe(probe)) => match inputs.as_slice() {
                [input, filters] => {
                    let keys = self.decode_keys(&probe, input, context)?;
                    Ok(Arc::new(KeyProbeExec::new(Arc::clone(input), Arc::clone(filters), keys, probe.parts)))
                }
                _ => internal_err!("KeyProbeExec has {} inputs", inputs.len()),
            },
            Some(Node::UserCode(code)) => match inputs.as_slice() {
                [input] => self.decode_user_code(*code, input, context),
                _ => internal_err!("UserCodeExec has {} inputs", inputs.len()),
            },
            None => internal_err!("a node of the fragment is of a kind that this build does not know"),
        }
    }

    fn decode_user_code(
        &self,
        message: UserCodeMessage,
        input: &Arc<dyn ExecutionPlan>,
        context: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let decoder = ExprDecoder::new(context.clone(), self);
        let schema = input.schema();
        let code = message.code.and_then(PlacedCodeMessage::decode);
        let code = code.ok_or_else(|| internal_datafusion_err!("the user's code was written by another build"))?;
        let partition = message.partition.iter().map(|expr| decoder.decode(expr, &schema));
        let order = message.order.iter().map(|sort| {
            let expr = sort.expr.as_ref().ok_or_else(|| internal_datafusion_err!("an order has no expression"))?;
            let options = SortOptions { descending: sort.descending, nulls_first: sort.nulls_first };
            Ok(PhysicalSortExpr { expr: decoder.decode(expr, &schema)?, options })
        });
        let (partition, order) = (partition.collect::<Result<_>>()?, order.collect::<Result<_>>()?);
        Ok(Arc::new(UserCodeExec::new(Arc::clone(input), Arc::new(code), partition, order)))
    }

    fn decode_keys(
        &self,
        message: &KeyFilterMessage,
        input: &Arc<dyn ExecutionPlan>,
        context: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
        let decoder = ExprDecoder::new(context.clone(), self);
        message.keys.iter().map(|key| decoder.decode(key, &input.schema())).collect()
    }

    /// DataFusion's message inside one of ours.
    fn decode_inner(
        &self,
        plan: Option<&protobuf::PhysicalPlanNode>,
        context: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = plan.ok_or_else(|| internal_datafusion_err!("a node of the fragment has no plan"))?;
        self.proto_to_execution_plan(plan, context)
    }

    fn decode_scan(
        &self,
        message: &ScanMessage,
        context: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = message.plan.as_ref().ok_or_else(|| internal_datafusion_err!("a scan has no plan"))?;
        let decoded = self.proto_to_execution_plan(plan, context)?;
        match file_scan(&decoded) {
            Some(scan) => splits::with_files(scan, message, &self.files),
            None => internal_err!("a scan was decoded as {}", decoded.name()),
        }
    }

    fn decode_shared(
        &self,
        node: &protobuf::PhysicalExprNode,
        schema: &Schema,
        context: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let decoded = parse_physical_expr_with_converter(node, schema, context, self)?;
        let Some(id) = node.expr_id else { return Ok(decoded) };
        if let Some(first) = self.shared.borrow().get(&id) {
            // Only the children may differ: each holder sees the shared state through columns of its own.
            let children = decoded.children().into_iter().cloned().collect();
            return Arc::clone(first).with_new_children(children);
        }
        self.shared.borrow_mut().insert(id, Arc::clone(&decoded));
        Ok(decoded)
    }
}

impl PhysicalProtoConverterExtension for PlanDecoder {
    fn proto_to_execution_plan(
        &self,
        proto: &protobuf::PhysicalPlanNode,
        context: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match &proto.physical_plan_type {
            Some(PhysicalPlanType::Extension(extension)) => self.decode_own(extension, context),
            _ => spilling_join::in_place_of(proto.try_into_physical_plan_with_context(context, self)?),
        }
    }

    fn execution_plan_to_proto(
        &self,
        _: &Arc<dyn ExecutionPlan>,
        _: &dyn PhysicalExtensionCodec,
    ) -> Result<protobuf::PhysicalPlanNode> {
        internal_err!("a decoder does not encode")
    }

    fn proto_to_physical_expr(
        &self,
        proto: &protobuf::PhysicalExprNode,
        schema: &Schema,
        context: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let nesting = self.nesting.get();
        self.nesting.set(nesting + 1);
        let decoded = self.decode_shared(proto, schema, context);
        self.nesting.set(nesting);
        // The outermost expression covers all those inside it.
        if nesting == 0 { functions::checked(decoded?) } else { decoded }
    }

    fn physical_expr_to_proto(
        &self,
        _: &Arc<dyn PhysicalExpr>,
        _: &dyn PhysicalExtensionCodec,
    ) -> Result<protobuf::PhysicalExprNode> {
        internal_err!("a decoder does not encode")
    }
}

fn decode_shuffle_read(
    message: &ShuffleReadMessage,
    context: &PhysicalPlanDecodeContext<'_>,
    converter: &dyn PhysicalProtoConverterExtension,
) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = recursive::decode_schema(message.schema.as_ref())?;
    let reads = match message.reads() {
        ReadsMessage::Partition => Reads::Partition,
        ReadsMessage::All => Reads::All,
        ReadsMessage::Each => Reads::Each,
    };
    let decoder = ExprDecoder::new(context.clone(), converter);
    let partitioning = decoder.decode_partitioning(message.partitioning.as_ref(), &schema)?;
    let facts = message.facts.clone().unwrap_or_default();
    let facts = facts::decode(&facts, &schema, &decoder)?;
    Ok(Arc::new(ShuffleReadExec::with_facts(message.stage, reads, partitioning, facts)))
}
