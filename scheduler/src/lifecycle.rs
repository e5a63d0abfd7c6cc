//! The life of a job: submitted, admitted, planned step by step, committed, ended, evicted.

use windrow_model::{
    ClusterShape, ErrorKind, ErrorReport, JobId, JobSpec, JobState, StageId, StagePlan, StepOutcome, StepPlan,
    Timestamp, WrittenFile,
};

use crate::deadlines::Due;
use crate::job::{Job, Reason, Step, StepPhase, outcome_stage};
use crate::queue::Standing;
use crate::scheduler::Turn;
use crate::stage::{Stage, StageRole};
use crate::{Event, PlanRequest, Record, Reply, RequestId, Scheduler};

impl Scheduler {
    pub(crate) fn job_submitted(&mut self, request: RequestId, spec: JobSpec, turn: &mut Turn<'_>) {
        let token = token_of(&spec);
        if let Some(&job) = token.as_ref().and_then(|token| self.tokens.get(token)) {
            return turn.outbox.replies.push(Reply::Submitted { request, job, existing: true });
        }
        if self.admission.queued().len() >= self.limits.queued_jobs_max {
            let report = ErrorReport::new(ErrorKind::Exhausted, format!("job `{}` was not accepted", spec.name))
                .with_detail(format!("{} jobs wait already, which is the limit", self.admission.queued().len()))
                .with_hint("submit it again later; `windrow jobs` lists what is in front");
            return turn.outbox.replies.push(Reply::Refused { request, report });
        }
        self.job_count += 1;
        let id = JobId(self.job_count);
        turn.record_first(Record::JobSubmitted { job: id, spec: spec.clone(), at: turn.now });
        turn.outbox.replies.push(Reply::Submitted { request, job: id, existing: false });
        self.insert_job(Job::new(id, spec, turn.now));
        turn.job_changed(&self.jobs[&id]);
    }

    pub(crate) fn insert_job(&mut self, job: Job) {
        if let Some(token) = token_of(&job.spec) {
            self.tokens.insert(token, job.id);
        }
        self.admission.enqueue(&job);
        self.jobs.insert(job.id, job);
    }

    pub(crate) fn job_cancelled(&mut self, request: RequestId, id: JobId, turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get(&id) else {
            let report = ErrorReport::new(ErrorKind::NotFound, format!("there is no {id}"))
                .with_hint("`windrow jobs` lists the jobs that are kept");
            return turn.outbox.replies.push(Reply::Refused { request, report });
        };
        let conflict = |detail: &str| {
            ErrorReport::new(ErrorKind::Conflict, format!("{id} cannot be cancelled")).with_detail(detail)
        };
        let refusal = match job.state {
            JobState::Queued | JobState::Running => None,
            JobState::Cancelled => return turn.outbox.replies.push(Reply::Cancelled { request, job: id }),
            JobState::Committing => Some(
                conflict("its output is being committed, which is not interrupted half-way")
                    .with_hint("wait for its end; `windrow job` shows it"),
            ),
            JobState::Succeeded => Some(conflict("it has succeeded already")),
            JobState::Failed => Some(conflict("it has failed already")),
        };
        if let Some(report) = refusal {
            return turn.outbox.replies.push(Reply::Refused { request, report });
        }
        let report = ErrorReport::new(ErrorKind::Cancelled, format!("{id} was cancelled"));
        self.end_job(id, JobState::Cancelled, Some(report), "cancelled", turn);
        turn.outbox.replies.push(Reply::Cancelled { request, job: id });
    }

    /// Lets queued jobs run while there is room.
    pub(crate) fn admit(&mut self, turn: &mut Turn<'_>) {
        while self.admission.admitted().len() < self.limits.running_jobs_max {
            let Some(id) = self.admission.next() else { return };
            turn.record(Record::JobAdmitted { job: id, at: turn.now });
            self.start_job(id, turn.now);
            turn.job_changed(&self.jobs[&id]);
        }
    }

