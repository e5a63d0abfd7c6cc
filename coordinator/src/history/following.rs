//! What of the core's announcements goes into history, and what comes back from it.

use windrow_model::{JobId, JobState, StageState, WorkerId, WrittenFile};
use windrow_proto as wire;
use windrow_scheduler::Event as Announced;

use super::event::Event;
use super::log::Memory;
use super::recorder::Told;
use crate::clock::wall_clock;
use crate::dossier::{Dossier, Usage};
use crate::snapshot::{self, Detail};
use crate::state::State;

/// Of a job with more attempts, those that succeeded are not kept one by one: gathering them would hold up the loop.
const ATTEMPTS_MAX: usize = 100_000;

impl State {
    /// Tells history what the core has announced. Nothing of it waits.
    pub(crate) fn record(&mut self, event: &Announced) {
        if !self.history.is_on() {
            return;
        }
        match event {
            Announced::JobChanged { job, state, report } => {
                self.record_state(*job, *state, report.clone().map(Into::into));
                if state.is_final() {
                    self.record_end(*job);
                }
            }
            Announced::StepPlanned { job, step, .. } => self.record_planned(*job, *step),
            Announced::StepFinished { job, step } => self.record_finished(*job, *step),
            Announced::StageChanged { stage, state: StageState::Done, .. } => self.record_done(stage.job, stage.index),
            // What attempts did is told at the job's end: there may be millions.
            Announced::StageChanged { .. } | Announced::AttemptChanged { .. } | Announced::WorkerChanged { .. } => {}
        }
    }

    /// Writes the whole job, as it ended. Doing it again does no harm.
    pub(crate) fn record_end(&self, job: JobId) {
        let Some(view) = self.scheduler.job(job).filter(|view| view.state().is_final()) else { return };
        let attempts: usize = view.stages().flat_map(|stage| stage.tasks()).map(|task| task.attempts().len()).sum();
        let whole = if attempts <= ATTEMPTS_MAX {
            snapshot::job(self, view, Detail::Full)
        } else {
            let mut whole = snapshot::job(self, view, Detail::Failures);
            whole.notes.push(format!("history: of {attempts} attempts only those that did not succeed are kept"));
            whole
        };
        let whole = snapshot::with_said(whole, self.dossiers.get(&job));
        self.history.tell_end(job, view.submitted_at(), whole);
    }

    fn record_state(&self, job: JobId, state: JobState, error: Option<wire::ErrorReport>) {
        let Some(view) = self.scheduler.job(job) else { return };
        let (at_us, submitted_at) = (view.since().0, view.submitted_at());
        if state == JobState::Queued {
            let spec = Box::new(view.spec().clone().into());
            self.history.tell(job, submitted_at, Event::Submitted { at_us: submitted_at.0, spec });
        }
        self.history.tell(job, submitted_at, Event::StateChanged { at_us, state: state.name().to_owned(), error });
    }

    fn record_planned(&mut self, job: JobId, step: u32) {
        let (Some(view), Some(dossier)) = (self.scheduler.job(job), self.dossiers.get_mut(&job)) else { return };
        let notes = dossier.notes.get(dossier.told.notes..).unwrap_or_default().to_vec();
        dossier.told.notes = dossier.notes.len();
        let event = Event::StepPlanned { at_us: wall_clock().0, step, notes };
        self.history.tell(job, view.submitted_at(), event);
    }

    fn record_finished(&mut self, job: JobId, step: u32) {
        let (Some(view), Some(dossier)) = (self.scheduler.job(job), self.dossiers.get_mut(&job)) else { return };
        let files = dossier.files.get(dossier.told.files..).unwrap_or_default();
        let files = files.iter().map(snapshot::published_file).collect();
        dossier.told.files = dossier.files.len();
        let event = Event::StepFinished { at_us: wall_clock().0, step, files };
        self.history.tell(job, view.submitted_at(), event);
    }

    /// Of a job that goes on: one that has ended is told whole.
    fn record_done(&self, job: JobId, stage: u32) {
        let Some(view) = self.scheduler.job(job).filter(|view| !view.state().is_final()) else { return };
        let (Some(stage), Some(dossier)) = (view.stages().nth(stage as usize), self.dossiers.get(&job)) else { return };
        let at_us = stage.since().0;
        let stage = Box::new(snapshot::stage_without_attempts(self, dossier, stage));
        let workers = snapshot::worker_uses(Some(dossier), view);
        self.history.tell(job, view.submitted_at(), Event::StageDone { at_us, stage, workers });
    }

    /// Takes over what an earlier leader noted about a job.
    pub(crate) fn remember(&mut self, job: JobId, memory: Option<Memory>) {
        let Some(dossier) = self.dossiers.get_mut(&job).filter(|dossier| dossier.inherited) else { return };
        dossier.inherited = false;
        if let Some(memory) = memory {
            dossier.recall(memory);
        }
        dossier.changed.send_modify(|_| {});
    }
}

impl Dossier {
    /// What is remembered comes before what this leader has seen itself.
    fn recall(&mut self, memory: Memory) {
        // Its log has them already.
        self.told = Told { notes: self.told.notes + memory.notes.len(), files: self.told.files + memory.files.len() };
        self.notes.splice(0..0, memory.notes);
        self.files.splice(0..0, memory.files.iter().map(written_file));
        for (stage, operators) in memory.operators {
            self.stage_operators.entry(stage).or_insert(operators);
        }
        for (worker, usage) in memory.workers {
            let own = self.used(WorkerId(worker), &usage.host);
            *own = Usage {
                host: usage.host,
                rss_peak_bytes: own.rss_peak_bytes.max(usage.rss_peak_bytes),
                cpu_us: own.cpu_us + usage.cpu_us,
            };
        }
    }
}

fn written_file(file: &wire::PublishedFile) -> WrittenFile {
    WrittenFile {
        path: file.path.clone(),
        staged: String::new(),
        parts: Vec::new(),
        rows: file.rows,
        bytes: file.bytes,
    }
}
