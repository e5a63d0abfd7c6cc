//! Reads `/proc`.

use std::fs;
use std::io;

/// Every process of a program has this variable in its environment, with a value that is unique to the program.
pub const MARK: &str = "WINDROW_PROCESS";

/// A process, as it was when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub id: i32,
    pub parent: i32,
    pub group: i32,
    /// It has ended, and nobody has waited for it yet.
    pub ended: bool,
    /// Ticks after the host's start. An id is used again, but not with the same one.
    pub started: u64,
    /// CPU time of its own, in ticks.
    pub own_ticks: u64,
    /// CPU time of those of its children, and theirs, that have ended and that it has waited for, in ticks.
    pub waited_ticks: u64,
    pub threads: u64,
    pub resident_bytes: u64,
}

/// A process, and never another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessKey {
    pub id: i32,
    pub started: u64,
}

impl Process {
    pub fn key(&self) -> ProcessKey {
        ProcessKey { id: self.id, started: self.started }
    }
}

/// All processes that can be seen. One system call for each name, three for each process.
pub fn scan() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // A process that has just ended is gone.
    ids.filter_map(|id| parse(id, &fs::read(format!("/proc/{id}/stat")).ok()?)).collect()
}

/// Whether `/proc` can be read.
pub fn can_watch() -> bool {
    let id = rustix::process::getpid().as_raw_nonzero().get();
    fs::read(format!("/proc/{id}/stat")).is_ok_and(|stat| parse(id, &stat).is_some())
}

/// The value of [`MARK`] in a process's environment; `None` if it has none, or is another user's.
pub fn mark(id: i32) -> Option<String> {
    let environment = fs::read(format!("/proc/{id}/environ")).ok()?;
    let prefix = format!("{MARK}=");
    let value = environment.split(|byte| *byte == 0).find_map(|variable| variable.strip_prefix(prefix.as_bytes()))?;
    String::from_utf8(value.to_vec()).ok()
}

/// Memory of a process in bytes, with its part of pages that it shares. The kernel walks through all of it for that.
pub fn shared_out_memory(id: i32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.map(|kilobytes: u64| kilobytes << 10).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Reads `/proc/ID/stat`. The name of the program, in parentheses, may hold anything, parentheses too.
fn parse(id: i32, stat: &[u8]) -> Option<Process> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let fields: Vec<&str> = std::str::from_utf8(&stat[name_end + 1..]).ok()?.split_ascii_whitespace().collect();
    // The third field is the first here; proc(5) counts from one.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Process {
        id,
        parent: number(4)? as i32,
        group: number(5)? as i32,
        ended: matches!(*fields.first()?, "Z" | "X"),
        started: number(22)?,
        own_ticks: number(14)? + number(15)?,
        waited_ticks: number(16)? + number(17)?,
        threads: number(20)?,
        resident_bytes: number(24)? * rustix::param::page_size() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_may_hold_anything() {
        let stat =
            b"42 (a) b (c) S 7 41 40 0 -1 4194560 9 8 7 6 11 12 13 14 20 0 3 0 5555 1000000 25 18446744073709551615";
        let page = rustix::param::page_size() as u64;
        let expected = Process {
            id: 42,
            parent: 7,
            group: 41,
            ended: false,
            started: 5555,
            own_ticks: 23,
            waited_ticks: 27,
            threads: 3,
            resident_bytes: 25 * page,
        };
        assert_eq!(parse(42, stat), Some(expected));
        assert_eq!(parse(42, b"42 (short) S 7"), None);
    }

    #[test]
    fn this_process_is_seen_with_its_memory() {
        let id = std::process::id() as i32;
        let this = scan().into_iter().find(|process| process.id == id).unwrap();
        assert!(this.threads >= 1 && this.resident_bytes > 0);
        let exact = shared_out_memory(id).unwrap();
        assert!(exact > 0);
        assert_eq!(mark(id), std::env::var(MARK).ok());
        assert!(can_watch());
    }
}
