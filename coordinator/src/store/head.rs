//! The end of a journal.

/// Names one commit: the leader's epoch and its count of commits. Never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CommitId {
    pub(super) epoch: u64,
    pub(super) count: u64,
}

/// Where a journal ends, and who wrote it last. Each commit compares the head it knows and writes the next one, in
/// the transaction that makes the commit whole: so a second writer is noticed, a repeated transaction changes
/// nothing, and reading the head tells whether a commit of unknown outcome has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Of the last record; 0 for an empty journal.
    pub(super) sequence: u64,
    pub(super) commit: CommitId,
    /// Highest ids ever committed.
    pub(super) last_job: u64,
    pub(super) last_worker: u64,
}

impl Head {
    /// The head after a commit that adds nothing.
    pub(super) fn next(self, commit: CommitId) -> Head {
        Head { commit, ..self }
    }
}
