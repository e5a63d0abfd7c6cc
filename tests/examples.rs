//! Every example runs as its README says, data and all, and twice.

#[path = "support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;

use support::processes::windrow;
use tempfile::TempDir;

/// Copies the example's folder, so that generated data does not end up in the source tree, and runs the job in it.
fn run_twice(folder: &str, job: &str) -> TempDir {
    let copy = copied(folder);
    run_in(&copy, job);
    copy
}

fn copied(folder: &str) -> TempDir {
    let copy = TempDir::new().expect("a temporary folder");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(folder);
    let copied = Command::new("cp").arg("-r").arg(source.join(".")).arg(copy.path()).status().expect("cp runs");
    assert!(copied.success());
    copy
}

/// Twice; gives what it has printed the second time.
fn run_in(copy: &TempDir, job: &str) -> String {
    let mut printed = String::new();
    for _ in 0..2 {
        let output =
            Command::new(windrow()).args(["run", job]).current_dir(copy.path()).output().expect("windrow runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        printed = String::from_utf8_lossy(&output.stdout).into_owned();
    }
    printed
}

#[test]
fn the_access_log_example_runs() {
    run_twice("access-log", "job.yaml");
}

/// The lines of all text files in a folder, sorted.
fn text_lines(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).expect("the output is there").flatten().map(|entry| entry.path());
    let texts = files.filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
    let text: String = texts.map(|path| std::fs::read_to_string(path).expect("a text file")).collect();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn the_word_count_example_runs() {
    let copy = run_twice("word-count", "job.yaml");
    let wanted = ["a\t4", "and\t1", "key\t1", "lines\t3", "of\t1", "reads\t1", "value\t1", "worker\t2", "writes\t1"];
    assert_eq!(text_lines(&copy.path().join("counts")), wanted);
}

#[test]
fn the_inverted_index_example_runs() {
    let copy = run_twice("inverted-index", "job.yaml");
    let wanted = [
        "brown\tfox",
        "dog\tdog,end",
        "end\tend",
        "fox\tfox",
        "lazy\tdog",
        "of\tend",
        "quick\tfox",
        "the\tdog,end,fox",
    ];
    assert_eq!(text_lines(&copy.path().join("index")), wanted);
}

/// What came out was computed by another program, too.
#[test]
fn the_log_analysis_examples_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/log-analysis");
    let hours = "hour,requests,errors,worst\n09:00,25,0,\n10:00,40,3,/checkout\n11:00,28,0,\n12:00,23,1,/checkout\n\
                 13:00,24,0,\n14:00,46,2,/checkout\n15:00,30,3,/checkout\n16:00,24,0,\n";
    let sessions = "name,sessions,requests\nada,11,55\nbob,9,71\neve,6,32\n";
    for (job, wanted) in [("hours.yaml", hours), ("sessions.yaml", sessions)] {
        for bytes in ["0", "8MiB"] {
            let words = ["run", job, "--output", "csv", "--workers", "3", "--small-job-bytes", bytes];
            let output = Command::new(windrow()).args(words).current_dir(&folder).output().expect("windrow runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(String::from_utf8_lossy(&output.stdout), wanted, "{job} {bytes}");
        }
    }
}

#[test]
fn the_tpch_example_runs() {
    run_twice("tpch", "q03.yaml");
}

#[test]
fn the_partitioned_copy_runs_and_replaces_itself() {
    run_twice("copy-partitioned", "job.yaml");
}

#[test]
fn the_late_flights_example_runs() {
    run_twice("late-flights", "job.yaml");
}

/// The modules are checked in as text.
#[test]
fn the_wasm_examples_run() {
    let copy = copied("wasm");
    for name in ["functions", "word_count"] {
        let text = std::fs::read_to_string(copy.path().join(format!("{name}.wat"))).expect("the module is there");
        let module = wat::parse_str(text).expect("the module is well formed");
        std::fs::write(copy.path().join(format!("{name}.wasm")), module).expect("the module is written");
    }
    run_in(&copy, "word-count.yaml");
    let wanted = ["a\t4", "and\t1", "key\t1", "lines\t3", "of\t1", "reads\t1", "value\t1", "worker\t2", "writes\t1"];
    assert_eq!(text_lines(&copy.path().join("counts")), wanted);
    let rows = run_in(&copy, "functions.sql");
    // 2 + 4 + 6 + 8 + 10 with tax, and the fifth root of their product.
    assert!(rows.contains("item-no-0") && rows.contains("35.7") && rows.contains("5.21"), "{rows}");
}
