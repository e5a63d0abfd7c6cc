//! Writes what the recorder tells, apart from everything else: a location that is slow, full or gone holds up nobody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use windrow_model::ErrorReport;

use super::archive::Archive;
use super::event::{self, Event};
use super::name::LogName;
use super::place::{Place, Written};
use super::recorder::{Budget, Entry};

/// Logs that are written to at once: enough to hide an object store's round trip.
const FLIGHTS_MAX: usize = 8;
/// Entries that are taken between two looks at what is due.
const ENTRIES_MAX: usize = 512;
/// An object is written for a job that goes on when its events have waited so long …
const PIECE_SPAN: Duration = Duration::from_secs(30);
/// … or are so many. A job that ends before is one object.
const PIECE_WEIGHT: u64 = 4 << 20;
/// Pause after a failure; doubled up to the last.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(30);
/// After the last recorder is gone, what is left is given up after this.
const LAST_WORDS: Duration = Duration::from_secs(5);

pub(crate) struct Writer {
    place: Arc<Place>,
    archive: Archive,
    inbox: mpsc::Receiver<Entry>,
    budget: Arc<Budget>,
    open: BTreeMap<LogName, Open>,
    flights: JoinSet<Landed>,
    trouble: Option<Trouble>,
}

/// A log that somebody may still tell about.
#[derive(Default)]
struct Open {
    waiting: Vec<Event>,
    weight: u64,
    /// When the first of those that wait came.
    since: Option<Instant>,
    ended: bool,
    written: Written,
    in_flight: bool,
}

/// How a write ended. What could not be written comes back.
struct Landed {
    log: LogName,
    events: Vec<Event>,
    weight: u64,
    outcome: Result<Written, ErrorReport>,
}

/// The location could not be written to.
struct Trouble {
    pause: Duration,
    next_try: Instant,
}

impl Writer {
    pub(crate) fn new(
        place: Arc<Place>,
        archive: Archive,
        inbox: mpsc::Receiver<Entry>,
        budget: Arc<Budget>,
    ) -> Writer {
        Writer { place, archive, inbox, budget, open: BTreeMap::new(), flights: JoinSet::new(), trouble: None }
    }

    /// Runs until all recorders are gone and everything is written, or cannot be.
    pub(crate) async fn run(mut self) {
        let mut entries = Vec::with_capacity(ENTRIES_MAX);
        loop {
            self.launch(Instant::now(), false);
            let timer = self.next_look();
            tokio::select! {
                received = self.inbox.recv_many(&mut entries, ENTRIES_MAX) => match received {
                    0 => break,
                    _ => entries.drain(..).for_each(|entry| self.take(entry)),
                },
                Some(landed) = self.flights.join_next() => self.settle(landed),
                () = sleep_until(timer) => {}
            }
        }
        self.finish().await;
    }

    fn take(&mut self, entry: Entry) {
        let Entry { log, events, weight, ended } = entry;
        let pieces = || Written { pieces: self.archive.pieces_of(log), ..Written::default() };
        let open = self.open.entry(log).or_insert_with(|| Open { written: pieces(), ..Open::default() });
        open.waiting.extend(events);
        open.weight += weight;
        open.since.get_or_insert_with(Instant::now);
        open.ended |= ended;
    }

    /// Starts the writes that are due. At the end, all are.
    fn launch(&mut self, now: Instant, at_the_end: bool) {
        if self.trouble.as_ref().is_some_and(|trouble| now < trouble.next_try) {
            return;
        }
        let appends = self.place.appends();
        for (log, open) in &mut self.open {
            if self.flights.len() >= FLIGHTS_MAX {
                return;
            }
            let due = at_the_end || appends || open.ended || open.is_ripe(now);
            if open.in_flight || open.waiting.is_empty() || !due {
                continue;
            }
            let (events, weight) = (std::mem::take(&mut open.waiting), std::mem::take(&mut open.weight));
            (open.in_flight, open.since) = (true, None);
            self.flights.spawn(write(Arc::clone(&self.place), *log, open.written, events, weight));
        }
    }

    /// When something becomes due that is not now.
    fn next_look(&self) -> Option<Instant> {
        if let Some(trouble) = &self.trouble {
            return Some(trouble.next_try);
        }
        if self.place.appends() {
            return None;
        }
        let waiting = self.open.values().filter(|open| !open.in_flight);
        waiting.filter_map(|open| open.since).min().map(|since| since + PIECE_SPAN)
    }

    fn settle(&mut self, landed: Result<Landed, tokio::task::JoinError>) {
        let Landed { log, events, weight, outcome } = match landed {
            Ok(landed) => landed,
            Err(error) => return tracing::error!(%error, "a write to the history ended in a panic"),
        };
        let Some(open) = self.open.get_mut(&log) else { return };
        open.in_flight = false;
        match outcome {
            Ok(written) => {
                open.written = written;
                self.budget.give_back(weight);
                if let Some(Event::Ended { job, .. }) = events.last() {
                    self.archive.note(log, written, job);
                }
                if open.ended && open.waiting.is_empty() {
                    self.open.remove(&log);
                }
                self.recovered();
            }
            Err(report) => {
                open.waiting.splice(0..0, events);
                open.weight += weight;
                open.since.get_or_insert_with(Instant::now);
                self.troubled(&report);
            }
        }
    }

