//! What goes to workers comes back as it was.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, DynamicFilterPhysicalExpr, col, lit};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::CsvReadOptions;

use super::bed::{Bed, sorted};
use super::cluster::{decode, run, run_stages, worker_state};
use crate::plan::scans::file_scans;
use crate::plan::{Distributed, decode_fragment, distribute};

fn text(plan: &Arc<dyn ExecutionPlan>) -> String {
    displayable(plan.as_ref()).set_show_schema(true).indent(true).to_string()
}

/// The operators without the list of their files, which differs between tasks.
fn without_files(plan: &Arc<dyn ExecutionPlan>) -> String {
    let strip = |line: &str| match (line.find("file_groups={"), line.find("]}, ")) {
        (Some(start), Some(end)) if start < end => format!("{}{}\n", &line[..start], &line[end + 4..]),
        _ => format!("{line}\n"),
    };
    text(plan).lines().map(strip).collect()
}

const STATEMENTS: [&str; 10] = [
    "SELECT region, count(*), avg(price) FROM orders WHERE amount > 10 GROUP BY region ORDER BY region LIMIT 2",
    "SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON o.customer = c.id AND o.amount > c.level",
    "SELECT o.id, c.id FROM orders o JOIN customers c ON o.amount < c.level",
    "SELECT id FROM customers WHERE id NOT IN (SELECT key FROM gaps)",
    "SELECT id, rank() OVER (PARTITION BY region ORDER BY amount), sum(amount) OVER () FROM orders",
    "SELECT id FROM orders WHERE amount > (SELECT avg(amount) FROM orders)",
    "SELECT id FROM tiny UNION ALL SELECT key FROM gaps",
    "SELECT value, count(*) FROM generate_series(1, 3) GROUP BY value ORDER BY value",
    "WITH RECURSIVE w AS (SELECT id, level FROM tiny UNION ALL SELECT id + 1, level FROM w WHERE id < 9) SELECT level FROM w",
    "SELECT count(*) FROM orders CROSS JOIN nothing",
];

#[tokio::test]
async fn a_decoded_fragment_is_the_plan_that_was_encoded() {
    let bed = Bed::new();
    for planner in [bed.tasks(3).await, bed.whole(2).await] {
        for sql in STATEMENTS {
            for stage in planner.distribute(sql).await.stages {
                let decoded = decode(&stage, 0).unwrap();
                assert_eq!(without_files(&decoded.plan), without_files(&stage.physical), "{sql}");
                assert_eq!(format!("{:?}", decoded.output), format!("{:?}", stage.output), "{sql}");
            }
        }
    }
}

#[tokio::test]
async fn a_whole_plan_gets_all_its_files_back() {
    let planner = Bed::new().whole(2).await;
    for sql in STATEMENTS {
        let distributed = planner.distribute(sql).await;
        let decoded = decode(&distributed.stages[0], 0).unwrap();
        assert_eq!(text(&decoded.plan), text(&distributed.stages[0].physical), "{sql}");
    }
}

#[tokio::test]
async fn a_file_keeps_its_size_time_and_tag() {
    let distributed = Bed::new().whole(2).await.distribute("SELECT id FROM orders").await;
    let decoded = decode(&distributed.stages[0], 0).unwrap().plan;
    let metas = |plan: &Arc<dyn ExecutionPlan>| {
        let scans = file_scans(plan);
        let files = scans.iter().flat_map(|scan| &scan.file_groups).flat_map(|group| group.files());
        files.map(|file| file.object_meta.clone()).collect::<Vec<_>>()
    };
    assert_eq!(metas(&decoded), metas(&distributed.stages[0].physical));
    assert!(metas(&decoded).iter().all(|meta| meta.e_tag.is_some()));
}

#[tokio::test]
async fn one_fragment_serves_all_tasks_and_holds_no_file() {
    let distributed = Bed::new().tasks(4).await.distribute("SELECT id FROM orders").await;
    let fragment = &distributed.stages[0].fragment;
    assert!(!fragment.windows(8).any(|window| window == b".parquet"));
    assert!(distributed.stages[0].splits.iter().all(Option::is_some));
}

#[tokio::test]
async fn equal_stages_have_equal_fragments() {
    let planner = Bed::new().tasks(3).await;
    let hash = |distributed: &Distributed| distributed.stages[0].plan.fragment;
    let first = planner.distribute("SELECT id FROM orders").await;
    assert_eq!(hash(&first), hash(&planner.distribute("SELECT id FROM orders").await));
    assert_ne!(hash(&first), hash(&planner.distribute("SELECT amount FROM orders").await));
}

/// Two rows of `k,v`, made with `printf 'k,v\n1,a\n2,b\n' | gzip -n`.
const GZIPPED: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xcb, 0xd6, 0x29, 0xe3, 0x32, 0xd4, 0x49, 0xe4, 0x32,
    0xd2, 0x49, 0xe2, 0x02, 0x00, 0xf8, 0xc7, 0xe3, 0xd4, 0x0c, 0x00, 0x00, 0x00,
];

