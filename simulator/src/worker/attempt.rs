//! Attempts: they read, compute, and succeed or fail.

use std::sync::Arc;
use std::time::Duration;

use windrow_model::{
    AttemptId, ErrorKind, ErrorReport, Failure, MapOutputId, TaskOutput, Timestamp, WorkerId, WrittenFile,
};
use windrow_scheduler::{InputRef, RunTask};

use crate::check::OBJECT_STORE;
use crate::context::Cx;
use crate::event::WorkerTimer;
use crate::faults::Faults;
use crate::packet::Report;
use crate::rng::{Rng, mix};
use crate::trace::log;
use crate::truth::Inputs;
use crate::worker::{Kept, Worker};

/// How much longer an attempt takes on a bad day.
const SLOW_FACTOR: u32 = 10;

/// Results up to this size ride in the completion.
const INLINE_BYTES_MAX: u64 = 1 << 20;

/// An attempt that has not ended.
pub(crate) struct Running {
    pub run: RunTask,
    since: Timestamp,
    fate: Fate,
    /// How long it computes.
    takes: Duration,
    /// What it has read, once it has.
    read: Option<Inputs>,
}

/// How an attempt is going to end.
#[derive(Clone, Debug)]
enum Fate {
    Succeeds,
    Fails(Failure),
    KillsItsWorker,
    Hangs,
}

impl Running {
    /// Adds the time that it held its slots.
    pub fn count(&self, succeeded: bool, cx: &mut Cx) {
        let held = cx.now.since(self.since) * self.run.slots;
        cx.judge.counter.attempt_ended(self.run.task, held, succeeded);
    }

    /// Grows while the attempt moves.
    pub fn progress(&self, now: Timestamp) -> u64 {
        match self.fate {
            Fate::Hangs => 1,
            Fate::Succeeds | Fate::Fails(_) | Fate::KillsItsWorker => 1 + now.since(self.since).as_millis() as u64,
        }
    }
}

impl Worker {
    pub(super) fn run(&mut self, run: RunTask, cx: &mut Cx) {
        let index = self.index;
        let Some(process) = &mut self.process else { return };
        let attempt = run.attempt;
        if process.ended.contains(&attempt) || process.running.contains_key(&attempt) {
            return;
        }
        cx.judge.task_started(&run, index, cx.now);
        let takes = self.time_of(&run, cx);
        let Some(process) = &mut self.process else { return };
        let fate = fate_of(&cx.faults, &mut cx.rng);
        log!(cx, "w{index} runs {} as {attempt}: {}, {takes:?}", run.task, fate.name());
        if matches!(fate, Fate::Hangs) {
            cx.judge.evidence.hung(run.task);
        }
        let reads = !run.inputs.is_empty();
        process.running.insert(attempt, Running { run, since: cx.now, fate, takes, read: None });
        let granted: u32 = process.running.values().map(|running| running.run.slots).sum();
        cx.judge.slots_used(index, granted, self.spec.slots, cx.now);
        self.report(Report::Started { attempt }, cx);
        if reads {
            let wait = cx.rng.millis(1, 200);
            self.after(wait, WorkerTimer::Read { attempt, last_try: false }, cx);
        } else {
            self.inputs_read(attempt, Inputs::default(), cx);
        }
    }

    /// The same task takes about as long wherever it runs.
    fn time_of(&self, run: &RunTask, cx: &mut Cx) -> Duration {
        let average = cx.truth.fragments.get(&run.fragment).map_or(Duration::ZERO, |fragment| fragment.task_time);
        let task = 500 + mix(u64::from(run.task.stage.index), u64::from(run.task.index)) % 1_001;
        let luck = cx.rng.between(900, 1_100);
        let slow = if cx.rng.chance(cx.faults.attempt_is_slow) { SLOW_FACTOR } else { 1 };
        let micros = average.as_micros() as u64 * task / 1_000 * luck / 1_000;
        self.clock.span(Duration::from_micros(micros)) * slow
    }

