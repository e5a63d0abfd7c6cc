//! The shuffle store: the map outputs a worker keeps for readers, in memory while the budget allows.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use windrow_engine::shuffle::{Relief, ShuffleMemory, StoredOutput, file_name};
use windrow_model::{AttemptId, JobId, MapOutputId};

/// Map outputs by id. Shared by attempts (which insert), readers and the Flight service.
#[derive(Debug)]
pub struct ShuffleStore {
    dir: PathBuf,
    memory: Arc<ShuffleMemory>,
    kept: Mutex<Kept>,
    /// One demotion at a time: the second writer that needs room waits for what the first one frees.
    demoting: Mutex<()>,
    /// Makes the names of files unique that are not written by an attempt.
    demoted: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    outputs: BTreeMap<MapOutputId, Arc<StoredOutput>>,
    /// Outputs in memory, oldest first. May name outputs that are gone.
    in_memory: VecDeque<MapOutputId>,
}

impl ShuffleStore {
    /// Keeps demoted outputs in `dir`, and makes room in `memory` when its writers need it.
    pub fn new(dir: PathBuf, memory: &Arc<ShuffleMemory>) -> Arc<ShuffleStore> {
        let (kept, demoting, demoted) = Default::default();
        let store = Arc::new(ShuffleStore { dir, memory: Arc::clone(memory), kept, demoting, demoted });
        let weak = Arc::downgrade(&store);
        memory.set_relief(weak);
        store
    }

    pub fn insert(&self, id: MapOutputId, output: StoredOutput) {
        let mut kept = self.kept.lock();
        if output.is_in_memory() {
            kept.in_memory.push_back(id);
        }
        kept.outputs.insert(id, Arc::new(output));
    }

    /// The account that outputs in memory are held from.
    pub fn memory(&self) -> Arc<ShuffleMemory> {
        Arc::clone(&self.memory)
    }

    /// A path that no other output has.
    pub fn new_path(&self, id: MapOutputId) -> PathBuf {
        let serial = self.demoted.fetch_add(1, Ordering::Relaxed);
        self.dir.join(file_name(id, &format!("{serial}.demoted")))
    }

    pub fn get(&self, id: MapOutputId) -> Option<Arc<StoredOutput>> {
        self.kept.lock().outputs.get(&id).cloned()
    }

    /// Drops what `attempt` wrote; nobody needs it.
    pub fn release_attempt(&self, attempt: AttemptId) {
        self.retain(|id| id.attempt != attempt);
    }

    pub fn release_stages(&self, job: JobId, stages: &[u32]) {
        self.retain(|id| id.task.stage.job != job || !stages.contains(&id.task.stage.index));
    }

    pub fn release_job(&self, job: JobId) {
        self.retain(|id| id.task.stage.job != job);
    }

    pub fn clear(&self) {
        self.retain(|_| false);
    }

    fn retain(&self, keep: impl Fn(&MapOutputId) -> bool) {
        let mut released = Vec::new();
        let mut kept = self.kept.lock();
        let gone: Vec<MapOutputId> = kept.outputs.keys().filter(|id| !keep(id)).copied().collect();
        released.extend(gone.iter().filter_map(|id| kept.outputs.remove(id)));
        kept.in_memory.retain(|id| keep(id));
        drop(kept);
        // Files are removed outside the lock.
        drop(released);
    }

    /// Moves the oldest output in memory to disk; its size, or `None` if there is none or the disk refuses.
    fn demote_oldest(&self) -> Option<u64> {
        let (id, output) = self.oldest_in_memory()?;
        let path = self.new_path(id);
        match output.demoted(path) {
            Ok(Some(on_disk)) => {
                let mut kept = self.kept.lock();
                // It may have been released while it was written.
                if let Some(slot) = kept.outputs.get_mut(&id) {
                    *slot = Arc::new(on_disk);
                }
                Some(output.bytes())
            }
            Ok(None) => Some(0),
            Err(error) => {
                tracing::warn!(output = %id, path = %error.path.display(), error = %error.cause, "cannot move a map output to disk");
                self.kept.lock().in_memory.push_front(id);
                None
            }
        }
    }

    fn oldest_in_memory(&self) -> Option<(MapOutputId, Arc<StoredOutput>)> {
        let mut kept = self.kept.lock();
        while let Some(id) = kept.in_memory.pop_front() {
            if let Some(output) = kept.outputs.get(&id) {
                return Some((id, Arc::clone(output)));
            }
        }
        None
    }
}

impl Relief for ShuffleStore {
    fn relieve(&self, bytes: usize) -> bool {
        let _one = self.demoting.lock();
        let mut freed = 0;
        while freed < bytes as u64 {
            match self.demote_oldest() {
                Some(demoted) => freed += demoted,
                None => break,
            }
        }
        freed > 0
    }
}