    pub(crate) fn start_job(&mut self, id: JobId, now: Timestamp) {
        self.unplanned.insert(id);
        let job = self.jobs.get_mut(&id).expect("I-7: a queued job is known");
        self.admission.admit(job);
        job.started_at = Some(now);
        if let Some(timeout) = job.spec.timeout {
            self.deadlines.add(now + timeout, Due::Timeout(id));
        }
        job.enter(JobState::Running, Reason::new("admitted", "admitted"), now);
    }

    /// Asks for plans of jobs that are at a new statement. Planning wants to know the cluster, so it waits for one.
    pub(crate) fn request_plans(&mut self, turn: &mut Turn<'_>) {
        if self.unplanned.is_empty() {
            return;
        }
        let Some(cluster) = self.cluster_shape() else { return };
        for id in std::mem::take(&mut self.unplanned) {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            if job.needs_plan() {
                job.planning = true;
                turn.outbox.plan_requests.push(PlanRequest {
                    job: id,
                    step: job.step_index(),
                    first_stage: job.stages.len() as u32,
                    cluster,
                });
            }
        }
    }

    /// What planning may know; `None` without workers. After a failover those that may still come back count: a job that
    /// is planned when the first of them is there is not planned for that one alone.
    pub fn cluster_shape(&self) -> Option<ClusterShape> {
        let shape = self.roster.seats().shape();
        let awaited = self.roster.awaited().iter().filter_map(|id| self.roster.get(*id));
        awaited.map(|worker| &worker.spec).fold(shape, |shape, spec| {
            let shape =
                shape.unwrap_or(ClusterShape { workers: 0, slots: 0, slots_max: 0, memory_bytes_min: u64::MAX });
            Some(ClusterShape {
                workers: shape.workers + 1,
                slots: shape.slots + spec.slots,
                slots_max: shape.slots_max.max(spec.slots),
                memory_bytes_min: shape.memory_bytes_min.min(spec.memory_bytes),
            })
        })
    }

