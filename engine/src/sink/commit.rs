//! Publishes what the tasks of a table write have staged: does what `protocol` decides.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use windrow_model::{ErrorKind, ErrorReport, OutputMode, WrittenFile};

use super::folder::{Created, Folder, Placed};
use super::manifest::{self, FORMAT_VERSION, HOME, Manifest, ManifestFile, Manifests, Which};
use super::protocol::{Action, Head, View, next};
use super::single;
use super::staging::{UploadMarker, created_marker};
use super::target::{OutputTarget, as_text};
use crate::failpoint;
use crate::stores::{Stores, display_location};
use crate::tables::files::{is_data_file, relative_path};

/// Tells foreign readers that the folder holds one whole state.
const SUCCESS: &str = "_SUCCESS";
/// Looks at the folder before a commit gives up: only other commits on the same folder make it look again.
const ROUNDS_MAX: usize = 1_000;
/// Manifests that are kept for people who want to know what happened; older ones go.
const HISTORY_MAX: usize = 64;

/// Whether a commit will be seen by readers, as far as the process that works on it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Nothing of it is visible, and nothing will be unless it is tried again.
    No,
    /// It has a manifest: this or a later commit publishes it, so it must be finished and not given up.
    Yes,
    /// The store did not answer the question that decides.
    Unknown,
}

/// A commit that did not end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitError {
    pub report: ErrorReport,
    pub decided: Decided,
}

/// Makes the staged files of all tasks visible, all or none; returns what was published.
/// Safe to repeat, after a crash or an error: the commit id decides, and a commit that had begun is rolled forward.
/// `known` is what an earlier call has found out, [`Decided::No`] before the first.
pub async fn commit(
    target: &OutputTarget,
    tasks: &[Vec<WrittenFile>],
    known: Decided,
    stores: &Stores,
) -> Result<Vec<WrittenFile>, CommitError> {
    let failed = |report| CommitError { report, decided: known };
    let folder = Folder::open(target, stores).map_err(failed)?;
    let files = tasks.concat();
    if target.single_file {
        return single::commit(target, files, known, &folder).await;
    }
    let mut commit = Commit { decided: known, ..Commit::new(target, &folder, files) };
    for _ in 0..ROUNDS_MAX {
        failpoint::at("commit.step").await.map_err(|report| CommitError { report, decided: commit.decided })?;
        match commit.step().await {
            Ok(Some(_)) => return Ok(commit.files),
            Ok(None) => {}
            Err(report) => return Err(CommitError { report, decided: commit.decided }),
        }
    }
    let what = format!("`{}` is written to by too many jobs at once", commit.place());
    let report = ErrorReport::new(ErrorKind::Conflict, what).with_hint("run the job again when the others have ended");
    Err(CommitError { report, decided: commit.decided })
}

/// Removes everything this commit id has staged, unless its manifest already exists: then it is rolled forward by the
/// next commit, and there is nothing to abort.
pub async fn abort(target: &OutputTarget, stores: &Stores) -> Result<(), ErrorReport> {
    let folder = Folder::open(target, stores)?;
    if !target.single_file {
        let survey = Survey::take(&folder, target.commit_id).await?;
        if survey.view.heads.iter().any(|head| head.commit_id == target.commit_id) {
            return Ok(());
        }
    }
    let ours = folder.local().is_some_and(|local| created_marker(local, target.commit_id).exists());
    remove_staging(&folder, target.commit_id).await?;
    single::remove_claim(target, &folder).await?;
    folder.remove(&manifest::intent_path(target.commit_id)).await?;
    if let Some(local) = folder.local().filter(|_| ours) {
        // Only if it is empty: whatever else is there stays.
        drop(std::fs::remove_dir(local));
    }
    Ok(())
}

/// A file without rows only tells the columns, which a file with rows does as well.
fn with_rows(files: Vec<WrittenFile>) -> Vec<WrittenFile> {
    if files.iter().any(|file| file.rows > 0) {
        return files.into_iter().filter(|file| file.rows > 0).collect();
    }
    files.into_iter().take(1).collect()
}

