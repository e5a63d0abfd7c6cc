//! Memory of a tree of processes.

use super::processes::{Process, shared_out_memory};

/// Memory of a tree of processes.
///
/// The sum of what is resident is read with everything else, but counts pages several times that processes share, as those
/// do that a process has started with `fork`. Asking for the exact sum has the kernel walk through all of the memory, so
/// that is done only when the limit seems exceeded; what it finds to be shared is taken off from then on.
#[derive(Debug, Default)]
pub struct Memory {
    /// What the sum counted too much, in bytes.
    shared_bytes: u64,
}

impl Memory {
    /// In bytes.
    pub fn measure(&mut self, members: &[&Process], limit_bytes: Option<u64>) -> u64 {
        self.measure_with(members, limit_bytes, |process| match shared_out_memory(process.id) {
            Ok(bytes) => bytes,
            // One that has ended has none.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(_) => process.resident_bytes,
        })
    }

    fn measure_with(&mut self, members: &[&Process], limit: Option<u64>, exact: impl Fn(&Process) -> u64) -> u64 {
        let sum: u64 = members.iter().map(|process| process.resident_bytes).sum();
        let Some(limit) = limit.filter(|limit| sum > *limit) else {
            self.shared_bytes = 0;
            return sum;
        };
        // A process shares nothing with itself, so that what is taken off can never hide a single large one.
        let largest = members.iter().map(|process| process.resident_bytes).max().unwrap_or(0);
        let estimate = sum.saturating_sub(self.shared_bytes).max(largest);
        if estimate <= limit {
            return estimate;
        }
        let exact = members.iter().map(|process| exact(process)).sum();
        self.shared_bytes = sum.saturating_sub(exact);
        exact
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(resident_bytes: u64) -> Process {
        let (id, started) = (1, 1);
        Process {
            id,
            parent: 0,
            group: 1,
            started,
            ended: false,
            own_ticks: 0,
            waited_ticks: 0,
            threads: 1,
            resident_bytes,
        }
    }

    #[test]
    fn shared_pages_are_asked_for_once_and_taken_off() {
        let mut memory = Memory::default();
        let (one, grown) = (process(60), process(80));
        assert_eq!(memory.measure_with(&[&one, &one], Some(100), |_| 35), 70);
        assert_eq!(memory.measure_with(&[&one, &grown], Some(100), |_| panic!("nothing is asked for below")), 90);
        assert_eq!(memory.measure_with(&[&grown, &grown], Some(100), |_| 55), 110);
    }

    #[test]
    fn one_large_process_is_seen_behind_what_was_taken_off() {
        let mut memory = Memory::default();
        let (one, large) = (process(60), process(130));
        assert_eq!(memory.measure_with(&[&one, &one, &one], Some(100), |_| 20), 60);
        assert_eq!(memory.measure_with(&[&large], Some(100), |_| 130), 130);
    }

    #[test]
    fn below_the_limit_and_without_one_nothing_is_asked_for() {
        let mut memory = Memory::default();
        assert_eq!(memory.measure_with(&[&process(60)], Some(60), |_| panic!("asked")), 60);
        assert_eq!(memory.measure_with(&[&process(60)], None, |_| panic!("asked")), 60);
    }
}
