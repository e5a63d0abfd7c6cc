//! Who writes, and what it has written: the two things a task runner and a table write tell each other.

use parking_lot::Mutex;
use windrow_model::{AttemptId, TaskId, WrittenFile};

use super::staging::StagedPlace;

/// The attempt a table write runs in; a session-config extension. File names are made from it and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteIdentity {
    pub task: TaskId,
    pub attempt: AttemptId,
}

/// The files an attempt has finished; a session-config extension the task runner reads when the attempt has ended.
/// Dropped before they are taken, because the attempt failed or was cancelled, it removes them.
#[derive(Debug, Default)]
pub struct WriteLog(Mutex<Vec<(WrittenFile, StagedPlace)>>);

/// Where the files of an attempt that has just succeeded are. Dropped before they are kept, because the attempt was
/// cancelled at that very moment, they are removed.
#[derive(Debug, Default)]
pub struct StagedFiles(Vec<StagedPlace>);

/// Where the files of a successful attempt are until its job's commit moves them. Dropping it leaves them there.
#[derive(Debug, Default)]
pub struct KeptFiles(Vec<StagedPlace>);

impl WriteLog {
    pub fn push(&self, file: WrittenFile, place: StagedPlace) {
        self.0.lock().push((file, place));
    }

    /// The files so far, in the order they were finished; the log is empty afterwards.
    pub fn take(&self) -> (Vec<WrittenFile>, StagedFiles) {
        let (files, places) = std::mem::take(&mut *self.0.lock()).into_iter().unzip();
        (files, StagedFiles(places))
    }
}

impl Drop for WriteLog {
    fn drop(&mut self) {
        drop(self.take().1);
    }
}

impl StagedFiles {
    /// The files are the commit's business from now on, or the abort's.
    pub fn keep(mut self) -> KeptFiles {
        KeptFiles(std::mem::take(&mut self.0))
    }
}

impl Drop for StagedFiles {
    fn drop(&mut self) {
        KeptFiles(std::mem::take(&mut self.0)).discard();
    }
}

impl KeptFiles {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes the files of an attempt that no commit counts on. On S3 it goes on in the background of the current
    /// runtime, as far as there is one.
    pub fn discard(self) {
        self.0.into_iter().for_each(StagedPlace::remove);
    }
}
