//! Starts real programs under a confinement.

#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, reason = "all of this is test code")]

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use windrow_sandbox::{Confinement, Limits, Options};

/// A folder for a program, and what it may do.
pub struct Sandbox {
    pub folder: TempDir,
    pub options: Options,
}

impl Sandbox {
    pub fn new(limits: Limits) -> Sandbox {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { limits, ..Options::new(folder.path()) };
        Sandbox { folder, options }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Confined, in its folder, leading a group, with pipes.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.path()).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Confinement::prepare(&self.options).unwrap().apply(&mut command);
        command
    }

    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program, arguments).output().unwrap()
    }

    pub fn shell(&self, script: &str) -> Output {
        self.run("/bin/sh", &["-c", script])
    }
}

/// What a program printed; fails the test, with what it said, if it failed.
pub fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A Python that runs; without one, the calling test ends, and says so.
pub fn python() -> Option<String> {
    let python = std::env::var("WINDROW_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let runs = Command::new(&python).arg("--version").output().is_ok_and(|output| output.status.success());
    if !runs {
        skipped(&format!("`{python}` does not run"));
    }
    runs.then_some(python)
}

/// Whether Landlock is there, in a version that has what is tested; says so if not.
pub fn landlock(abi: u32) -> bool {
    let found = windrow_sandbox::support().landlock_abi;
    if found < abi {
        skipped(&format!("it needs Landlock ABI {abi}, and this host has {found}"));
    }
    found >= abi
}

/// Whether seccomp is there; says so if not.
pub fn seccomp() -> bool {
    let found = windrow_sandbox::support().seccomp;
    if !found {
        skipped("it needs seccomp, and this host has none");
    }
    found
}

/// Past the test harness, which would keep it to itself.
pub fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    std::io::stderr().write_all(format!("\nSKIPPED {test}: {why}\n").as_bytes()).unwrap();
}
