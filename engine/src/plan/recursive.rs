//! Recursive queries, which DataFusion's plan codec does not know.
//!
//! They run whole inside one task. Decoding builds the query from its two terms, which binds the work table anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{Result, internal_datafusion_err, internal_err, not_impl_err};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::work_table::WorkTableExec;
use datafusion_proto::protobuf;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RecursiveMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bool, tag = "2")]
    is_distinct: bool,
    #[prost(message, optional, tag = "3")]
    schema: Option<protobuf::Schema>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WorkTableMessage {
    #[prost(string, tag = "1")]
    name: String,
    /// Of the whole work table.
    #[prost(message, optional, tag = "2")]
    schema: Option<protobuf::Schema>,
    /// Columns read, in order.
    #[prost(uint32, repeated, tag = "3")]
    projection: Vec<u32>,
}

/// Schemas of the recursive queries below a plan, by name. A work table node only tells the columns it reads.
#[derive(Debug, Default)]
pub(super) struct WorkTables {
    by_name: BTreeMap<String, SchemaRef>,
}

impl WorkTables {
    pub fn of(root: &Arc<dyn ExecutionPlan>) -> Result<WorkTables> {
        let mut tables = WorkTables::default();
        tables.collect(root)?;
        Ok(tables)
    }

    fn collect(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
        if let Some(query) = plan.downcast_ref::<RecursiveQueryExec>() {
            let schema = query.static_term().schema();
            if let Some(other) = self.by_name.insert(query.name().to_owned(), Arc::clone(&schema))
                && other != schema
            {
                return not_impl_err!(
                    "two recursive queries of one statement are called `{}`; rename one",
                    query.name()
                );
            }
        }
        plan.children().into_iter().try_for_each(|child| self.collect(child))
    }

    pub fn encode(&self, table: &WorkTableExec) -> Result<WorkTableMessage> {
        let name = table.name().to_owned();
        let Some(whole) = self.by_name.get(&name) else {
            return internal_err!("the work table `{name}` is cut off from its recursive query");
        };
        let columns = table.schema();
        let projection = columns.fields().iter().map(|field| Ok(whole.index_of(field.name())? as u32));
        let projection = projection.collect::<Result<_>>()?;
        // The nodes' own field properties: those of the static term may be narrower.
        let schema = Some(protobuf::Schema::try_from(widened(whole, &columns).as_ref())?);
        Ok(WorkTableMessage { name, schema, projection })
    }
}

/// `whole` with the fields of `read` in place of those with the same name.
fn widened(whole: &SchemaRef, read: &SchemaRef) -> SchemaRef {
    let fields = whole.fields().iter().map(|field| match read.column_with_name(field.name()) {
        Some((_, read)) => Arc::new(read.clone()),
        None => Arc::clone(field),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), read.metadata().clone()))
}

pub(super) fn encode(query: &RecursiveQueryExec) -> Result<RecursiveMessage> {
    let schema = Some(protobuf::Schema::try_from(query.schema().as_ref())?);
    Ok(RecursiveMessage { name: query.name().to_owned(), is_distinct: query.is_distinct(), schema })
}

pub(super) fn decode(message: &RecursiveMessage, inputs: &[Arc<dyn ExecutionPlan>]) -> Result<Arc<dyn ExecutionPlan>> {
    let [static_term, recursive_term] = inputs else {
        return internal_err!("the recursive query `{}` has {} terms", message.name, inputs.len());
    };
    Ok(Arc::new(RecursiveQueryExec::try_new(
        message.name.clone(),
        decode_schema(message.schema.as_ref())?,
        Arc::clone(static_term),
        Arc::clone(recursive_term),
        message.is_distinct,
    )?))
}

pub(super) fn decode_work_table(message: &WorkTableMessage) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = decode_schema(message.schema.as_ref())?;
    let projection = message.projection.iter().map(|&column| column as usize).collect();
    Ok(Arc::new(WorkTableExec::new(message.name.clone(), schema, Some(projection))?))
}

pub(super) fn decode_schema(schema: Option<&protobuf::Schema>) -> Result<SchemaRef> {
    let schema = schema.ok_or_else(|| internal_datafusion_err!("a node of the fragment has no schema"))?;
    Ok(Arc::new(Schema::try_from(schema)?))
}
