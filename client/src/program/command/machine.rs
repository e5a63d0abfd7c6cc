//! Defaults that depend on the machine.

/// Memory of a worker on a machine that has enough.
const WORKER_MEMORY_BYTES: u64 = 4 << 30;

/// What each of `workers` on this machine may take, in bytes, unless a size is given: together at most 60 % of the
/// machine's memory, since a process may take more than its operators account for.
pub fn worker_memory(given: Option<u64>, workers: u32) -> u64 {
    given.unwrap_or_else(|| {
        let share = machine_memory_bytes() / 10 * 6 / u64::from(workers.max(1));
        share.min(WORKER_MEMORY_BYTES)
    })
}

#[cfg(target_os = "linux")]
fn machine_memory_bytes() -> u64 {
    let machine = rustix::system::sysinfo();
    machine.totalram.saturating_mul(u64::from(machine.mem_unit))
}

#[cfg(not(target_os = "linux"))]
fn machine_memory_bytes() -> u64 {
    8 << 30
}