    pub(crate) fn stages_planned(&mut self, id: JobId, step: u32, plan: StepPlan, turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.planning && job.step_index() == step) else {
            return;
        };
        if let Err(detail) = check_plan(&plan, job.stages.len() as u32) {
            let report =
                ErrorReport::internal(format!("statement {} of {id} has a plan that makes no sense", step + 1));
            return self.fail_job(id, report.with_detail(detail), "bad-plan", turn);
        }
        turn.record_first(Record::StagesPlanned { job: id, step, plan: plan.clone(), at: turn.now });
        turn.outbox.events.push(Event::StepPlanned { job: id, step, outcome: plan.outcome });
        job.add_step(plan, turn.now);
        self.dirty.insert(id);
    }

    pub(crate) fn plan_failed(&mut self, id: JobId, step: u32, report: ErrorReport, turn: &mut Turn<'_>) {
        if self.jobs.get(&id).is_some_and(|job| job.planning && job.step_index() == step) {
            self.fail_job(id, report, "plan-failed", turn);
        }
    }

    pub(crate) fn commit_finished(&mut self, id: JobId, step: u32, files: &[WrittenFile], turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.is_committing(step)) else {
            return;
        };
        if let Some(committed) = job.current_step_mut() {
            committed.files = files.len() as u64;
            committed.rows = files.iter().map(|file| file.rows).sum();
            committed.bytes = files.iter().map(|file| file.bytes).sum();
        }
        self.finish_step(id, turn);
        self.dirty.insert(id);
    }

    pub(crate) fn commit_failed(&mut self, id: JobId, step: u32, report: ErrorReport, turn: &mut Turn<'_>) {
        if self.jobs.get(&id).is_some_and(|job| job.is_committing(step)) {
            self.fail_job(id, report, "commit-failed", turn);
        }
    }

    /// The current step has done what it is for; the next one is planned, or the job has succeeded.
    pub(crate) fn finish_step(&mut self, id: JobId, turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let step = job.step_index();
        let Some(last) = job.finish_current_step() else { return };
        let (files, rows, bytes) = job.steps.last().map(|step| (step.files, step.rows, step.bytes)).unwrap_or_default();
        turn.record_first(Record::StepFinished { job: id, step, files, rows, bytes, at: turn.now });
        turn.outbox.events.push(Event::StepFinished { job: id, step });
        if last {
            return self.end_job(id, JobState::Succeeded, None, "finished", turn);
        }
        if job.state == JobState::Committing {
            job.committed(turn.now);
            turn.job_changed(job);
        }
        self.expect_plan(id);
    }

    pub(crate) fn job_timed_out(&mut self, id: JobId, turn: &mut Turn<'_>) {
        let Some(timeout) = self.jobs.get(&id).and_then(|job| job.spec.timeout) else {
            return;
        };
        let report = ErrorReport::new(ErrorKind::Exhausted, format!("{id} reached its timeout of {timeout:?}"))
            .with_hint("raise the job's timeout, or give it more workers");
        self.fail_job(id, report, "timeout", turn);
    }

    pub(crate) fn job_without_workers(&mut self, id: JobId, turn: &mut Turn<'_>) {
        let grace = self.limits.no_worker_grace;
        let report = ErrorReport::new(ErrorKind::Unavailable, format!("{id} found no worker to run on"))
            .with_detail(format!("no worker accepted tasks for {grace:?}{}", self.last_departure()))
            .with_hint("start one with `windrow worker --coordinator URL`; `windrow workers` lists them");
        self.fail_job(id, report, "no-workers", turn);
    }

    /// Why the last worker is not there any more.
    fn last_departure(&self) -> String {
        let last = self.departed.back().and_then(|id| self.roster.get(*id));
        last.map_or(String::new(), |worker| {
            format!("; the last one, {}, is {}: {}", worker.id, worker.state(), worker.reason.text)
        })
    }

    /// Ends a job for `report`. A job that had succeeded stays so, and only its kept rows are given up.
    pub(crate) fn fail_job(&mut self, id: JobId, report: ErrorReport, code: &'static str, turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.state.is_final() {
            if job.state == JobState::Succeeded {
                turn.record(Record::ResultGivenUp { job: id, report: report.clone() });
                job.result_failure = Some(report);
                self.dirty.insert(id);
            }
            return;
        }
        self.end_job(id, JobState::Failed, Some(report), code, turn);
    }

    fn end_job(
        &mut self,
        id: JobId,
        state: JobState,
        report: Option<ErrorReport>,
        code: &'static str,
        turn: &mut Turn<'_>,
    ) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let (reason, code) = (Reason::ended(state, code, report.as_ref()), code.to_owned());
        turn.record_first(Record::JobEnded { job: id, state, code, report: report.clone(), at: turn.now });
        job.end(state, report, reason, turn.now, &self.limits);
        turn.job_changed(job);
        if let Some(at) = job.result_expires_at {
            self.deadlines.add(at, Due::ResultExpiry(id));
        }
        self.leave_queues(id);
        self.dirty.insert(id);
    }

    /// The job has ended.
    pub(crate) fn leave_queues(&mut self, id: JobId) {
        if let Some(job) = self.jobs.get(&id) {
            self.admission.leave(job);
        }
        self.unplanned.remove(&id);
        self.ended.push_back(id);
    }

    /// The next statement of a job that goes on has to be planned. Its timeout may have passed while it committed.
    pub(crate) fn expect_plan(&mut self, id: JobId) {
        self.unplanned.insert(id);
        let Some(job) = self.jobs.get(&id) else { return };
        if let (Some(started_at), Some(timeout)) = (job.started_at, job.spec.timeout) {
            self.deadlines.add(started_at + timeout, Due::Timeout(id));
        }
    }

    /// Forgets the oldest ended jobs beyond the limit.
    pub(crate) fn evict(&mut self, turn: &mut Turn<'_>) {
        while self.ended.len() > self.limits.ended_jobs_max {
            let Some(id) = self.ended.pop_front() else { return };
            self.forget_outputs(id, turn);
            self.forget_job(id);
        }
    }

    pub(crate) fn forget_job(&mut self, id: JobId) {
        self.dirty.remove(&id);
        let Some(mut job) = self.jobs.remove(&id) else { return };
        self.queues.stand(&mut job, Standing::Out);
        if let Some(token) = token_of(&job.spec) {
            self.tokens.remove(&token);
        }
        for task in job.stages.iter().flat_map(|stage| &stage.tasks) {
            for attempt in &task.attempts {
                self.known.remove(&attempt.id);
            }
        }
    }
}

