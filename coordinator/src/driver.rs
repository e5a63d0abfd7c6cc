//! The event loop: the only place where the core is stepped, records are committed and effects leave.
//!
//! Persist, then tell: a batch's records are committed before any of its messages, replies or requests go out,
//! and before any question is answered from the state they led to. A batch that the core says may be told first
//! (what a new leader would learn again from the workers) is committed with the next one, or soon after, so that no
//! worker waits for a disk. Planning of a job begins before its first commit: nobody outside learns of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, oneshot};
use windrow_engine::failpoint;
use windrow_engine::shuffle::ShuffleObjects;
use windrow_engine::sink::Decided;
use windrow_model::{ErrorKind, ErrorReport, Failure, JobId, Timestamp, WorkerId};
use windrow_scheduler::{CommitRequest, Input, Message, Outbox, PlanRequest, Record, Reply, RequestId};

use crate::artefacts::CommitState;
use crate::call::{Attachment, Call, Question, ToDriver};
use crate::clock::Clock;
use crate::committing::{Committer, Publication};
use crate::delivery::{Undelivered, deliver};
use crate::planning::{Origin, Planner};
use crate::shuffle_store;
use crate::state::State;
use crate::store::{Blob, Leadership, Resolution, Store, StoreError};

/// Calls that are stepped before their records are committed together. Enough to make one commit of what a
/// thousand workers report at once, and few enough that nobody waits noticeably for a neighbour.
const BATCH_MAX: usize = 512;

/// How long records of batches that were told first wait for others to be committed with.
const TOLD_WAIT: Duration = Duration::from_millis(2);

/// Pause before the store is asked again; doubled up to the last.
const STORE_RETRY_FIRST: Duration = Duration::from_millis(50);
const STORE_RETRY_LAST: Duration = Duration::from_secs(1);
/// A commit that took longer kept the leader from hearing its workers.
const STALL_MIN: Duration = Duration::from_secs(1);

/// Owns the state; runs until it is told to stop or the store refuses it.
pub(crate) struct Driver {
    pub(crate) state: State,
    pub(crate) store: Box<dyn Store>,
    pub(crate) leadership: Leadership,
    /// What is staged when this process stops is somebody else's to finish; otherwise nobody's.
    pub(crate) durable: bool,
    pub(crate) clock: Clock,
    pub(crate) inbox: mpsc::Receiver<Call>,
    pub(crate) to_driver: ToDriver,
    pub(crate) planner: Planner,
    pub(crate) committer: Committer,
    pub(crate) waiting: Waiting,
    /// Takes outputs over from workers that leave.
    pub(crate) shuffle_store: Option<Arc<ShuffleObjects>>,
}

/// What was told first and waits to be committed.
#[derive(Default)]
struct Told {
    records: Vec<Record>,
    blobs: Vec<Blob>,
    /// When it may wait no longer; nothing if there is nothing.
    due: Option<tokio::time::Instant>,
}

impl Told {
    fn add(&mut self, records: Vec<Record>, blobs: Vec<Blob>) {
        if !records.is_empty() || !blobs.is_empty() {
            self.due.get_or_insert_with(|| tokio::time::Instant::now() + TOLD_WAIT);
            self.records.extend(records);
            self.blobs.extend(blobs);
        }
    }

    fn is_due(&self) -> bool {
        self.records.len() >= BATCH_MAX || self.due.is_some_and(|due| due <= tokio::time::Instant::now())
    }
}

/// Callers that wait for a reply of the core.
#[derive(Default)]
pub(crate) struct Waiting {
    last_id: u64,
    answers: BTreeMap<RequestId, oneshot::Sender<Reply>>,
}

/// A batch on its way: what the core wants done, and the questions that wait for the commit.
#[derive(Default)]
struct Batch {
    outbox: Outbox,
    blobs: Vec<Blob>,
    questions: Vec<Question>,
    attached: Vec<(Attachment, oneshot::Sender<Attachment>)>,
    stop: bool,
}