#[tokio::test]
async fn compressed_files_are_read_as_such() {
    let bed = Bed::new();
    let file = bed.path().join("words.csv.gz");
    std::fs::write(&file, GZIPPED).unwrap();
    let planner = bed.tasks(2).await;
    let options = CsvReadOptions::new().file_extension("gz").file_compression_type(FileCompressionType::GZIP);
    planner.csv("words", &file, options).await;
    let rows = run(&planner, "SELECT v, k FROM words").await.unwrap();
    assert_eq!(sorted(&rows), ["|a|1|", "|b|2|"]);
}

#[tokio::test]
async fn settings_of_the_statement_travel_with_the_fragment() {
    let bed = Bed::new().with("datafusion.execution.batch_size", "17");
    let distributed = bed.tasks(3).await.distribute("SELECT id FROM orders").await;
    let settings = decode(&distributed.stages[0], 0).unwrap().settings;
    assert!(settings.contains(&("datafusion.execution.batch_size".to_owned(), "17".to_owned())), "{settings:?}");
    assert!(!settings.iter().any(|(key, _)| key == "datafusion.execution.collect_statistics"), "{settings:?}");
}

#[tokio::test]
async fn a_dynamic_filter_is_still_shared_after_decoding() {
    let planner = Bed::new().whole(1).await;
    let distributed = planner.distribute("SELECT id, price FROM orders ORDER BY price LIMIT 3").await;
    let decoded = decode(&distributed.stages[0], 0).unwrap().plan;
    let (holders, identities) = dynamic_filters(&decoded);
    assert_eq!((holders, identities.len()), (2, 1), "{}", text(&decoded));
}

/// How often a dynamic filter occurs in the plan, and how many different ones there are.
fn dynamic_filters(plan: &Arc<dyn ExecutionPlan>) -> (usize, BTreeSet<u64>) {
    let mut found = (0, BTreeSet::new());
    plan.apply_expressions(&mut |expr| {
        expr.apply(|node| {
            if node.downcast_ref::<DynamicFilterPhysicalExpr>().is_some() {
                found.0 += 1;
                found.1.extend(node.expression_id());
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })
    .unwrap();
    for child in plan.children() {
        let below = dynamic_filters(child);
        found.0 += below.0;
        found.1.extend(below.1);
    }
    found
}

#[tokio::test]
async fn an_operator_that_cannot_be_sent_is_named() {
    let bed = Bed::new().with("datafusion.optimizer.enable_piecewise_merge_join", "true");
    let planner = bed.tasks(2).await;
    let plan = planner.physical("SELECT o.id, c.id FROM orders o JOIN customers c ON o.amount < c.level").await;
    let error = distribute(plan, &planner.spread, 0, &planner.state()).unwrap_err().to_string();
    assert!(error.contains("`PiecewiseMergeJoinExec` cannot be sent to workers"), "{error}");
}

#[tokio::test]
async fn a_damaged_fragment_is_an_error() {
    let distributed = Bed::new().tasks(2).await.distribute("SELECT id FROM orders").await;
    let fragment = &distributed.stages[0].fragment;
    for end in [0, 1, fragment.len() / 2] {
        assert!(decode_fragment(&fragment.slice(..end), None, &[0], &worker_state()).is_err());
    }
    let splits = Bytes::from_static(b"\xff\xff");
    assert!(decode_fragment(fragment, Some(&splits), &[0], &worker_state()).is_err());
    assert!(decode_fragment(fragment, None, &[99], &worker_state()).is_err());
}

/// `id + 1 + 1 + …` over no rows, nested `depth` levels.
fn nested(depth: usize) -> Arc<dyn ExecutionPlan> {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    let mut expr: Arc<dyn PhysicalExpr> = col("id", &schema).unwrap();
    for _ in 0..depth {
        expr = Arc::new(BinaryExpr::new(lit(1i64), Operator::Divide, expr));
    }
    let projection = ProjectionExpr { expr, alias: "n".to_owned() };
    Arc::new(ProjectionExec::try_new(vec![projection], Arc::new(EmptyExec::new(schema))).unwrap())
}

fn on_big_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(1 << 30).spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_deep_expression_survives_the_way_to_a_worker_with_an_ordinary_stack() {
    on_big_stack(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let planner = runtime.block_on(async { Bed::new().tasks(2).await });
        let distributed = distribute(nested(1_500), &planner.spread, 0, &planner.state()).unwrap();
        std::thread::scope(|scope| {
            let worker = std::thread::Builder::new().stack_size(2 << 20);
            let decoding = worker.spawn_scoped(scope, || std::mem::forget(decode(&distributed.stages[0], 0).unwrap()));
            decoding.unwrap().join().unwrap();
        });
        assert!(runtime.block_on(run_stages(&distributed)).unwrap().is_empty());
    });
}

#[test]
fn an_expression_that_is_too_deep_is_refused_when_it_is_planned() {
    on_big_stack(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let planner = runtime.block_on(async { Bed::new().tasks(2).await });
        let error = distribute(nested(5_000), &planner.spread, 0, &planner.state()).unwrap_err().to_string();
        assert!(error.contains("levels deep"), "{error}");
    });
}
