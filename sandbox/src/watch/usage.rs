//! What a tree of processes uses, and which of its limits that exceeds.

use std::fmt;
use std::time::Duration;

use windrow_model::format_bytes;

use crate::limits::Limits;

/// What a tree of processes uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory. Pages that several of its processes share count for each of them, unless the limit is near.
    pub memory_bytes: u64,
    /// Time on CPUs, also of processes that have ended, as far as it was seen.
    pub cpu: Duration,
    /// What the folder takes on disk.
    pub disk_bytes: u64,
    /// Files and folders in the folder; not counted further once they are too many.
    pub files: u64,
    /// Also those that have ended, and that their parents in the tree do not wait for.
    pub processes: u64,
    pub threads: u64,
}

impl Usage {
    /// The larger of each.
    pub(super) fn most(self, other: Usage) -> Usage {
        Usage {
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
            cpu: self.cpu.max(other.cpu),
            disk_bytes: self.disk_bytes.max(other.disk_bytes),
            files: self.files.max(other.files),
            processes: self.processes.max(other.processes),
            threads: self.threads.max(other.threads),
        }
    }
}

/// A limit that a tree of processes has exceeded, with its use. Displayed as a clause about the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    Memory { used_bytes: u64, limit_bytes: u64 },
    Cpu { used: Duration, limit: Duration },
    Disk { used_bytes: u64, limit_bytes: u64 },
    Files { used: u64, limit: u64 },
    Processes { used: u64, limit: u64 },
    Threads { used: u64, limit: u64 },
}

impl Exceeded {
    /// What harms other programs soonest comes first.
    pub(super) fn first(usage: &Usage, limits: &Limits) -> Option<Exceeded> {
        let above = |used: u64, limit: Option<u64>| limit.filter(|limit| used > *limit);
        let memory = above(usage.memory_bytes, limits.memory_bytes)
            .map(|limit_bytes| Exceeded::Memory { used_bytes: usage.memory_bytes, limit_bytes });
        let processes =
            above(usage.processes, limits.processes).map(|limit| Exceeded::Processes { used: usage.processes, limit });
        let threads =
            above(usage.threads, limits.threads).map(|limit| Exceeded::Threads { used: usage.threads, limit });
        let disk = above(usage.disk_bytes, limits.disk_bytes)
            .map(|limit_bytes| Exceeded::Disk { used_bytes: usage.disk_bytes, limit_bytes });
        let files = above(usage.files, limits.files).map(|limit| Exceeded::Files { used: usage.files, limit });
        let cpu = limits.cpu.filter(|limit| usage.cpu > *limit);
        let cpu = cpu.map(|limit| Exceeded::Cpu { used: usage.cpu, limit });
        memory.or(processes).or(threads).or(disk).or(files).or(cpu)
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = format_bytes;
        match *self {
            Exceeded::Memory { used_bytes, limit_bytes } => {
                write!(f, "it used {} of memory, and may use {}", bytes(used_bytes), bytes(limit_bytes))
            }
            Exceeded::Cpu { used, limit } => {
                write!(f, "it used {:.1} s of CPU time, and may use {:.1} s", used.as_secs_f64(), limit.as_secs_f64())
            }
            Exceeded::Disk { used_bytes, limit_bytes } => {
                write!(f, "it used {} of disk, and may use {}", bytes(used_bytes), bytes(limit_bytes))
            }
            Exceeded::Files { used, limit } => write!(f, "it had {used} files in its folder, and may have {limit}"),
            Exceeded::Processes { used, limit } => write!(f, "it had {used} processes at once, and may have {limit}"),
            Exceeded::Threads { used, limit } => write!(f, "it had {used} threads at once, and may have {limit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_may_be_reached_but_not_exceeded() {
        let limits = Limits { memory_bytes: Some(512 << 20), processes: Some(3), ..Limits::NONE };
        let usage = Usage { memory_bytes: 512 << 20, processes: 3, files: 1_000_000, ..Usage::default() };
        assert_eq!(Exceeded::first(&usage, &limits), None);
        let usage = Usage { processes: 4, ..usage };
        assert_eq!(Exceeded::first(&usage, &limits), Some(Exceeded::Processes { used: 4, limit: 3 }));
    }

    #[test]
    fn what_was_exceeded_is_said_with_units() {
        let memory = Exceeded::Memory { used_bytes: 1_288_490_189, limit_bytes: 512 << 20 };
        assert_eq!(memory.to_string(), "it used 1.2 GiB of memory, and may use 512.0 MiB");
        let cpu = Exceeded::Cpu { used: Duration::from_millis(61_250), limit: Duration::from_secs(60) };
        assert_eq!(cpu.to_string(), "it used 61.2 s of CPU time, and may use 60.0 s");
    }
}
