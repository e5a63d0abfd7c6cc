//! What is in the location, as far as lists need it: every log by name, and of each job its last lines.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use windrow_model::{JobId, Timestamp};
use windrow_proto as wire;

use super::name::{LogName, PieceName};
use super::place::Stored;

/// Jobs by number and by when they were submitted: of one number the last is the one people mean.
pub(super) type Key = (JobId, Timestamp);

#[derive(Default)]
pub(super) struct Index {
    jobs: BTreeMap<Key, Kept>,
}

/// What there is about one job.
#[derive(Clone, Default)]
pub(super) struct Kept {
    /// In reading order.
    pub(super) pieces: BTreeMap<PieceName, Stored>,
    /// As a list shows it; absent before it is read, and if no log has an end.
    pub(super) summary: Option<wire::Job>,
    /// When this process wrote it last: a listing may be older.
    noted_at: Option<Instant>,
}

impl Kept {
    pub(super) fn modified(&self) -> DateTime<Utc> {
        self.pieces.values().map(|stored| stored.modified).max().unwrap_or_default()
    }

    /// What other leaders have written.
    pub(super) fn without(mut self, epoch: u64) -> Kept {
        self.pieces.retain(|piece, _| piece.log.epoch != epoch);
        self
    }

    pub(super) fn bytes(&self) -> u64 {
        self.pieces.values().map(|stored| stored.bytes).sum()
    }
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// The last job of that number.
    pub(super) fn last(&self, job: JobId) -> Option<(Key, &Kept)> {
        let all = (job, Timestamp(0))..=(job, Timestamp(u64::MAX));
        self.jobs.range(all).next_back().map(|(key, kept)| (*key, kept))
    }

    pub(super) fn get(&self, key: Key) -> Option<&Kept> {
        self.jobs.get(&key)
    }

    /// Jobs whose end is known, one a number.
    pub(super) fn summaries(&self) -> BTreeMap<JobId, &wire::Job> {
        self.jobs.iter().filter_map(|((job, _), kept)| Some((*job, kept.summary.as_ref()?))).collect()
    }

    /// The last piece of a log of objects; 0 if there is none.
    pub(super) fn pieces_of(&self, log: LogName) -> u32 {
        let kept = self.jobs.get(&(log.job, log.submitted_at));
        let pieces = kept.into_iter().flat_map(|kept| kept.pieces.keys()).filter(|piece| piece.log == log);
        pieces.map(|piece| piece.number).max().unwrap_or(0)
    }

    /// This process has written the end of a job.
    pub(super) fn note(&mut self, pieces: impl Iterator<Item = Stored>, log: LogName, summary: wire::Job) {
        let kept = self.jobs.entry((log.job, log.submitted_at)).or_default();
        kept.pieces.extend(pieces.map(|stored| (stored.name, stored)));
        kept.summary = Some(summary);
        kept.noted_at = Some(Instant::now());
    }

    pub(super) fn forget(&mut self, key: Key) {
        self.jobs.remove(&key);
    }

    /// Takes over a listing that began at `began`. What was known of unchanged logs stays known.
    /// Returns the jobs whose ends have to be looked for.
    pub(super) fn replace(&mut self, listing: Vec<Stored>, began: Instant) -> Vec<(Key, Kept)> {
        let mut jobs: BTreeMap<Key, Kept> = BTreeMap::new();
        for stored in listing {
            let LogName { job, submitted_at, .. } = stored.name.log;
            jobs.entry((job, submitted_at)).or_default().pieces.insert(stored.name, stored);
        }
        for (key, old) in std::mem::take(&mut self.jobs) {
            let newer = old.noted_at.is_some_and(|at| at >= began);
            match jobs.get_mut(&key) {
                _ if newer => drop(jobs.insert(key, old)),
                Some(kept) if kept.bytes() == old.bytes() && kept.pieces.len() == old.pieces.len() => {
                    kept.summary = old.summary;
                }
                Some(_) | None => {}
            }
        }
        self.jobs = jobs;
        let open = self.jobs.iter().filter(|(_, kept)| kept.summary.is_none());
        open.map(|(key, kept)| (*key, kept.clone())).collect()
    }

    /// Fills in what was found about a job that is still there.
    pub(super) fn found(&mut self, key: Key, summary: wire::Job) {
        if let Some(kept) = self.jobs.get_mut(&key) {
            kept.summary.get_or_insert(summary);
        }
    }

    /// Jobs that retention removes: those that nobody has written to since `oldest`, and the oldest beyond `max`.
    pub(super) fn outdated(&self, oldest: DateTime<Utc>, max: usize) -> Vec<(Key, Vec<PieceName>)> {
        let mut by_age: Vec<(DateTime<Utc>, Key)> =
            self.jobs.iter().map(|(key, kept)| (kept.modified(), *key)).collect();
        by_age.sort_unstable();
        let excess = by_age.len().saturating_sub(max);
        let old = by_age.into_iter().enumerate().filter(|(index, (modified, _))| *index < excess || *modified < oldest);
        let pieces = |key: Key| self.jobs.get(&key).map(|kept| kept.pieces.keys().copied().collect());
        old.map(|(_, (_, key))| (key, pieces(key).unwrap_or_default())).collect()
    }
}
