//! `windrow simulate`: the same flags give the same report, and what cannot be read is named.

#![cfg(feature = "embedded")]

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use expect_test::{Expect, expect};
use serde_json::Value;

fn simulate(args: &[&str]) -> Output {
    let mut command = Command::cargo_bin("windrow").expect("the binary is built with its tests");
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).arg("simulate").args(args);
    command.env_remove("WINDROW_LOG").output().expect("it runs")
}

fn report(args: &[&str]) -> Value {
    let output = simulate(&[args, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Runs with a file of this name and content, and checks exit code and standard error.
fn refused(name: &str, content: &str, flag: &str, code: i32, expected: Expect) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(name), content).expect("written");
    let mut command = Command::cargo_bin("windrow").expect("the binary is built with its tests");
    let output = command.current_dir(folder.path()).args(["simulate", "--workers", "4", flag, name]).output();
    let output = output.expect("it runs");
    expected.assert_eq(&String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code));
    assert!(output.stdout.is_empty());
}

const DAY: [&str; 4] = ["--workers", "20", "--jobs", "examples/simulate/day.jobs"];

#[test]
fn the_same_flags_give_the_same_report() {
    let flags = ["--workers", "50", "--tasks", "2000", "--seed", "7"];
    let (first, second) = (simulate(&flags), simulate(&flags));
    assert!(first.status.success());
    assert_eq!(String::from_utf8_lossy(&first.stdout), String::from_utf8_lossy(&second.stdout));
    let hash = |seed: &str| report(&["--workers", "50", "--tasks", "2000", "--seed", seed])["event_log_hash"].clone();
    assert_eq!(hash("7"), hash("7"));
    assert_ne!(hash("7"), hash("8"));
}

#[test]
fn a_bad_morning_wastes_work_and_loses_no_job() {
    let quiet = report(&DAY);
    let bad = report(&[&DAY[..], &["--chaos", "examples/simulate/bad-day.chaos"]].concat());
    let number = |report: &Value, key: &str| report[key].as_f64().unwrap_or_else(|| panic!("{key} in {report}"));
    for report in [&quiet, &bad] {
        assert_eq!((number(report, "jobs"), number(report, "jobs_succeeded")), (6.0, 6.0), "{report}");
        assert_eq!(report["violation"], Value::Null);
        assert!((0.0..1.0).contains(&number(report, "utilisation")), "{report}");
    }
    assert_eq!(number(&quiet, "wasted_slot_seconds"), 0.0, "{quiet}");
    assert!(number(&bad, "wasted_slot_seconds") > 0.0, "{bad}");
    assert!(number(&bad, "makespan_seconds") > number(&quiet, "makespan_seconds"), "{bad}");
}

#[test]
fn the_text_has_units() {
    let text = String::from_utf8(simulate(&DAY).stdout).expect("text");
    for part in ["20 with 80 slots", "6 with 439 tasks", "makespan     ", " s\n", " slot-seconds", " %", "event log"] {
        assert!(text.contains(part), "`{part}` is missing:\n{text}");
    }
}

#[test]
fn a_limit_changes_what_happens() {
    let bad = [&DAY[..], &["--chaos", "examples/simulate/bad-day.chaos"]].concat();
    let impatient = report(&[&bad[..], &["--limit", "lease=1s"]].concat());
    assert_ne!(report(&bad)["event_log_hash"], impatient["event_log_hash"]);
    assert_eq!(simulate(&["--limit", "leese=1s"]).status.code(), Some(3));
}

#[test]
fn a_jobs_file_with_a_bad_line() {
    refused(
        "morning.jobs",
        "# when  stages\n0s  a=10x1s -> files\n5s  b=10x1s<c -> files\n",
        "--jobs",
        3,
        expect![[r#"
            error: cannot read line 3 of the jobs file `morning.jobs`
              detail: it is `5s  b=10x1s<c -> files`; wanted is inputs that are stages before this one, or `tables`
              hint: docs/SIMULATE.md describes the format; examples/simulate/ has one of each
        "#]],
    );
}

#[test]
fn a_chaos_file_that_names_a_worker_too_many() {
    refused(
        "bad.chaos",
        "1s crash worker 3 for 5s\n2s crash worker 4 for 5s\n",
        "--chaos",
        3,
        expect![[r#"
            error: cannot read line 2 of the chaos file `bad.chaos`
              detail: it is `2s crash worker 4 for 5s`; wanted is a worker that is there; they count from 0
              hint: docs/SIMULATE.md describes the format; examples/simulate/ has one of each
        "#]],
    );
}

#[test]
fn a_jobs_file_without_jobs() {
    refused(
        "empty.jobs",
        "# nothing\n",
        "--jobs",
        3,
        expect![[r#"
            error: the jobs file `empty.jobs` has no jobs
              hint: docs/SIMULATE.md describes the format; examples/simulate/ has one of each
        "#]],
    );
}

#[test]
fn a_trace_that_is_none() {
    refused(
        "spot.json",
        "{}",
        "--chaos",
        3,
        expect![[r#"
            error: `spot.json` is no trace of spot availability
              detail: wanted is {"metadata": {"gap_seconds": 60}, "data": [1, 1, 0, 1]}
              hint: docs/SIMULATE.md describes the format; examples/simulate/ has one of each
        "#]],
    );
}

#[test]
fn a_file_of_an_unknown_kind() {
    refused(
        "jobs.txt",
        "0s a=1x1s -> files",
        "--jobs",
        3,
        expect![[r#"
            error: `jobs.txt` does not say what kind of jobs file it is
              hint: end its name in .jobs, or .tsv for a SWIM trace
        "#]],
    );
}

#[test]
fn a_missing_file_and_wrong_flags() {
    let output = simulate(&["--jobs", "missing.jobs", "--json"]);
    assert_eq!(output.status.code(), Some(4));
    let error: Value = serde_json::from_slice(&output.stderr).expect("the error is JSON too");
    assert_eq!(error["error"]["kind"], "not-found");
    assert_eq!(simulate(&["--workers", "0"]).status.code(), Some(2));
    assert_eq!(simulate(&["--seed", "soon"]).status.code(), Some(2));
}