/// What a commit is about to publish; enough for anybody to finish it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Intent {
    #[serde(with = "as_text")]
    commit_id: Uuid,
    files: Vec<IntentFile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct IntentFile {
    path: String,
    staged: String,
    parts: Vec<String>,
    rows: u64,
    bytes: u64,
}

impl Intent {
    fn new(commit_id: Uuid, files: &[WrittenFile]) -> Intent {
        let file = |file: &WrittenFile| IntentFile {
            path: file.path.clone(),
            staged: file.staged.clone(),
            parts: file.parts.clone(),
            rows: file.rows,
            bytes: file.bytes,
        };
        Intent { commit_id, files: files.iter().map(file).collect() }
    }

    fn files(self) -> Vec<WrittenFile> {
        let file = |IntentFile { path, staged, parts, rows, bytes }| WrittenFile { path, staged, parts, rows, bytes };
        self.files.into_iter().map(file).collect()
    }
}

/// The folder as one look shows it.
struct Survey {
    view: View,
    manifests: Manifests,
    /// Visible data files: path and size.
    data: Vec<(String, u64)>,
}

impl Survey {
    async fn take(folder: &Folder, id: Uuid) -> Result<Survey, ErrorReport> {
        let mut listed = folder.list(HOME).await?;
        let manifests = manifest::load(folder.store(), &folder.root, &listed, Which::All).await;
        let manifests = manifests.map_err(|error| folder.report("read the manifests of", &error))?;
        // Data matters only until this commit's manifest is there.
        if !manifests.by_number.values().any(|manifest| manifest.commit_id == id) {
            listed = folder.list("").await?;
        }
        let relative = |path| relative_path(path, &folder.root).unwrap_or_default();
        let paths: BTreeSet<&str> = listed.iter().map(|object| relative(&object.location)).collect();
        let has_intent = |id| paths.contains(manifest::intent_path(id).as_str());
        let head = |manifest: &Manifest| Head {
            number: manifest.number,
            commit_id: manifest.commit_id,
            published: manifests.published.contains(&manifest.number),
            intent: has_intent(manifest.commit_id),
        };
        let data = listed.iter().filter(|object| is_data_file(&object.location, &folder.root));
        let data: Vec<(String, u64)> =
            data.map(|object| (relative(&object.location).to_owned(), object.size)).collect();
        let heads = manifests.by_number.values().map(head).collect();
        let success = folder.exists(SUCCESS).await?;
        let view = View { heads, has_data: !data.is_empty(), intent: has_intent(id), success };
        Ok(Survey { view, manifests, data })
    }
}

/// One process at work on one commit.
pub(super) struct Commit<'a> {
    target: &'a OutputTarget,
    folder: &'a Folder,
    files: Vec<WrittenFile>,
    last: Option<Action>,
    decided: Decided,
}

impl<'a> Commit<'a> {
    pub(super) fn new(target: &'a OutputTarget, folder: &'a Folder, files: Vec<WrittenFile>) -> Self {
        Commit { target, folder, files: with_rows(files), last: None, decided: Decided::No }
    }

    /// One look and one action; `Some` when the commit is complete.
    pub(super) async fn step(&mut self) -> Result<Option<u64>, ErrorReport> {
        let id = self.target.commit_id;
        let survey = Survey::take(self.folder, id).await?;
        self.decided = match survey.view.heads.iter().any(|head| head.commit_id == id) {
            true => Decided::Yes,
            false => Decided::No,
        };
        let action = next(id, self.target.mode, &survey.view, self.last);
        tracing::debug!(commit = %id, ?action, "commit step");
        match action {
            Action::Done { number } => return Ok(Some(number)),
            Action::Refuse => return Err(self.refuse().await),
            Action::WriteIntent => self.write_intent().await?,
            Action::FinishOther { number } => self.finish_other(&survey.manifests, number).await?,
            Action::CreateManifest { number } => {
                // Until the next look: a request without an answer may have been carried out.
                self.decided = Decided::Unknown;
                self.create_manifest(&survey, number).await?
            }
            Action::RemoveSuccess => self.folder.remove(SUCCESS).await?,
            Action::Publish { .. } => self.publish_own().await?,
            Action::MarkPublished { number } => mark_published(self.folder, number, id).await?,
            Action::RemoveReplaced { number } => {
                remove_replaced(self.folder, survey.manifests.by_number.get(&number)).await?
            }
            Action::WriteSuccess { .. } => self.folder.put(SUCCESS, Vec::new()).await?,
            Action::RemoveStaging => self.tidy(&survey).await?,
            Action::RemoveIntent => self.folder.remove(&manifest::intent_path(id)).await?,
        }
        self.last = Some(action);
        Ok(None)
    }

