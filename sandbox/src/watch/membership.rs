//! Which tree a process belongs to. Pure but for the marks, which are asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::processes::{Process, ProcessKey};
use super::watcher::Tree;

/// Remembers which tree each process belongs to, so that it stays there when it leaves its group, loses its parent or
/// starts another program.
#[derive(Debug, Default)]
pub struct Membership {
    /// Of the last look. `None` are processes of nobody, whose marks need not be read again.
    known: HashMap<ProcessKey, Option<u64>>,
}

impl Membership {
    /// The processes of each tree that has any. `mark` reads the mark of a process that was not seen before.
    ///
    /// Descent comes before groups and marks: a program can join another one's group and imitate its mark, and would have
    /// its use counted there.
    pub fn sort<'p>(
        &mut self,
        processes: &'p [Process],
        trees: &BTreeMap<u64, Arc<Tree>>,
        mark: impl Fn(i32) -> Option<String>,
    ) -> BTreeMap<u64, Vec<&'p Process>> {
        let find = |is: &dyn Fn(&Tree) -> bool| trees.iter().find(|(_, tree)| is(tree)).map(|(number, _)| *number);
        let remembered = |process: &Process| {
            let number = self.known.get(&process.key()).copied().flatten();
            number.filter(|number| trees.contains_key(number))
        };
        let led = |process: &Process| find(&|tree| tree.group.as_raw_nonzero().get() == process.id);
        let grouped = |process: &Process| find(&|tree| tree.group.as_raw_nonzero().get() == process.group);
        let marked = |process: &Process| {
            let mark = if self.known.contains_key(&process.key()) { None } else { mark(process.id) }?;
            find(&|tree| tree.mark == mark)
        };

        let mut owners = Owners::new(processes);
        owners.claim(|process| remembered(process).or_else(|| led(process)));
        owners.claim(grouped);
        owners.claim(marked);
        self.known = processes.iter().map(Process::key).zip(owners.of.iter().copied()).collect();
        owners.sorted()
    }
}

/// Who owns each process, found out step by step.
struct Owners<'p> {
    processes: &'p [Process],
    of: Vec<Option<u64>>,
    /// The place of each one's parent.
    parents: Vec<Option<usize>>,
}

impl<'p> Owners<'p> {
    fn new(processes: &'p [Process]) -> Owners<'p> {
        let places: HashMap<i32, usize> = processes.iter().enumerate().map(|(at, process)| (process.id, at)).collect();
        let parents = processes.iter().map(|process| places.get(&process.parent).copied()).collect();
        Owners { processes, of: vec![None; processes.len()], parents }
    }

    /// Gives those of nobody to whom `owner` says, and their descendants too.
    fn claim(&mut self, owner: impl Fn(&Process) -> Option<u64>) {
        for (at, process) in self.processes.iter().enumerate() {
            self.of[at] = self.of[at].or_else(|| owner(process));
        }
        // Parents come before their children mostly, so that one pass does most of it, and the last finds nothing.
        while self.inherit() {}
    }

    fn inherit(&mut self) -> bool {
        let mut changed = false;
        for (at, parent) in self.parents.iter().enumerate() {
            if self.of[at].is_none() {
                self.of[at] = parent.and_then(|parent| self.of[parent]);
                changed |= self.of[at].is_some();
            }
        }
        changed
    }

    fn sorted(self) -> BTreeMap<u64, Vec<&'p Process>> {
        let mut sorted: BTreeMap<u64, Vec<&Process>> = BTreeMap::new();
        for (process, owner) in self.processes.iter().zip(self.of) {
            if let Some(owner) = owner {
                sorted.entry(owner).or_default().push(process);
            }
        }
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use rustix::process::Pid;

    fn tree(group: i32, mark: &str) -> Arc<Tree> {
        let group = Pid::from_raw(group).unwrap();
        Arc::new(Tree { group, mark: mark.to_owned(), folder: "/".into(), limits: Limits::NONE })
    }

    fn process(id: i32, parent: i32, group: i32) -> Process {
        let started = id as u64;
        Process {
            id,
            parent,
            group,
            started,
            ended: false,
            own_ticks: 0,
            waited_ticks: 0,
            threads: 1,
            resident_bytes: 0,
        }
    }

    fn sort(membership: &mut Membership, processes: &[Process], marks: &[(i32, &str)]) -> BTreeMap<u64, Vec<i32>> {
        let trees = BTreeMap::from([(0, tree(10, "a")), (1, tree(20, "b"))]);
        let mark = |id| marks.iter().find(|(of, _)| *of == id).map(|(_, mark)| (*mark).to_owned());
        let sorted = membership.sort(processes, &trees, mark);
        sorted
            .into_iter()
            .map(|(tree, processes)| (tree, processes.iter().map(|process| process.id).collect()))
            .collect()
    }

    #[test]
    fn members_are_found_by_descent_group_and_mark() {
        let processes = [
            process(1, 0, 1),
            process(5, 12, 5), // Its number is lower than its parent's.
            process(10, 1, 10),
            process(11, 1, 10), // Lost its parent.
            process(12, 10, 12),
            process(20, 1, 20),
            process(30, 1, 30), // Lost its parent and left its group.
            process(40, 1, 40),
        ];
        let sorted = sort(&mut Membership::default(), &processes, &[(30, "b"), (40, "c")]);
        assert_eq!(sorted, BTreeMap::from([(0, vec![5, 10, 11, 12]), (1, vec![20, 30])]));
    }

    #[test]
    fn a_member_stays_one_whatever_becomes_of_its_parents() {
        let mut membership = Membership::default();
        sort(&mut membership, &[process(10, 1, 10), process(12, 10, 12)], &[]);
        let sorted = sort(&mut membership, &[process(12, 1, 12), process(13, 12, 13)], &[(12, "b")]);
        assert_eq!(sorted, BTreeMap::from([(0, vec![12, 13])]));
    }

    #[test]
    fn descent_comes_before_another_program_s_group_and_mark() {
        let processes = [process(10, 1, 10), process(12, 10, 20), process(20, 1, 20)];
        let sorted = sort(&mut Membership::default(), &processes, &[(12, "b")]);
        assert_eq!(sorted, BTreeMap::from([(0, vec![10, 12]), (1, vec![20])]));
    }

    #[test]
    fn another_process_with_an_old_number_is_not_remembered() {
        let mut membership = Membership::default();
        sort(&mut membership, &[process(10, 1, 10), process(12, 10, 12)], &[]);
        let other = Process { started: 99, ..process(12, 1, 12) };
        assert_eq!(sort(&mut membership, &[other], &[]), BTreeMap::new());
    }
}
