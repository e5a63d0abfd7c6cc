//! The folder of one worker process: locked while it lives, swept by the next worker when it died.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use windrow_model::{ErrorKind, ErrorReport};

const PREFIX: &str = "windrow-worker-";
const LOCK_NAME: &str = "lock";

/// A folder that no other worker uses; removed on drop.
#[derive(Debug)]
pub struct WorkDir {
    dir: TempDir,
    /// Holding it tells sweeping workers that the folder is in use.
    _lock: File,
}

impl WorkDir {
    /// Makes a folder of its own under `parent` (the system's temporary folder if `None`) and removes those that dead
    /// workers left there.
    pub fn open(parent: Option<&Path>) -> Result<WorkDir, ErrorReport> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let unusable = |error: io::Error| {
            ErrorReport::new(ErrorKind::Invalid, format!("cannot use the work folder `{}`", parent.display()))
                .with_detail(error.to_string())
                .with_hint("give another --work-dir, or make this one writable")
        };
        std::fs::create_dir_all(&parent).map_err(unusable)?;
        sweep(&parent);
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&parent).map_err(unusable)?;
        let lock = lock_new(dir.path()).map_err(unusable)?;
        let opened = WorkDir { dir, _lock: lock };
        std::fs::create_dir(opened.shuffle()).map_err(unusable)?;
        Ok(opened)
    }

    /// The folder in which workers make theirs.
    pub fn parent(&self) -> &Path {
        self.dir.path().parent().unwrap_or(self.dir.path())
    }

    /// Map outputs.
    pub fn shuffle(&self) -> PathBuf {
        self.dir.path().join("shuffle")
    }

    /// Folders that the user's programs are started in.
    pub fn processes(&self) -> PathBuf {
        self.dir.path().join("processes")
    }

    /// Spill files of operators.
    pub fn spill(&self) -> PathBuf {
        self.dir.path().join("spill")
    }
}

/// The lock appears under its name only when it is held, so that no sweep takes it in between.
fn lock_new(dir: &Path) -> io::Result<File> {
    let fresh = dir.join("lock.new");
    let lock = File::create(&fresh)?;
    lock.lock()?;
    std::fs::rename(&fresh, dir.join(LOCK_NAME))?;
    Ok(lock)
}

/// Ends the user's programs that a dead worker has left: they work in its folder.
fn end_programs_in(folder: &Path) {
    let Ok(processes) = std::fs::read_dir("/proc") else { return };
    let ids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let works_there = |id: &i32| std::fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
    for process in ids.filter(works_there).filter_map(Pid::from_raw) {
        let _ = kill_process(process, Signal::KILL);
    }
}

fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    let folders = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    for folder in folders.filter(|folder| is_abandoned(&folder.path())) {
        end_programs_in(&folder.path());
        match std::fs::remove_dir_all(folder.path()) {
            Ok(()) => tracing::info!(folder = %folder.path().display(), "removed the folder of a dead worker"),
            Err(error) => {
                tracing::warn!(folder = %folder.path().display(), %error, "cannot remove the folder of a dead worker")
            }
        }
    }
}

/// A folder without a lock file belongs to a worker that is just starting.
fn is_abandoned(folder: &Path) -> bool {
    let Ok(lock) = File::open(folder.join(LOCK_NAME)) else {
        return false;
    };
    match lock.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_removes_dead_folders_and_spares_living_ones() {
        let parent = tempfile::tempdir().unwrap();
        let dead = parent.path().join(format!("{PREFIX}dead"));
        std::fs::create_dir(&dead).unwrap();
        File::create(dead.join(LOCK_NAME)).unwrap();
        let mut left = std::process::Command::new("sleep").arg("4713").current_dir(&dead).spawn().unwrap();
        let first = WorkDir::open(Some(parent.path())).unwrap();
        assert!(!dead.exists());
        assert!(!left.wait().unwrap().success(), "a program of a dead worker goes on");
        let second = WorkDir::open(Some(parent.path())).unwrap();
        assert!(first.shuffle().exists() && second.shuffle().exists());
        drop(first);
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}
