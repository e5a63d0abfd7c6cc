//! Every example runs as its README says, data and all, and twice.

#[path = "support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;

use support::processes::windrow;
use tempfile::TempDir;

/// Copies the example's folder, so that generated data does not end up in the source tree, and runs the job in it.
fn run_twice(folder: &str, job: &str) -> TempDir {
    let copy = TempDir::new().expect("a temporary folder");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(folder);
    let copied = Command::new("cp").arg("-r").arg(source.join(".")).arg(copy.path()).status().expect("cp runs");
    assert!(copied.success());
    for _ in 0..2 {
        let output =
            Command::new(windrow()).args(["run", job]).current_dir(copy.path()).output().expect("windrow runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    copy
}

#[test]
fn the_access_log_example_runs() {
    run_twice("access-log", "job.yaml");
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
