//! The rules of the house, read from `cargo metadata`: who may depend on whom, and one of each heavy crate.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        // The host's packages only: those of other systems were never downloaded, and need not be.
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &host()])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

/// This machine's target triple, as the compiler names it.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}

/// Direct dependencies of each member, without those only for tests and builds.
fn dependencies(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let members: BTreeSet<&str> = texts(&metadata["workspace_members"]).collect();
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .filter(|package| members.contains(package["id"].as_str().expect("id")))
        .map(|package| {
            let name = package["name"].as_str().expect("name").to_owned();
            let normal = package["dependencies"].as_array().expect("dependencies").iter();
            let normal = normal.filter(|dependency| dependency["kind"].is_null());
            (name, normal.map(|dependency| dependency["name"].as_str().expect("name").to_owned()).collect())
        })
        .collect()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().expect("an array").iter().map(|text| text.as_str().expect("a text"))
}

#[test]
fn crates_depend_only_in_the_documented_direction() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("windrow-model", &[][..]),
        ("windrow-scheduler", &["windrow-model"][..]),
        ("windrow-simulator", &["windrow-model", "windrow-scheduler"][..]),
        ("windrow-proto", &["windrow-model"][..]),
        ("windrow-wasm", &["windrow-model"][..]),
        ("windrow-sandbox", &["windrow-model"][..]),
        ("windrow-engine", &["windrow-model", "windrow-wasm"][..]),
        ("windrow-coordinator", &["windrow-model", "windrow-scheduler", "windrow-engine", "windrow-proto"][..]),
        ("windrow-worker", &["windrow-model", "windrow-engine", "windrow-proto", "windrow-sandbox"][..]),
        ("windrow-sdk", &["windrow-model", "windrow-engine", "windrow-client"][..]),
        (
            "windrow-client",
            &[
                "windrow-model",
                "windrow-proto",
                "windrow-engine",
                "windrow-coordinator",
                "windrow-worker",
                "windrow-simulator",
            ][..],
        ),
        ("rust-job", &["windrow-sdk"][..]),
        (
            "windrow-benches",
            &[
                "windrow-model",
                "windrow-proto",
                "windrow-engine",
                "windrow-coordinator",
                "windrow-worker",
                "windrow-client",
            ][..],
        ),
    ]);
    for (name, dependencies) in dependencies(&metadata()) {
        let allowed = allowed.get(name.as_str()).unwrap_or_else(|| panic!("{name} has no place in this test yet"));
        for dependency in dependencies.iter().filter(|dependency| dependency.starts_with("windrow-")) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn the_scheduler_the_model_and_the_simulator_know_nothing_of_the_outside() {
    let dependencies = dependencies(&metadata());
    let model_only = BTreeSet::from(["windrow-model".to_owned()]);
    assert_eq!(dependencies["windrow-model"], BTreeSet::new());
    assert_eq!(dependencies["windrow-scheduler"], model_only);
    let core = BTreeSet::from(["windrow-model".to_owned(), "windrow-scheduler".to_owned()]);
    assert_eq!(dependencies["windrow-simulator"], core);
}

#[test]
fn each_heavy_crate_is_there_once() {
    let metadata = metadata();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("name");
        versions.entry(name).or_default().insert(package["version"].as_str().expect("version"));
    }
    for name in ["arrow", "parquet", "datafusion", "object_store", "tonic", "prost", "hyper", "http", "rustls"] {
        assert_eq!(versions.get(name).map(BTreeSet::len), Some(1), "{name}: {:?}", versions.get(name));
    }
    for banned in ["openssl-sys", "native-tls", "aws-lc-sys"] {
        assert!(!versions.contains_key(banned), "{banned} is in the graph");
    }
}
