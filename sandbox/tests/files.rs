//! Where a confined program may write, and whom it may signal.

mod common;

use std::fs;

use common::{Sandbox, landlock, printed};
use windrow_sandbox::{Confinement, Limits, Options};

#[test]
fn writes_outside_the_folder_are_refused() {
    if !landlock(1) {
        return;
    }
    let (sandbox, outside) = (Sandbox::new(Limits::default()), tempfile::tempdir().unwrap());
    let victim = outside.path().join("victim");
    fs::write(&victim, "whole").unwrap();
    for script in ["echo x >> V", "rm V", "mv V V.moved", "mkdir V.d", "ln -s / V.l", "ln V mine", "mkfifo V.p"] {
        let output = sandbox.shell(&script.replace('V', &victim.display().to_string()));
        assert!(!output.status.success(), "`{script}` was not refused");
    }
    assert_eq!(fs::read(&victim).unwrap(), b"whole");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn files_outside_cannot_be_emptied() {
    if !landlock(3) {
        return;
    }
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "whole").unwrap();
    let script = format!("truncate -s 0 {}", outside.path().display());
    assert!(!Sandbox::new(Limits::default()).shell(&script).status.success());
    assert_eq!(fs::read(outside.path()).unwrap(), b"whole");
}

#[test]
fn the_folder_can_be_used_as_any_other() {
    let sandbox = Sandbox::new(Limits::default());
    let output = sandbox.shell(
        "set -e; mkdir -p a/b; echo one > a/file; mv a/file a/b/moved; ln a/b/moved a/linked; ln -s b/moved a/link
         mkfifo pipe; : > empty; rm empty; chmod 700 a; cat a/link; rm -r a pipe",
    );
    assert_eq!(printed(&output), "one");
    assert_eq!(fs::read_dir(sandbox.path()).unwrap().count(), 0);
}

#[test]
fn devices_that_hold_nothing_can_be_written_and_everything_can_be_read() {
    let sandbox = Sandbox::new(Limits::default());
    let output = sandbox.shell("set -e; echo x > /dev/null; echo x > /dev/zero; head -c 3 /etc/passwd");
    assert_eq!(printed(&output).len(), 3);
}

#[test]
fn the_terminal_cannot_be_written() {
    if !landlock(1) {
        return;
    }
    let output = Sandbox::new(Limits::default()).shell("echo x > /dev/tty");
    assert!(!output.status.success());
}

#[test]
fn devices_cannot_be_made() {
    // Others than root cannot make any.
    let output = Sandbox::new(Limits::default()).shell("mknod disk b 8 0 || mknod memory c 1 1");
    assert!(!output.status.success());
}

#[test]
fn other_processes_cannot_be_signalled() {
    if !landlock(6) {
        return;
    }
    let output = Sandbox::new(Limits::default()).shell("sleep 60 & kill $! && kill -0 $PPID");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("not permitted") && said.contains("kill"), "{said}");
}

#[test]
fn the_worker_s_environment_cannot_be_read() {
    if !landlock(1) {
        return;
    }
    let sandbox = Sandbox::new(Limits::default());
    assert!(!sandbox.shell("cat /proc/$PPID/environ").status.success());
    assert!(sandbox.shell("cat /proc/$$/environ").status.success());
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = Confinement::prepare(&Options::new("/nowhere")).unwrap_err();
    assert_eq!(error.to_string(), "`/nowhere`, where a program is to write, is not a folder");
    assert!(!error.hint.is_empty());
}
