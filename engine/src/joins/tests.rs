//! Orders of joins over tables of files, against the same statements as written.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use parquet::arrow::ArrowWriter;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use windrow_model::TableFormat;

use crate::plan::same_names::without_dynamic_filters;
use crate::session::{base_config, base_state};
use crate::stores::{Stores, resolve_location};
use crate::tables::{Declared, open_table};

/// `fact` (40,000 rows) has keys of `big` (8,000 rows), `mid` (400) and `small` (12), some of them NULL; `log` has its
/// rows in CSV, of which nothing is known.
struct Bed {
    _folder: tempfile::TempDir,
    context: SessionContext,
}

impl Bed {
    async fn new() -> Bed {
        let folder = tempfile::tempdir().unwrap();
        let config: SessionConfig = base_config().with_target_partitions(2);
        let context = SessionContext::new_with_state(base_state(config, Arc::new(RuntimeEnv::default())));
        let bed = Bed { _folder: folder, context };
        let root = bed._folder.path().to_path_buf();
        for (name, rows, keys) in [("big", 8_000, 400), ("mid", 400, 12), ("small", 12, 3)] {
            bed.add(&root, name, 2, |file| dimension(rows / 2, file * (rows / 2), keys)).await;
        }
        bed.add(&root, "fact", 4, |file| fact(10_000, file * 10_000)).await;
        std::fs::create_dir(root.join("log")).unwrap();
        std::fs::write(root.join("log/a.csv"), "id,note\n1,a\n2,b\n3,c\n").unwrap();
        bed.register(&root, "log", TableFormat::Csv).await;
        bed
    }

    async fn add(&self, root: &Path, name: &str, files: i64, rows: impl Fn(i64) -> RecordBatch) {
        std::fs::create_dir(root.join(name)).unwrap();
        for file in 0..files {
            let rows = rows(file);
            let out = std::fs::File::create(root.join(name).join(format!("part-{file}.parquet"))).unwrap();
            let mut writer = ArrowWriter::try_new(out, rows.schema(), None).unwrap();
            writer.write(&rows).unwrap();
            writer.close().unwrap();
        }
        self.register(root, name, TableFormat::Parquet).await;
    }

    async fn register(&self, root: &Path, name: &str, format: TableFormat) {
        let location = resolve_location("file:///", &format!("{}/", root.join(name).display())).unwrap();
        let (options, declared, stores) = (BTreeMap::new(), Declared::default(), Stores::from_env());
        let table = open_table(name, &location, format, &options, &declared, &self.context.state(), &stores).await;
        self.context.register_table(name, table.unwrap().provider).unwrap();
    }

    async fn written(&self, sql: &str) -> LogicalPlan {
        let plan = self.context.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        self.context.state().optimize(plan.logical_plan()).unwrap()
    }

