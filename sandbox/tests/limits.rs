//! The limits that the system keeps for each process.

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use common::{Sandbox, printed};
use rustix::process::Signal;
use windrow_sandbox::Limits;

#[test]
fn a_file_that_grows_too_large_ends_the_program() {
    let sandbox = Sandbox::new(Limits { disk_bytes: Some(1 << 20), ..Limits::default() });
    let output = sandbox.shell("exec head -c 2000000 /dev/zero > large");
    // By a signal, or by an error where whoever has started the tests ignores the signal.
    assert!(!output.status.success());
    assert_eq!(fs::metadata(sandbox.path().join("large")).unwrap().len(), 1 << 20);
}

#[test]
fn a_busy_loop_ends_when_its_time_is_used_up() {
    let sandbox = Sandbox::new(Limits { cpu: Some(Duration::from_millis(500)), ..Limits::default() });
    let output = sandbox.shell("while :; do :; done");
    assert_eq!(output.status.signal(), Some(Signal::XCPU.as_raw()));
}

#[test]
fn open_files_are_limited_and_memory_is_not_dumped() {
    let sandbox = Sandbox::new(Limits { open_files: Some(64), ..Limits::default() });
    assert_eq!(printed(&sandbox.shell("ulimit -n; ulimit -Hn; ulimit -c; ulimit -Hc")), "64\n64\n0\n0");
}

#[test]
fn what_has_no_limit_is_as_it_was() {
    let script = "ulimit -Hn; ulimit -t";
    let output = Command::new("/bin/sh").args(["-c", script]).output().unwrap();
    assert_eq!(printed(&Sandbox::new(Limits::NONE).shell(script)), printed(&output));
}