    /// Said once, until it works again.
    fn troubled(&mut self, report: &ErrorReport) {
        let now = Instant::now();
        let pause = match &self.trouble {
            // Another write of the same try.
            Some(trouble) if now < trouble.next_try => return,
            Some(trouble) => (trouble.pause * 2).min(RETRY_LAST),
            None => {
                tracing::warn!(
                    error = %report,
                    "the history cannot be written; jobs go on, and what fits into memory is written later"
                );
                RETRY_FIRST
            }
        };
        self.trouble = Some(Trouble { pause, next_try: now + pause });
    }

    fn recovered(&mut self) {
        if self.trouble.take().is_some() {
            let (lost_events, lost_jobs) = self.budget.take_losses();
            tracing::warn!(lost_events, lost_jobs, "the history can be written again");
        }
    }

    /// The coordinator stops: everything that waits is tried once more, for a while.
    async fn finish(&mut self) {
        self.trouble = None;
        let all = async {
            loop {
                self.launch(Instant::now(), true);
                match self.flights.join_next().await {
                    Some(landed) => self.settle(landed),
                    None => return,
                }
            }
        };
        // What is left is counted below.
        let _ = tokio::time::timeout(LAST_WORDS, all).await;
        let unwritten = self.open.values().filter(|open| open.ended).count() as u64;
        let (lost_events, lost_ends) = self.budget.take_losses();
        let lost_jobs = unwritten + lost_ends;
        if lost_jobs + lost_events > 0 {
            tracing::warn!(
                lost_jobs,
                lost_events,
                "the history is not complete; a later leader writes the ends that its journal still has"
            );
        }
    }
}

impl Open {
    fn is_ripe(&self, now: Instant) -> bool {
        self.weight >= PIECE_WEIGHT || self.since.is_some_and(|since| now >= since + PIECE_SPAN)
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn write(place: Arc<Place>, log: LogName, written: Written, events: Vec<Event>, weight: u64) -> Landed {
    // A large job's lines take a while to make.
    let encoded = tokio::task::spawn_blocking(move || {
        let lines = encode(log, &events);
        (events, lines)
    });
    let (events, lines) = match encoded.await {
        Ok(encoded) => encoded,
        Err(error) => {
            (Vec::new(), Err(ErrorReport::internal("events cannot be written").with_detail(error.to_string())))
        }
    };
    let ends = matches!(events.last(), Some(Event::Ended { .. }));
    let outcome = match lines {
        Ok((head, lines)) => place.append(log, written, head, lines, ends).await,
        Err(report) => Err(report),
    };
    Landed { log, events, weight, outcome }
}

/// The first line of a file, and the lines of the events.
fn encode(log: LogName, events: &[Event]) -> Result<(Vec<u8>, Vec<u8>), ErrorReport> {
    let (mut head, mut lines) = (Vec::new(), Vec::new());
    event::write_line(&event::head(log), &mut head)?;
    events.iter().try_for_each(|event| event::write_line(event, &mut lines))?;
    Ok((head, lines))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use windrow_engine::stores::Stores;
    use windrow_model::{JobId, Timestamp};
    use windrow_proto as wire;

    use super::*;
    use crate::history::recorder::{Recorder, channel};

    /// A writer for a folder that cannot be, because a file is in its place, and one job's end to write.
    async fn blocked(file: &std::path::Path) -> Writer {
        fs::write(file, "in the way").expect("a file");
        let place = Place::open(file.to_str().expect("a path in UTF-8"), &Stores::from_env()).expect("a location");
        let (place, (entries, inbox), budget) = (Arc::new(place), channel(), Arc::new(Budget::default()));
        let recorder = Recorder::new(1, entries, Arc::clone(&budget));
        recorder.tell_end(JobId(1), Timestamp(1), wire::Job { id: 1, ..wire::Job::default() });
        let archive = Archive::new(1, Arc::clone(&place), Duration::from_secs(3600), 10);
        let mut writer = Writer::new(place, archive, inbox, budget);
        let entry = writer.inbox.recv().await.expect("the end of the job");
        writer.take(entry);
        writer
    }

    #[tokio::test]
    async fn what_could_not_be_written_is_kept_and_written_later() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("history");
        let mut writer = blocked(&file).await;
        for _ in 0..2 {
            writer.launch(Instant::now() + RETRY_LAST, false);
            let landed = writer.flights.join_next().await.expect("a write was started");
            assert!(landed.as_ref().is_ok_and(|landed| landed.outcome.is_err()));
            writer.settle(landed);
        }
        let trouble = writer.trouble.as_ref().expect("it was said");
        assert!(trouble.next_try > Instant::now());
        writer.launch(Instant::now(), false);
        assert!(writer.flights.is_empty(), "not before it is time");

        fs::remove_file(&file).expect("the file can be removed");
        let archive = writer.archive.clone();
        writer.finish().await;
        assert!(writer.open.is_empty() && writer.trouble.is_none());
        archive.look_and_prune().await.expect("a look");
        assert_eq!(archive.job(JobId(1)).await.expect("the job").id, 1);
    }
}