    fn place(&self) -> String {
        display_location(&self.target.location)
    }

    /// The loser of a race leaves nothing behind.
    async fn refuse(&self) -> ErrorReport {
        let refused = already_exists(self.target);
        let removed = async {
            remove_staging(self.folder, self.target.commit_id).await?;
            self.folder.remove(&manifest::intent_path(self.target.commit_id)).await
        };
        match removed.await {
            Ok(()) => refused,
            Err(error) => refused.with_detail(format!("and its staged files could not be removed: {error}")),
        }
    }

    async fn write_intent(&self) -> Result<(), ErrorReport> {
        let intent = Intent::new(self.target.commit_id, &self.files);
        let text = json(&intent)?;
        self.folder.put(&manifest::intent_path(self.target.commit_id), text).await
    }

    async fn create_manifest(&self, survey: &Survey, number: u64) -> Result<(), ErrorReport> {
        let manifest = self.manifest(survey, number);
        match self.folder.create(&manifest::manifest_path(number), json(&manifest)?).await? {
            Created::Now => {
                tracing::info!(commit = %self.target.commit_id, number, files = manifest.files.len(), "commit decided")
            }
            Created::Before => tracing::info!(commit = %self.target.commit_id, number, "manifest number was taken"),
        }
        Ok(())
    }

    fn manifest(&self, survey: &Survey, number: u64) -> Manifest {
        let previous = survey.manifests.newest_published();
        let mut files = match (self.target.mode, previous) {
            (OutputMode::Append, Some(previous)) => previous.files.clone(),
            (OutputMode::Append, None) => survey.data.iter().map(adopted).collect(),
            (OutputMode::Overwrite | OutputMode::Error, _) => Vec::new(),
        };
        let removes = match self.target.mode {
            OutputMode::Overwrite => survey.data.iter().map(|(path, _)| path.clone()).collect(),
            OutputMode::Append | OutputMode::Error => Vec::new(),
        };
        files.extend(self.files.iter().map(|file| ManifestFile {
            path: file.path.clone(),
            rows: Some(file.rows),
            bytes: file.bytes,
            commit_id: self.target.commit_id,
        }));
        Manifest {
            format_version: FORMAT_VERSION,
            number,
            commit_id: self.target.commit_id,
            previous: previous.map(|previous| previous.number),
            mode: self.target.mode.name().to_owned(),
            job: self.target.job,
            files,
            removes,
            schema_fingerprint: String::new(),
            transaction: None,
        }
    }

    async fn publish_own(&self) -> Result<(), ErrorReport> {
        match publish(self.folder, &self.files).await? {
            None => Ok(()),
            Some(lost) => self.explain_lost(&lost).await,
        }
    }

    /// A file is neither staged nor in place. A later commit that finished this one may have replaced it since.
    async fn explain_lost(&self, lost: &str) -> Result<(), ErrorReport> {
        let survey = Survey::take(self.folder, self.target.commit_id).await?;
        let superseded =
            survey.manifests.by_number.values().any(|manifest| manifest.removes.iter().any(|path| path == lost));
        let finished = survey.view.heads.iter().any(|head| head.commit_id == self.target.commit_id && head.published);
        if superseded || finished {
            return Ok(());
        }
        Err(ErrorReport::new(
            ErrorKind::Corrupt,
            format!("the staged file of `{lost}` is gone from `{}`", self.place()),
        )
        .with_detail("something other than Windrow has removed it between the writing and the commit")
        .with_hint("write the output anew"))
    }

