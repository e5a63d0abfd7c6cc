//! Takes samples of all trees with one look through `/proc`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::cpu::Cpu;
use super::disk::Disk;
use super::membership::Membership;
use super::memory::Memory;
use super::processes::{self, Process};
use super::usage::Usage;
use super::watcher::Tree;

/// Takes samples; keeps of each tree what the next one needs.
#[derive(Debug, Default)]
pub struct Sampler {
    membership: Membership,
    gauges: HashMap<u64, Gauges>,
}

#[derive(Debug, Default)]
struct Gauges {
    memory: Memory,
    cpu: Cpu,
    disk: Disk,
}

impl Sampler {
    /// What each of `trees` uses, by its number.
    pub fn sample(&mut self, trees: &BTreeMap<u64, Arc<Tree>>) -> Vec<(u64, Usage)> {
        self.gauges.retain(|number, _| trees.contains_key(number));
        let processes = processes::scan();
        let members = self.membership.sort(&processes, trees, processes::mark);
        let usage = trees.iter().map(|(number, tree)| {
            let members = members.get(number).map(Vec::as_slice).unwrap_or_default();
            (*number, self.gauges.entry(*number).or_default().read(tree, members))
        });
        usage.collect()
    }
}

impl Gauges {
    fn read(&mut self, tree: &Tree, members: &[&Process]) -> Usage {
        let disk = self.disk.measure(&tree.folder, tree.limits.files);
        Usage {
            memory_bytes: self.memory.measure(members, tree.limits.memory_bytes),
            cpu: self.cpu.measure(members),
            disk_bytes: disk.bytes,
            files: disk.files,
            processes: held(members).count() as u64,
            threads: held(members).map(|process| process.threads).sum(),
        }
    }
}

/// The processes that a tree holds. Those that have ended count while it is the tree that does not wait for them; orphans
/// are left to whoever waits for them, which in some containers is nobody.
fn held<'p>(members: &[&'p Process]) -> impl Iterator<Item = &'p Process> {
    let ids: HashSet<i32> = members.iter().map(|process| process.id).collect();
    members.iter().copied().filter(move |process| !process.ended || ids.contains(&process.parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_processes_count_while_their_parent_is_of_the_tree() {
        let live = |id, parent| Process {
            id,
            parent,
            group: 10,
            ended: false,
            started: 1,
            own_ticks: 0,
            waited_ticks: 0,
            threads: 1,
            resident_bytes: 0,
        };
        let ended = |id, parent| Process { ended: true, ..live(id, parent) };
        let members = [live(10, 1), live(11, 1), ended(12, 10), ended(13, 1)];
        let held: Vec<i32> = held(&members.each_ref()).map(|process| process.id).collect();
        assert_eq!(held, [10, 11, 12]);
    }
}
