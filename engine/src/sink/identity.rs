//! Who writes, and what it has written: the two things a task runner and a table write tell each other.

use parking_lot::Mutex;
use windrow_model::{AttemptId, TaskId, WrittenFile};

/// The attempt a table write runs in; a session-config extension. File names are made from it and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteIdentity {
    pub task: TaskId,
    pub attempt: AttemptId,
}

/// The files an attempt has finished; a session-config extension the task runner reads when the attempt has ended.
#[derive(Debug, Default)]
pub struct WriteLog(Mutex<Vec<WrittenFile>>);

impl WriteLog {
    pub fn push(&self, file: WrittenFile) {
        self.0.lock().push(file);
    }

    /// The files so far, in the order they were finished; the log is empty afterwards.
    pub fn take(&self) -> Vec<WrittenFile> {
        std::mem::take(&mut *self.0.lock())
    }
}
