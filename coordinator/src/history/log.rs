//! Reading a log: its end if it has one, and otherwise what it says so far.

use std::collections::{BTreeMap, BTreeSet};

use windrow_model::{ErrorKind, ErrorReport, JobId};
use windrow_proto as wire;

use super::event::{Event, VERSION};

/// What only the history remembers of a job: a journal holds none of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    pub(crate) notes: Vec<String>,
    pub(crate) files: Vec<wire::PublishedFile>,
    /// Sums by stage index.
    pub(crate) operators: BTreeMap<u32, Vec<wire::OperatorMetrics>>,
    /// By worker.
    pub(crate) workers: BTreeMap<u64, wire::WorkerUse>,
}

/// One leader's log of one job.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Log {
    /// The job at its end, if the log has a whole one.
    pub(crate) end: Option<wire::Job>,
    pub(crate) memory: Memory,
    /// Time of the last event that has one, in microseconds since the Unix epoch.
    pub(crate) last_us: u64,
    /// What could not be read, in words.
    pub(crate) flaws: Vec<String>,
}

/// An end that is being read: it counts when its last line has come.
#[derive(Default)]
struct Ending {
    job: Option<wire::Job>,
    attempts: u64,
}

/// Reads the bytes of a log. A line that is torn or damaged is left out and named.
///
/// # Errors
/// `Unsupported` if a later version of Windrow wrote it, `Corrupt` if it does not begin as a log does.
pub(crate) fn read(bytes: &[u8]) -> Result<Log, ErrorReport> {
    let (mut log, mut ending) = (Log::default(), Ending::default());
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (lines, torn) = bytes.split_at(whole);
    for (index, line) in lines.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        match serde_json::from_slice::<Event>(line) {
            Ok(Event::Log { version, .. }) if version > VERSION => return Err(later(version)),
            Ok(event) if index == 0 && !matches!(event, Event::Log { .. }) => return Err(headless()),
            Ok(event) => log.take(event, &mut ending),
            Err(_) if index == 0 => return Err(headless()),
            Err(error) => log.flaws.push(format!("line {} of the log cannot be read: {error}", index + 1)),
        }
    }
    if !torn.is_empty() {
        log.flaws.push("the last line of the log is torn: its writer died, or the disk was full".to_owned());
    }
    Ok(log)
}

/// The job at its end from the last bytes of a log, if that is what they hold. Cheaper than reading all of it.
pub(crate) fn read_tail(tail: &[u8]) -> Option<wire::Job> {
    let line = tail.strip_suffix(b"\n")?.rsplit(|byte| *byte == b'\n').next()?;
    match serde_json::from_slice(line).ok()? {
        Event::Ended { version, job, .. } if version <= VERSION => Some(*job),
        _ => None,
    }
}

fn later(version: u32) -> ErrorReport {
    ErrorReport::new(ErrorKind::Unsupported, "a log of the history was written by a later version of Windrow")
        .with_detail(format!("it has version {version}, and this program reads versions up to {VERSION}"))
        .with_hint("read it with that version of Windrow")
}

fn headless() -> ErrorReport {
    ErrorReport::new(ErrorKind::Corrupt, "a log of the history does not begin with its version")
        .with_hint("restore the file, or remove it: the job's entry in the journal, if there is one, is not affected")
}

