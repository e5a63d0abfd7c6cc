//! WebAssembly modules as SQL functions and as mappers and reducers: right rows on any cluster, and modules that misbehave.

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fmt::Write;

use support::place::Place;

/// The examples' modules, assembled.
fn modules(place: &Place) {
    for name in ["functions", "word_count"] {
        let text = std::fs::read_to_string(format!("{}/../examples/wasm/{name}.wat", env!("CARGO_MANIFEST_DIR")));
        module(place, name, &text.expect("the example is there"));
    }
}

fn module(place: &Place, name: &str, text: &str) {
    let bytes = wat::parse_str(text).expect("the module is well formed");
    std::fs::write(place.path().join(format!("{name}.wasm")), bytes).expect("the module is written");
}

const CLUSTERS: [[&str; 4]; 3] =
    [["--workers", "1", "--slots", "2"], ["--workers", "2", "--slots", "1"], ["--workers", "4", "--slots", "1"]];

/// The rows of a script on each cluster, which must be the same.
fn rows(place: &Place, sql: &str) -> String {
    let run = |cluster: &[&str]| {
        let output = place.windrow(&[&["run", "-e", sql, "--output", "csv"], cluster].concat());
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let [one, two, four] = CLUSTERS.map(|cluster| run(&cluster));
    assert_eq!(one, two);
    assert_eq!(one, four);
    one
}

const FUNCTIONS: &str = "SET windrow.small_job_bytes = '0';
CREATE FUNCTION plus_tax(price DOUBLE, rate DOUBLE) RETURNS DOUBLE LANGUAGE wasm AS 'functions.wasm';
CREATE FUNCTION slug(text VARCHAR) RETURNS VARCHAR LANGUAGE wasm AS 'functions.wasm';
CREATE FUNCTION checked(x BIGINT) RETURNS BIGINT LANGUAGE wasm AS 'functions.wasm';
CREATE FUNCTION geo_mean(x DOUBLE) RETURNS DOUBLE LANGUAGE wasm AS 'functions.wasm';
CREATE FUNCTION numbers(first BIGINT, last BIGINT) RETURNS TABLE(n BIGINT) LANGUAGE wasm AS 'functions.wasm', 'series';
";

/// Four files of numbers and texts.
fn table(place: &Place) {
    for file in 0..4 {
        let mut text = String::from("n,label\n");
        for n in (file..40_000).step_by(4) {
            writeln!(text, "{n},Item No. {} / {}", n % 7, n % 100).expect("text grows");
        }
        place.write(&format!("items/{file}.csv"), &text);
    }
}

const ITEMS: &str = "CREATE EXTERNAL TABLE items (n BIGINT, label VARCHAR) STORED AS CSV LOCATION './items/' OPTIONS ('format.has_header' 'true');\n";

#[test]
fn scalar_functions_give_what_sql_gives() {
    let place = Place::new();
    modules(&place);
    table(&place);
    let same = "SELECT count(*) AS c, count(*) FILTER (WHERE plus_tax(n * 0.5, 0.19) = n * 0.5 * (1 + 0.19)) AS taxed,
        count(*) FILTER (WHERE slug(label) = lower(regexp_replace(label, '[^A-Za-z0-9]+', '-', 'g'))) AS slugs,
        sum(checked(n + 15)) AS s FROM items";
    let sum: i64 = (0..40_000).map(|n| n + 15).sum();
    assert_eq!(
        rows(&place, &format!("{FUNCTIONS}{ITEMS}{same}")),
        format!("c,taxed,slugs,s\n40000,40000,40000,{sum}\n")
    );
    // Constants, nulls and no rows at all.
    let few = "SELECT slug('A b'), slug(NULL), checked(1), (SELECT max(slug(label)) FROM items WHERE n < 0)";
    let output = place.windrow(&["run", "-e", &format!("{FUNCTIONS}{ITEMS}{few}"), "--output", "json"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("\"a-b\"") && output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn aggregates_give_what_sql_gives() {
    let place = Place::new();
    modules(&place);
    table(&place);
    let groups = "SELECT g, round(geo_mean(x), 6) AS own, round(exp(avg(ln(x))), 6) AS sql, count(*) AS c
        FROM (SELECT n % 500 AS g, CAST(n + 1 AS DOUBLE) AS x FROM items) GROUP BY g ORDER BY g LIMIT 3";
    let given = rows(&place, &format!("{FUNCTIONS}{ITEMS}{groups}"));
    for line in given.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields[1], fields[2], "{given}");
    }
    assert_eq!(given.lines().count(), 4, "{given}");
    let one =
        "SELECT round(geo_mean(x), 3) = round(exp(avg(ln(x))), 3) AS same, geo_mean(x) FILTER (WHERE x < 0) AS none
        FROM (SELECT CAST(n + 1 AS DOUBLE) AS x FROM items)";
    assert_eq!(rows(&place, &format!("{FUNCTIONS}{ITEMS}{one}")), "same,none\ntrue,\n");
    let running = "SELECT count(*) AS c, count(*) FILTER (WHERE abs(own - sql) < 0.000001 * sql) AS same FROM (
            SELECT geo_mean(x) OVER (ORDER BY x) AS own, exp(avg(ln(x)) OVER (ORDER BY x)) AS sql
            FROM (SELECT CAST(n + 1 AS DOUBLE) AS x FROM items WHERE n < 500))";
    assert_eq!(rows(&place, &format!("{FUNCTIONS}{ITEMS}{running}")), "c,same\n500,500\n");
}

#[test]
fn table_functions_give_rows() {
    let place = Place::new();
    modules(&place);
    let sql =
        "SELECT count(*) AS c, sum(a.n * b.n) AS s FROM numbers(1, 1000) a JOIN numbers(501, 2000) b ON a.n = b.n";
    let sum: i64 = (501..=1000).map(|n| n * n).sum();
    assert_eq!(rows(&place, &format!("{FUNCTIONS}{sql}")), format!("c,s\n500,{sum}\n"));
}

#[test]
fn functions_are_created_replaced_and_dropped() {
    let place = Place::new();
    modules(&place);
    for (sql, wanted) in [
        ("DROP FUNCTION slug; SELECT slug('a')", "slug"),
        ("CREATE FUNCTION slug(t VARCHAR) RETURNS VARCHAR LANGUAGE wasm AS 'functions.wasm'", "exists already"),
        ("CREATE FUNCTION abs(t BIGINT) RETURNS BIGINT LANGUAGE wasm AS 'functions.wasm'", "is built in"),
        ("CREATE FUNCTION f(t BIGINT) RETURNS BIGINT LANGUAGE wasm AS 'functions.wasm'", "f"),
        ("CREATE FUNCTION f(t BIGINT) RETURNS BIGINT LANGUAGE wasm AS 'nowhere.wasm'", "nowhere.wasm"),
        ("CREATE FUNCTION f(t BIGINT) RETURNS BIGINT LANGUAGE sql AS '1'", "not written in wasm"),
        ("CREATE FUNCTION f(t WORDS) RETURNS BIGINT LANGUAGE wasm AS 'functions.wasm'", "are no columns"),
        ("DROP FUNCTION no_such", "no function `no_such`"),
        ("SELECT slug(label, 1) FROM (VALUES ('a')) AS t(label)", "slug"),
    ] {
        let error = place.fails(&["run", "-e", &format!("{FUNCTIONS}{sql}")]);
        assert!(error.contains(wanted), "{sql}: {wanted:?} is not in: {error}");
    }
    let sql = "CREATE OR REPLACE FUNCTION slug(t VARCHAR) RETURNS VARCHAR LANGUAGE wasm AS 'functions.wasm' SET memory = '8MiB';
        CREATE FUNCTION IF NOT EXISTS slug(t VARCHAR) RETURNS VARCHAR LANGUAGE wasm AS 'functions.wasm'; DROP FUNCTION IF EXISTS no_such;
        SELECT slug('X') AS x";
    let sql = sql.replace(
        "FUNCTION IF NOT EXISTS slug(t VARCHAR) RETURNS VARCHAR LANGUAGE wasm AS 'functions.wasm'; DROP",
        "FUNCTION other(t BIGINT) RETURNS BIGINT LANGUAGE wasm AS 'functions.wasm', 'checked'; DROP",
    );
    assert_eq!(rows(&place, &format!("{FUNCTIONS}{sql}")), "x\nx\n");
}

/// A batch of ten thousand rows and one of them at which the function traps, among ten million.
#[test]
fn a_poisoned_row_in_ten_million_is_named() {
    let place = Place::new();
    modules(&place);
    let sql =
        "SELECT sum(checked(CASE WHEN value = 7654321 THEN 13 ELSE value + 15 END)) FROM generate_series(1, 10000000)";
    let error = place.fails(&["run", "-e", &format!("{FUNCTIONS}{sql}")]);
    for wanted in ["`checked`", "functions.wasm", "x = `13`", "trapped"] {
        assert!(error.contains(wanted), "{wanted:?} is not in: {error}");
    }
}

#[test]
fn an_endless_loop_ends_by_fuel_and_names_the_function() {
    let place = Place::new();
    modules(&place);
    let error = place.fails(&["run", "-e", &format!("{FUNCTIONS}SELECT checked(14)")]);
    assert!(error.contains("`checked`") && error.contains("budget"), "{error}");
    table(&place);
    let error = place.fails(&[
        "run",
        "-e",
        &format!("{FUNCTIONS}{ITEMS}SELECT sum(checked(n)) FROM items WHERE n = 14 OR n > 100"),
    ]);
    assert!(error.contains("x = `14`") && error.contains("budget"), "{error}");
}

#[test]
fn a_memory_bomb_is_stopped() {
    let place = Place::new();
    module(
        &place,
        "bomb",
        "(module (memory (export \"memory\") 1)
        (func (export \"windrow_alloc\") (param i32) (result i32) (i32.const 1024))
        (func (export \"boom\") (param i32 i32) (result i64)
            (loop $more (drop (memory.grow (i32.const 16))) (br $more)) (unreachable)))",
    );
    let sql = "CREATE FUNCTION boom(x BIGINT) RETURNS BIGINT LANGUAGE wasm AS 'bomb.wasm' SET memory = '16MiB'; SELECT boom(1)";
    let error = place.fails(&["run", "-e", sql]);
    assert!(error.contains("`boom`") && error.contains("memory"), "{error}");
}

#[test]
fn a_module_that_wants_files_or_sockets_is_refused_before_anything_runs() {
    let place = Place::new();
    for (import, signature) in [
        ("fd_write", "(param i32 i32 i32 i32) (result i32)"),
        ("sock_send", "(param i32 i32 i32 i32 i32) (result i32)"),
    ] {
        module(
            &place,
            "wasi",
            &format!(
                "(module (import \"wasi_snapshot_preview1\" \"{import}\" (func {signature}))
            (memory (export \"memory\") 1)
            (func (export \"windrow_alloc\") (param i32) (result i32) (i32.const 1024))
            (func (export \"map\") (param i32 i32) (result i64) (i64.const 0)))"
            ),
        );
        place.write("in.txt", "a\n").write(
            "job.yaml",
            "map: { wasm: ./wasi.wasm, columns: 'word VARCHAR' }\ninput: { location: in.txt }\n\
            output: { location: ./out/, format: text }\n",
        );
        let error = place.fails(&["run", "job.yaml"]);
        assert!(error.contains(import) && error.contains("wasi.wasm"), "{error}");
        // It was not accepted as a job.
        assert!(!error.contains("job-1"), "{error}");
        let error = place.fails(&[
            "run",
            "-e",
            "CREATE FUNCTION own(x BIGINT) RETURNS BIGINT LANGUAGE wasm AS 'wasi.wasm', 'map'; SELECT own(1)",
        ]);
        assert!(error.contains(import), "{error}");
    }
}

fn word_count(place: &Place, lines: usize) -> Vec<String> {
    let mut counts = BTreeMap::<String, u64>::new();
    for file in 0..4 {
        let mut text = String::new();
        for n in 0..lines {
            let words = [format!("w{}", n % 97), format!("x{}", (n * 31 + file) % 1009)];
            writeln!(text, "{}", words.join(" ")).expect("text grows");
            words.into_iter().for_each(|word| *counts.entry(word).or_default() += 1);
        }
        place.write(&format!("text/{file}.txt"), &text);
    }
    counts.into_iter().map(|(word, n)| format!("{word}\t{n}")).collect()
}

#[test]
fn a_module_counts_words_with_and_without_a_combiner() {
    let place = Place::new();
    modules(&place);
    let expected = word_count(&place, 5_000);
    for combine in ["", "combine: { wasm: ./word_count.wasm, function: sum, columns: 'word VARCHAR, n BIGINT' }"] {
        place.write(
            "job.yaml",
            &format!(
                "map: {{ wasm: ./word_count.wasm, function: tokenize, columns: 'word VARCHAR, n BIGINT' }}
{combine}
reduce: {{ wasm: ./word_count.wasm, function: sum, columns: 'word VARCHAR, n BIGINT', partitions: 3 }}
input: {{ location: ./text/, format: lines }}
output: {{ location: ./out/, format: text, mode: overwrite }}
deterministic: true
"
            ),
        );
        for cluster in CLUSTERS {
            place.succeeds(&[&["run", "job.yaml"], &cluster[..]].concat());
            assert!(place.sorted("out") == expected, "{combine} {cluster:?}");
        }
    }
}

#[test]
fn a_mapper_that_fails_at_a_row_names_it_or_leaves_it_out() {
    let place = Place::new();
    modules(&place);
    place.write("in.csv", "x\n1\n13\n3\n");
    let job = |on_error: &str| {
        format!("tables: {{ t: {{ location: in.csv }} }}
steps: {{ checked: {{ input: {{ sql: 'SELECT x FROM t' }}, map: {{ wasm: ./functions.wasm, function: checked, columns: 'x BIGINT', on_error: {on_error} }} }} }}
sql: SELECT sum(x) AS s FROM checked
")
    };
    place.write("job.yaml", &job("fail"));
    let error = place.fails(&["run", "job.yaml"]);
    assert!(error.contains("row 2 of") && error.contains("in.csv`: `13`"), "{error}");
    // The same everywhere: nobody tries it again.
    assert!(!error.contains("attempt 2"), "{error}");
    place.write("job.yaml", &job("skip 1"));
    let output = place.windrow(&["run", "job.yaml", "--output", "csv"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "s\n4\n", "{}", String::from_utf8_lossy(&output.stderr));
}
