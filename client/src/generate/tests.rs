//! The same arguments give the same bytes, and nothing half-made is left.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;

/// Every file below `folder` with its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below the folder").to_owned();
                found.insert(name, std::fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

fn generated(generator: Generator, name: &str) -> (tempfile::TempDir, Generated) {
    let dir = tempfile::tempdir().expect("a folder");
    let outcome = generate(&generator, &dir.path().join(name), &Progress::default()).expect("generated");
    (dir, outcome)
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let log = |seed| Generator::AccessLog { rows: 20_001, seed, parts: 3 };
    let (a, outcome) = generated(log(7), "log");
    let (b, _) = generated(log(7), "log");
    let (c, _) = generated(log(8), "log");
    assert_eq!((outcome.rows, outcome.files), (20_001, 3));
    assert_eq!(contents(a.path()), contents(b.path()));
    assert_ne!(contents(a.path()), contents(c.path()));
}

#[test]
fn tpch_has_a_folder_per_table() {
    let (dir, outcome) = generated(Generator::Tpch { scale: 0.001, parts: 2 }, "tpch");
    let files: Vec<String> = contents(dir.path()).keys().map(|path| path.display().to_string()).collect();
    assert_eq!(outcome.files, 14);
    assert_eq!(files.len(), 14, "{files:?}");
    assert!(files.contains(&"tpch/lineitem/part-0001.parquet".to_owned()), "{files:?}");
    assert!(files.contains(&"tpch/region/part-0000.parquet".to_owned()), "{files:?}");
}

#[test]
fn a_table_has_the_same_rows_in_any_number_of_files() {
    let rows = |parts| generated(Generator::Tpch { scale: 0.001, parts }, "tpch").1.rows;
    assert_eq!(rows(1), rows(16));
}

#[test]
fn a_stopped_generator_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let progress = Progress { stop: AtomicBool::new(true), ..Progress::default() };
    let log = Generator::AccessLog { rows: 100, seed: 0, parts: 1 };
    let report = generate(&log, &dir.path().join("log"), &progress).expect_err("stopped");
    assert_eq!(report.kind, ErrorKind::Cancelled);
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0);
}

#[test]
fn a_folder_with_anything_in_it_is_not_touched() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("mine.txt"), "mine").expect("written");
    let log = Generator::AccessLog { rows: 1, seed: 0, parts: 1 };
    let report = generate(&log, dir.path(), &Progress::default()).expect_err("occupied");
    assert_eq!(report.kind, ErrorKind::AlreadyExists);
    assert_eq!(contents(dir.path()).len(), 1);
}

#[test]
fn arguments_out_of_range_are_refused() {
    let refused = |generator| generate(&generator, Path::new("never"), &Progress::default()).expect_err("refused").kind;
    assert_eq!(refused(Generator::Tpch { scale: -1.0, parts: 1 }), ErrorKind::Invalid);
    assert_eq!(refused(Generator::Tpch { scale: f64::NAN, parts: 1 }), ErrorKind::Invalid);
    assert_eq!(refused(Generator::AccessLog { rows: 1, seed: 0, parts: 0 }), ErrorKind::Invalid);
}
