//! What is known about the rows of an exchange: orderings, equal and constant expressions.
//!
//! Operators above an exchange were planned with these facts (an aggregate that streams over sorted input, a window
//! that skips a sort key known to be constant), and they are derived again when a fragment is decoded.
//! A fact that got lost at the cut would change what those operators do.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, internal_datafusion_err};
use datafusion::physical_expr::equivalence::{AcrossPartitions, EquivalenceClass, EquivalenceGroup};
use datafusion::physical_expr::expressions::{DynamicFilterPhysicalExpr, Literal};
use datafusion::physical_expr::scalar_subquery::ScalarSubqueryExpr;
use datafusion::physical_expr::{ConstExpr, EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion_proto::protobuf;

use super::codec::{ExprDecoder, ExprEncoder};

/// Orderings and classes of equal expressions, in a form that can be sent.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FactsMessage {
    #[prost(message, repeated, tag = "1")]
    orderings: Vec<OrderingMessage>,
    #[prost(message, repeated, tag = "2")]
    classes: Vec<ClassMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OrderingMessage {
    #[prost(message, repeated, tag = "1")]
    keys: Vec<protobuf::PhysicalSortExprNode>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ClassMessage {
    #[prost(message, repeated, tag = "1")]
    exprs: Vec<protobuf::PhysicalExprNode>,
    #[prost(enumeration = "Constancy", tag = "2")]
    constancy: i32,
    /// The value of a `Uniform` constant, if known: a literal.
    #[prost(message, optional, tag = "3")]
    value: Option<protobuf::PhysicalExprNode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum Constancy {
    Varies = 0,
    PerPartition = 1,
    Uniform = 2,
}

pub(super) fn encode(facts: &EquivalenceProperties, encoder: &ExprEncoder) -> Result<FactsMessage> {
    let orderings = facts.oeq_class().iter().filter(|ordering| ordering.iter().all(|key| is_portable(&key.expr)));
    let classes = facts.eq_group().iter();
    Ok(FactsMessage {
        orderings: orderings.map(|ordering| encode_ordering(ordering, encoder)).collect::<Result<_>>()?,
        classes: classes.map(|class| encode_class(class, encoder)).collect::<Result<_>>()?,
    })
}

pub(super) fn encode_ordering(ordering: &LexOrdering, encoder: &ExprEncoder) -> Result<OrderingMessage> {
    let keys = ordering.iter().map(|key| {
        Ok(protobuf::PhysicalSortExprNode {
            expr: Some(Box::new(encoder.encode(&key.expr)?)),
            asc: !key.options.descending,
            nulls_first: key.options.nulls_first,
        })
    });
    Ok(OrderingMessage { keys: keys.collect::<Result<_>>()? })
}

fn encode_class(class: &EquivalenceClass, encoder: &ExprEncoder) -> Result<ClassMessage> {
    let portable = class.iter().filter(|expr| is_portable(expr));
    let exprs = portable.map(|expr| encoder.encode(expr)).collect::<Result<_>>()?;
    let (constancy, value) = match constancy(class) {
        None => (Constancy::Varies, None),
        Some(AcrossPartitions::Heterogeneous) => (Constancy::PerPartition, None),
        Some(AcrossPartitions::Uniform(value)) => (Constancy::Uniform, value),
    };
    let value = value.map(|value| encoder.encode(&(Arc::new(Literal::new(value)) as _))).transpose()?;
    Ok(ClassMessage { exprs, constancy: constancy as i32, value })
}

/// The class's own field is private to DataFusion; a group of this one class tells.
fn constancy(class: &EquivalenceClass) -> Option<AcrossPartitions> {
    let group = EquivalenceGroup::new([class.clone()]);
    class.iter().next().and_then(|expr| group.is_expr_constant(expr))
}

/// Expressions whose value exists only inside the producing task mean nothing to a reader.
fn is_portable(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let mut portable = true;
    let walked = expr.apply(|node| {
        if node.downcast_ref::<ScalarSubqueryExpr>().is_some()
            || node.downcast_ref::<DynamicFilterPhysicalExpr>().is_some()
        {
            portable = false;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    portable && walked.is_ok()
}

pub(super) fn decode(
    message: &FactsMessage,
    schema: &SchemaRef,
    decoder: &ExprDecoder,
) -> Result<EquivalenceProperties> {
    let mut facts = EquivalenceProperties::new(Arc::clone(schema));
    let mut classes = Vec::new();
    let mut constants = Vec::new();
    for class in &message.classes {
        let exprs = class.exprs.iter().map(|expr| decoder.decode(expr, schema)).collect::<Result<Vec<_>>>()?;
        let Some(first) = exprs.first() else { continue };
        if let Some(across) = decode_constancy(class, schema, decoder)? {
            constants.push(ConstExpr::new(Arc::clone(first), across));
        }
        classes.push(EquivalenceClass::new(exprs));
    }
    facts.add_equivalence_group(EquivalenceGroup::new(classes))?;
    facts.add_constants(constants)?;
    for ordering in &message.orderings {
        facts.add_ordering(decode_ordering(ordering, schema, decoder)?);
    }
    Ok(facts)
}

pub(super) fn decode_ordering(
    message: &OrderingMessage,
    schema: &Schema,
    decoder: &ExprDecoder,
) -> Result<Vec<PhysicalSortExpr>> {
    let keys = message.keys.iter().map(|key| {
        let node = key.expr.as_deref().ok_or_else(|| internal_datafusion_err!("a sort key has no expression"))?;
        let options = arrow::compute::SortOptions { descending: !key.asc, nulls_first: key.nulls_first };
        Ok(PhysicalSortExpr::new(decoder.decode(node, schema)?, options))
    });
    keys.collect()
}

fn decode_constancy(class: &ClassMessage, schema: &Schema, decoder: &ExprDecoder) -> Result<Option<AcrossPartitions>> {
    Ok(match class.constancy() {
        Constancy::Varies => None,
        Constancy::PerPartition => Some(AcrossPartitions::Heterogeneous),
        Constancy::Uniform => Some(AcrossPartitions::Uniform(decode_value(class, schema, decoder)?)),
    })
}

fn decode_value(class: &ClassMessage, schema: &Schema, decoder: &ExprDecoder) -> Result<Option<ScalarValue>> {
    let Some(node) = &class.value else { return Ok(None) };
    let literal = decoder.decode(node, schema)?;
    Ok(literal.downcast_ref::<Literal>().map(|literal| literal.value().clone()))
}
