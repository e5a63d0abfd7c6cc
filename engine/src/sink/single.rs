//! Publishes a single-file target: one rename, link or completed upload, without a manifest.

use windrow_model::{ErrorKind, ErrorReport, OutputMode, WrittenFile};

use super::commit::{CommitError, Decided, already_exists, remove_staging};
use super::folder::{Created, Folder, Placed, link_new};
use super::manifest::HOME;
use super::target::{OutputTarget, file_name};
use crate::failpoint;

/// Publishes the one file of `files`. Repeating it after a crash or an error is harmless: the move of the staged file
/// into its place decides, and once it has decided, only litter is left to remove.
pub async fn commit(
    target: &OutputTarget,
    files: Vec<WrittenFile>,
    known: Decided,
    folder: &Folder,
) -> Result<Vec<WrittenFile>, CommitError> {
    let [file] = files.as_slice() else {
        let what = format!("{} files were written for the single file `{}`", files.len(), target.location);
        return Err(CommitError { report: ErrorReport::internal(what), decided: known });
    };
    failpoint::at("commit.step").await.map_err(|report| CommitError { report, decided: known })?;
    let placed = match (target.mode, folder.local().is_some()) {
        (OutputMode::Error, true) => link(target, file, folder),
        (OutputMode::Error, false) => claim(target, file, folder).await,
        (OutputMode::Overwrite | OutputMode::Append, _) => place(target, file, folder).await,
    };
    placed.map_err(|report| CommitError { decided: decided_by(&report, known), report })?;
    failpoint::at("commit.step").await.map_err(|report| CommitError { report, decided: Decided::Yes })?;
    let tidied = async {
        remove_staging(folder, target.commit_id).await?;
        remove_claim(target, folder).await
    };
    if let Err(report) = tidied.await {
        tracing::warn!(location = %target.location, error = %report, "a published file has left litter behind");
    }
    Ok(files)
}

/// A store that did not answer may have done what it was asked; any other refusal leaves things as they were known.
fn decided_by(report: &ErrorReport, known: Decided) -> Decided {
    match report.kind {
        ErrorKind::Unavailable => Decided::Unknown,
        _ => known,
    }
}

async fn place(target: &OutputTarget, file: &WrittenFile, folder: &Folder) -> Result<(), ErrorReport> {
    match folder.publish_over(file).await? {
        Placed::Yes => Ok(()),
        Placed::Gone => {
            Err(ErrorReport::new(ErrorKind::Corrupt, format!("the staged file of `{}` is gone", target.location))
                .with_hint("write the output anew"))
        }
    }
}

/// Local create-if-absent: a link fails if the name is taken. A link of our own, from before a crash, is the same file.
fn link(target: &OutputTarget, file: &WrittenFile, folder: &Folder) -> Result<(), ErrorReport> {
    use std::os::unix::fs::MetadataExt;
    let Some(root) = folder.local() else { return Ok(()) };
    let (from, to) = (root.join(&file.staged), root.join(&file.path));
    let failed = |error: std::io::Error| {
        ErrorReport::new(crate::stores::io_kind(&error), format!("could not publish `{}`", to.display()))
            .with_detail(error.to_string())
    };
    match link_new(&from, &to) {
        Ok(()) => std::fs::File::open(root).and_then(|folder| folder.sync_all()).map_err(failed),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let identity = |path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
            match (identity(&from), identity(&to)) {
                (Ok(staged), Ok(placed)) if staged == placed => Ok(()),
                _ => Err(already_exists(target)),
            }
        }
        // Staging goes only after the link: a file in place without it is ours.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && to.exists() => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// S3's multipart completion has no create-if-absent in every server, so a small claim object decides between
/// Windrow's own jobs: its creation is conditional, and it goes when the file is there.
async fn claim(target: &OutputTarget, file: &WrittenFile, folder: &Folder) -> Result<(), ErrorReport> {
    let path = claim_path(target);
    let id = target.commit_id.to_string();
    if folder.create(&path, id.clone().into_bytes()).await? == Created::Before {
        let owner = folder.get(&path).await?;
        if owner.as_deref() != Some(id.as_bytes()) {
            return Err(already_exists(target));
        }
        // Ours from before a crash: the file was not there when the claim was made.
        return place(target, file, folder).await;
    }
    if folder.exists(&file.path).await? {
        folder.remove(&path).await?;
        return Err(already_exists(target));
    }
    place(target, file, folder).await
}

/// Removes the claim if it is this commit's.
pub async fn remove_claim(target: &OutputTarget, folder: &Folder) -> Result<(), ErrorReport> {
    if !target.single_file || folder.local().is_some() {
        return Ok(());
    }
    let path = claim_path(target);
    if folder.get(&path).await?.as_deref() == Some(target.commit_id.to_string().as_bytes()) {
        folder.remove(&path).await?;
    }
    Ok(())
}

fn claim_path(target: &OutputTarget) -> String {
    format!("{HOME}/claims/{}", file_name(target).unwrap_or_default())
}
