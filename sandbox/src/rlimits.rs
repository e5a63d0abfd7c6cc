//! The limits that the system keeps, for each process.

use rustix::process::{Resource, Rlimit, getrlimit};

use crate::limits::Limits;

/// Between the signal that says so and the end, in seconds of CPU time: enough to print where it was.
const CPU_GRACE_SECONDS: u64 = 1;

/// What is to be set in the child.
pub fn of(limits: &Limits) -> Vec<(Resource, Rlimit)> {
    // Images of memory are large, and end up where nobody looks.
    let mut wanted = vec![(Resource::Core, 0, 0)];
    if let Some(cpu) = limits.cpu {
        let seconds = cpu.as_secs() + u64::from(cpu.subsec_nanos() > 0);
        wanted.push((Resource::Cpu, seconds, seconds.saturating_add(CPU_GRACE_SECONDS)));
    }
    if let Some(bytes) = limits.disk_bytes {
        wanted.push((Resource::Fsize, bytes, bytes));
    }
    if let Some(files) = limits.open_files {
        wanted.push((Resource::Nofile, files, files));
    }
    wanted.into_iter().map(|(resource, current, maximum)| (resource, lowered(resource, current, maximum))).collect()
}

/// Raising what this process is held to itself would need privileges.
fn lowered(resource: Resource, current: u64, maximum: u64) -> Rlimit {
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    Rlimit { current: Some(current.min(most)), maximum: Some(maximum.min(most)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn parts_of_a_second_are_rounded_up() {
        let limits = of(&Limits { cpu: Some(Duration::from_millis(1500)), ..Limits::NONE });
        assert!(limits.contains(&(Resource::Cpu, Rlimit { current: Some(2), maximum: Some(3) })));
    }

    #[test]
    fn limits_are_never_above_this_process_s_own() {
        let most = getrlimit(Resource::Nofile).maximum;
        let limits = of(&Limits { open_files: Some(u64::MAX), ..Limits::NONE });
        let expected = most.unwrap_or(u64::MAX);
        assert!(
            limits.contains(&(Resource::Nofile, Rlimit { current: Some(expected), maximum: Some(expected) })),
            "{limits:?}"
        );
    }

    #[test]
    fn without_limits_there_is_only_no_core() {
        assert_eq!(of(&Limits::NONE), vec![(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })]);
    }
}