    /// Goes on to compute. A failure strikes on the way.
    pub fn inputs_read(&mut self, attempt: AttemptId, inputs: Inputs, cx: &mut Cx) {
        let Some(running) = self.process.as_mut().and_then(|process| process.running.get_mut(&attempt)) else {
            return;
        };
        running.read = Some(inputs);
        let takes = match running.fate {
            Fate::Succeeds => running.takes,
            Fate::Fails(_) | Fate::KillsItsWorker => running.takes / 2,
            Fate::Hangs => return,
        };
        self.after(takes, WorkerTimer::Done { attempt }, cx);
    }

    /// The inputs that a running attempt has not read yet.
    pub fn inputs_of(&self, attempt: AttemptId) -> Option<Arc<[InputRef]>> {
        let running = self.process.as_ref()?.running.get(&attempt)?;
        running.read.is_none().then(|| Arc::clone(&running.run.inputs))
    }

    /// Reads again after a while.
    pub fn read_later(&mut self, attempt: AttemptId, patience: Duration, cx: &mut Cx) {
        self.after(patience, WorkerTimer::Read { attempt, last_try: true }, cx);
    }

    pub fn copy_later(&mut self, from: WorkerId, outputs: Vec<MapOutputId>, patience: Duration, cx: &mut Cx) {
        self.after(patience, WorkerTimer::Copy { from, outputs, last_try: true }, cx);
    }

    pub(super) fn done(&mut self, attempt: AttemptId, cx: &mut Cx) {
        let Some(running) = self.process.as_ref().and_then(|process| process.running.get(&attempt)) else {
            return;
        };
        match running.fate.clone() {
            Fate::Succeeds => self.succeed(attempt, cx),
            Fate::Fails(failure) => self.fail(attempt, failure, cx),
            Fate::KillsItsWorker => {
                let restart = cx.rng.millis(500, 5_000);
                self.crash(false, Some(restart), cx);
            }
            Fate::Hangs => {}
        }
    }

    fn succeed(&mut self, attempt: AttemptId, cx: &mut Cx) {
        let Some(process) = &mut self.process else { return };
        let Some(running) = process.running.remove(&attempt) else { return };
        running.count(true, cx);
        let Running { run, read, .. } = running;
        process.ended.insert(attempt);
        cx.truth.wrote(&run, read.unwrap_or_default());
        cx.judge.holds(attempt, self.index);
        let output = output_of(&run, cx);
        log!(cx, "w{} finishes {attempt} of {}", self.index, run.task);
        if !output.files.is_empty() {
            cx.judge.staged(attempt, run.task.stage.job);
        }
        if cx.rng.chance(cx.faults.output_vanishes) {
            log!(cx, "w{} loses the output of {attempt}", self.index);
            cx.judge.evidence.vanished(run.task);
        } else {
            process.kept.insert(attempt, Kept { task: run.task, output: output.clone() });
        }
        self.report(Report::Finished { attempt, output }, cx);
    }

    pub fn fail(&mut self, attempt: AttemptId, failure: Failure, cx: &mut Cx) {
        let Some(process) = &mut self.process else { return };
        let Some(running) = process.running.remove(&attempt) else { return };
        running.count(false, cx);
        process.ended.insert(attempt);
        log!(cx, "w{} fails {attempt} of {}: {}", self.index, running.run.task, failure.name());
        cx.judge.evidence.failed(running.run.task, &failure);
        self.report(Report::Failed { attempt, failure }, cx);
    }

    pub(super) fn cancel(&mut self, attempt: AttemptId, cx: &mut Cx) {
        if let Some(process) = &mut self.process {
            process.kept.remove(&attempt);
            process.ended.insert(attempt);
            if let Some(running) = process.running.remove(&attempt) {
                running.count(false, cx);
            }
        }
    }

    pub(super) fn repoint(&mut self, attempt: AttemptId, moved: &[InputRef]) {
        let Some(running) = self.process.as_mut().and_then(|process| process.running.get_mut(&attempt)) else {
            return;
        };
        let place = |input: &InputRef| moved.iter().find(|moved| moved.output == input.output).copied();
        running.run.inputs = running.run.inputs.iter().map(|input| place(input).unwrap_or(*input)).collect();
    }

