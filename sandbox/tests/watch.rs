//! Trees of real processes are watched, and the limit that they exceed is named.

#![allow(clippy::unwrap_used, reason = "all of this is test code")]

mod common;

use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::{Sandbox, python};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use windrow_sandbox::{Confinement, Exceeded, Limits, MARK, Tree, Watched, Watcher};

/// Far longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that is watched; it and all of its group end with this.
struct Running {
    watched: Watched,
    child: Child,
    group: Pid,
    _sandbox: Sandbox,
}

impl Running {
    fn start(watcher: &Watcher, limits: Limits, program: &str, script: &str) -> Running {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let sandbox = Sandbox::new(limits.clone());
        let mark = format!("test-{}-{}", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let mut command = Command::new(program);
        command.args(["-c", script]).current_dir(sandbox.path()).env(MARK, &mark).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Confinement::prepare(&sandbox.options).unwrap().apply(command.as_std_mut());
        let child = command.spawn().unwrap();
        let group = Pid::from_raw(child.id().unwrap() as i32).unwrap();
        let folder = sandbox.path().to_owned();
        let watched = watcher.watch(Tree { group, mark, folder, limits }).unwrap();
        Running { watched, child, group, _sandbox: sandbox }
    }

    async fn exceeded(&mut self) -> Exceeded {
        tokio::time::timeout(PATIENCE, self.watched.exceeded()).await.expect("it exceeds a limit")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

fn shell(limits: Limits, script: &str) -> Running {
    Running::start(&Watcher::new(), limits, "/bin/sh", script)
}

#[tokio::test]
async fn memory_of_a_child_s_child_is_seen() {
    let Some(python) = python() else { return };
    let limits = Limits { memory_bytes: Some(150 << 20), ..Limits::default() };
    let script =
        format!("sh -c \"'{python}' -c 'import sys; taken = b\\\"x\\\" * (200 << 20); sys.stdin.read()'; :\"; :");
    let mut running = shell(limits, &script);
    let exceeded = running.exceeded().await;
    let Exceeded::Memory { used_bytes, limit_bytes } = exceeded else { panic!("{exceeded}") };
    assert!(used_bytes > limit_bytes && limit_bytes == 150 << 20, "{exceeded}");
    assert!(running.watched.peak().memory_bytes >= used_bytes);
    assert!(running.watched.peak().processes >= 3);
}

#[tokio::test]
async fn memory_that_processes_share_counts_once() {
    let Some(python) = python() else { return };
    // Five processes with the same 100 MiB; when all are there, files are made until those are too many.
    let script = r#"
import os, sys
taken = b"x" * (100 << 20)
for _ in range(4):
    there, ready = os.pipe()
    if os.fork() == 0:
        os.write(ready, b"!")
        sys.stdin.read()
        os._exit(0)
    os.read(there, 1)
for number in range(4):
    open(str(number), "w")
sys.stdin.read()
"#;
    let limits = Limits { memory_bytes: Some(300 << 20), files: Some(3), ..Limits::default() };
    let mut running = Running::start(&Watcher::new(), limits, &python, script);
    assert_eq!(running.exceeded().await, Exceeded::Files { used: 4, limit: 3 });
    assert_eq!(running.watched.peak().processes, 5);
    assert!(running.watched.peak().memory_bytes > 100 << 20);
}

#[tokio::test]
async fn many_small_files_are_seen() {
    let limits = Limits { disk_bytes: Some(1 << 20), ..Limits::default() };
    let script = "mkdir d; i=0; while [ $i -lt 600 ]; do echo x > d/$i; i=$((i + 1)); done; cat";
    let exceeded = shell(limits, script).exceeded().await;
    assert!(matches!(exceeded, Exceeded::Disk { used_bytes, .. } if used_bytes > 1 << 20), "{exceeded}");
}

#[tokio::test]
async fn time_of_several_processes_is_added_up() {
    let limits = Limits { cpu: Some(Duration::from_millis(900)), ..Limits::default() };
    // No single one uses a second, after which the system would end it.
    let script = "for i in 1 2 3; do (i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done) & done; wait
                  while :; do :; done";
    let exceeded = shell(limits, script).exceeded().await;
    assert!(matches!(exceeded, Exceeded::Cpu { used, limit } if used > limit), "{exceeded}");
}

#[tokio::test]
async fn too_many_processes_are_seen_and_end_with_their_group() {
    let limits = Limits { processes: Some(10), ..Limits::default() };
    let mut running =
        shell(limits, "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 600 & done; wait");
    let exceeded = running.exceeded().await;
    assert!(matches!(exceeded, Exceeded::Processes { used: 11..=21, limit: 10 }), "{exceeded}");
    kill_process_group(running.group, Signal::KILL).unwrap();
    // The pipe is closed when the last one has ended.
    let mut output = Vec::new();
    let read = running.child.stdout.take().unwrap().read_to_end(&mut output).await;
    assert_eq!(read.unwrap(), 0);
}

#[tokio::test]
async fn too_many_threads_are_seen() {
    let Some(python) = python() else { return };
    let script = r#"
import sys, threading
for _ in range(30): threading.Thread(target=threading.Event().wait, daemon=True).start()
sys.stdin.read()
"#;
    let limits = Limits { threads: Some(20), ..Limits::default() };
    let exceeded = Running::start(&Watcher::new(), limits, &python, script).exceeded().await;
    assert!(matches!(exceeded, Exceeded::Threads { used: 21..=31, limit: 20 }), "{exceeded}");
}

#[tokio::test]
async fn a_process_that_has_left_its_group_and_parent_is_found_by_its_mark() {
    let Some(python) = python() else { return };
    // Nobody waits: the first process and the second are gone before the third takes memory. It ends with its input.
    let script = r#"
import os, sys
if os.fork() != 0: os._exit(0)
os.setsid()
if os.fork() != 0: os._exit(0)
while os.getppid() == os.getsid(0): pass
taken = b"x" * (200 << 20)
sys.stdin.read()
"#;
    let limits = Limits { memory_bytes: Some(150 << 20), ..Limits::default() };
    let mut running = Running::start(&Watcher::new(), limits, &python, script);
    let input = running.child.stdin.take();
    assert!(running.child.wait().await.unwrap().success());
    let exceeded = running.exceeded().await;
    assert!(matches!(exceeded, Exceeded::Memory { .. }), "{exceeded}");
    drop(input);
}

#[tokio::test]
async fn one_watcher_tells_its_trees_apart() {
    let watcher = Watcher::new();
    let few = Limits { processes: Some(3), ..Limits::default() };
    let mut quiet = Running::start(&watcher, few.clone(), "/bin/sh", "cat; :");
    let mut loud = Running::start(&watcher, few, "/bin/sh", "sleep 600 & sleep 600 & sleep 600 & wait");
    assert!(matches!(loud.exceeded().await, Exceeded::Processes { used: 4, limit: 3 }));
    assert!(quiet.watched.peak().processes <= 2);
    drop(quiet.child.stdin.take());
    tokio::select! {
        exceeded = quiet.watched.exceeded() => panic!("{exceeded}"),
        status = quiet.child.wait() => assert!(status.unwrap().success()),
    }
}
