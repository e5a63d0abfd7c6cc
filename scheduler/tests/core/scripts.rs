//! Runs `tests/scripts/*.txt`. A line is a comment (`#`), a command, or, indented, what the command printed.
//! `UPDATE_EXPECT=1 cargo test -p windrow-scheduler --test core` writes what they print now.

use std::path::{Path, PathBuf};

use windrow_model::Limits;

use crate::cluster::{Cluster, LONG};
use crate::command::count_lines;

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The script with each command followed by what it prints now.
fn run(script: &str) -> String {
    let mut cluster = Cluster::new(Limits { lease: LONG, ..Limits::default() });
    let mut text = String::new();
    for line in script.lines().filter(|line| !line.starts_with(' ')) {
        text += line;
        text += "\n";
        if !line.is_empty() && !line.starts_with('#') {
            let printed = cluster.command(line);
            let printed = if cluster.shows_counts { count_lines(&printed) } else { printed };
            for printed in printed.lines() {
                text += &format!("    {printed}\n");
            }
        }
    }
    text
}

#[test]
fn every_script_prints_what_it_says() {
    for path in scripts() {
        println!("script {}", path.display());
        let script = std::fs::read_to_string(&path).unwrap();
        expect_test::expect_file![&path].assert_eq(&run(&script));
    }
}
