//! The driver's side: tells what happens, and never waits for it to be written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prost::Message;
use tokio::sync::mpsc;
use windrow_model::{JobId, Timestamp};
use windrow_proto as wire;

use super::event::{self, Event};
use super::name::LogName;
use crate::clock::wall_clock;

/// Events that may wait for the writer, which takes them out at once and keeps them itself: what is kept is bounded
/// by [`PENDING_BYTES_MAX`].
const INBOX_LEN: usize = 4096;
/// What may wait to be written while the location cannot be written to. The end of a job of a thousand tasks takes
/// about 1 MiB.
const PENDING_BYTES_MAX: u64 = 64 << 20;
/// JSON and structs take about so many times the bytes of the wire's encoding.
const WEIGHT_PER_WIRE_BYTE: u64 = 4;
/// Of an event without a job, stage or file in it.
const WEIGHT_MIN: u64 = 512;

/// Events of one log on their way.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) log: LogName,
    pub(crate) events: Vec<Event>,
    pub(crate) weight: u64,
    /// The job has ended, and these events say it all.
    pub(crate) ended: bool,
}

pub(crate) fn channel() -> (mpsc::Sender<Entry>, mpsc::Receiver<Entry>) {
    mpsc::channel(INBOX_LEN)
}

/// What waits, in bytes, and what could not.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    pending: AtomicU64,
    lost_events: AtomicU64,
    lost_ends: AtomicU64,
}

impl Budget {
    /// Something as large as the whole budget is taken when nothing else waits.
    fn take(&self, weight: u64) -> bool {
        let fits = |pending: u64| {
            let after = pending.saturating_add(weight);
            (pending == 0 || after <= PENDING_BYTES_MAX).then_some(after)
        };
        self.pending.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    pub(crate) fn give_back(&self, weight: u64) {
        self.pending.fetch_sub(weight, Ordering::Relaxed);
    }

    fn lose(&self, ended: bool) {
        let count = if ended { &self.lost_ends } else { &self.lost_events };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Events and ends of jobs that were not recorded since the last call.
    pub(crate) fn take_losses(&self) -> (u64, u64) {
        (self.lost_events.swap(0, Ordering::Relaxed), self.lost_ends.swap(0, Ordering::Relaxed))
    }
}

/// Tells the writer. Cheap to clone; without a history it does nothing.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    to_writer: Option<ToWriter>,
}

#[derive(Clone, Debug)]
struct ToWriter {
    epoch: u64,
    entries: mpsc::Sender<Entry>,
    budget: Arc<Budget>,
}

/// How many of a job's notes and files its log has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) notes: usize,
    pub(crate) files: usize,
}

impl Recorder {
    pub(crate) fn nowhere() -> Recorder {
        Recorder { to_writer: None }
    }

    pub(crate) fn new(epoch: u64, entries: mpsc::Sender<Entry>, budget: Arc<Budget>) -> Recorder {
        Recorder { to_writer: Some(ToWriter { epoch, entries, budget }) }
    }

    /// Without it, nothing need be gathered.
    pub(crate) fn is_on(&self) -> bool {
        self.to_writer.is_some()
    }

    /// Something that happened to a job that goes on.
    pub(crate) fn tell(&self, job: JobId, submitted_at: Timestamp, event: Event) {
        let weight = WEIGHT_MIN + weight_of(&event) * WEIGHT_PER_WIRE_BYTE;
        self.send(job, submitted_at, weight, false, || vec![event]);
    }

    /// A job at its end.
    pub(crate) fn tell_end(&self, job: JobId, submitted_at: Timestamp, whole: wire::Job) {
        let weight = WEIGHT_MIN + whole.encoded_len() as u64 * WEIGHT_PER_WIRE_BYTE;
        self.send(job, submitted_at, weight, true, || event::end(wall_clock().0, whole));
    }

    fn send(&self, job: JobId, submitted_at: Timestamp, weight: u64, ended: bool, events: impl FnOnce() -> Vec<Event>) {
        let Some(ToWriter { epoch, entries, budget }) = &self.to_writer else { return };
        if !budget.take(weight) {
            return budget.lose(ended);
        }
        let log = LogName { job, submitted_at, epoch: *epoch };
        if entries.try_send(Entry { log, events: events(), weight, ended }).is_err() {
            budget.give_back(weight);
            budget.lose(ended);
        }
    }
}

/// Bytes that the large parts of an event take on the wire.
fn weight_of(event: &Event) -> u64 {
    let bytes = match event {
        Event::Submitted { spec, .. } => spec.encoded_len(),
        Event::StepFinished { files, .. } => files.iter().map(Message::encoded_len).sum(),
        Event::StageDone { stage, workers, .. } => {
            stage.encoded_len() + workers.iter().map(Message::encoded_len).sum::<usize>()
        }
        Event::StepPlanned { notes, .. } => notes.iter().map(String::len).sum(),
        Event::StateChanged { error, .. } => error.as_ref().map(Message::encoded_len).unwrap_or_default(),
        Event::Log { .. }
        | Event::Job { .. }
        | Event::Stage { .. }
        | Event::Attempt { .. }
        | Event::Ended { .. }
        | Event::Unknown => 0,
    };
    bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_and_what_is_lost_is_counted() {
        let (entries, mut inbox) = channel();
        let budget = Arc::new(Budget::default());
        let recorder = Recorder::new(1, entries, Arc::clone(&budget));
        let large = || wire::Job { notes: vec!["x".repeat(3 << 20)], ..wire::Job::default() };
        for job in 1..=7 {
            recorder.tell_end(JobId(job), Timestamp(1), large());
        }
        let mut kept = Vec::new();
        while let Ok(entry) = inbox.try_recv() {
            kept.push(entry);
        }
        assert_eq!(kept.len(), 5, "five times twelve megabytes fit");
        assert_eq!(budget.take_losses(), (0, 2));
        assert_eq!(budget.take_losses(), (0, 0));
        kept.into_iter().for_each(|entry| budget.give_back(entry.weight));
        recorder.tell_end(JobId(8), Timestamp(1), large());
        assert!(inbox.try_recv().is_ok(), "there is room again");
    }
}
