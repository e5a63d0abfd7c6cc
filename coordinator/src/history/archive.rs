//! The reader's side: jobs that have ended, one by one or as a list.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use windrow_model::{ErrorKind, ErrorReport, JobId, Timestamp, format_bytes};
use windrow_proto as wire;

use super::index::{Index, Kept, Key};
use super::log::{self, Log, Memory};
use super::name::{LogName, PieceName};
use super::place::{Place, Stored, Written};

/// Logs that are read whole at once, each of which may be as large as the next limit.
const READS_MAX: usize = 2;
const READ_BYTES_MAX: u64 = 256 << 20;
/// The last line of a log is nearly always shorter.
const TAIL_BYTES: u64 = 32 << 10;
/// Ends that are looked for at once.
const LOOKS_MAX: usize = 16;
/// A job of the journal is shown without what history knows of it when that does not come within this.
const READ_PATIENCE: Duration = Duration::from_secs(10);
/// Half of a message: the rest is for the jobs of the core.
const LIST_BYTES_MAX: usize = wire::CONTROL_MESSAGE_BYTES_MAX / 2;
/// A list does not wait longer for the first look at the location.
const LIST_PATIENCE: Duration = Duration::from_secs(10);

/// What is known of the location.
#[derive(Clone, Debug)]
enum Look {
    /// Nobody has looked yet.
    Pending,
    Done,
    Failed(ErrorReport),
}

/// Reads, lists and prunes. Cheap to clone; without a history it knows no job.
#[derive(Clone)]
pub(crate) struct Archive {
    shared: Option<Arc<Shared>>,
}

struct Shared {
    /// Of this leader, who need not be told what it has written itself.
    epoch: u64,
    place: Arc<Place>,
    retention: Duration,
    jobs_max: usize,
    index: Mutex<Index>,
    look: watch::Sender<Look>,
    reads: Semaphore,
    /// Too many jobs: somebody has to prune before it is time.
    crowded: Notify,
}

impl Archive {
    pub(crate) fn nowhere() -> Archive {
        Archive { shared: None }
    }

    pub(super) fn new(epoch: u64, place: Arc<Place>, retention: Duration, jobs_max: usize) -> Archive {
        let (index, look) = (Mutex::default(), watch::Sender::new(Look::Pending));
        let (reads, crowded) = (Semaphore::new(READS_MAX), Notify::new());
        Archive { shared: Some(Arc::new(Shared { epoch, place, retention, jobs_max, index, look, reads, crowded })) }
    }

    /// A job of which only the history knows.
    ///
    /// # Errors
    /// `NotFound` if nobody knows it, or only its beginning; otherwise why the history cannot be read.
    pub(crate) async fn job(&self, job: JobId) -> Result<wire::Job, ErrorReport> {
        let Some(shared) = &self.shared else { return Err(crate::results::no_such_job(job)) };
        if let Look::Failed(report) = shared.looked().await {
            return Err(not_looked_at(job, report));
        }
        let found = shared.index.lock().last(job).map(|(_, kept)| kept.clone());
        let kept = found.ok_or_else(|| crate::results::no_such_job(job))?;
        let mut log = shared.read(job, &kept).await?;
        for flaw in &log.flaws {
            tracing::warn!(%job, flaw, "a log of the history is damaged");
        }
        match log.end.take() {
            Some(mut whole) => {
                whole.notes.extend(log.flaws.iter().map(|flaw| format!("history: {flaw}")));
                Ok(whole)
            }
            None => Err(log::unfinished(job, &log)),
        }
    }

    /// A job that ended under an earlier leader and that the journal still has: history knows it better, but not
    /// which rows are still kept. What history does not say in time is left out.
    pub(crate) async fn as_it_ended(&self, kept: wire::Job) -> wire::Job {
        let Some(shared) = &self.shared else { return kept };
        let key = (JobId(kept.id), Timestamp(kept.submitted_us));
        let read = async {
            if let Look::Failed(report) = shared.looked().await {
                return Err(report);
            }
            let logs = shared.index.lock().get(key).cloned();
            match logs {
                Some(logs) => shared.read(key.0, &logs).await.map(|log| log.end),
                None => Ok(None),
            }
        };
        match tokio::time::timeout(READ_PATIENCE, read).await {
            Ok(Ok(Some(whole))) => wire::Job { result_steps: kept.result_steps, ..whole },
            Ok(Ok(None)) | Err(_) => kept,
            Ok(Err(report)) => {
                tracing::warn!(job = %key.0, error = %report, "a job is shown without what its history says");
                kept
            }
        }
    }

