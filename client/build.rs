//! Names the build after its commit, so that a coordinator can tell workers of other code from its own.

use std::path::Path;
use std::process::Command;

fn main() {
    // The log of HEAD changes with every commit, and only then.
    let log = "../.git/logs/HEAD";
    println!("cargo:rerun-if-changed={}", if Path::new(log).exists() { log } else { "build.rs" });
    let commit = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let commit = commit.ok().filter(|output| output.status.success());
    let commit = commit.and_then(|output| String::from_utf8(output.stdout).ok());
    let version = env!("CARGO_PKG_VERSION");
    match commit.as_deref().map(str::trim) {
        Some(commit) => println!("cargo:rustc-env=WINDROW_BUILD={version}+{commit}"),
        None => println!("cargo:rustc-env=WINDROW_BUILD={version}"),
    }
}
