//! The only place that runs code between `fork` and `exec`.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::confinement::Prepared;

/// Has each child of `command` confine itself just before its program starts. An error keeps the program from starting.
#[allow(unsafe_code, reason = "`pre_exec` is unsafe, and nothing else lets a child confine itself before its program")]
pub fn before_exec(command: &mut Command, mut prepared: Prepared) {
    let confine = move || -> io::Result<()> { prepared.take_hold() };
    // SAFETY: the child is a copy of a process with threads, of which it has only the calling one: locks that others held
    // stay locked, so the hook must neither allocate nor lock. `Prepared::take_hold` makes system calls on what the parent
    // has prepared (prctl, landlock_restrict_self, close, prlimit64, seccomp) and does nothing else on success; on failure
    // it makes an `io::Error` of an error number, which does not allocate either. What it takes out of `prepared` is the
    // child's own copy, so the parent's stays whole for another child.
    unsafe {
        command.pre_exec(confine);
    }
}
