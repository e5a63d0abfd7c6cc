//! Compiled modules by the hash of their bytes, so that a process compiles each once, however many tasks use it.

use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use wasmtime::{Engine, Module};

use crate::limits::MODULES_CACHED_MAX;

type Hash = [u8; 32];

/// Filled by whoever comes first; others wait for it.
type Slot = Arc<Mutex<Option<Module>>>;

/// Most recently used last.
static SLOTS: Mutex<Vec<(Hash, Slot)>> = Mutex::new(Vec::new());

/// The compiled module of `bytes`.
///
/// # Errors
///
/// If they are not a module that `engine` accepts.
pub fn compiled(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Module> {
    let slot = slot(Sha256::digest(bytes).into());
    let mut module = slot.lock();
    if let Some(module) = module.as_ref() {
        return Ok(module.clone());
    }
    // Only the binary format: `Module::new` may take text, too.
    let compiled = Module::from_binary(engine, bytes)?;
    Ok(module.insert(compiled).clone())
}

fn slot(hash: Hash) -> Slot {
    let mut slots = SLOTS.lock();
    let found = slots.iter().position(|(other, _)| *other == hash);
    let used = found.map_or_else(|| (hash, Slot::default()), |place| slots.remove(place));
    if slots.len() >= MODULES_CACHED_MAX {
        slots.remove(0);
    }
    slots.push(used.clone());
    used.1
}
