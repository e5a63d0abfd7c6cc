//! The mistakes of the core that `tools/mutants` makes fit the core as it is, and are in the table.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the project's folder")
}

fn patches(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).expect("a folder of patches");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    paths.sort();
    paths
}

#[test]
fn every_mistake_still_fits_the_core() {
    let (noticed, unnoticed) = (patches("simulator/mutants"), patches("simulator/mutants/unnoticed"));
    assert!(noticed.len() >= 12, "only {} mistakes are left", noticed.len());
    for patch in noticed.iter().chain(&unnoticed) {
        let output = Command::new("git").args(["apply", "--check"]).arg(patch).current_dir(root()).output();
        let output = output.expect("git runs");
        assert!(output.status.success(), "{}: {}", patch.display(), String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_mistake_is_in_the_table() {
    let text = std::fs::read_to_string(root().join("docs/TESTING.md")).expect("docs/TESTING.md");
    for patch in patches("simulator/mutants").iter().chain(&patches("simulator/mutants/unnoticed")) {
        let name = patch.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(text.contains(&format!("`{name}`")), "docs/TESTING.md does not name {name}");
    }
    for (name, _) in windrow_simulator::Sabotage::ALL {
        assert!(text.contains(&format!("`{name}`")), "docs/TESTING.md does not name {name}");
    }
}