impl Waiting {
    fn wait(&mut self, answer: oneshot::Sender<Reply>) -> RequestId {
        self.last_id += 1;
        let request = RequestId(self.last_id);
        self.answers.insert(request, answer);
        request
    }

    fn answer(&mut self, reply: Reply) {
        let request = match &reply {
            Reply::Submitted { request, .. } | Reply::Cancelled { request, .. } | Reply::Refused { request, .. } => {
                *request
            }
        };
        if let Some(answer) = self.answers.remove(&request) {
            // The caller may have gone away; the job goes on without it.
            let _ = answer.send(reply);
        }
    }
}

impl Driver {
    /// Drives the core until `Stop`. An error means that this process must not act as the leader any more.
    pub(crate) async fn run(mut self) -> Result<(), ErrorReport> {
        for (job, targets) in self.state.left_behind() {
            self.committer.abort_all(job, targets);
        }
        let mut calls = Vec::with_capacity(BATCH_MAX);
        // Inputs that follow from a delivery, such as a worker that did not take its message.
        let mut follow_ups = Vec::new();
        let mut told = Told::default();
        loop {
            if follow_ups.is_empty() {
                self.gather(&mut calls, told.due).await?;
            }
            let mut batch = Batch::default();
            for input in follow_ups.drain(..) {
                self.step(input, &mut batch.outbox);
            }
            for call in calls.drain(..) {
                self.take(call, &mut batch);
            }
            let (records, blobs) = (std::mem::take(&mut batch.outbox.records), std::mem::take(&mut batch.blobs));
            let (persist_first, stop) = (batch.outbox.persist_first, batch.stop);
            // Nothing that came before is needed to plan a job's first step.
            let first = batch.outbox.plan_requests.extract_if(.., |request| request.step == 0);
            follow_ups.extend(first.filter_map(|request| self.plan(request)));
            told.add(records, blobs);
            if persist_first {
                self.persist(&mut told).await?;
            }
            follow_ups.extend(self.tell(batch));
            // What is forgotten must not come back with a record that had waited.
            if told.is_due() || stop || self.state.forgotten.is_anything() {
                self.persist(&mut told).await?;
            }
            self.forget().await;
            if stop {
                self.leave();
                self.store.resign().await;
                return Ok(());
            }
        }
    }

    /// Makes records durable, however long the store takes to answer. An error means that this process does not lead
    /// any more.
    async fn persist(&mut self, told: &mut Told) -> Result<(), ErrorReport> {
        let Told { records, blobs, due: _ } = std::mem::take(told);
        let (epoch, started, mut wait) = (self.store.epoch(), Instant::now(), STORE_RETRY_FIRST);
        let changes = !records.is_empty() || !blobs.is_empty();
        if changes {
            failpoint::at("journal.before").await?;
        }
        loop {
            // Whoever has lost the lead must let go of its workers at once, and not when the store's last time-out ends.
            let committed = tokio::select! {
                biased;
                why = self.leadership.lost() => return Err(stops_leading(lost_leadership(&why))),
                committed = self.store.commit(epoch, &records, &blobs) => committed,
            };
            let Err(error) = committed else { break };
            match error {
                StoreError::Unknown(report) => {
                    tracing::warn!(error = %report, "the store did not say how a commit ended");
                    if self.resolve(&mut wait).await? == Resolution::Committed {
                        break;
                    }
                }
                StoreError::Unavailable(report) => wait_for_store(&self.leadership, &report, &mut wait).await?,
                StoreError::Fenced(report)
                | StoreError::Conflict(report)
                | StoreError::TooLarge { report, .. }
                | StoreError::Unreadable(report) => return Err(stops_leading(report)),
            }
        }
        let stalled = started.elapsed();
        if stalled > STALL_MIN {
            tracing::warn!(?stalled, "the store answers again; nobody was heard meanwhile");
            self.clock.pause(stalled);
        }
        if changes {
            failpoint::at("journal.after").await?;
        }
        Ok(())
    }

