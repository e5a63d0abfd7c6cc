//! CPU time of a tree of processes.

use std::collections::HashMap;
use std::time::Duration;

use super::processes::{Process, ProcessKey};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// CPU time of a tree of processes, also of those that have ended.
///
/// A parent is told what its children have used when it waits for them. Those that nobody of the tree waits for are counted
/// as they were last seen. Either is at most the truth, so the larger counts.
#[derive(Debug, Default)]
pub struct Cpu {
    /// Of each process as it was last seen, in ticks.
    live: HashMap<ProcessKey, u64>,
    /// Of those that have ended, in ticks.
    ended: u64,
    /// What was said before: the sum must not fall when a parent takes with it what it was told.
    most: u64,
}

impl Cpu {
    pub fn measure(&mut self, members: &[&Process]) -> Duration {
        let live: HashMap<ProcessKey, u64> = members.iter().map(|process| (process.key(), process.own_ticks)).collect();
        self.ended += self.live.iter().filter(|(key, _)| !live.contains_key(key)).map(|(_, ticks)| ticks).sum::<u64>();
        self.live = live;
        let seen = self.ended + self.live.values().sum::<u64>();
        let told: u64 = members.iter().map(|process| process.own_ticks + process.waited_ticks).sum();
        self.most = self.most.max(seen).max(told);
        duration(self.most)
    }
}

fn duration(ticks: u64) -> Duration {
    let tick = NANOS_PER_SECOND / rustix::param::clock_ticks_per_second();
    Duration::from_nanos(ticks.saturating_mul(tick))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(id: i32, own_ticks: u64, waited_ticks: u64) -> Process {
        Process {
            id,
            parent: 0,
            group: 1,
            started: 1,
            ended: false,
            own_ticks,
            waited_ticks,
            threads: 1,
            resident_bytes: 0,
        }
    }

    #[test]
    fn time_of_ended_processes_stays_and_counts_once() {
        let mut cpu = Cpu::default();
        assert_eq!(cpu.measure(&[&process(1, 10, 0), &process(2, 50, 0)]), duration(60));
        // The parent has waited for it: it used 5 more after it was last seen.
        assert_eq!(cpu.measure(&[&process(1, 10, 55)]), duration(65));
        // Nobody waits for this one.
        assert_eq!(cpu.measure(&[&process(1, 10, 55), &process(3, 100, 0)]), duration(165));
        assert_eq!(cpu.measure(&[&process(1, 20, 55)]), duration(170));
        assert_eq!(cpu.measure(&[]), duration(170));
    }
}
