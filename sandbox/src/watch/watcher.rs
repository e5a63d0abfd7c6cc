//! One watcher for all trees of a worker: a thread that looks through `/proc` while there is any.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::Pid;
use tokio::sync::watch;
use windrow_model::{ErrorKind, ErrorReport};

use super::sampler::Sampler;
use super::usage::{Exceeded, Usage};
use crate::limits::Limits;

/// Time between two samples. A program that writes memory as fast as it can gets some hundreds of megabytes in it.
pub const SAMPLE_EVERY: Duration = Duration::from_millis(100);

/// After a sample, the watcher rests this many times as long as it took: on a host with very many processes it takes a
/// tenth of a core at most, and samples less often.
const REST: u32 = 9;

/// The processes of one program.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The group that its first process leads.
    pub group: Pid,
    /// The value that [`super::MARK`] has in the environment of its first process, unique on this host: it finds those
    /// that have left the group and lost their parents. Another program that can guess it can have its use counted here.
    pub mark: String,
    /// The folder whose size counts.
    pub folder: PathBuf,
    pub limits: Limits,
}

/// Watches trees of processes. Clones are the same watcher.
///
/// It is a guard against accidents and greed, with a delay of [`SAMPLE_EVERY`], not an exact account: what ends between two
/// samples is hardly seen, and neither are files that are deleted but open, or that the worker's user cannot reach.
#[derive(Clone, Debug, Default)]
pub struct Watcher(Arc<Mutex<Registry>>);

#[derive(Debug, Default)]
struct Registry {
    registered: u64,
    trees: BTreeMap<u64, Entry>,
    /// Whether there is a thread.
    runs: bool,
}

#[derive(Debug)]
struct Entry {
    tree: Arc<Tree>,
    seen: watch::Sender<Seen>,
}

/// What was seen of a tree.
#[derive(Debug, Default)]
struct Seen {
    peak: Usage,
    exceeded: Option<Exceeded>,
}

/// A tree that is watched until this is dropped.
#[derive(Debug)]
pub struct Watched {
    number: u64,
    seen: watch::Receiver<Seen>,
    watcher: Watcher,
}

impl Watcher {
    pub fn new() -> Watcher {
        Watcher::default()
    }

    /// Watches `tree` from now on. Fails if the system gives no thread.
    pub fn watch(&self, tree: Tree) -> Result<Watched, ErrorReport> {
        let mut registry = self.0.lock();
        if !registry.runs {
            self.start()?;
            registry.runs = true;
        }
        let number = registry.registered;
        registry.registered += 1;
        let (sender, seen) = watch::channel(Seen::default());
        registry.trees.insert(number, Entry { tree: Arc::new(tree), seen: sender });
        Ok(Watched { number, seen, watcher: self.clone() })
    }

    fn start(&self) -> Result<(), ErrorReport> {
        let watcher = self.clone();
        let started = std::thread::Builder::new().name("windrow-watch".to_owned()).spawn(move || watcher.run());
        started.map(drop).map_err(|error| {
            ErrorReport::new(ErrorKind::Unavailable, "the thread that watches programs cannot be started")
                .with_detail(error.to_string())
                .with_hint("look at this host's limits of threads and processes")
        })
    }

    /// Ends when there is nothing left to watch.
    fn run(&self) {
        let mut sampler = Sampler::default();
        while let Some(trees) = self.trees() {
            let began = Instant::now();
            for (number, usage) in sampler.sample(&trees) {
                self.note(number, usage);
            }
            std::thread::sleep(SAMPLE_EVERY.max(began.elapsed() * REST));
        }
    }

    /// What to look at; `None` if nothing, and then the thread that asks is to end.
    fn trees(&self) -> Option<BTreeMap<u64, Arc<Tree>>> {
        let mut registry = self.0.lock();
        registry.runs = !registry.trees.is_empty();
        let trees = || registry.trees.iter().map(|(number, entry)| (*number, Arc::clone(&entry.tree))).collect();
        registry.runs.then(trees)
    }

    fn note(&self, number: u64, usage: Usage) {
        let registry = self.0.lock();
        // It may have been dropped meanwhile.
        let Some(Entry { tree, seen }) = registry.trees.get(&number) else { return };
        seen.send_modify(|seen| {
            seen.peak = seen.peak.most(usage);
            seen.exceeded = seen.exceeded.or_else(|| Exceeded::first(&usage, &tree.limits));
        });
    }
}

impl Watched {
    /// Resolves when the tree uses more than it may, with the limit that was noticed first; else never. May be dropped and
    /// called again.
    pub async fn exceeded(&mut self) -> Exceeded {
        if let Ok(seen) = self.seen.wait_for(|seen| seen.exceeded.is_some()).await
            && let Some(exceeded) = seen.exceeded
        {
            return exceeded;
        }
        std::future::pending().await
    }

    /// The most that was seen so far of each kind, not necessarily at the same time.
    pub fn peak(&self) -> Usage {
        self.seen.borrow().peak
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watcher.0.lock().trees.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let group = rustix::process::getpid();
        Tree { group, mark: "nobody".to_owned(), folder: "/nowhere".into(), limits: Limits::NONE }
    }

    #[test]
    fn a_dropped_tree_is_no_longer_watched() {
        let watcher = Watcher::new();
        let (first, second) = (watcher.watch(tree()).unwrap(), watcher.watch(tree()).unwrap());
        drop(first);
        assert_eq!(watcher.0.lock().trees.keys().copied().collect::<Vec<_>>(), [1]);
        drop(second);
        assert!(watcher.trees().is_none());
        assert!(!watcher.0.lock().runs, "the thread ends");
    }
}
