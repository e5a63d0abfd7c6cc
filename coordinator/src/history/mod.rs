//! History: what is known about jobs after the coordinator has forgotten them.
//!
//! Each job has one append-only log of events, one JSON object a line ([`event`]), at a location outside of the
//! journal: a local folder, where files grow, or an object store, where each piece of a log is an object of its own.
//! The driver tells a [`Recorder`] what happens, which never waits; a [`writer`] of its own writes; the [`Archive`]
//! reads, lists and prunes. Losing all of it harms no job.
//!
//! Every leader writes to logs of its own, named after its epoch, so that one that has lost the lead can damage
//! nobody's. Whoever reads takes the newest log with an end, and fills what it does not say from the older ones.

mod archive;
mod event;
mod following;
mod index;
mod log;
mod name;
mod place;
mod pruning;
mod reconcile;
mod recorder;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use windrow_engine::stores::Stores;
use windrow_model::{ErrorReport, JobId};

use place::Place;
use recorder::Budget;
use writer::Writer;

pub(crate) use archive::Archive;
pub(crate) use log::Memory;
pub(crate) use reconcile::{recall, reconcile};
pub(crate) use recorder::{Recorder, Told};

/// New ids start after those in the history; a location that does not answer within this is not waited for.
const IDS_PATIENCE: Duration = Duration::from_secs(5);

/// Where history is kept, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryOptions {
    /// A local folder or the URL of one, for example `s3://bucket/history/`.
    pub location: String,
    /// Logs that nobody has written to for so long are removed.
    pub retention: Duration,
    /// The oldest jobs beyond this are removed.
    pub jobs_max: usize,
}

impl HistoryOptions {
    /// How long and how many, unless somebody says otherwise.
    pub const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);
    pub const JOBS_MAX: usize = 10_000;

    pub fn at(location: impl Into<String>) -> HistoryOptions {
        HistoryOptions { location: location.into(), retention: Self::RETENTION, jobs_max: Self::JOBS_MAX }
    }

    /// Errors: the location is none, or of a kind that is not supported. Whether it can be used shows later.
    pub(crate) fn check(&self, stores: &Stores) -> Result<(), ErrorReport> {
        Place::open(&self.location, stores).map(drop)
    }
}

/// The history of a coordinator that leads.
pub(crate) struct History {
    pub(crate) recorder: Recorder,
    pub(crate) archive: Archive,
    /// The last job in it; later ones take later numbers, also on a journal that has never seen it.
    pub(crate) last_job: JobId,
    /// Ends after the last recorder is gone and everything is written.
    pub(crate) writer: Option<JoinHandle<()>>,
}

impl History {
    /// For a coordinator that keeps none.
    pub(crate) fn nowhere() -> History {
        let (recorder, archive) = (Recorder::nowhere(), Archive::nowhere());
        History { recorder, archive, last_job: JobId(0), writer: None }
    }

    /// Starts to keep one. A location that cannot be used now may be later: it is an error only if it is no location.
    /// Ends with `stopped`, but for what is still to be written.
    pub(crate) async fn open(
        options: &HistoryOptions,
        epoch: u64,
        stores: &Stores,
        stopped: CancellationToken,
    ) -> Result<History, ErrorReport> {
        let place = Arc::new(Place::open(&options.location, stores)?);
        let last_job = match tokio::time::timeout(IDS_PATIENCE, place.list()).await {
            Ok(Ok(stored)) => stored.iter().map(|stored| stored.name.log.job).max().unwrap_or(JobId(0)),
            Ok(Err(report)) => unread(&report),
            Err(_) => unread(&ErrorReport::new(windrow_model::ErrorKind::Unavailable, "the location does not answer")),
        };
        let archive = Archive::new(epoch, Arc::clone(&place), options.retention, options.jobs_max);
        let (budget, (entries, inbox)) = (Arc::new(Budget::default()), recorder::channel());
        let recorder = Recorder::new(epoch, entries, Arc::clone(&budget));
        let writer = tokio::spawn(Writer::new(place, archive.clone(), inbox, budget).run());
        tokio::spawn(stopped.run_until_cancelled_owned(pruning::keep_up(archive.clone())));
        Ok(History { recorder, archive, last_job, writer: Some(writer) })
    }
}

fn unread(report: &ErrorReport) -> JobId {
    tracing::warn!(
        error = %report,
        "the history cannot be read; if the journal is new, jobs may get numbers that it has already"
    );
    JobId(0)
}