impl Log {
    fn take(&mut self, event: Event, ending: &mut Ending) {
        match event {
            Event::Log { .. } | Event::Unknown => {}
            Event::Submitted { at_us, .. } | Event::StateChanged { at_us, .. } => self.last_us = at_us,
            Event::StepPlanned { at_us, notes, .. } => {
                self.last_us = at_us;
                self.memory.notes.extend(notes);
            }
            Event::StepFinished { at_us, files, .. } => {
                self.last_us = at_us;
                self.memory.files.extend(files);
            }
            Event::StageDone { at_us, stage, workers } => {
                self.last_us = at_us;
                self.memory.operators.insert(stage.index, stage.operators);
                self.memory.workers.extend(workers.into_iter().map(|usage| (usage.worker, usage)));
            }
            Event::Job { job } => *ending = Ending { job: Some(*job), attempts: 0 },
            Event::Stage { stage } => {
                if let Some(job) = &mut ending.job {
                    job.stages.push(*stage);
                }
            }
            Event::Attempt { stage, attempt } => {
                let stages = ending.job.iter_mut().flat_map(|job| job.stages.iter_mut().rev());
                if let Some(stage) = stages.into_iter().find(|candidate| candidate.index == stage) {
                    stage.attempts.push(*attempt);
                    ending.attempts += 1;
                }
            }
            Event::Ended { at_us, stages, attempts, .. } => {
                self.last_us = at_us;
                let ended = std::mem::take(ending);
                let whole = |job: &wire::Job| job.stages.len() as u64 == stages && ended.attempts == attempts;
                match ended.job.filter(whole) {
                    Some(job) => self.end = Some(job),
                    None => self.flaws.push("lines of the job's end are missing from the log".to_owned()),
                }
            }
        }
    }
}

impl Memory {
    /// Of a job at its end.
    pub(crate) fn of(job: &wire::Job) -> Memory {
        let operators = job.stages.iter().filter(|stage| !stage.operators.is_empty());
        Memory {
            notes: job.notes.clone(),
            files: job.files.clone(),
            operators: operators.map(|stage| (stage.index, stage.operators.clone())).collect(),
            workers: job.workers.iter().map(|usage| (usage.worker, usage.clone())).collect(),
        }
    }

    /// Adds what a later log says; where both say something, the later one counts.
    fn add(&mut self, later: Memory) {
        self.notes.extend(later.notes);
        self.files.extend(later.files);
        self.operators.extend(later.operators);
        self.workers.extend(later.workers);
    }

    /// Gives a job at its end what its last leader did not know of the earlier ones.
    fn complete(mut self, job: &mut wire::Job) {
        self.notes.retain(|note| !job.notes.contains(note));
        job.notes.splice(0..0, self.notes);
        let known: BTreeSet<&str> = job.files.iter().map(|file| file.path.as_str()).collect();
        self.files.retain(|file| !known.contains(file.path.as_str()));
        job.files.splice(0..0, self.files);
        for stage in job.stages.iter_mut().filter(|stage| stage.operators.is_empty()) {
            stage.operators = self.operators.remove(&stage.index).unwrap_or_default();
        }
        for usage in job.workers.iter_mut().filter(|usage| usage.host.is_empty()) {
            if let Some(known) = self.workers.remove(&usage.worker) {
                *usage = wire::WorkerUse { attempts: usage.attempts, ..known };
            }
        }
    }
}

/// All logs of one job, from the oldest to the newest leader, as one: the last whole end counts.
pub(crate) fn merge(logs: Vec<Log>) -> Log {
    let mut merged = Log::default();
    let mut before = Memory::default();
    for log in logs {
        if let Some(end) = log.end {
            merged.end = Some(end);
        }
        before.add(log.memory);
        merged.last_us = merged.last_us.max(log.last_us);
        merged.flaws.extend(log.flaws);
    }
    match &mut merged.end {
        Some(job) => {
            before.complete(job);
            merged.memory = Memory::of(job);
        }
        None => merged.memory = before,
    }
    merged
}

/// What a caller reads who asks for a job of which the history has only the beginning.
pub(crate) fn unfinished(job: JobId, log: &Log) -> ErrorReport {
    let mut detail = "the history has the beginning of its log only: nobody has written its end".to_owned();
    for flaw in &log.flaws {
        detail.push_str("; ");
        detail.push_str(flaw);
    }
    ErrorReport::new(ErrorKind::NotFound, format!("there is no {job}"))
        .with_detail(detail)
        .with_hint("it ran under another journal, or its coordinator died without one: submit it again")
}
