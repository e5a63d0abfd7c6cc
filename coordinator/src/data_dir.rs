//! The coordinator's folder: one process at a time holds it, and each life of the coordinator has its own epoch.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use windrow_model::{ErrorKind, ErrorReport};

/// Held for as long as the coordinator lives; dropping it releases the lock.
#[derive(Debug)]
pub(crate) struct DataDir {
    epoch: u64,
    _lock: File,
}

impl DataDir {
    /// Creates the folder if needed, locks it, and takes the next epoch durably.
    pub(crate) fn open(path: &Path) -> Result<DataDir, ErrorReport> {
        fs::create_dir_all(path).map_err(|error| unusable(path, error))?;
        let lock = lock(path)?;
        let epoch = next_epoch(path)?;
        Ok(DataDir { epoch, _lock: lock })
    }

    /// Greater than the epoch of every earlier life in this folder.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }
}

fn unusable(path: &Path, error: impl std::fmt::Display) -> ErrorReport {
    ErrorReport::invalid(format!("cannot use the data directory `{}`", path.display()))
        .with_detail(error.to_string())
        .with_hint("give another folder with --data-dir, or repair its permissions")
}

fn lock(dir: &Path) -> Result<File, ErrorReport> {
    let path = dir.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| unusable(dir, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ErrorReport::new(
            ErrorKind::AlreadyExists,
            format!("another coordinator uses the data directory `{}`", dir.display()),
        )
        .with_hint("stop it, or give another folder with --data-dir")),
        Err(TryLockError::Error(error)) => Err(unusable(dir, error)),
    }
}

/// The new number is on disk before anyone sees it: written aside, synced, renamed, and the folder synced.
fn next_epoch(dir: &Path) -> Result<u64, ErrorReport> {
    let path = dir.join("epoch");
    let epoch = read_epoch(&path).map_err(|detail| unusable(dir, detail))? + 1;
    write_epoch(dir, &path, epoch).map_err(|error| unusable(dir, error))?;
    Ok(epoch)
}

fn read_epoch(path: &PathBuf) -> Result<u64, String> {
    let mut text = String::new();
    match File::open(path) {
        Ok(mut file) => file.read_to_string(&mut text).map_err(|error| error.to_string())?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error.to_string()),
    };
    text.trim().parse().map_err(|_| format!("`{}` holds no number", path.display()))
}

fn write_epoch(dir: &Path, path: &Path, epoch: u64) -> std::io::Result<()> {
    let aside = dir.join("epoch.new");
    let mut file = File::create(&aside)?;
    writeln!(file, "{epoch}")?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_life_has_a_greater_epoch() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(DataDir::open(dir.path()).expect("first life").epoch(), 1);
        assert_eq!(DataDir::open(dir.path()).expect("second life").epoch(), 2);
    }

    #[test]
    fn two_coordinators_cannot_share_a_folder() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = DataDir::open(dir.path()).expect("first life");
        let report = DataDir::open(dir.path()).expect_err("it is locked");
        assert_eq!(report.kind, ErrorKind::AlreadyExists);
        drop(first);
        assert!(DataDir::open(dir.path()).is_ok());
    }

    #[test]
    fn an_epoch_that_is_no_number_stops_the_start() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("epoch"), "seven").expect("written");
        assert_eq!(DataDir::open(dir.path()).expect_err("unreadable").kind, ErrorKind::Invalid);
    }
}
