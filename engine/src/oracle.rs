//! Single-process DataFusion with Windrow's functions and overflow rule and nothing else of Windrow.
//!
//! Tests and benches compare every answer with it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::Result;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionContext;

use crate::functions::fail_on_overflow;
use crate::session::{base_config, base_state};

/// A plain context whose plans run on `target_partitions` threads in this process, without a memory limit.
pub fn oracle_context(target_partitions: usize) -> SessionContext {
    let config = base_config().with_target_partitions(target_partitions);
    SessionContext::new_with_state(base_state(config, Arc::new(RuntimeEnv::default())))
}

/// Runs one statement and gives all its rows. Arithmetic that overflows fails, as it does in Windrow.
pub async fn collect(context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    let frame = context.sql(sql).await?;
    let plan = fail_on_overflow(frame.create_physical_plan().await?)?;
    datafusion::physical_plan::collect(plan, context.task_ctx()).await
}

/// A hash of the rows in any order; floats count with twelve significant digits, because sums of them depend on it.
pub fn digest(batches: &[RecordBatch]) -> Result<u64> {
    let mut sum = 0_u64;
    for batch in batches {
        for row in row_hashes(batch)? {
            sum = sum.wrapping_add(row);
        }
    }
    Ok(sum)
}

fn row_hashes(batch: &RecordBatch) -> Result<Vec<u64>> {
    let options = FormatOptions::default().with_null("NULL");
    let mut hashers = vec![DefaultHasher::new(); batch.num_rows()];
    for column in batch.columns() {
        let floats = matches!(column.data_type(), DataType::Float32 | DataType::Float64);
        let column = if floats { cast(column, &DataType::Float64)? } else { Arc::clone(column) };
        let floats = column.as_any().downcast_ref::<Float64Array>();
        let formatter = ArrayFormatter::try_new(&column, &options)?;
        for (row, hasher) in hashers.iter_mut().enumerate() {
            match floats {
                Some(floats) if floats.is_valid(row) => format!("{:.11e}", floats.value(row)).hash(hasher),
                _ => formatter.value(row).to_string().hash(hasher),
            }
        }
    }
    Ok(hashers.iter().map(DefaultHasher::finish).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_digest_ignores_the_order_of_rows_and_sees_their_values() {
        let context = oracle_context(2);
        let digest_of = async |sql| digest(&collect(&context, sql).await.expect("a query")).expect("a digest");
        let ascending = digest_of("SELECT * FROM (VALUES (1, 'a'), (2, 'b')) t ORDER BY 1").await;
        let descending = digest_of("SELECT * FROM (VALUES (1, 'a'), (2, 'b')) t ORDER BY 1 DESC").await;
        let other = digest_of("SELECT * FROM (VALUES (1, 'b'), (2, 'a')) t").await;
        assert_eq!(ascending, descending);
        assert_ne!(ascending, other);
    }
}