    async fn resolve(&mut self, wait: &mut Duration) -> Result<Resolution, ErrorReport> {
        loop {
            let resolved = tokio::select! {
                biased;
                why = self.leadership.lost() => return Err(stops_leading(lost_leadership(&why))),
                resolved = self.store.resolve() => resolved,
            };
            match resolved {
                Ok(resolution) => return Ok(resolution),
                Err(StoreError::Unknown(report) | StoreError::Unavailable(report)) => {
                    wait_for_store(&self.leadership, &report, wait).await?;
                }
                Err(error) => return Err(stops_leading(error.into())),
            }
        }
    }

    /// Removes from the journal what the core has forgotten. A failure leaves records that the next leader will read.
    async fn forget(&mut self) {
        for job in std::mem::take(&mut self.state.forgotten.blobs) {
            if let Err(error) = self.store.forget_blobs(job).await {
                tracing::warn!(%job, %error, "plans of an ended job stay in the journal");
            }
        }
        for worker in std::mem::take(&mut self.state.forgotten.workers) {
            if let Err(error) = self.store.forget_worker(worker).await {
                tracing::warn!(%worker, error = error.name(), "a worker that has left stays in the journal");
            }
        }
        for job in std::mem::take(&mut self.state.forgotten.jobs) {
            if let Err(error) = self.store.forget_job(job).await {
                tracing::warn!(%job, %error, "a forgotten job stays in the journal");
            }
        }
    }

    /// Waits for calls, for the core's deadline or until something is due, whichever is first; a passed deadline becomes
    /// a `Tick`.
    async fn gather(&mut self, calls: &mut Vec<Call>, due: Option<tokio::time::Instant>) -> Result<(), ErrorReport> {
        let deadline = self.state.scheduler.next_deadline().and_then(|at| self.clock.instant(at));
        tokio::select! {
            // A flood of calls must not starve the clock that takes silent workers for lost.
            biased;
            () = until(deadline) => {
                calls.push(Call::Input(Input::Tick));
                // Nor may ticks starve the calls.
                while let Some(call) = self.waiting_call(calls.len()) {
                    calls.push(call);
                }
            }
            why = self.leadership.lost() => return Err(stops_leading(lost_leadership(&why))),
            () = until(due) => {}
            received = self.inbox.recv_many(calls, BATCH_MAX) => {
                if received == 0 {
                    calls.push(Call::Stop);
                }
            }
        }
        Ok(())
    }

    /// A call that is there already, unless the batch is full.
    fn waiting_call(&mut self, gathered: usize) -> Option<Call> {
        if gathered < BATCH_MAX { self.inbox.try_recv().ok() } else { None }
    }

    fn step(&mut self, input: Input, outbox: &mut Outbox) {
        self.state.scheduler.step(self.clock.now(), input, outbox);
    }

    fn take(&mut self, call: Call, batch: &mut Batch) {
        match call {
            Call::Input(input) => {
                self.forget_running(&input);
                self.step(input, &mut batch.outbox);
            }
            Call::Said(said) => self.state.said(said),
            Call::Request { input, answer } => {
                let request = self.waiting.wait(answer);
                self.step(input(request), &mut batch.outbox);
            }
            Call::Query(question) => batch.questions.push(question),
            Call::Planned { job, step, outcome } => {
                let (input, blobs) = self.planned(job, step, outcome);
                batch.blobs.extend(blobs);
                self.step(input, &mut batch.outbox);
            }
            Call::Committed { job, step, outcome } => {
                let (input, abandoned) = self.state.committed(job, step, outcome);
                self.committer.abort_all(job, abandoned);
                self.step(input, &mut batch.outbox);
            }
            Call::CommitDelayed { job, step, report } => self.state.commit_delayed(job, step, report),
            Call::Remembered { job, memory } => self.state.remember(job, memory),
            Call::Attach { registration, inventory, link, answer } => {
                let (attachment, input) = self.state.attach(registration, inventory, link);
                batch.attached.push((attachment, answer));
                self.step(input, &mut batch.outbox);
            }
            Call::Heartbeat { worker, heartbeat } => {
                let input = self.state.heard(worker, &heartbeat);
                self.sweep();
                self.step(input, &mut batch.outbox);
            }
            Call::Finished(finished) => {
                let input = self.state.finished(finished);
                self.step(input, &mut batch.outbox);
            }
            Call::Detached { worker, link, why } => {
                if self.state.fleet.detach_link(worker, link) {
                    tracing::info!(%worker, why, "stream of worker ended");
                    self.sweep();
                    self.step(Input::WorkerDisconnected { worker }, &mut batch.outbox);
                }
            }
            Call::Stop => batch.stop = true,
        }
    }