    async fn ordered(&self, sql: &str) -> LogicalPlan {
        super::order(self.written(sql).await, &self.context.state())
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The same rows in both orders, and as DataFusion gives them without filters that operators make; how many.
    async fn check(&self, sql: &str) -> usize {
        let (written, ordered) = (self.written(sql).await, self.ordered(sql).await);
        assert_eq!(written.schema().columns(), ordered.schema().columns(), "{sql}");
        let mut plain = self.context.state();
        *plain.config_mut() = without_dynamic_filters(plain.config().clone());
        let wanted = rows(&written, &plain).await;
        for plan in [&written, &ordered] {
            assert_eq!(rows(plan, &self.context.state()).await, wanted, "{sql}\n{}", plan.display_indent());
        }
        wanted.len()
    }

    /// Tables in the order in which their scans stand in the plan.
    async fn scans(&self, sql: &str) -> Vec<String> {
        scans(&self.ordered(sql).await)
    }
}

async fn rows(plan: &LogicalPlan, state: &SessionState) -> Vec<String> {
    let physical = state.query_planner().create_physical_plan(plan, state).await.unwrap();
    let batches = datafusion::physical_plan::collect(physical, state.task_ctx()).await.unwrap();
    let text = pretty_format_batches(&batches).unwrap().to_string();
    let mut lines: Vec<String> = text.lines().skip(3).map(str::to_owned).collect();
    lines.sort();
    lines
}

fn scans(plan: &LogicalPlan) -> Vec<String> {
    let scan = |line: &str| Some(line.trim().strip_prefix("TableScan: ")?.split(' ').next()?.to_owned());
    plan.display_indent().to_string().lines().filter_map(scan).collect()
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn dimension(rows: i64, first: i64, keys: i64) -> RecordBatch {
    let ids = first..first + rows;
    batch(vec![
        ("id", Arc::new(ids.clone().collect::<Int64Array>())),
        ("parent", Arc::new(ids.clone().map(|id| (id % 7 != 4).then_some(id % keys)).collect::<Int64Array>())),
        ("weight", Arc::new(ids.clone().map(|id| id * 31 % 100).collect::<Int64Array>())),
        ("name", Arc::new(ids.map(|id| Some(format!("name {}", id % 20))).collect::<StringArray>())),
    ])
}

fn fact(rows: i64, first: i64) -> RecordBatch {
    let ids = first..first + rows;
    batch(vec![
        ("id", Arc::new(ids.clone().collect::<Int64Array>())),
        ("big", Arc::new(ids.clone().map(|id| (id % 13 != 5).then_some(id * 17 % 8_000)).collect::<Int64Array>())),
        ("mid", Arc::new(ids.clone().map(|id| (id % 11 != 2).then_some(id * 7 % 500)).collect::<Int64Array>())),
        ("small", Arc::new(ids.clone().map(|id| id % 12).collect::<Int64Array>())),
        ("amount", Arc::new(ids.map(|id| id * 37 % 1_000).collect::<Int64Array>())),
    ])
}

#[tokio::test]
async fn the_relation_with_few_rows_comes_first() {
    let bed = Bed::new().await;
    let sql = "SELECT count(*) FROM fact JOIN big ON fact.big = big.id JOIN mid ON fact.mid = mid.id
               JOIN small ON fact.small = small.id WHERE mid.name = 'name 3' AND mid.weight < 50";
    let scans = bed.scans(sql).await;
    let at = |name: &str| scans.iter().position(|scan| scan == name).unwrap();
    assert!(at("mid") < at("big") && at("fact") < at("big"), "{scans:?}");
    assert!(bed.check(sql).await > 0);
}

#[tokio::test]
async fn without_statistics_the_written_order_stays() {
    let bed = Bed::new().await;
    let sql = "SELECT count(*) FROM fact JOIN big ON fact.big = big.id JOIN log ON fact.mid = log.id
               JOIN small ON fact.small = small.id WHERE small.weight = 31";
    assert_eq!(bed.scans(sql).await, ["fact", "big", "log", "small"]);
    bed.check(sql).await;
}

#[tokio::test]
async fn a_plan_that_no_order_makes_cheaper_is_left_as_it_is() {
    let bed = Bed::new().await;
    let sql = "SELECT fact.amount, mid.name FROM small JOIN mid ON mid.parent = small.id JOIN fact ON fact.mid = mid.id
               WHERE small.weight < 5";
    let lines = |plan: &LogicalPlan| -> Vec<String> {
        let text = plan.display_indent().to_string();
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.starts_with("SizeHint")).collect()
    };
    assert_eq!(lines(&bed.ordered(sql).await), lines(&bed.written(sql).await));
}

#[tokio::test]
async fn a_sample_that_fails_is_no_failure_of_the_statement() {
    let bed = Bed::new().await;
    let sql = "SELECT count(*) FROM fact JOIN big ON fact.big = big.id JOIN small ON fact.small = small.id
               WHERE fact.amount > 900 AND 1000 / (fact.amount - 5) > 0 AND small.weight < 50";
    assert!(bed.check(sql).await > 0);
}

#[tokio::test]
async fn dice_are_rolled_as_often_as_written() {
    let bed = Bed::new().await;
    let sql = "SELECT big.id, t.n FROM (SELECT * FROM big WHERE weight = 31 AND random() < 0.1) big
               JOIN (SELECT big, count(*) AS n FROM fact GROUP BY big) t ON big.id = t.big";
    let plan = bed.ordered(sql).await.display_indent().to_string();
    assert!(!plan.contains("__windrow_wanted"), "{plan}");
}

#[tokio::test]
async fn an_aggregate_reads_only_the_groups_that_a_join_finds() {
    let bed = Bed::new().await;
    let few = "SELECT big.id, t.n FROM big JOIN (SELECT big, count(*) AS n FROM fact GROUP BY big) t ON big.id = t.big
               WHERE big.weight = 31 AND big.name = 'name 1'";
    let plan = bed.ordered(few).await.display_indent().to_string();
    assert!(plan.contains("LeftSemi Join: fact.big = __windrow_wanted_0.id"), "{plan}");
    assert!(bed.check(few).await > 5);
    let all = few.split(" WHERE").next().unwrap();
    let plan = bed.ordered(all).await.display_indent().to_string();
    assert!(!plan.contains("__windrow_wanted"), "{plan}");
    bed.check(all).await;
    // Rows of a group that no join finds are the answer's here.
    for outer in [few.replace("JOIN (", "RIGHT JOIN ("), few.replace("JOIN (", "FULL JOIN (")] {
        bed.check(&outer).await;
    }
}

#[tokio::test]
async fn statements_of_every_kind_give_the_same_rows() {
    let bed = Bed::new().await;
    for sql in [
        // A filter on one `id` must not prune by another.
        "SELECT count(*), sum(t0.id), min(t3.id) FROM fact t0 JOIN mid t1 ON t1.id = t0.mid JOIN mid t2 ON t2.id = t0.small
         JOIN big t3 ON t3.id = t1.id WHERE t0.amount % 7 = 2 AND t1.weight % 7 = 5 AND t2.parent IS NOT NULL
         AND t3.parent IS NOT NULL",
        "SELECT f.id, b.id FROM fact f JOIN big b ON f.big = b.id JOIN mid m ON b.parent = m.id ORDER BY b.id, f.id LIMIT 3",
        "SELECT min(b.id), max(m.id) FROM fact f JOIN big b ON f.big = b.id JOIN mid m ON b.parent = m.id",
        // Two columns of one table are equal to one of another, or to each other through a third table.
        "SELECT f.id FROM fact f JOIN big b ON f.big = b.id AND f.small = b.id JOIN mid m ON f.mid = m.id WHERE m.weight < 50",
        "SELECT f.id FROM fact f JOIN big b ON f.big = b.id JOIN mid m ON b.id = m.id AND f.mid = m.id AND m.parent = b.parent",
        "SELECT f.id, b.name, m.name, s.name FROM fact f, big b, mid m, small s WHERE f.big = b.id AND b.parent = m.id
         AND m.parent = s.id AND s.weight > 20 AND f.amount < 40",
        "SELECT a.id, b.id, c.id FROM mid a JOIN mid b ON a.parent = b.id JOIN mid c ON b.parent = c.id
         WHERE a.weight + c.weight > b.weight",
        "SELECT f.id FROM fact f JOIN big b ON f.big = b.id WHERE f.mid IN (SELECT id FROM mid WHERE weight < 10)
         AND f.small NOT IN (SELECT id FROM small WHERE weight > 60) AND b.name = 'name 2'",
        "SELECT f.id FROM fact f JOIN mid m ON f.mid = m.id WHERE EXISTS (SELECT 1 FROM big b WHERE b.id = f.big AND
         b.weight > f.amount) AND NOT EXISTS (SELECT 1 FROM small s WHERE s.id = f.small AND s.weight < m.weight)",
        "SELECT m.name, sum(f.amount) FROM fact f JOIN big b ON f.big = b.id LEFT JOIN mid m ON f.mid = m.id
         JOIN small s ON f.small = s.id WHERE s.name = 'name 3' GROUP BY m.name ORDER BY 2 DESC LIMIT 5",
        "SELECT f.amount FROM fact f JOIN mid m ON f.mid = m.id JOIN big b ON f.big = b.id AND b.parent = m.id
         WHERE f.amount < 0.2 * (SELECT avg(amount) FROM fact g WHERE g.mid = m.id) AND m.name = 'name 7'",
        "WITH t AS (SELECT mid, max(amount) AS top FROM fact GROUP BY mid) SELECT t.mid, t.top, m.name FROM t JOIN mid m
         ON t.mid = m.id JOIN small s ON m.parent = s.id WHERE t.top = (SELECT max(top) FROM t) AND s.weight < 90",
        "SELECT count(*) FROM fact f JOIN small s ON f.small = s.id AND f.amount > s.weight JOIN mid m ON m.id = f.mid
         AND (m.name = 'name 1' AND s.name = 'name 2' OR m.name = 'name 2' AND s.name = 'name 1')",
        "SELECT f.id, x.id FROM fact f JOIN big b ON f.big = b.id CROSS JOIN small x WHERE b.weight = 31 AND x.weight > 70",
        "SELECT b.id FROM big b JOIN mid m ON b.parent = m.id AND m.id = 17 JOIN small s ON m.parent = s.id
         UNION ALL SELECT m.id FROM mid m JOIN small s ON m.parent = s.id JOIN small r ON s.parent = r.id",
    ] {
        bed.check(sql).await;
    }
}

