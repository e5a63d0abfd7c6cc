//! The examples of the crate run as their first lines say.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::PathBuf;
use std::process::Command;

/// A program that cargo has built beside this one.
fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().and_then(|folder| folder.parent()).unwrap().join("examples").join(name)
}

#[test]
fn k_means_finds_the_centres() {
    let output = Command::new(example("kmeans")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.matches("points were made around").count(), 5, "{text}");
}

#[test]
fn word_count_counts() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("text")).unwrap();
    std::fs::write(folder.path().join("text/a.txt"), "b a b\n\na  b\n").unwrap();
    let mut command = Command::new(example("word_count"));
    let output = command.args(["count", "./text/", "./counts/"]).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files = std::fs::read_dir(folder.path().join("counts")).unwrap().flatten().map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
    let mut lines: Vec<String> = files
        .flat_map(|path| std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines.sort();
    assert_eq!(lines, ["a\t2", "b\t3"]);
}
