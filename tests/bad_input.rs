//! What a user meets with bad input: a clear message, the documented exit code, and nothing left behind.

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use support::processes::windrow;
use tempfile::TempDir;
use windrow_model::ErrorKind;

fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(windrow()).args(arguments).current_dir(folder).output().expect("windrow runs")
}

fn run_sql(folder: &Path, sql: &str) -> Output {
    run_in(folder, &["run", "--small-job-bytes", "0", "-e", sql])
}

/// The command fails with this kind, its message has every one of `words`, and nothing reached standard output.
fn assert_refused(output: &Output, kind: ErrorKind, words: &[&str]) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(i32::from(kind.exit_code())), "{kind}: {message}");
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("a readable folder").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_missing_file_is_named() {
    let folder = TempDir::new().expect("a temporary folder");
    let sql = "CREATE EXTERNAL TABLE flights STORED AS PARQUET LOCATION './nowhere.parquet'; SELECT * FROM flights";
    assert_refused(&run_sql(folder.path(), sql), ErrorKind::NotFound, &["flights", "nowhere.parquet"]);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn an_empty_folder_is_named() {
    let folder = TempDir::new().expect("a temporary folder");
    fs::create_dir(folder.path().join("flights")).expect("a folder can be made");
    let sql = "CREATE EXTERNAL TABLE flights STORED AS PARQUET LOCATION './flights/'; SELECT * FROM flights";
    assert_refused(&run_sql(folder.path(), sql), ErrorKind::NotFound, &["flights"]);
}

#[test]
fn a_truncated_parquet_file_is_named() {
    let folder = TempDir::new().expect("a temporary folder");
    let made = run_sql(folder.path(), "COPY (SELECT 1 AS a, 'x' AS b) TO './whole.parquet'");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let bytes = fs::read(folder.path().join("whole.parquet")).expect("the copy is there");
    fs::write(folder.path().join("half.parquet"), &bytes[..bytes.len() / 2]).expect("a file can be written");
    let sql = "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION './half.parquet'; SELECT * FROM t";
    assert_refused(&run_sql(folder.path(), sql), ErrorKind::Corrupt, &["half.parquet"]);
}

#[test]
fn a_csv_line_with_too_many_columns_is_named() {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("t.csv"), "a,b\n1,2\n3,4,5\n").expect("a file can be written");
    let sql = "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION './t.csv' OPTIONS ('format.has_header' 'true'); SELECT * FROM t";
    assert_refused(&run_sql(folder.path(), sql), ErrorKind::Invalid, &["t.csv", "3"]);
}

#[test]
fn an_unknown_table_is_answered_with_the_nearest() {
    let folder = TempDir::new().expect("a temporary folder");
    let output = run_sql(folder.path(), "CREATE VIEW flights AS SELECT 1 AS a; SELECT * FROM flight");
    assert_refused(&output, ErrorKind::NotFound, &["flight", "flights"]);
}

#[test]
fn an_unknown_column_is_answered_with_the_nearest() {
    let folder = TempDir::new().expect("a temporary folder");
    let output = run_sql(folder.path(), "CREATE VIEW flights AS SELECT 1 AS carrier; SELECT carier FROM flights");
    assert_refused(&output, ErrorKind::Invalid, &["carier", "carrier"]);
}

#[test]
fn a_syntax_error_has_line_and_column() {
    let folder = TempDir::new().expect("a temporary folder");
    assert_refused(&run_sql(folder.path(), "SELECT 1;\nSELECT (1 FROM t"), ErrorKind::Invalid, &["ine 2", "olumn"]);
}

#[test]
fn an_unknown_key_in_a_job_file_is_answered_with_the_nearest() {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("job.yaml"), "name: x\ntabels: {}\nsql: SELECT 1\n").expect("a file can be written");
    assert_refused(&run_in(folder.path(), &["run", "job.yaml"]), ErrorKind::Invalid, &["tabels", "tables"]);
}

#[test]
fn an_output_that_exists_is_left_alone_with_mode_error() {
    let folder = TempDir::new().expect("a temporary folder");
    let out = folder.path().join("out");
    fs::create_dir(&out).expect("a folder can be made");
    fs::write(out.join("mine.parquet"), "precious").expect("a file can be written");
    let job = "name: x\nsql: SELECT 1 AS a\noutput: { location: ./out/, format: parquet, mode: error }\n";
    fs::write(folder.path().join("job.yaml"), job).expect("a file can be written");
    assert_refused(&run_in(folder.path(), &["run", "job.yaml"]), ErrorKind::AlreadyExists, &["out"]);
    assert_eq!(names(&out), ["mine.parquet"]);
}

#[test]
fn an_unreachable_coordinator_is_named() {
    let folder = TempDir::new().expect("a temporary folder");
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
    let url = format!("http://{free}");
    let output = run_in(folder.path(), &["jobs", "--coordinator", &url]);
    assert_refused(&output, ErrorKind::Unavailable, &[&url]);
}

#[test]
fn a_port_in_use_is_named() {
    let folder = TempDir::new().expect("a temporary folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = run_in(folder.path(), &["coordinator", "--listen", &address, "--data-dir", "data"]);
    assert_refused(&output, ErrorKind::AlreadyExists, &[&address]);
}

#[test]
fn an_overflow_in_a_sum_is_an_error_and_leaves_no_output() {
    let folder = TempDir::new().expect("a temporary folder");
    let sql =
        "COPY (SELECT sum(v) AS total FROM (VALUES (9223372036854775807), (1)) AS t(v)) TO './out/' STORED AS PARQUET";
    assert_refused(&run_sql(folder.path(), sql), ErrorKind::Invalid, &["verflow"]);
    assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));
}

#[test]
fn a_failing_statement_says_which_one_and_leaves_the_later_ones_unrun() {
    let folder = TempDir::new().expect("a temporary folder");
    let sql = "COPY (SELECT 1 AS a) TO './first/' STORED AS PARQUET;\nSELECT * FROM nowhere;\nCOPY (SELECT 1 AS a) TO './third/' STORED AS PARQUET";
    assert_refused(&run_sql(folder.path(), sql), ErrorKind::NotFound, &["statement 2", "nowhere"]);
    assert_eq!(names(folder.path()), ["first"]);
}