    /// What leaders before this one noted about a job of the journal. `None` if there is no log of it.
    pub(crate) async fn memory(&self, job: JobId, submitted_at: Timestamp) -> Result<Option<Memory>, ErrorReport> {
        let Some(shared) = &self.shared else { return Ok(None) };
        if let Look::Failed(report) = shared.looked().await {
            return Err(report);
        }
        let found = shared.index.lock().get((job, submitted_at)).cloned();
        let Some(kept) = found.map(|kept| kept.without(shared.epoch)) else { return Ok(None) };
        Ok(Some(shared.read(job, &kept).await?.memory))
    }

    /// Whether there is a log of it, and one with its end.
    pub(super) fn has(&self, job: JobId, submitted_at: Timestamp) -> (bool, bool) {
        let Some(shared) = &self.shared else { return (false, false) };
        let index = shared.index.lock();
        let kept = index.get((job, submitted_at));
        (kept.is_some(), kept.is_some_and(|kept| kept.summary.is_some()))
    }

    /// Jobs with an end as a list shows them, the newest first: as many as fit into an answer. Those that nobody has
    /// looked at yet are missing.
    pub(crate) async fn summaries(&self) -> Vec<wire::Job> {
        let Some(shared) = &self.shared else { return Vec::new() };
        // A list that lacks what cannot be read is better than none; the log says why.
        let _ = tokio::time::timeout(LIST_PATIENCE, shared.looked()).await;
        let index = shared.index.lock();
        let mut bytes = 0;
        let fits = |job: &&wire::Job| {
            bytes += job.encoded_len();
            bytes <= LIST_BYTES_MAX
        };
        index.summaries().into_values().rev().take_while(fits).cloned().collect()
    }

    /// Waits until the location was looked at successfully; never, without a history.
    pub(super) async fn ready(&self) {
        let Some(shared) = &self.shared else { return std::future::pending().await };
        // The sender is in there as well.
        let _ = shared.look.subscribe().wait_for(|look| matches!(look, Look::Done)).await;
    }

    /// How long logs are kept.
    pub(super) fn retention(&self) -> Duration {
        self.shared.as_ref().map(|shared| shared.retention).unwrap_or_default()
    }

    /// The last object of a log; 0 for a file, and if there is none.
    pub(super) fn pieces_of(&self, log: LogName) -> u32 {
        self.shared.as_ref().map_or(0, |shared| shared.index.lock().pieces_of(log))
    }

    /// The end of a job was written by this process.
    pub(super) fn note(&self, log: LogName, written: Written, summary: &wire::Job) {
        let Some(shared) = &self.shared else { return };
        let modified = Utc::now();
        let stored = |number, bytes| Stored { name: PieceName { log, number }, bytes, modified };
        let file = written.file_bytes.map(|bytes| stored(0, bytes));
        let objects = (1..=written.pieces).map(|number| stored(number, 0));
        let mut index = shared.index.lock();
        index.note(file.into_iter().chain(objects), log, summary.clone());
        // Some more than are kept, so that pruning is not for one job at a time.
        if index.len() > shared.jobs_max + shared.jobs_max / 10 {
            shared.crowded.notify_one();
        }
    }

