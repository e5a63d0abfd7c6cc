//! Which system calls a confined program is refused, and that programs do without them.

mod common;

use std::process::Command;

use common::{Sandbox, landlock, printed, python, seccomp, skipped};
use windrow_sandbox::Limits;

/// Prints the name of the error of each call: `attempt(call)`, or with a number, `syscall(number, arguments)`.
const ATTEMPT: &str = r#"
import ctypes, errno, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def name(number): return errno.errorcode.get(number, str(number))
def attempt(call):
    try: call()
    except OSError as error: print(name(error.errno))
    else: print("done")
def native(function, *arguments):
    result = getattr(libc, function)(*arguments)
    print(name(ctypes.get_errno()) if result == -1 else "done")
"#;

fn check(sandbox: &Sandbox, script: &str, expected: &str) {
    let Some(python) = python() else { return };
    let output = sandbox.run(&python, &["-c", &format!("{ATTEMPT}{script}")]);
    assert_eq!(printed(&output).split_whitespace().collect::<Vec<_>>().join(" "), expected);
}

#[test]
fn there_is_no_network_unless_it_is_allowed() {
    if !seccomp() {
        return;
    }
    let script = r#"
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET, 40):
    attempt(lambda: socket.socket(family, socket.SOCK_DGRAM if family != 40 else socket.SOCK_STREAM))
"#;
    let mut sandbox = Sandbox::new(Limits::default());
    check(&sandbox, script, "EACCES EACCES EACCES EACCES EACCES");
    sandbox.options.network = true;
    let script = r#"
server = socket.create_server(("127.0.0.1", 0))
attempt(lambda: socket.create_connection(server.getsockname()))
"#;
    check(&sandbox, script, "done");
}

#[test]
fn unix_sockets_work() {
    let script = r#"
server = socket.socket(socket.AF_UNIX)
server.bind("socket")
server.listen()
attempt(lambda: socket.socket(socket.AF_UNIX).connect("socket"))
attempt(socket.socketpair)
"#;
    check(&Sandbox::new(Limits::default()), script, "done done");
}

#[test]
fn abstract_sockets_of_others_cannot_be_reached() {
    if !landlock(6) {
        return;
    }
    use std::os::linux::net::SocketAddrExt;
    let name = format!("windrow-sandbox-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _server = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    let script = format!("attempt(lambda: socket.socket(socket.AF_UNIX).connect('\\0{name}'))");
    check(&Sandbox::new(Limits::default()), &script, "EPERM");
}

#[test]
fn calls_that_lead_out_are_not_permitted() {
    if !seccomp() {
        return;
    }
    // PTRACE_TRACEME, CLONE_NEWUSER, CLONE_NEWNS with SIGCHLD, a block device, TIOCSTI, everybody, another's open files.
    let script = r#"
native("ptrace", 0, 0, 0, 0)
native("process_vm_readv", os.getppid(), 0, 0, 0, 0, 0)
native("unshare", 0x10000000)
native("setns", 0, 0)
native("mount", b"none", b"/", b"tmpfs", 0, 0)
native("umount2", b"/", 0)
native("chroot", b".")
native("swapoff", b"/nothing")
native("mknod", b"disk", 0o060600, 0x800)
native("ioctl", 0, 0x5412, b"x")
native("kill", -1, 0)
native("prlimit", os.getppid(), 7, 0, ctypes.create_string_buffer(16))
"#;
    check(&Sandbox::new(Limits::default()), script, "EPERM ".repeat(12).trim());
}

#[test]
#[cfg(target_arch = "x86_64")]
fn namespaces_rings_and_second_numbers_of_calls_are_refused() {
    if !seccomp() {
        return;
    }
    // clone(CLONE_NEWUSER | SIGCHLD), clone3, io_uring_setup, keyctl, bpf, open_tree_attr, and getpid by its number of x32.
    let script = r#"
for call in ((56, 0x10000011, 0, 0, 0, 0), (435, 0, 0), (425, 8, 0), (250, 0, 0), (321, 0, 0, 0), (467, 0, 0, 0)):
    native("syscall", *call)
native("syscall", 0x40000000 + 39)
"#;
    check(&Sandbox::new(Limits::default()), script, "EPERM ENOSYS ENOSYS EPERM EPERM EPERM ENOSYS");
}

#[test]
fn a_program_of_root_keeps_only_what_concerns_files_and_users() {
    let output = Sandbox::new(Limits::default()).shell("sed -n 's/^CapEff://p' /proc/self/status");
    let effective = u64::from_str_radix(&printed(&output), 16).unwrap();
    assert_eq!(effective & !0xfb, 0, "{effective:x}");
}

#[test]
fn threads_and_children_work() {
    let script = r#"
import subprocess, threading
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool: print(sum(pool.map(len, ["a", "bc"])))
print(subprocess.run(["/bin/sh", "-c", "echo from $(echo a child)"], capture_output=True, text=True).stdout)
child = os.fork()
if child == 0: os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;
    check(&Sandbox::new(Limits::default()), script, "3 from a child 7");
}

#[test]
fn a_java_runtime_starts() {
    if !Command::new("java").arg("-version").output().is_ok_and(|output| output.status.success()) {
        return skipped("there is no Java");
    }
    let output = Sandbox::new(Limits::default()).run("java", &["-Xmx64m", "-version"]);
    printed(&output);
}

#[test]
fn children_of_the_program_are_confined_too() {
    let Some(python) = python().filter(|_| seccomp()) else { return };
    let output = Sandbox::new(Limits::default()).shell(&format!(
        "setsid sh -c \"'{python}' -c 'import socket; socket.socket(socket.AF_INET)'\" 2>&1 | tail -n 1"
    ));
    assert_eq!(printed(&output), "PermissionError: [Errno 13] Permission denied");
}

#[test]
fn a_command_confines_each_process_that_it_starts() {
    let sandbox = Sandbox::new(Limits::default());
    let mut command = sandbox.command("/bin/sh", &["-c", "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status"]);
    let filtered = seccomp();
    for _ in 0..2 {
        let status = printed(&command.output().unwrap());
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        assert!(!filtered || status.contains("Seccomp:\t2"), "{status}");
    }
    if landlock(1) {
        let mut command = sandbox.command("/bin/sh", &["-c", "echo x > /tmp/windrow-sandbox-refused"]);
        assert!((0..2).all(|_| !command.status().unwrap().success()));
    }
}

#[test]
fn what_is_supported_is_told_in_lines() {
    let support = windrow_sandbox::support();
    eprintln!("{support}");
    assert_eq!(support.to_string().lines().count(), support.facts.len());
    for part in ["files", "signals", "network", "system calls", "limits", "watch", "cgroups", "user namespaces"] {
        assert!(support.facts.iter().any(|fact| fact.part == part && !fact.detail.is_empty()), "{part}");
    }
}