    /// An attempt that was told to end may have staged a file after its job's files were removed.
    fn sweep(&mut self) {
        for (job, targets) in self.state.due_sweeps() {
            self.committer.abort_all(job, targets);
        }
    }

    fn forget_running(&mut self, input: &Input) {
        if let Input::AttemptFailed { worker, attempt, .. } = input
            && let Some(attached) = self.state.fleet.get_mut(*worker)
        {
            attached.running.remove(attempt);
        }
    }

    fn planned(&mut self, job: JobId, step: u32, outcome: crate::planning::Outcome) -> (Input, Vec<Blob>) {
        match outcome {
            Ok((session, planned)) => {
                let made = self.state.planned(job, step, planned);
                let ended = self.state.scheduler.job(job).is_none_or(|job| job.state().is_final());
                if !ended && let Some(dossier) = self.state.dossiers.get_mut(&job) {
                    dossier.session = Some(session);
                }
                made
            }
            Err(report) => (Input::PlanFailed { job, step, report }, Vec::new()),
        }
    }

    /// Delivers what a batch asks for. Returns inputs that follow from it.
    fn tell(&mut self, batch: Batch) -> Vec<Input> {
        let Batch { outbox, questions, attached, blobs: _, stop: _ } = batch;
        let mut follow_ups = Vec::new();
        for (attachment, answer) in attached {
            // If the stream is gone already, its reader says so.
            let _ = answer.send(attachment);
        }
        for (worker, message) in outbox.messages {
            self.send(worker, message, &mut follow_ups);
        }
        for request in outbox.plan_requests {
            follow_ups.extend(self.plan(request));
        }
        for request in outbox.commit_requests {
            follow_ups.extend(self.commit(request));
        }
        for event in &outbox.events {
            let abandoned = self.state.announced(event);
            if let windrow_scheduler::Event::JobChanged { job, .. } = event {
                self.committer.abort_all(*job, abandoned);
            }
            self.state.record(event);
            self.close_link_of_departed(event);
        }
        for reply in outbox.replies {
            self.waiting.answer(reply);
        }
        for question in questions {
            question(&self.state);
        }
        if !outbox.events.is_empty() {
            self.state.forget_evicted();
        }
        follow_ups
    }

    fn send(&mut self, worker: WorkerId, message: Message, follow_ups: &mut Vec<Input>) {
        if worker == WorkerId::SHUFFLE_STORE {
            // Without one, an earlier leader had it: what that has left there is out of reach.
            let Some(objects) = &self.shuffle_store else { return };
            if let Err(worker) = shuffle_store::obey(objects, &mut self.state.fleet, message) {
                self.close_link(worker, follow_ups);
            }
            return;
        }
        let attempt = match &message {
            Message::RunTask(run) => Some(run.attempt),
            Message::CancelAttempt { .. }
            | Message::ReleaseStages { .. }
            | Message::ReleaseJob { .. }
            | Message::CopyOutputs { .. }
            | Message::RepointInputs { .. }
            | Message::Shutdown => None,
        };
        match (deliver(&mut self.state, worker, message), attempt) {
            (Err(Undelivered::LinkBroken), _) => self.close_link(worker, follow_ups),
            (Err(Undelivered::NoFragment(report)), Some(attempt)) => {
                follow_ups.push(Input::AttemptFailed { worker, attempt, failure: Failure::Internal(report) });
            }
            (Err(Undelivered::NoFragment(_)), None) | (Ok(()), _) => {}
        }
    }

