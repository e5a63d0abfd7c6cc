//! All 22 TPC-H queries give the rows of single-process DataFusion, in one process and in separate ones.

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};

use support::cluster::TestCluster;
use support::processes::Up;
use support::{rows, tpch};

async fn expected(data: &Path) -> Vec<Vec<String>> {
    let context = windrow_engine::oracle::oracle_context(2);
    tpch::register(&context, data).await;
    let mut answers = Vec::new();
    for number in 1..=22 {
        let batches = windrow_engine::oracle::collect(&context, &tpch::query(number)).await;
        answers.push(rows::sorted_lines(&batches.unwrap_or_else(|error| panic!("q{number:02}: {error}"))));
    }
    answers
}

fn data() -> PathBuf {
    tpch::generated("0.05")
}

async fn all_queries_agree_on(cluster: &TestCluster) {
    all_queries_agree_with(cluster, "").await;
}

/// With `settings` before each of them.
async fn all_queries_agree_with(cluster: &TestCluster, settings: &str) {
    let data = data();
    let expected = expected(&data).await;
    let mut wrong = Vec::new();
    for number in 1..=22 {
        let script = format!("{settings}{}{}", tpch::definitions(&data), tpch::query(number));
        match cluster.run_sql(&script).await {
            Ok(batches) if rows::sorted_lines(&batches) == expected[number as usize - 1] => {}
            Ok(batches) => wrong.push(format!(
                "q{number:02}: got {:?}\nwanted {:?}",
                rows::sorted_lines(&batches).iter().take(5).collect::<Vec<_>>(),
                expected[number as usize - 1].iter().take(5).collect::<Vec<_>>()
            )),
            Err(report) => wrong.push(format!("q{number:02}: {report}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_of_two_slots_agrees_with_datafusion() {
    let cluster = TestCluster::start(1, 2).await;
    all_queries_agree_on(&cluster).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_agree_with_datafusion() {
    let cluster = TestCluster::start(2, 1).await;
    all_queries_agree_on(&cluster).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_agree_with_datafusion_without_each_rule() {
    let cluster = TestCluster::start(2, 1).await;
    for settings in [
        "SET windrow.order_joins = false; ",
        "SET datafusion.optimizer.enable_dynamic_filter_pushdown = false; ",
        "SET windrow.partition_bytes = '128KiB'; ",
        "SET windrow.partition_bytes = '128KiB'; SET windrow.coalesce_bytes = '0'; ",
    ] {
        all_queries_agree_with(&cluster, settings).await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_workers_agree_with_datafusion() {
    let cluster = TestCluster::start(4, 1).await;
    all_queries_agree_on(&cluster).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn separate_processes_agree_with_datafusion() {
    for flags in [&[][..], &["--no-local-reads"]] {
        let up = Up::start(&[&["--workers", "2", "--small-job-bytes", "0"], flags].concat()).await;
        let cluster = TestCluster::attached(up.address()).await;
        all_queries_agree_on(&cluster).await;
        up.stop().await;
    }
}

/// Rows in the order of the files' names, and of the rows in them.
async fn rows_of_files(folder: &Path) -> Vec<Vec<String>> {
    let context = windrow_engine::oracle::oracle_context(1);
    let options = datafusion::prelude::ParquetReadOptions::default();
    context.register_parquet("written", folder.to_string_lossy(), options).await.expect("the output can be read");
    rows::cells(&windrow_engine::oracle::collect(&context, "SELECT * FROM written").await.expect("it has rows"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_written_in_an_order_has_it_over_all_files() {
    let (data, folder) = (data(), tempfile::tempdir().expect("a temporary folder"));
    let cluster = TestCluster::start(2, 1).await;
    let oracle = windrow_engine::oracle::oracle_context(1);
    tpch::register(&oracle, &data).await;
    let unique = "l_orderkey, l_linenumber";
    for (index, (order, in_ranges)) in [
        (format!("l_extendedprice, {unique}"), true),
        (format!("l_comment DESC NULLS FIRST, {unique}"), true),
        (format!("l_shipmode, l_shipdate DESC, {unique}"), true),
        (format!("l_extendedprice, {unique}"), false),
    ]
    .into_iter()
    .enumerate()
    {
        let select = format!("SELECT * FROM lineitem WHERE l_partkey % 3 = 0 ORDER BY {order}");
        let wanted = windrow_engine::oracle::collect(&oracle, &select).await.expect("the oracle answers");
        let out = folder.path().join(index.to_string());
        let script = format!(
            "SET windrow.sort_ranges = {in_ranges}; SET windrow.partition_bytes = '256KiB'; {}\
             COPY ({select}) TO '{}/' STORED AS PARQUET",
            tpch::definitions(&data),
            out.display()
        );

        let id = cluster.submit(&script).await.expect("the job is accepted");
        let job = cluster.client().wait(id).await.expect("the job ends");

        assert_eq!(job.error, None, "{order}");
        let writers = job.stages.last().expect("a stage that writes").tasks;
        assert_eq!(writers > 1, in_ranges, "{order}: {writers} tasks write");
        assert!(rows_of_files(&out).await == rows::cells(&wanted), "{order}: rows are missing or out of order");
    }
    cluster.stop().await;
}
