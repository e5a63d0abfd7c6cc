//! Manifests: the numbered lists of files that make up a folder Windrow has written.
//!
//! `_windrow/manifests/<20 digits>.json` is created once and never changed; `<20 digits>.published` beside it says
//! that its files are all in place.

use std::collections::{BTreeMap, HashSet};

use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::target::as_text;

/// Where Windrow keeps its own files below a location. Listing readers skip it for its first character.
pub const HOME: &str = "_windrow";
/// Version of the JSON below; a reader refuses a newer one.
pub const FORMAT_VERSION: u32 = 1;

/// One state of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format_version: u32,
    pub number: u64,
    #[serde(with = "as_text")]
    pub commit_id: Uuid,
    /// The state this one was built on.
    pub previous: Option<u64>,
    /// `overwrite`, `append` or `error`.
    pub mode: String,
    pub job: u64,
    /// All files of this state.
    pub files: Vec<ManifestFile>,
    /// Files of earlier states (or found in a plain folder) that go when this one is published.
    pub removes: Vec<String>,
    /// Hash of the written columns' names and types; equal for equal schemas, empty if unknown.
    pub schema_fingerprint: String,
    /// `{application, version}` of a transaction, for idempotent streaming writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<Transaction>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Relative to the folder.
    pub path: String,
    /// `None` for a file that was adopted from a plain folder.
    pub rows: Option<u64>,
    pub bytes: u64,
    /// The commit that added it; nil for an adopted file.
    #[serde(with = "as_text")]
    pub commit_id: Uuid,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    pub application: String,
    pub version: u64,
}

/// The manifests of a folder, by number.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    pub by_number: BTreeMap<u64, Manifest>,
    pub published: HashSet<u64>,
}

impl Manifests {
    /// The state that Windrow's readers use.
    pub fn newest_published(&self) -> Option<&Manifest> {
        self.by_number.values().rev().find(|manifest| self.published.contains(&manifest.number))
    }

    /// Files that may lie in the folder while `number` is the newest published state: its own, those it is about to
    /// remove, and those of commits under way.
    pub fn known_paths(&self, number: u64) -> HashSet<&str> {
        let from_here = || self.by_number.range(number..).map(|(_, manifest)| manifest);
        let files = from_here().flat_map(|manifest| manifest.files.iter().map(|file| file.path.as_str()));
        files.chain(from_here().flat_map(|manifest| manifest.removes.iter().map(String::as_str))).collect()
    }

    /// Files that unpublished commits add.
    pub fn pending_paths(&self) -> HashSet<&str> {
        let unpublished = self.by_number.values().filter(|manifest| !self.published.contains(&manifest.number));
        let added = unpublished.flat_map(|manifest| manifest.files.iter().filter(|file| !file.commit_id.is_nil()));
        added.map(|file| file.path.as_str()).collect()
    }
}

/// `_windrow/manifests/00000000000000000007.json`
pub fn manifest_path(number: u64) -> String {
    format!("{HOME}/manifests/{number:020}.json")
}

/// `_windrow/manifests/00000000000000000007.published`
pub fn published_path(number: u64) -> String {
    format!("{HOME}/manifests/{number:020}.published")
}

/// `_windrow/intents/<commit id>.json`
pub fn intent_path(commit_id: Uuid) -> String {
    format!("{HOME}/intents/{commit_id}.json")
}

/// `_windrow/staging/<commit id>`
pub fn staging_folder(commit_id: Uuid) -> String {
    format!("{HOME}/staging/{commit_id}")
}

/// The number in a manifest's or marker's name.
pub fn number_of(relative: &str) -> Option<(u64, &str)> {
    let name = relative.strip_prefix(HOME)?.strip_prefix("/manifests/")?;
    let (digits, extension) = name.split_once('.')?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten().map(|number| (number, extension))
}

/// Which manifests to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest published one and those after it: all that matters to a reader of the table.
    Current,
    /// Every one that is kept: a commit that is repeated must find its own, however old.
    All,
}

/// Reads the manifests among the objects that were listed below `prefix`.
pub async fn load(
    store: &dyn ObjectStore,
    prefix: &Path,
    listed: &[ObjectMeta],
    which: Which,
) -> Result<Manifests, object_store::Error> {
    let mut manifests = Manifests::default();
    let mut numbers = Vec::new();
    for object in listed {
        let relative = crate::tables::files::relative_path(&object.location, prefix).unwrap_or_default();
        match number_of(relative) {
            Some((number, "published")) => drop(manifests.published.insert(number)),
            Some((number, "json")) => numbers.push((number, &object.location)),
            _ => {}
        }
    }
    let oldest = numbers.iter().map(|(number, _)| *number).filter(|number| manifests.published.contains(number)).max();
    let wanted = |number: u64| which == Which::All || Some(number) >= oldest;
    for (number, path) in numbers.into_iter().filter(|(number, _)| wanted(*number)) {
        let bytes = store.get(path).await?.bytes().await?;
        manifests.by_number.insert(number, parse(&bytes, path)?);
    }
    Ok(manifests)
}

/// Reads one manifest; a newer format and damaged text are errors.
pub fn parse(bytes: &[u8], path: &Path) -> Result<Manifest, object_store::Error> {
    let damaged = |detail: String| object_store::Error::Generic {
        store: "manifest",
        source: format!("`{path}` is not a manifest this version of Windrow reads: {detail}").into(),
    };
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    if manifest.format_version > FORMAT_VERSION {
        return Err(damaged(format!("format version {}", manifest.format_version)));
    }
    Ok(manifest)
}
