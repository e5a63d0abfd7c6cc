//! Work that is larger than the memory it is given: it spills, it ends, and no process grows far beyond its limit.

#[path = "support/mod.rs"]
mod support;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{Decimal128Type, Int64Type};
use datafusion::prelude::ParquetReadOptions;
use support::cluster::TestCluster;
use support::processes::Up;
use support::tpch;
use windrow_model::JobState;

const LIMIT_BYTES: u64 = 256 << 20;

/// About 2.3 GB of rows in memory through two workers of 256 MiB.
#[tokio::test(flavor = "multi_thread")]
async fn a_sort_of_lineitem_stays_below_twice_the_memory_of_its_workers() {
    let data = tpch::generated("1");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("sorted");
    let up = Up::start(&["--workers", "2", "--memory", "256MiB", "--small-job-bytes", "0"]).await;
    let cluster = TestCluster::attached(up.address()).await;
    let script = format!(
        "{}COPY (SELECT * FROM lineitem ORDER BY l_extendedprice, l_orderkey, l_linenumber) \
         TO '{}/' STORED AS PARQUET",
        tpch::definitions(&data),
        out.display()
    );

    let id = cluster.submit(&script).await.expect("the job is accepted");
    let job = cluster.client().wait(id).await.expect("the job ends");

    assert_eq!(JobState::from_name(&job.state), Some(JobState::Succeeded), "{:?}", job.error);
    let spilled: u64 = job.stages.iter().map(|stage| stage.spill_bytes).sum();
    assert!(spilled > LIMIT_BYTES, "only {spilled} bytes were spilled: the limit was not felt");
    assert_eq!(job.workers.len(), 2, "{:?}", job.workers);
    for worker in &job.workers {
        let peak = worker.rss_peak_bytes;
        assert!(peak > 0 && peak < 2 * LIMIT_BYTES, "worker {} grew to {peak} bytes", worker.worker);
        eprintln!("worker {}: peak {} MiB of 2 x 256 MiB", worker.worker, peak >> 20);
    }
    up.stop().await;
    assert_eq!(sorted_rows(&out).await, 6_001_215);
}

/// Counts the rows of the sorted files and checks their order.
async fn sorted_rows(folder: &std::path::Path) -> usize {
    let context = windrow_engine::oracle::oracle_context(1);
    let options = ParquetReadOptions::default();
    context.register_parquet("sorted", folder.to_string_lossy(), options).await.expect("the output can be read");
    let columns = context.table("sorted").await.expect("just registered");
    let columns = columns.select_columns(&["l_extendedprice", "l_orderkey", "l_linenumber"]).expect("its columns");
    let (mut rows, mut last) = (0, (i128::MIN, i64::MIN, i32::MIN));
    for batch in columns.collect().await.expect("the output can be read") {
        let price = batch.column(0).as_primitive::<Decimal128Type>();
        let order = batch.column(1).as_primitive::<Int64Type>();
        let line = batch.column(2).as_primitive::<datafusion::arrow::datatypes::Int32Type>();
        for at in 0..price.len() {
            let key = (price.value(at), order.value(at), line.value(at));
            assert!(last < key, "{key:?} comes after {last:?}");
            last = key;
        }
        rows += batch.num_rows();
    }
    rows
}
