//! What of the confinement this host can do.

use std::fmt;
use std::sync::OnceLock;

use landlock::LandlockStatus;

use crate::{files, filters, watch};

/// From these versions of its interface on, Landlock knows truncation, TCP ports, signals and Unix sockets with paths.
const ABI_TRUNCATE: u32 = 3;
const ABI_TCP: u32 = 4;
const ABI_SIGNALS: u32 = 6;
const ABI_UNIX_SOCKETS: u32 = 9;

/// What of the confinement this host can do. Displayed as one line for each part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Support {
    /// The version of Landlock's interface; zero if it cannot be used.
    pub landlock_abi: u32,
    pub seccomp: bool,
    pub facts: Vec<Fact>,
}

/// One part of the confinement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    pub part: &'static str,
    pub works: bool,
    /// What that means for programs, or why it does not work and what to do.
    pub detail: String,
}

/// Tries it out once in the life of this process, in threads that are restricted by that and end.
pub fn support() -> Support {
    let facts = vec![files(), signals(), unix_sockets(), network(), system_calls(), limits(), watching()];
    let unused = [
        ("cgroups", "not used: they would have to be delegated to the worker; trees of processes are watched instead"),
        ("user namespaces", "not used: many hosts forbid them, and in them more of the kernel can be reached"),
    ];
    let unused = unused.map(|(part, detail)| fact(part, false, detail));
    Support {
        landlock_abi: landlock_abi().unwrap_or(0),
        seccomp: seccomp().is_ok(),
        facts: facts.into_iter().chain(unused).collect(),
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.facts.iter().map(Fact::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<16} {:<4} {}", self.part, if self.works { "yes" } else { "no" }, self.detail)
    }
}

/// The version of Landlock's interface, or why it cannot be used.
pub fn landlock_abi() -> Result<u32, String> {
    static ABI: OnceLock<Result<u32, String>> = OnceLock::new();
    ABI.get_or_init(|| {
        let status = in_a_thread(|| files::try_out().map_err(|error| files::described(&error)))?;
        match status {
            LandlockStatus::Available { kernel_abi: Some(newer), .. } => Ok(newer.unsigned_abs()),
            LandlockStatus::Available { effective_abi, .. } => Ok(effective_abi as u32),
            LandlockStatus::NotEnabled => Err("add `landlock` to the kernel's boot parameter `lsm=`".to_owned()),
            LandlockStatus::NotImplemented => {
                Err("this kernel has no Landlock (Linux 5.13 and newer can), or a container keeps it away".to_owned())
            }
        }
    })
    .clone()
}

/// Why filters of system calls cannot be used.
pub fn seccomp() -> Result<(), String> {
    static SECCOMP: OnceLock<Result<(), String>> = OnceLock::new();
    SECCOMP.get_or_init(|| in_a_thread(filters::try_out)).clone()
}

/// What restricts a thread can be tried out in one that ends.
fn in_a_thread<T: Send + 'static>(tried: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    let thread = std::thread::Builder::new().name("windrow-try".to_owned()).spawn(tried);
    let thread = thread.map_err(|error| format!("there was no thread to try it in: {error}"))?;
    thread.join().unwrap_or_else(|_| Err("trying it out failed".to_owned()))
}

fn fact(part: &'static str, works: bool, detail: impl Into<String>) -> Fact {
    Fact { part, works, detail: detail.into() }
}

fn files() -> Fact {
    match landlock_abi() {
        Ok(abi) if abi < ABI_TRUNCATE => {
            let detail =
                format!("a program writes to its folder only, but can empty files elsewhere (Landlock ABI {abi})");
            fact("files", true, detail)
        }
        Ok(abi) => fact("files", true, format!("a program writes to its folder only (Landlock ABI {abi})")),
        Err(why) => fact("files", false, format!("a program writes wherever the worker can: {why}")),
    }
}

fn signals() -> Fact {
    match landlock_abi() {
        Ok(abi) if abi >= ABI_SIGNALS => fact("signals", true, "a program signals only what it has started"),
        _ => fact("signals", false, "a program can end other processes of the worker's user: Linux 6.12 prevents it"),
    }
}

fn unix_sockets() -> Fact {
    match landlock_abi() {
        Ok(abi) if abi >= ABI_UNIX_SOCKETS => fact("unix sockets", true, "a program connects only to what it serves"),
        Ok(abi) if abi >= ABI_SIGNALS => {
            fact("unix sockets", false, "a program can connect to sockets that have a path: Linux 7.1 prevents it")
        }
        _ => fact("unix sockets", false, "a program can connect to sockets of this host: Linux 7.1 prevents it"),
    }
}

fn network() -> Fact {
    match (seccomp(), landlock_abi()) {
        (Ok(()), _) => fact("network", true, "a program has none unless it may (seccomp)"),
        (Err(why), Ok(abi)) if abi >= ABI_TCP => {
            fact("network", false, format!("a program has no TCP (Landlock), but the rest of the network: {why}"))
        }
        (Err(why), _) => fact("network", false, format!("a program has the worker's network: {why}")),
    }
}

fn system_calls() -> Fact {
    match seccomp() {
        Ok(()) => fact("system calls", true, "those that lead out of the confinement are refused (seccomp)"),
        Err(why) => fact("system calls", false, format!("none is refused, the kernel has no seccomp: {why}")),
    }
}

fn limits() -> Fact {
    fact("limits", true, "CPU time, sizes of files and open files of each process are limited (setrlimit)")
}

fn watching() -> Fact {
    match watch::can_watch() {
        true => fact("watch", true, "memory, CPU time, disk and processes of a program's tree are watched (/proc)"),
        false => fact("watch", false, "trees of processes are not watched: mount /proc"),
    }
}