impl Job {
    pub(crate) fn enter(&mut self, state: JobState, reason: Reason, now: Timestamp) {
        self.state = state;
        self.since = now;
        self.reason = reason;
    }

    pub(crate) fn committed(&mut self, now: Timestamp) {
        let reason = Reason::new("committed", "its output is committed; the next statement follows");
        self.enter(JobState::Running, reason, now);
    }

    pub(crate) fn is_committing(&self, step: u32) -> bool {
        let asked = self.state == JobState::Committing && self.step_index() == step;
        asked && self.current_step().is_some_and(|current| current.phase.is_committing())
    }

    pub(crate) fn add_step(&mut self, plan: StepPlan, now: Timestamp) {
        let step = self.steps.len() as u32;
        self.planning = false;
        self.steps.push(Step {
            outcome: plan.outcome,
            last: plan.last,
            first_stage: self.stages.len() as u32,
            phase: StepPhase::Running,
            files: 0,
            rows: 0,
            bytes: 0,
        });
        for stage in plan.stages {
            let id = stage.id(self.id);
            for input in &stage.inputs {
                let consumers = &mut self.stages[input.stage as usize].consumers;
                if consumers.last() != Some(&id.index) {
                    consumers.push(id.index);
                }
            }
            let role = role_of(&stage, plan.outcome);
            self.stages.push(Stage::new(StageId { job: self.id, index: id.index }, step, role, stage, now));
        }
    }

    /// Marks the current step finished; says whether it was the last.
    pub(crate) fn finish_current_step(&mut self) -> Option<bool> {
        let step = self.current_step_mut()?;
        step.phase = StepPhase::Finished;
        Some(step.last)
    }

    pub(crate) fn end(
        &mut self,
        state: JobState,
        report: Option<ErrorReport>,
        reason: Reason,
        now: Timestamp,
        limits: &windrow_model::Limits,
    ) {
        self.enter(state, reason, now);
        self.report = report;
        self.ended_at = Some(now);
        self.planning = false;
        let has_rows = self.steps.iter().any(|step| matches!(step.outcome, StepOutcome::Result { .. }));
        self.result_expires_at = (state == JobState::Succeeded && has_rows).then_some(now + limits.result_ttl);
        // Kept rows may be on workers that are awaited; nothing else is needed of a job that has ended.
        if self.result_expires_at.is_none() {
            self.end_recovery();
        }
    }
}

impl Turn<'_> {
    pub(crate) fn job_changed(&mut self, job: &Job) {
        self.outbox.events.push(Event::JobChanged { job: job.id, state: job.state, report: job.report.clone() });
    }
}

fn token_of(spec: &JobSpec) -> Option<(String, String)> {
    spec.client_token.clone().map(|token| (spec.submitted_by.clone(), token))
}

fn role_of(stage: &StagePlan, outcome: StepOutcome) -> StageRole {
    if outcome_stage(outcome) != Some(stage.index) {
        return StageRole::Inner;
    }
    match outcome {
        StepOutcome::Result { .. } => StageRole::Result,
        StepOutcome::Table { .. } => StageRole::Table,
        StepOutcome::Commit { .. } => StageRole::Sink,
        StepOutcome::Discard { .. } => StageRole::Count,
        StepOutcome::Immediate => StageRole::Inner,
    }
}

/// Checks what the demand rules rely on: indices go on, inputs come first, the outcome is one of the new stages.
fn check_plan(plan: &StepPlan, first_stage: u32) -> Result<(), String> {
    for (index, stage) in (first_stage..).zip(&plan.stages) {
        if stage.index != index {
            return Err(format!("stage {} stands where stage {index} should", stage.index));
        }
        if let Some(input) = stage.inputs.iter().find(|input| input.stage >= index) {
            return Err(format!("stage {index} reads stage {}, which does not come before it", input.stage));
        }
    }
    let new = first_stage..first_stage + plan.stages.len() as u32;
    match outcome_stage(plan.outcome) {
        Some(stage) if !new.contains(&stage) => Err(format!("its outcome is stage {stage}, which is not in it")),
        Some(_) | None => Ok(()),
    }
}