    /// A worker does not take messages.
    fn close_link(&mut self, worker: WorkerId, follow_ups: &mut Vec<Input>) {
        if self.state.fleet.detach(worker) {
            tracing::warn!(%worker, "worker does not take messages; its stream is closed");
            follow_ups.push(Input::WorkerDisconnected { worker });
        }
    }

    /// Starts to plan. What earlier statements have left may be lost, which fails the job.
    fn plan(&mut self, request: PlanRequest) -> Option<Input> {
        let PlanRequest { job, step, .. } = request;
        let view = self.state.scheduler.job(job)?;
        let (spec, started) = (Box::new(view.spec().clone()), timestamp_utc(view.submitted_at()));
        let session = self.state.dossiers.get_mut(&job).and_then(|dossier| dossier.session.take());
        let origin = match session {
            Some(session) => Origin::Session(Box::new(session)),
            None => match self.state.past_steps(view) {
                Ok(past) => Origin::Anew { spec, started, past },
                Err(report) => return Some(Input::PlanFailed { job, step, report }),
            },
        };
        self.planner.plan(request, origin, self.to_driver.clone());
        None
    }

    /// Starts a commit; a step without a target cannot be committed, which fails it.
    fn commit(&mut self, request: CommitRequest) -> Option<Input> {
        let CommitRequest { job, step, tasks } = request;
        let artefacts = self.state.dossiers.get_mut(&job).and_then(|dossier| dossier.steps.get_mut(&step));
        let Some(target) = artefacts.and_then(|artefacts| artefacts.target.as_mut()) else {
            let report = ErrorReport::internal(format!("step {step} of {job} has no target to commit to"));
            return Some(Input::CommitFailed { job, step, report });
        };
        let known = match target.commit {
            CommitState::Inherited => Decided::Unknown,
            _ => Decided::No,
        };
        target.commit = CommitState::Running;
        let (target, asides) = (target.output.clone(), target.asides.clone());
        let files = tasks.into_iter().map(|task| task.files).collect();
        let publication = Publication { target, asides, files };
        self.committer.commit(job, step, publication, known, self.to_driver.clone());
        None
    }

    /// A worker that the core has given up, or that has left, loses its stream: it may register again as a new one.
    fn close_link_of_departed(&mut self, event: &windrow_scheduler::Event) {
        use windrow_model::WorkerState;
        if let windrow_scheduler::Event::WorkerChanged { worker, state, .. } = event {
            match state {
                WorkerState::Gone | WorkerState::Lost => {
                    self.state.fleet.detach(*worker);
                }
                WorkerState::Joining | WorkerState::Active | WorkerState::Draining => {}
            }
        }
    }

    /// Without a journal that outlives this process, no one else will ever remove what unfinished jobs have staged.
    fn leave(&mut self) {
        if self.durable {
            return;
        }
        for (job, targets) in self.state.leave() {
            self.committer.abort_all(job, targets);
        }
    }
}

/// Workers go on with what they have, and callers wait: nothing is acknowledged that is not durable.
async fn wait_for_store(leadership: &Leadership, report: &ErrorReport, wait: &mut Duration) -> Result<(), ErrorReport> {
    tracing::warn!(error = %report, ?wait, "the store is not available");
    tokio::select! {
        () = tokio::time::sleep(*wait) => {}
        why = leadership.lost() => return Err(stops_leading(lost_leadership(&why))),
    }
    *wait = (*wait * 2).min(STORE_RETRY_LAST);
    Ok(())
}

/// For ever without a time.
async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn stops_leading(report: ErrorReport) -> ErrorReport {
    tracing::error!(error = %report, "this coordinator stops leading");
    report
}

fn lost_leadership(why: &str) -> ErrorReport {
    ErrorReport::new(ErrorKind::Fenced, "this coordinator does not lead any more").with_detail(why)
}

fn timestamp_utc(at: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(i64::try_from(at.0).unwrap_or(i64::MAX)).unwrap_or_default()
}
