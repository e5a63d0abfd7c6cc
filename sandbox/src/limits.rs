//! How much one program and what it starts may use.

use std::time::Duration;

/// What a core has on most machines that are rented by the core.
const MEMORY_BYTES: u64 = 4 << 30;

/// Longer than anybody waits for a task. An endless loop looks like a long computation, so this is no guess at one.
const CPU: Duration = Duration::from_secs(24 * 60 * 60);

/// What a mapper writes beside its output is scratch: several times its memory is plenty.
const DISK_BYTES: u64 = 16 << 30;

/// An unpacked environment of Python has some ten thousand; each costs an inode, and time whenever the folder is measured.
const FILES: u64 = 100_000;

/// A pool of workers for each core of a large host.
const PROCESSES: u64 = 256;

/// A Java runtime has some dozens, a pool of connections some hundreds; hosts have 32,768 numbers for all.
const THREADS: u64 = 4096;

/// Four times what Linux gives a login: runtimes open each of their libraries.
const OPEN_FILES: u64 = 4096;

/// How much one program and what it starts may use; `None` is as much as there is.
///
/// The address space has no limit (`RLIMIT_AS`, `RLIMIT_DATA`): runtimes reserve many times what they use. Nor has the
/// number of the user's processes (`RLIMIT_NPROC`): it counts those of the worker and of other programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Resident memory of the tree of processes. Watched.
    pub memory_bytes: Option<u64>,
    /// Time on CPUs, of the tree. Watched; the system ends a single process that uses as much, in whole seconds.
    pub cpu: Option<Duration>,
    /// What the folder takes on disk, with what was put there at the start. Watched; the system
    /// lets no file grow larger, and ends who tries (`SIGXFSZ`).
    pub disk_bytes: Option<u64>,
    /// Files and folders in the folder. Watched.
    pub files: Option<u64>,
    /// Processes of the tree at one time. Watched.
    pub processes: Option<u64>,
    /// Threads of the tree at one time. Watched.
    pub threads: Option<u64>,
    /// Open files of each process. Kept by the system.
    pub open_files: Option<u64>,
}

impl Limits {
    /// Nothing is limited.
    pub const NONE: Limits = Limits {
        memory_bytes: None,
        cpu: None,
        disk_bytes: None,
        files: None,
        processes: None,
        threads: None,
        open_files: None,
    };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory_bytes: Some(MEMORY_BYTES),
            cpu: Some(CPU),
            disk_bytes: Some(DISK_BYTES),
            files: Some(FILES),
            processes: Some(PROCESSES),
            threads: Some(THREADS),
            open_files: Some(OPEN_FILES),
        }
    }
}
