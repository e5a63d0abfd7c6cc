//! The event loop: the only place where the core is stepped, records are committed and effects leave.
//!
//! Persist, then tell: a batch's records are committed before any of its messages, replies or requests go out,
//! and before any question is answered from the state they led to.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};
use windrow_model::{ErrorReport, Failure, JobId, WorkerId};
use windrow_scheduler::{CommitRequest, Input, Message, Outbox, PlanRequest, Reply, RequestId};

use crate::artefacts::CommitState;
use crate::call::{Call, Question, ToDriver};
use crate::clock::Clock;
use crate::committing::Committer;
use crate::delivery::{Undelivered, deliver};
use crate::dossier::Dossier;
use crate::planning::Planner;
use crate::state::State;
use crate::store::Store;

/// Calls that are stepped before their records are committed together. Enough to make one commit of what a
/// thousand workers report at once, and few enough that nobody waits noticeably for a neighbour.
const BATCH_MAX: usize = 512;

/// Owns the state; runs until it is told to stop or the store refuses it.
pub(crate) struct Driver {
    pub(crate) state: State,
    pub(crate) store: Box<dyn Store>,
    pub(crate) epoch: u64,
    pub(crate) clock: Clock,
    pub(crate) inbox: mpsc::Receiver<Call>,
    pub(crate) to_driver: ToDriver,
    pub(crate) planner: Planner,
    pub(crate) committer: Committer,
    pub(crate) waiting: Waiting,
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
    questions: Vec<Question>,
    attached: Vec<(WorkerId, oneshot::Sender<WorkerId>)>,
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
        let mut calls = Vec::with_capacity(BATCH_MAX);
        // Inputs that follow from a delivery, such as a worker that did not take its message.
        let mut follow_ups = Vec::new();
        loop {
            if follow_ups.is_empty() {
                self.gather(&mut calls).await;
            }
            let mut batch = Batch::default();
            for input in follow_ups.drain(..) {
                self.step(input, &mut batch.outbox);
            }
            for call in calls.drain(..) {
                self.take(call, &mut batch);
            }
            self.store.commit(self.epoch, &batch.outbox.records).await.inspect_err(|report| {
                tracing::error!(error = %report, "the journal refused a commit; this coordinator stops leading");
            })?;
            let stop = batch.stop;
            follow_ups = self.tell(batch);
            if stop {
                self.leave();
                return Ok(());
            }
        }
    }

    /// Waits for calls or for the core's deadline, whichever is first; a passed deadline becomes a `Tick`.
    async fn gather(&mut self, calls: &mut Vec<Call>) {
        let deadline = self.state.scheduler.next_deadline().and_then(|at| self.clock.instant(at));
        let timer = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // A flood of calls must not starve the clock that takes silent workers for lost.
            biased;
            () = timer => {
                calls.push(Call::Input(Input::Tick));
                // Nor may ticks starve the calls.
                while let Some(call) = self.waiting_call(calls.len()) {
                    calls.push(call);
                }
            }
            received = self.inbox.recv_many(calls, BATCH_MAX) => {
                if received == 0 {
                    calls.push(Call::Stop);
                }
            }
        }
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
            Call::Request { input, answer } => {
                let request = self.waiting.wait(answer);
                self.step(input(request), &mut batch.outbox);
            }
            Call::Query(question) => batch.questions.push(question),
            Call::Planned { job, step, outcome } => {
                let input = self.planned(job, step, outcome);
                self.step(input, &mut batch.outbox);
            }
            Call::Committed { job, step, outcome } => {
                let (input, abandoned) = self.state.committed(job, step, outcome);
                self.committer.abort_all(job, abandoned);
                self.step(input, &mut batch.outbox);
            }
            Call::CommitDelayed { job, step, report } => self.state.commit_delayed(job, step, report),
            Call::Attach { registration, link, answer } => {
                let spec = crate::workers::worker_spec(&registration);
                let worker = self.state.fleet.attach(registration, link);
                batch.attached.push((worker, answer));
                self.step(Input::WorkerRegistered { worker, spec }, &mut batch.outbox);
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
            Call::Detached { worker, why } => {
                if self.state.fleet.detach(worker) {
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

    fn planned(&mut self, job: JobId, step: u32, outcome: crate::planning::Outcome) -> Input {
        match outcome {
            Ok((session, planned)) => {
                let input = self.state.planned(job, step, planned);
                let ended = self.state.scheduler.job(job).is_none_or(|job| job.state().is_final());
                if !ended && let Some(dossier) = self.state.dossiers.get_mut(&job) {
                    dossier.session = Some(session);
                }
                input
            }
            Err(report) => Input::PlanFailed { job, step, report },
        }
    }

    /// Delivers what a committed batch asks for. Returns inputs that follow from it.
    fn tell(&mut self, batch: Batch) -> Vec<Input> {
        let Batch { outbox, questions, attached, stop: _ } = batch;
        let mut follow_ups = Vec::new();
        for (worker, answer) in attached {
            // If the stream is gone already, its reader says so.
            let _ = answer.send(worker);
        }
        for (worker, message) in outbox.messages {
            self.send(worker, message, &mut follow_ups);
        }
        for request in outbox.plan_requests {
            self.plan(request);
        }
        for request in outbox.commit_requests {
            follow_ups.extend(self.commit(request));
        }
        for event in &outbox.events {
            let abandoned = self.state.announced(event);
            if let windrow_scheduler::Event::JobChanged { job, .. } = event {
                self.committer.abort_all(*job, abandoned);
            }
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
        let attempt = match &message {
            Message::RunTask(run) => Some(run.attempt),
            Message::CancelAttempt { .. }
            | Message::ReleaseStages { .. }
            | Message::ReleaseJob { .. }
            | Message::Shutdown => None,
        };
        match (deliver(&mut self.state, worker, message), attempt) {
            (Err(Undelivered::LinkBroken), _) => {
                if self.state.fleet.detach(worker) {
                    tracing::warn!(%worker, "worker does not take messages; its stream is closed");
                    follow_ups.push(Input::WorkerDisconnected { worker });
                }
            }
            (Err(Undelivered::NoFragment(report)), Some(attempt)) => {
                follow_ups.push(Input::AttemptFailed { worker, attempt, failure: Failure::Internal(report) });
            }
            (Err(Undelivered::NoFragment(_)), None) | (Ok(()), _) => {}
        }
    }

    fn plan(&mut self, request: PlanRequest) {
        let Some(job) = self.state.scheduler.job(request.job) else { return };
        let spec = job.spec().clone();
        let session = self.state.dossiers.entry(request.job).or_insert_with(Dossier::new).session.take();
        self.planner.plan(request, spec, session, self.to_driver.clone());
    }

    /// Starts a commit; a step without a target cannot be committed, which fails it.
    fn commit(&mut self, request: CommitRequest) -> Option<Input> {
        let CommitRequest { job, step, tasks } = request;
        let artefacts = self.state.dossiers.get_mut(&job).and_then(|dossier| dossier.steps.get_mut(&step));
        let Some(target) = artefacts.and_then(|artefacts| artefacts.target.as_mut()) else {
            let report = ErrorReport::internal(format!("step {step} of {job} has no target to commit to"));
            return Some(Input::CommitFailed { job, step, report });
        };
        target.commit = CommitState::Running;
        let files = tasks.into_iter().map(|task| task.files).collect();
        self.committer.commit(job, step, target.output.clone(), files, self.to_driver.clone());
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

    /// The state dies with this process, so no one else will ever remove what unfinished jobs have staged.
    fn leave(&mut self) {
        for (job, targets) in self.state.leave() {
            self.committer.abort_all(job, targets);
        }
    }
}