    /// Waits until there are too many jobs.
    pub(super) async fn crowded(&self) {
        match &self.shared {
            Some(shared) => shared.crowded.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Looks at the location and removes what is too old or too much. Errors are kept for those who ask for jobs.
    pub(super) async fn look_and_prune(&self) -> Result<usize, ErrorReport> {
        let Some(shared) = &self.shared else { return Ok(0) };
        let outcome = shared.look().await;
        let look = outcome.as_ref().map_or_else(|report| Look::Failed(report.clone()), |()| Look::Done);
        shared.look.send_replace(look);
        outcome?;
        shared.prune().await
    }
}

fn not_looked_at(job: JobId, report: ErrorReport) -> ErrorReport {
    let detail = format!("the history cannot be read: {report}");
    ErrorReport::new(ErrorKind::Unavailable, format!("{job} is not in the coordinator's memory"))
        .with_detail(detail)
        .with_hint("try again when the location that --history names can be read")
}

impl Shared {
    async fn looked(&self) -> Look {
        let mut look = self.look.subscribe();
        let looked = look.wait_for(|look| !matches!(look, Look::Pending)).await;
        // The sender lives as long as this does.
        looked.map_or(Look::Pending, |look| look.clone())
    }

    async fn read(&self, job: JobId, kept: &Kept) -> Result<Log, ErrorReport> {
        if kept.bytes() > READ_BYTES_MAX {
            return Err(too_large(job, kept.bytes(), &self.place.display()));
        }
        // The semaphore is never closed.
        let _turn = self.reads.acquire().await;
        let mut logs: Vec<(LogName, Vec<u8>)> = Vec::new();
        for name in kept.pieces.keys() {
            let bytes = self.place.read(*name).await?;
            match logs.last_mut() {
                Some((log, all)) if *log == name.log => all.extend_from_slice(&bytes),
                _ => logs.push((name.log, bytes.to_vec())),
            }
        }
        let read = move || logs.iter().map(|(_, bytes)| log::read(bytes)).collect::<Result<Vec<Log>, ErrorReport>>();
        let logs = tokio::task::spawn_blocking(read).await;
        let logs =
            logs.map_err(|error| ErrorReport::internal("a log cannot be read").with_detail(error.to_string()))?;
        Ok(log::merge(logs?))
    }

    async fn look(&self) -> Result<(), ErrorReport> {
        let began = Instant::now();
        let listing = self.place.list().await?;
        let mut open = self.index.lock().replace(listing, began);
        // The newest first: they are asked for first.
        open.reverse();
        let looks = open.into_iter().map(|(key, kept)| async move { Ok((key, self.end_of(&kept).await?)) });
        let mut looks = stream::iter(looks).buffer_unordered(LOOKS_MAX);
        while let Some(found) = looks.next().await {
            let (key, summary): (Key, Option<wire::Job>) = found.map_err(|report: ErrorReport| report)?;
            if let Some(summary) = summary {
                self.index.lock().found(key, summary);
            }
        }
        Ok(())
    }

    /// The last line of the newest log that has one for the end.
    async fn end_of(&self, kept: &Kept) -> Result<Option<wire::Job>, ErrorReport> {
        for stored in kept.pieces.values().rev() {
            let tail = self.place.tail(stored, TAIL_BYTES).await?;
            let whole_line =
                tail.len() as u64 == stored.bytes || tail.strip_suffix(b"\n").is_some_and(|tail| tail.contains(&b'\n'));
            let tail = if whole_line { tail } else { self.place.tail(stored, READ_BYTES_MAX).await? };
            if let Some(summary) = log::read_tail(&tail) {
                return Ok(Some(summary));
            }
        }
        Ok(None)
    }

    /// Returns how many jobs were removed.
    async fn prune(&self) -> Result<usize, ErrorReport> {
        let oldest =
            chrono::Duration::from_std(self.retention).ok().and_then(|span| Utc::now().checked_sub_signed(span));
        let outdated = self.index.lock().outdated(oldest.unwrap_or_default(), self.jobs_max);
        for (key, pieces) in &outdated {
            for piece in pieces {
                self.place.remove(*piece).await?;
            }
            self.index.lock().forget(*key);
        }
        Ok(outdated.len())
    }
}

fn too_large(job: JobId, bytes: u64, place: &str) -> ErrorReport {
    ErrorReport::new(ErrorKind::Exhausted, format!("the log of {job} is too large to be shown"))
        .with_detail(format!("it has {}, and {} is the most", format_bytes(bytes), format_bytes(READ_BYTES_MAX)))
        .with_hint(format!("read the lines of its files in `{place}` with a program of your own"))
}
