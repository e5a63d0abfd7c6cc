//! Facts about this process, read from the operating system.

use std::time::{Duration, Instant};

/// A reading stays good for this long: peaks do not need finer steps, and many attempts ask.
const READING_AGE_MAX: Duration = Duration::from_millis(50);

/// Lets this process open as many files as the system allows it. Many systems start processes with 1,024, which is few
/// for a worker: each of its larger map outputs is a file of memory.
pub fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Without it fewer outputs are shared.
        let _ = setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit });
    }
}

/// Resident memory of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    pub bytes: u64,
    /// Highest since the process started.
    pub peak_bytes: u64,
}

/// Zero where the system does not tell (anything but Linux).
pub fn resident() -> Resident {
    static LAST: parking_lot::Mutex<Option<(Instant, Resident)>> = parking_lot::Mutex::new(None);
    let mut last = LAST.lock();
    if let Some((at, reading)) = *last
        && at.elapsed() < READING_AGE_MAX
    {
        return reading;
    }
    let reading = std::fs::read_to_string("/proc/self/status").map(|status| parse(&status)).unwrap_or_default();
    *last = Some((Instant::now(), reading));
    reading
}

fn parse(status: &str) -> Resident {
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
    };
    let bytes = |name| kib(name).unwrap_or(0) * 1024;
    Resident { bytes: bytes("VmRSS:"), peak_bytes: bytes("VmHWM:") }
}

/// Name of this machine for people, and for peers when the worker listens on all its addresses.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes() {
        let reading = parse("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n");
        assert_eq!(reading, Resident { bytes: 1 << 20, peak_bytes: 2 << 20 });
    }
}