/// Joins of random tables by random columns, with random conditions, tests and aggregates among them.
fn random_statement(random: &mut StdRng) -> String {
    let tables = ["fact", "big", "mid", "small"];
    let columns = |table: &str| match table {
        "fact" => vec!["big", "mid", "small"],
        _ => vec!["id", "parent"],
    };
    let count = random.random_range(2..=6);
    let mut chosen: Vec<&str> = (0..count).map(|_| *tables.choose(random).unwrap()).collect();
    // Two of the large table by a column with few values would be too many rows.
    let mut facts = 0;
    chosen.retain(|table| {
        *table != "fact" || {
            facts += 1;
            facts < 2
        }
    });
    let mut from = format!("{} t0", chosen[0]);
    for (at, table) in chosen.iter().enumerate().skip(1) {
        let other = random.random_range(0..at);
        let ours = if *table == "fact" { "big" } else { "id" };
        let theirs = columns(chosen[other]);
        from += &format!(" JOIN {table} t{at} ON t{at}.{ours} = t{other}.{}", theirs.choose(random).unwrap());
        if random.random_bool(0.2) {
            let another = random.random_range(0..at);
            let theirs = columns(chosen[another]);
            from += &format!(" AND t{at}.{ours} = t{another}.{}", theirs.choose(random).unwrap());
        }
    }
    let mut conditions = vec!["true".to_owned()];
    for (at, table) in chosen.iter().enumerate() {
        let measure = if *table == "fact" { "amount" } else { "weight" };
        match random.random_range(0..6) {
            0 => conditions.push(format!("t{at}.{measure} < {}", random.random_range(0..100))),
            1 => conditions.push(format!("t{at}.{measure} % 7 = {}", random.random_range(0..7))),
            2 => conditions.push(format!("t{at}.{} IS NOT NULL", columns(table).choose(random).unwrap())),
            3 => {
                let not = if random.random_bool(0.5) { "NOT " } else { "" };
                let key = columns(table).choose(random).unwrap().to_string();
                let limit = random.random_range(5..95);
                conditions
                    .push(format!("{not}EXISTS (SELECT 1 FROM mid q WHERE q.id = t{at}.{key} AND q.weight < {limit})"));
            }
            4 => {
                let key = columns(table).choose(random).unwrap().to_string();
                conditions
                    .push(format!("t{at}.{key} IN (SELECT parent FROM big GROUP BY parent HAVING count(*) > 19)"));
            }
            _ => {}
        }
    }
    format!("SELECT count(*), sum(t0.id), min(t{}.id) FROM {from} WHERE {}", chosen.len() - 1, conditions.join(" AND "))
}

#[tokio::test]
async fn random_statements_give_the_same_rows() {
    let bed = Bed::new().await;
    let mut random = StdRng::seed_from_u64(0x5EED);
    let mut ordered = 0;
    for _ in 0..150 {
        let sql = random_statement(&mut random);
        bed.check(&sql).await;
        ordered += usize::from(scans(&bed.written(&sql).await) != scans(&bed.ordered(&sql).await));
    }
    assert!(ordered > 30, "only {ordered} of 150 statements were given another order");
}
