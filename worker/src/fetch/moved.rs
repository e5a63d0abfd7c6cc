//! Outputs that have moved since readers were told where they are.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use windrow_engine::shuffle::OutputAt;
use windrow_model::{JobId, MapOutputId};

/// The newest place of each output that has moved, as far as this worker was told.
#[derive(Debug, Default)]
pub struct Moved(Mutex<BTreeMap<MapOutputId, OutputAt>>);

impl Moved {
    pub fn note(&self, at: OutputAt) {
        self.0.lock().insert(at.output, at);
    }

    /// Where `at`'s output is now.
    pub fn resolve(&self, at: &OutputAt) -> OutputAt {
        self.0.lock().get(&at.output).unwrap_or(at).clone()
    }

    pub fn release(&self, job: JobId) {
        self.0.lock().retain(|output, _| output.task.stage.job != job);
    }
}
