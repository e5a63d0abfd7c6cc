//! A folder that appears whole or not at all.

use std::fs;
use std::io::ErrorKind as IoErrorKind;
use std::path::{Path, PathBuf};

use windrow_model::{ErrorKind, ErrorReport};

use crate::errors;

/// A hidden folder beside its target. Dropping it before it is published removes it.
#[derive(Debug)]
pub(super) struct StagedFolder {
    staging: PathBuf,
    target: PathBuf,
}

impl StagedFolder {
    /// # Errors
    /// `AlreadyExists` if the target is a file or a folder with anything in it.
    pub fn create(target: &Path) -> Result<StagedFolder, ErrorReport> {
        let target = std::path::absolute(target).map_err(|error| errors::io("resolve", target, &error))?;
        refuse_occupied(&target)?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let staging = target.with_file_name(format!(".{name}.partial-{}", std::process::id()));
        fs::create_dir_all(&staging).map_err(|error| errors::io("create", &staging, &error))?;
        Ok(StagedFolder { staging, target })
    }

    pub fn path(&self) -> &Path {
        &self.staging
    }

    /// Gives the folder its final name. An empty folder of that name is replaced.
    pub fn publish(self) -> Result<(), ErrorReport> {
        fs::rename(&self.staging, &self.target).map_err(|error| match error.kind() {
            IoErrorKind::DirectoryNotEmpty | IoErrorKind::AlreadyExists => occupied(&self.target),
            _ => errors::io("publish", &self.target, &error),
        })
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        // After publishing there is nothing here, and nobody is left to tell about a failure to clean up.
        let _ = fs::remove_dir_all(&self.staging);
    }
}

fn refuse_occupied(target: &Path) -> Result<(), ErrorReport> {
    match fs::read_dir(target) {
        Ok(mut entries) => entries.next().map_or(Ok(()), |_| Err(occupied(target))),
        Err(error) if error.kind() == IoErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == IoErrorKind::NotADirectory => Err(occupied(target)),
        Err(error) => Err(errors::io("look into", target, &error)),
    }
}

fn occupied(target: &Path) -> ErrorReport {
    ErrorReport::new(ErrorKind::AlreadyExists, format!("`{}` exists already", target.display()))
        .with_hint("remove it, or generate into another folder")
}
