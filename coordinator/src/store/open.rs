//! From what the user asked for to a journal.

use std::path::PathBuf;

use windrow_model::ErrorReport;

use super::{Journal, MemoryJournal, RedbJournal};

/// Where a coordinator keeps its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreOptions {
    /// Nowhere. The first epoch is the one after this number, which should grow from life to life.
    Memory { after_epoch: u64 },
    /// In the file `journal.redb` of this folder.
    File { data_dir: PathBuf },
    /// In etcd: `etcd://host:port,…/prefix?key=value&…`.
    Etcd { url: String },
}

/// Opens a journal. `identity` says who this is to people who look at who leads, for example the coordinator's
/// address. Errors name the file or the URL, without passwords.
pub(crate) async fn open(options: &StoreOptions, identity: &str) -> Result<Box<dyn Journal>, ErrorReport> {
    match options {
        StoreOptions::Memory { after_epoch } => Ok(Box::new(MemoryJournal::after(*after_epoch))),
        StoreOptions::File { data_dir } => Ok(Box::new(RedbJournal::open(data_dir).await?)),
        StoreOptions::Etcd { url } => open_etcd(url, identity),
    }
}

#[cfg(feature = "etcd")]
fn open_etcd(url: &str, identity: &str) -> Result<Box<dyn Journal>, ErrorReport> {
    let options = super::EtcdOptions::parse(url)?.with_identity(identity);
    Ok(Box::new(super::EtcdJournal::new(options)?))
}

#[cfg(not(feature = "etcd"))]
fn open_etcd(_url: &str, _identity: &str) -> Result<Box<dyn Journal>, ErrorReport> {
    Err(ErrorReport::new(windrow_model::ErrorKind::Unsupported, "this build has no etcd store")
        .with_hint("build it with the feature `etcd`, or keep the journal in a file with --data-dir"))
}

#[cfg(test)]
mod tests {
    use windrow_model::ErrorKind;

    use super::*;

    #[tokio::test]
    async fn a_journal_opens_where_it_was_asked_for() {
        let dir = tempfile::tempdir().expect("a folder");
        let options = StoreOptions::File { data_dir: dir.path().join("made") };
        let store = open(&options, "here").await.expect("opened").campaign().await.expect("leads");
        assert_eq!(store.epoch(), 1);
        assert!(dir.path().join("made/journal.redb").exists());
        let store = open(&StoreOptions::Memory { after_epoch: 41 }, "here").await.expect("opened");
        assert_eq!(store.campaign().await.expect("leads").epoch(), 42);
    }

    #[tokio::test]
    async fn a_url_that_cannot_be_used_is_an_error() {
        let options = StoreOptions::Etcd { url: "etcd://nowhere/x".into() };
        let report = open(&options, "here").await.err().expect("refused");
        let kind = if cfg!(feature = "etcd") { ErrorKind::Invalid } else { ErrorKind::Unsupported };
        assert_eq!(report.kind, kind);
    }
}
