//! Facts about this process, read from the operating system.

use std::ops::Range;
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

/// Takes pages of the program's own file out of this process's resident memory. They stay in the system's cache, where
/// all processes of this program share them, and come back when they are touched.
///
/// Only mappings that cannot be written to and of which no page differs from the file: what the loader has changed in
/// memory would be lost.
pub fn give_back_program() {
    // Where the system does not tell, nothing is given back.
    let Ok(maps) = std::fs::read_to_string("/proc/self/smaps") else { return };
    for range in unchanged_file_pages(&maps) {
        let start = std::ptr::with_exposed_provenance_mut(range.start);
        // SAFETY: the pages of a private mapping are read from its file again, and they are as they are in the file. They
        // cannot change meanwhile: nobody writes to the program's read-only pages once it is loaded.
        #[allow(unsafe_code)]
        let given_back = unsafe { rustix::mm::madvise(start, range.len(), rustix::mm::Advice::LinuxDontNeed) };
        if let Err(error) = given_back {
            tracing::debug!(%error, "pages of the program stay resident");
        }
    }
}

/// Addresses of the private read-only mappings of files that are, as `/proc/PID/smaps` says, as in their files.
fn unchanged_file_pages(smaps: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut mapping = None;
    for line in smaps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            // start-end rights offset device inode path
            [range, rights, _, _, _, path, ..] if path.starts_with('/') && !line.ends_with("(deleted)") => {
                let is_fixed =
                    rights.starts_with('r') && rights.as_bytes().get(1) == Some(&b'-') && rights.ends_with('p');
                mapping = address_range(range).filter(|_| is_fixed);
            }
            ["Anonymous:", "0", "kB"] => found.extend(mapping.take()),
            [range, ..] if address_range(range).is_some() => mapping = None,
            _ => {}
        }
    }
    found
}

fn address_range(text: &str) -> Option<Range<usize>> {
    let (start, end) = text.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    Some(address(start)?..address(end)?)
}

/// Name of this machine for people, and for peers when the worker listens on all its addresses.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_that_are_as_in_their_file_are_given_back() {
        let smaps = "\
55d0000-55d1000 r--p 00000000 fe:00 77 /bin/windrow
Rss:                4 kB
Anonymous:          0 kB
VmFlags: rd mr mw me
55d1000-55d3000 r-xp 00001000 fe:00 77 /bin/windrow
Anonymous:          0 kB
55d3000-55d4000 r--p 00003000 fe:00 77 /bin/windrow
Anonymous:          4 kB
55d4000-55d5000 rw-p 00004000 fe:00 77 /bin/windrow
Anonymous:          0 kB
55d5000-55d6000 r--p 00000000 00:00 0
Anonymous:          0 kB
55d6000-55d7000 r--s 00000000 00:01 9 /memfd:segment (deleted)
Anonymous:          0 kB
ffff000-ffff800 r-xp 00000000 00:00 0 [vdso]
Anonymous:          0 kB
";
        assert_eq!(unchanged_file_pages(smaps), [0x55d_0000..0x55d_1000, 0x55d_1000..0x55d_3000]);
    }

    #[test]
    fn the_program_goes_on_without_its_pages() {
        let mapped = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
            line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap()
        };
        let before = mapped();
        give_back_program();
        let after = mapped();
        assert!(after < before, "{before} KiB of files were mapped, and {after} KiB are");
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        let reading = parse("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n");
        assert_eq!(reading, Resident { bytes: 1 << 20, peak_bytes: 2 << 20 });
    }
}