    async fn finish_other(&self, manifests: &Manifests, number: u64) -> Result<(), ErrorReport> {
        let Some(other) = manifests.by_number.get(&number) else { return Ok(()) };
        let intent_path = manifest::intent_path(other.commit_id);
        let Some(text) = self.folder.get(&intent_path).await? else { return Ok(()) };
        let intent: Intent = serde_json::from_slice(&text).map_err(|error| {
            ErrorReport::new(ErrorKind::Corrupt, format!("the intent `{intent_path}` cannot be read"))
                .with_detail(error.to_string())
        })?;
        if !manifests.published.contains(&number) {
            self.folder.remove(SUCCESS).await?;
            if let Some(lost) = publish(self.folder, &intent.files()).await? {
                tracing::warn!(commit = %other.commit_id, file = lost, "an unfinished commit lacks a staged file");
            }
            mark_published(self.folder, number, other.commit_id).await?;
        }
        remove_replaced(self.folder, Some(other)).await?;
        remove_staging(self.folder, other.commit_id).await?;
        self.folder.remove(&intent_path).await
    }

    async fn tidy(&self, survey: &Survey) -> Result<(), ErrorReport> {
        remove_staging(self.folder, self.target.commit_id).await?;
        let newest = survey.view.heads.last().map_or(0, |head| head.number);
        let Some(expired) = newest.checked_sub(HISTORY_MAX as u64).filter(|number| *number > 0) else { return Ok(()) };
        self.folder.remove(&manifest::manifest_path(expired)).await?;
        self.folder.remove(&manifest::published_path(expired)).await
    }
}

fn adopted((path, bytes): &(String, u64)) -> ManifestFile {
    ManifestFile { path: path.clone(), rows: None, bytes: *bytes, commit_id: Uuid::nil() }
}

/// What mode `error` says when something is there.
pub(super) fn already_exists(target: &OutputTarget) -> ErrorReport {
    ErrorReport::new(
        ErrorKind::AlreadyExists,
        format!("the output `{}` already exists", display_location(&target.location)),
    )
    .with_detail("its mode is `error`, which never touches what is there")
    .with_hint("choose another location, remove it, or use mode `overwrite` or `append`")
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, ErrorReport> {
    serde_json::to_vec_pretty(value).map_err(|error| ErrorReport::internal(error.to_string()))
}

/// Publishes one after another; the path of the first file that is neither staged nor in place.
async fn publish(folder: &Folder, files: &[WrittenFile]) -> Result<Option<String>, ErrorReport> {
    let mut lost = None;
    for file in files {
        // One that is gone must not keep the others from their places.
        if folder.publish(file).await? == Placed::Gone {
            lost.get_or_insert_with(|| file.path.clone());
        }
    }
    Ok(lost)
}

async fn mark_published(folder: &Folder, number: u64, id: Uuid) -> Result<(), ErrorReport> {
    folder.put(&manifest::published_path(number), id.to_string().into_bytes()).await
}

async fn remove_replaced(folder: &Folder, manifest: Option<&Manifest>) -> Result<(), ErrorReport> {
    for path in manifest.iter().flat_map(|manifest| &manifest.removes) {
        folder.remove(path).await?;
    }
    Ok(())
}

/// Removes staged files and gives up uploads that are still open.
pub(super) async fn remove_staging(folder: &Folder, id: Uuid) -> Result<(), ErrorReport> {
    let staging = manifest::staging_folder(id);
    match folder.local() {
        Some(local) => drop(std::fs::remove_file(created_marker(local, id))),
        None => abort_uploads(folder, &staging).await?,
    }
    folder.remove_tree(&staging).await
}

/// Every upload has left a marker in the staging folder; those that were completed are unknown to the store by now.
async fn abort_uploads(folder: &Folder, staging: &str) -> Result<(), ErrorReport> {
    for object in folder.list(staging).await? {
        let Some(relative) = relative_path(&object.location, &folder.root) else { continue };
        let Some(text) = folder.get(relative).await? else { continue };
        let Ok(marker) = serde_json::from_slice::<UploadMarker>(&text) else { continue };
        folder.abort_upload(&marker).await?;
    }
    Ok(())
}
