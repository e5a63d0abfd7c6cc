//! Which files a location holds.

use std::collections::HashSet;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use url::Url;
use windrow_model::{ErrorKind, ErrorReport};

use crate::sink::manifest::{self, Manifests};
use crate::stores::{Stores, display_location, object_path, store_report};

/// What a location holds at one point in time.
#[derive(Clone, Debug, Default)]
pub struct Holdings {
    /// Data files, sorted by name; their paths are whole keys in the store.
    pub files: Vec<ObjectMeta>,
    /// The location is one file.
    pub single_file: bool,
    /// The manifest that names the files; `None` for a plain folder.
    pub manifest: Option<u64>,
}

/// Lists the data files at `location`: the newest published manifest's if there is one, else every file that is not
/// hidden. A file beside a manifest that no manifest knows is a conflict.
pub async fn holdings(location: &Url, stores: &Stores) -> Result<Holdings, ErrorReport> {
    let store = stores.get(location)?;
    let prefix = object_path(location)?;
    let report = |error| store_report(&error, "list", location);
    let listed: Vec<ObjectMeta> = store.list(Some(&prefix)).try_collect().await.map_err(report)?;
    if listed.is_empty() {
        return single_file(location, &*store, &prefix).await;
    }
    let listed: Vec<ObjectMeta> = listed.into_iter().map(|file| versioned(file, location)).collect();
    let manifests = manifest::load(&*store, &prefix, &listed, manifest::Which::Current).await.map_err(report)?;
    let mut files: Vec<ObjectMeta> = listed.into_iter().filter(|file| is_data_file(&file.location, &prefix)).collect();
    files.sort_by(|a, b| a.location.cmp(&b.location));
    choose_files(files, &manifests, location, &prefix)
}

async fn single_file(location: &Url, store: &dyn ObjectStore, path: &Path) -> Result<Holdings, ErrorReport> {
    if location.path().ends_with('/') || path.is_root() {
        return Ok(Holdings::default());
    }
    match store.head(path).await {
        Ok(meta) => Ok(Holdings { files: vec![versioned(meta, location)], single_file: true, manifest: None }),
        Err(object_store::Error::NotFound { .. }) => Ok(Holdings::default()),
        // A folder answers a `head` with a store's own kind of error; it was empty a moment ago.
        Err(_) if crate::stores::local_path(location).is_some_and(|path| path.is_dir()) => Ok(Holdings::default()),
        Err(error) => Err(store_report(&error, "read", location)),
    }
}

/// DataFusion's cache of footers takes files of one size and one time of change for the same, and object stores tell
/// that time in whole seconds. So the part below a second is made from the ETag: another version has another time.
fn versioned(mut file: ObjectMeta, location: &Url) -> ObjectMeta {
    let Some(tag) = file.e_tag.as_deref().filter(|_| location.scheme() != "file") else { return file };
    let nanoseconds = u64::from(crc32fast::hash(tag.as_bytes())) % 1_000_000_000;
    let seconds = file.last_modified.timestamp();
    if let Some(time) = chrono::DateTime::from_timestamp(seconds, nanoseconds as u32) {
        file.last_modified = time;
    }
    file
}

fn choose_files(
    files: Vec<ObjectMeta>,
    manifests: &Manifests,
    location: &Url,
    prefix: &Path,
) -> Result<Holdings, ErrorReport> {
    let relative = |file: &ObjectMeta| relative_path(&file.location, prefix).unwrap_or_default().to_owned();
    let Some(newest) = manifests.newest_published() else {
        // A first commit that is under way has shown some of its files already; they do not count yet.
        let pending: HashSet<&str> = manifests.pending_paths();
        let files = files.into_iter().filter(|file| !pending.contains(relative(file).as_str())).collect();
        return Ok(Holdings { files, single_file: false, manifest: None });
    };
    let known = manifests.known_paths(newest.number);
    if let Some(stranger) = files.iter().find(|file| !known.contains(relative(file).as_str())) {
        return Err(unknown_file(location, &relative(stranger)));
    }
    let wanted: HashSet<&str> = newest.files.iter().map(|file| file.path.as_str()).collect();
    let found: Vec<ObjectMeta> = files.into_iter().filter(|file| wanted.contains(relative(file).as_str())).collect();
    if found.len() < wanted.len() {
        let present: HashSet<String> = found.iter().map(relative).collect();
        let missing = wanted.into_iter().find(|path| !present.contains(*path)).unwrap_or_default();
        return Err(missing_file(location, missing));
    }
    Ok(Holdings { files: found, single_file: false, manifest: Some(newest.number) })
}

fn unknown_file(location: &Url, path: &str) -> ErrorReport {
    ErrorReport::new(
        ErrorKind::Conflict,
        format!("`{}` holds a file that its manifest does not know: `{path}`", display_location(location)),
    )
    .with_detail("the folder was written by Windrow, and something else has put a file into it since")
    .with_hint("move that file away; to add its rows, INSERT them from a table of their own")
}

fn missing_file(location: &Url, path: &str) -> ErrorReport {
    ErrorReport::new(
        ErrorKind::Conflict,
        format!("`{}` lacks the file `{path}` of its manifest", display_location(location)),
    )
    .with_detail("it was deleted, or the folder was overwritten at this moment")
    .with_hint("run the job again; if the file stays missing, restore it or write the folder anew")
}

/// The part of `path` below `prefix`, or `None` if it is not below it.
pub fn relative_path<'a>(path: &'a Path, prefix: &Path) -> Option<&'a str> {
    let rest = path.as_ref().strip_prefix(prefix.as_ref())?;
    if prefix.is_root() { Some(rest) } else { rest.strip_prefix('/') }
}

/// Whether listing readers take it for data: no name on the way down starts with `_` or `.`,
/// except that `_column=value` is a partition folder.
pub fn is_data_file(path: &Path, prefix: &Path) -> bool {
    relative_path(path, prefix).is_some_and(|relative| {
        let hidden = |name: &str| name.starts_with('.') || (name.starts_with('_') && !name.contains('='));
        !relative.is_empty() && !relative.split('/').any(hidden)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_versions_of_one_second_and_size_differ_in_their_time() {
        let version = |tag: &str, place: &str| {
            let file = ObjectMeta {
                location: Path::from("a.parquet"),
                last_modified: chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
                size: 7,
                e_tag: Some(tag.to_owned()),
                version: None,
            };
            versioned(file, &Url::parse(place).unwrap()).last_modified
        };
        assert_ne!(version("one", "s3://b/"), version("two", "s3://b/"));
        assert_eq!(version("one", "s3://b/"), version("one", "s3://b/"));
        assert_eq!(version("one", "s3://b/").timestamp(), 1_700_000_000);
        assert_eq!(version("one", "file:///b/"), version("two", "file:///b/"));
    }
}