    /// Outputs of a peer are here now.
    pub fn copied(&mut self, from: WorkerId, copies: Vec<(AttemptId, Kept)>, cx: &mut Cx) {
        let Some(process) = &mut self.process else { return };
        let outputs = copies.iter().map(|(attempt, kept)| MapOutputId { task: kept.task, attempt: *attempt }).collect();
        if process.id == Some(from) {
            log!(cx, "w{} has stored {} outputs", self.index, copies.len());
            copies.iter().for_each(|(attempt, _)| cx.judge.holds(*attempt, OBJECT_STORE));
            cx.truth.objects.extend(copies.iter().map(|(attempt, kept)| (*attempt, kept.task)));
        } else {
            log!(cx, "w{} has copied {} outputs of {from}", self.index, copies.len());
            copies.iter().for_each(|(attempt, _)| cx.judge.holds(*attempt, self.index));
            process.kept.extend(copies);
        }
        self.report(Report::Copied { from, outputs }, cx);
    }

    pub fn not_copied(&mut self, from: WorkerId, outputs: Vec<MapOutputId>, cx: &mut Cx) {
        log!(cx, "w{} cannot copy {} outputs of {from}", self.index, outputs.len());
        self.report(Report::NotCopied { from, outputs, detail: "the peer does not serve them".to_owned() }, cx);
    }
}

fn output_of(run: &RunTask, cx: &mut Cx) -> TaskOutput {
    let fragment = cx.truth.fragments.get(&run.fragment);
    let bytes = fragment.map_or(0, |fragment| fragment.bytes);
    let file = || WrittenFile {
        path: format!("part-{}", run.task.index),
        staged: format!("{}-{}", run.attempt.epoch, run.attempt.n),
        parts: Vec::new(),
        rows: 1,
        bytes,
    };
    TaskOutput {
        rows: 1,
        bytes,
        partition_bytes: shares(bytes, run.output_partitions),
        inline: (run.is_result && bytes <= INLINE_BYTES_MAX).then(|| vec![1]),
        files: fragment.filter(|fragment| fragment.writes_files).map(|_| file()).into_iter().collect(),
        ..TaskOutput::default()
    }
}

/// Uneven, as keys are.
fn shares(bytes: u64, partitions: u32) -> Vec<u64> {
    let weights = u64::from(partitions) * u64::from(partitions + 1) / 2;
    (1..=u64::from(partitions)).map(|weight| bytes / weights.max(1) * weight).collect()
}

fn fate_of(faults: &Faults, rng: &mut Rng) -> Fate {
    let report = |kind, what: &str| ErrorReport::new(kind, what);
    let kinds: [(f64, Fate); 7] = [
        (faults.attempt_panics, Fate::Fails(Failure::Panicked(report(ErrorKind::Internal, "it panicked")))),
        (faults.attempt_unavailable, Fate::Fails(Failure::Unavailable(report(ErrorKind::Unavailable, "no answer")))),
        (faults.attempt_out_of_memory, Fate::Fails(Failure::OutOfMemory(report(ErrorKind::Exhausted, "no memory")))),
        (faults.attempt_disk_full, Fate::Fails(Failure::DiskFull { path: "/spill".to_owned() })),
        (faults.attempt_query_error, Fate::Fails(Failure::Query(report(ErrorKind::Invalid, "overflow")))),
        (faults.attempt_kills_worker, Fate::KillsItsWorker),
        (faults.attempt_hangs, Fate::Hangs),
    ];
    for (probability, fate) in kinds {
        if rng.chance(probability) {
            return fate;
        }
    }
    Fate::Succeeds
}

impl Fate {
    fn name(&self) -> &'static str {
        match self {
            Fate::Succeeds => "will succeed",
            Fate::Fails(failure) => failure.name(),
            Fate::KillsItsWorker => "will kill its worker",
            Fate::Hangs => "will hang",
        }
    }
}
