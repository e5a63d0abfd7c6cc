//! The layout under the prefix.
//!
//! ```text
//! PREFIX/leader                          who leads; attached to the leader's lease; its create revision is the epoch
//! PREFIX/head                            the journal's end
//! PREFIX/fence                           written before a load, so that the load cannot be stale
//! PREFIX/e/c/SEQUENCE/PIECE              entries about the cluster
//! PREFIX/e/j/JOB/SEQUENCE/PIECE          entries about a job
//! PREFIX/e/w/WORKER/SEQUENCE/PIECE       entries about a worker
//! PREFIX/b/JOB/NAME/PIECE                blobs of a job
//! ```
//!
//! Numbers are hexadecimal with leading zeros, so that keys sort as their numbers do.

use windrow_model::{JobId, WorkerId};

use super::super::BlobKey;
use super::super::entry::{Entry, Scope};

#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// Without a slash at its end.
    prefix: String,
}

/// What an entry's key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryKey {
    pub(super) scope: Scope,
    pub(super) first: u64,
    pub(super) piece: u32,
}

impl Keys {
    pub(super) fn under(prefix: &str) -> Keys {
        Keys { prefix: prefix.trim_end_matches('/').to_owned() }
    }

    pub(super) fn leader(&self) -> String {
        format!("{}/leader", self.prefix)
    }

    pub(super) fn head(&self) -> String {
        format!("{}/head", self.prefix)
    }

    pub(super) fn fence(&self) -> String {
        format!("{}/fence", self.prefix)
    }

    /// Prefix of all entries.
    pub(super) fn entries(&self) -> String {
        format!("{}/e/", self.prefix)
    }

    /// Prefix of the entries of a scope.
    pub(super) fn scope(&self, scope: Scope) -> String {
        match scope {
            Scope::Cluster => format!("{}c/", self.entries()),
            Scope::Job(job) => format!("{}j/{:016x}/", self.entries(), job.0),
            Scope::Worker(worker) => format!("{}w/{:016x}/", self.entries(), worker.0),
        }
    }

    /// Prefix of an entry's pieces.
    pub(super) fn entry(&self, entry: &Entry) -> String {
        format!("{}{:016x}/", self.scope(entry.scope), entry.first)
    }

    /// Prefix of all blobs.
    pub(super) fn blobs(&self) -> String {
        format!("{}/b/", self.prefix)
    }

    /// Prefix of a job's blobs.
    pub(super) fn job_blobs(&self, job: JobId) -> String {
        format!("{}{:016x}/", self.blobs(), job.0)
    }

    /// Prefix of a blob's pieces.
    pub(super) fn blob(&self, key: BlobKey) -> String {
        format!("{}{}/", self.job_blobs(key.job), key.name.text())
    }

    /// `None` for a key that no build of this version has written.
    pub(super) fn parse_entry(&self, key: &[u8]) -> Option<EntryKey> {
        let rest = std::str::from_utf8(key).ok()?.strip_prefix(&self.entries())?;
        let parts: Vec<&str> = rest.split('/').collect();
        let (scope, first, piece) = match parts[..] {
            ["c", first, piece] => (Scope::Cluster, first, piece),
            ["j", job, first, piece] => (Scope::Job(JobId(number(job)?)), first, piece),
            ["w", worker, first, piece] => (Scope::Worker(WorkerId(number(worker)?)), first, piece),
            _ => return None,
        };
        Some(EntryKey { scope, first: number(first)?, piece: u32::try_from(number(piece)?).ok()? })
    }

    /// The job of a blob's key.
    pub(super) fn parse_blob_job(&self, key: &[u8]) -> Option<JobId> {
        let rest = std::str::from_utf8(key).ok()?.strip_prefix(&self.blobs())?;
        number(rest.split('/').next()?).map(JobId)
    }
}

fn number(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// The number of a piece, from the end of its key.
pub(super) fn parse_piece(key: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(key).ok()?;
    u32::from_str_radix(text.rsplit('/').next()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn an_entrys_key_reads_back_what_it_was_made_of() {
        let keys = Keys::under("/windrow/prod/");
        for scope in [Scope::Cluster, Scope::Job(JobId(u64::MAX)), Scope::Worker(WorkerId(7))] {
            let entry = Entry { scope, first: 300, bytes: Bytes::new() };
            let key = format!("{}{:08x}", keys.entry(&entry), 17);
            assert!(key.starts_with(&keys.scope(scope)), "{key}");
            assert_eq!(keys.parse_entry(key.as_bytes()), Some(EntryKey { scope, first: 300, piece: 17 }));
            assert_eq!(parse_piece(key.as_bytes()), Some(17));
        }
        assert_eq!(keys.parse_entry(b"/windrow/prod/e/x/0/0"), None);
        assert_eq!(keys.parse_entry(b"/windrow/production/e/c/0/0"), None);
    }

    #[test]
    fn a_jobs_keys_hold_no_other_jobs() {
        let keys = Keys::under("/w");
        assert_eq!(keys.job_blobs(JobId(1)), "/w/b/0000000000000001/");
        assert!(!keys.scope(Scope::Job(JobId(16))).starts_with(&keys.scope(Scope::Job(JobId(1)))));
        assert_eq!(keys.parse_blob_job(b"/w/b/0000000000000010/s00000000/00000000"), Some(JobId(16)));
    }
}
