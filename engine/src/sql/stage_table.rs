//! A table whose rows are the outputs of an earlier stage (`CREATE TABLE AS`).

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, project_schema};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::{ExecutionPlan, Partitioning};

use crate::plan::{Reads, ShuffleReadExec};

/// One partition for each task of the stage that made it.
#[derive(Debug)]
pub(crate) struct StageTable {
    schema: SchemaRef,
    /// Index of the stage within the job.
    stage: u32,
    tasks: usize,
}

impl StageTable {
    pub fn new(schema: SchemaRef, stage: u32, tasks: usize) -> StageTable {
        StageTable { schema, stage, tasks }
    }
}

#[async_trait]
impl TableProvider for StageTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let partitioning = Partitioning::UnknownPartitioning(self.tasks);
        let read = ShuffleReadExec::new(self.stage, Arc::clone(&self.schema), Reads::Each, partitioning, None);
        let Some(columns) = projection else { return Ok(Arc::new(read)) };
        let projected = project_schema(&self.schema, Some(columns))?;
        let exprs = columns.iter().zip(projected.fields()).map(|(index, field)| ProjectionExpr {
            expr: Arc::new(Column::new(field.name(), *index)),
            alias: field.name().clone(),
        });
        Ok(Arc::new(ProjectionExec::try_new(exprs.collect::<Vec<_>>(), Arc::new(read))?))
    }
}
