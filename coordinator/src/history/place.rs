//! Where logs are: a local folder, whose files grow, or an object store, whose objects are written once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path as LocalPath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;
use windrow_engine::stores::{Stores, display_location, local_path, object_path, resolve_location, store_report};
use windrow_model::{ErrorKind, ErrorReport};

use super::name::{LogName, PieceName};

/// A folder of logs.
#[derive(Debug)]
pub(crate) struct Place {
    url: Url,
    folder: Path,
    store: Arc<dyn ObjectStore>,
    /// Files are appended to there.
    local: Option<PathBuf>,
}

/// A file or an object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) name: PieceName,
    pub(crate) bytes: u64,
    pub(crate) modified: DateTime<Utc>,
}

/// How much of a log is written: what comes next goes behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Length of the file; `None` before this process has looked.
    pub(crate) file_bytes: Option<u64>,
    /// Objects so far.
    pub(crate) pieces: u32,
}

impl Place {
    /// Errors: it is no location, or one of a kind that is not supported. Nothing is asked of it yet.
    pub(crate) fn open(location: &str, stores: &Stores) -> Result<Place, ErrorReport> {
        let here = std::env::current_dir().map_err(|error| {
            ErrorReport::invalid("the current folder cannot be read").with_detail(error.to_string())
        })?;
        let url = resolve_location(&format!("file://{}/", here.display()), location)?;
        let (folder, local) = (object_path(&url)?, local_path(&url));
        Ok(Place { folder, store: stores.get(&url)?, local, url })
    }

    /// An object store that ends with the test.
    #[cfg(test)]
    pub(super) fn in_memory() -> Place {
        let url = Url::parse("s3://test/history/").expect("a URL");
        Place {
            url,
            folder: Path::from("history"),
            store: Arc::new(object_store::memory::InMemory::new()),
            local: None,
        }
    }

    /// Whether a log is one file that grows. Otherwise each piece costs a request and a name.
    pub(crate) fn appends(&self) -> bool {
        self.local.is_some()
    }

    /// As people write it.
    pub(crate) fn display(&self) -> String {
        display_location(&self.url)
    }

    fn report(&self, doing: &str) -> impl Fn(object_store::Error) -> ErrorReport + use<'_> {
        let doing = doing.to_owned();
        move |error| store_report(&error, &doing, &self.url)
    }

    /// All logs; a local folder that does not exist has none.
    pub(crate) async fn list(&self) -> Result<Vec<Stored>, ErrorReport> {
        let found = self.store.list(Some(&self.folder)).try_collect::<Vec<_>>().await.map_err(self.report("list"))?;
        let stored = found.into_iter().filter_map(|meta| {
            let name = PieceName::parse(meta.location.filename()?)?;
            // A folder below this one is somebody else's.
            let ours = meta.location == self.path(name);
            ours.then_some(Stored { name, bytes: meta.size, modified: meta.last_modified })
        });
        Ok(stored.collect())
    }

    fn path(&self, name: PieceName) -> Path {
        self.folder.clone().join(name.file_name())
    }

    pub(crate) async fn read(&self, name: PieceName) -> Result<Bytes, ErrorReport> {
        let found = self.store.get(&self.path(name)).await.map_err(self.report("read the history in"))?;
        found.bytes().await.map_err(self.report("read the history in"))
    }

    /// The last bytes of it, at most `bytes`.
    pub(crate) async fn tail(&self, stored: &Stored, bytes: u64) -> Result<Bytes, ErrorReport> {
        let range = stored.bytes.saturating_sub(bytes)..stored.bytes;
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let path = self.path(stored.name);
        self.store.get_range(&path, range).await.map_err(self.report("read the history in"))
    }

    /// Something that is gone already is removed as well.
    pub(crate) async fn remove(&self, name: PieceName) -> Result<(), ErrorReport> {
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.report("remove old history from")(error)),
        }
    }

    /// Writes lines behind what is written; `head` begins each file and object. With `sync`, a local file is on disk
    /// when this returns. A failure leaves `written` true: the next try overwrites what it may have left.
    pub(crate) async fn append(
        self: &Arc<Self>,
        log: LogName,
        written: Written,
        head: Vec<u8>,
        lines: Vec<u8>,
        sync: bool,
    ) -> Result<Written, ErrorReport> {
        match &self.local {
            Some(folder) => {
                let path = folder.join(PieceName { log, number: 0 }.file_name());
                let grown = tokio::task::spawn_blocking(move || grow(&path, written.file_bytes, &head, &lines, sync));
                let grown = grown.await.map_err(|error| io::Error::other(error.to_string())).flatten();
                let file_bytes = grown.map_err(|error| self.unwritable(&error))?;
                Ok(Written { file_bytes: Some(file_bytes), ..written })
            }
            None => {
                let number = written.pieces + 1;
                let object = [head, lines].concat();
                let path = self.path(PieceName { log, number });
                self.store.put(&path, object.into()).await.map_err(self.report("write the history to"))?;
                Ok(Written { pieces: number, ..written })
            }
        }
    }

    fn unwritable(&self, error: &io::Error) -> ErrorReport {
        let (kind, hint) = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                (ErrorKind::PermissionDenied, "let the coordinator's user write there, or name another --history")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                (ErrorKind::Exhausted, "free some space, or keep less with --history-retention or --history-jobs")
            }
            _ => (ErrorKind::Unavailable, "name a folder that can be written to with --history"),
        };
        ErrorReport::new(kind, format!("could not write the history to `{}`", self.display()))
            .with_detail(error.to_string())
            .with_hint(hint)
    }
}

/// Returns the new length. A file that is longer than `known` has the rest of a write that failed, which is cut off.
fn grow(path: &LocalPath, known: Option<u64>, head: &[u8], lines: &[u8], sync: bool) -> io::Result<u64> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    let from = known.unwrap_or(length).min(length);
    file.set_len(from)?;
    file.seek(SeekFrom::Start(from))?;
    let head = if from == 0 { head } else { &[] };
    file.write_all(head)?;
    file.write_all(lines)?;
    if sync {
        file.sync_data()?;
    }
    Ok(from + (head.len() + lines.len()) as u64)
}

fn open(path: &LocalPath) -> io::Result<File> {
    let open = || OpenOptions::new().write(true).create(true).truncate(false).open(path);
    match (open(), path.parent()) {
        (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(folder)?;
            open()
        }
        (opened, _) => opened,
    }
}
