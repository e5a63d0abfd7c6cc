//! From the core's views and the shell's dossiers to the wire's jobs and workers.

use std::collections::{BTreeMap, HashMap};

use windrow_model::{AttemptState, Timestamp, WorkerId, WrittenFile};
use windrow_proto as wire;
use windrow_scheduler::{AttemptView, JobView, StageView, TaskView, WorkerView};

use crate::artefacts::Answer;
use crate::dossier::{Dossier, Usage};
use crate::fleet::Fleet;
use crate::state::State;

/// Attempts of one stage that are told: a stage of a million tasks is no message and no page.
const ATTEMPTS_MAX: usize = 2_000;

/// How much of a job is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Stages as counts, without attempts and metrics, and the specification without its script: many jobs fit
    /// into one message.
    Summary,
    /// Everything but the attempts that succeeded: of a job with very many.
    Failures,
    Full,
}

/// One job as it is now.
pub(crate) fn job(state: &State, view: JobView<'_>, detail: Detail) -> wire::Job {
    let dossier = state.dossiers.get(&view.id());
    let (code, text) = (&view.reason().code, &view.reason().text);
    wire::Job {
        id: view.id().0,
        spec: Some(spec(view, detail)),
        state: view.state().name().to_owned(),
        state_since_us: view.since().0,
        reason: if text.is_empty() { code.to_string() } else { text.clone() },
        submitted_us: view.submitted_at().0,
        started_us: micros(view.started_at()),
        ended_us: micros(view.ended_at()),
        error: view.report().cloned().map(Into::into),
        step: view.step(),
        stages: view.stages().map(|view| stage(state, dossier, view, detail)).collect(),
        result_steps: result_steps(dossier, view),
        workers: worker_uses(dossier, view),
        files: dossier.map(published_files).unwrap_or_default(),
        notes: dossier.map(|dossier| dossier.notes.clone()).unwrap_or_default(),
    }
}

fn spec(view: JobView<'_>, detail: Detail) -> wire::JobSpec {
    let mut spec = wire::JobSpec::from(view.spec().clone());
    if detail == Detail::Summary {
        spec.program = None;
    }
    spec
}

/// Zero stands for "not yet".
fn micros(at: Option<Timestamp>) -> u64 {
    at.map(|at| at.0).unwrap_or_default()
}

/// Steps that have something to show: rows of a stage, or what the planner or the metrics answered.
fn result_steps(dossier: Option<&Dossier>, view: JobView<'_>) -> Vec<u32> {
    let answered = |step: &u32| {
        let artefacts = dossier.and_then(|dossier| dossier.steps.get(step));
        artefacts.is_some_and(|artefacts| !matches!(artefacts.answer, Answer::FromStages))
    };
    let mut steps: Vec<u32> = view.result_steps().collect();
    steps.extend(view.steps().filter(|step| step.is_finished()).map(|step| step.index()).filter(answered));
    steps.sort_unstable();
    steps.dedup();
    steps
}

fn published_files(dossier: &Dossier) -> Vec<wire::PublishedFile> {
    dossier.files.iter().map(published_file).collect()
}

pub(crate) fn published_file(file: &WrittenFile) -> wire::PublishedFile {
    wire::PublishedFile { path: file.path.clone(), rows: file.rows, bytes: file.bytes }
}

pub(crate) fn worker_uses(dossier: Option<&Dossier>, view: JobView<'_>) -> Vec<wire::WorkerUse> {
    let mut attempts: BTreeMap<WorkerId, u32> = BTreeMap::new();
    for attempt in view.stages().flat_map(|stage| stage.tasks()).flat_map(|task| task.attempts()) {
        *attempts.entry(attempt.worker()).or_default() += 1;
    }
    let worker_use = |(worker, attempts): (WorkerId, u32)| {
        let usage = dossier.and_then(|dossier| dossier.uses.get(&worker)).cloned();
        let Usage { host, rss_peak_bytes, cpu_us } = usage.unwrap_or_default();
        wire::WorkerUse { worker: worker.0, host, attempts, rss_peak_bytes, cpu_us }
    };
    attempts.into_iter().map(worker_use).collect()
}

fn stage(state: &State, dossier: Option<&Dossier>, view: StageView<'_>, detail: Detail) -> wire::Stage {
    let (running_rows, running_bytes) = progress(&state.fleet, view);
    let mut attempts = if detail == Detail::Summary { Vec::new() } else { attempts(&state.fleet, view) };
    if detail == Detail::Failures {
        attempts.retain(|attempt| attempt.state != AttemptState::Succeeded.name());
    }
    let attempts_total: usize = view.tasks().map(|task| task.attempts().len()).sum();
    let dossier = dossier.filter(|_| detail != Detail::Summary);
    let operators = dossier.map(|dossier| stage_operators(dossier, view)).unwrap_or_default();
    wire::Stage {
        index: view.id().index,
        step: view.step(),
        label: view.label().to_owned(),
        state: view.state().name().to_owned(),
        state_since_us: view.since().0,
        tasks: view.tasks_total(),
        partitions: view.partitions(),
        tasks_done: view.tasks_done(),
        tasks_running: view.tasks_running(),
        rows: view.rows() + running_rows,
        bytes: view.bytes() + running_bytes,
        spill_bytes: successes(view).map(|attempt| attempt.output().spill_bytes).sum(),
        reruns: view.reruns(),
        attempts_total: attempts_total as u32,
        attempts,
        inputs: view.inputs().collect(),
        operators,
        counters: if detail == Detail::Summary { HashMap::new() } else { stage_counters(view) },
    }
}

/// Counters of the user's code, of the attempts whose rows count.
fn stage_counters(view: StageView<'_>) -> HashMap<String, i64> {
    let mut sums = HashMap::<String, i64>::new();
    for (name, amount) in successes(view).flat_map(|attempt| &attempt.output().counters) {
        match sums.get_mut(name) {
            Some(sum) => *sum = sum.saturating_add(*amount),
            None => drop(sums.insert(name.clone(), *amount)),
        }
    }
    sums
}

/// Puts what the user's code has said to the attempts of a job.
pub(crate) fn with_said(mut job: wire::Job, dossier: Option<&Dossier>) -> wire::Job {
    let attempts = job.stages.iter_mut().flat_map(|stage| &mut stage.attempts);
    for attempt in attempts {
        attempt.said = attempt.id.and_then(|id| dossier?.said.get(&id.into()).cloned());
    }
    job
}

/// The attempts of a stage by task; of a large one those that people look for: what failed, was lost or ran again
/// first, and then as many of the others as there is room for.
fn attempts(fleet: &Fleet, view: StageView<'_>) -> Vec<wire::Attempt> {
    let of_task = |task: TaskView<'_>| {
        let index = task.id().index;
        task.attempts().map(|view| attempt(fleet, index, view)).collect::<Vec<_>>()
    };
    let is_smooth = |task: &TaskView<'_>| {
        let mut attempts = task.attempts();
        attempts.len() <= 1 && attempts.all(|attempt| attempt.state() == AttemptState::Succeeded)
    };
    let mut room = ATTEMPTS_MAX;
    let mut listed = Vec::new();
    for smooth in [false, true] {
        let mut tasks = view.tasks().filter(|task| is_smooth(task) == smooth);
        while room > 0
            && let Some(task) = tasks.next()
        {
            let attempts = of_task(task);
            room = room.saturating_sub(attempts.len());
            listed.extend(attempts);
        }
    }
    // Stable: the attempts of a task stay in their order.
    listed.sort_by_key(|attempt| attempt.task);
    listed
}

/// A stage with its metrics, which history keeps when it is done.
pub(crate) fn stage_without_attempts(state: &State, dossier: &Dossier, view: StageView<'_>) -> wire::Stage {
    let operators = stage_operators(dossier, view);
    wire::Stage { operators, ..stage(state, Some(dossier), view, Detail::Summary) }
}

/// Rows and bytes of the attempts that run now, as last reported.
fn progress(fleet: &Fleet, view: StageView<'_>) -> (u64, u64) {
    let attempts = view.tasks().flat_map(|task| task.attempts());
    let running = attempts.filter(|attempt| matches!(attempt.state(), AttemptState::Assigned | AttemptState::Running));
    let reported = running.filter_map(|attempt| fleet.progress(attempt.worker(), attempt.id()));
    reported.fold((0, 0), |(rows, bytes), running| (rows + running.rows, bytes + running.bytes))
}

fn attempt(fleet: &Fleet, task: u32, view: AttemptView<'_>) -> wire::Attempt {
    let running = fleet.progress(view.worker(), view.id()).map(|running| (running.rows, running.bytes));
    let (rows, bytes) = running.unwrap_or((view.output().rows, view.output().bytes));
    wire::Attempt {
        id: Some(view.id().into()),
        task,
        try_number: view.try_number(),
        worker: view.worker().0,
        state: view.state().name().to_owned(),
        started_us: micros(view.started_at()),
        ended_us: micros(view.ended_at()),
        failure: view.failure().cloned().map(Into::into),
        rows,
        bytes,
        memory_bytes_peak: view.output().memory_bytes_peak,
        said: None,
    }
}

/// The newest successful attempt of each task: the ones whose rows count.
fn successes<'a>(view: StageView<'a>) -> impl Iterator<Item = AttemptView<'a>> {
    view.tasks().filter_map(|task| task.attempts().filter(|attempt| attempt.state() == AttemptState::Succeeded).last())
}

/// Operator metrics of a stage, summed over the attempts whose rows count, in plan order.
pub(crate) fn stage_operators(dossier: &Dossier, view: StageView<'_>) -> Vec<wire::OperatorMetrics> {
    if let Some(sums) = dossier.stage_operators.get(&view.id().index) {
        return sums.clone();
    }
    sum_operators(successes(view).filter_map(|attempt| dossier.operators.get(&attempt.id())))
}

/// All attempts of a stage run the same fragment, so their lists have the same operators in the same order.
fn sum_operators<'a>(attempts: impl Iterator<Item = &'a Vec<wire::OperatorMetrics>>) -> Vec<wire::OperatorMetrics> {
    let mut sums: Vec<wire::OperatorMetrics> = Vec::new();
    for operators in attempts {
        for (index, operator) in operators.iter().enumerate() {
            match sums.get_mut(index) {
                Some(sum) => {
                    sum.rows += operator.rows;
                    sum.bytes += operator.bytes;
                    sum.elapsed_ns += operator.elapsed_ns;
                    sum.spill_bytes += operator.spill_bytes;
                }
                None => sums.push(operator.clone()),
            }
        }
    }
    sums
}

/// Folds the metrics of a job that has ended into sums by stage, so that ended jobs stay small.
pub(crate) fn seal(dossier: &mut Dossier, view: JobView<'_>) {
    for stage in view.stages() {
        let sums = stage_operators(dossier, stage);
        dossier.stage_operators.insert(stage.id().index, sums);
    }
    dossier.operators.clear();
}

/// One worker as it is now.
pub(crate) fn worker(state: &State, view: WorkerView<'_>) -> wire::Worker {
    let attached = state.fleet.get(view.id());
    let registration = attached.map(|attached| attached.registration.clone()).unwrap_or_default();
    wire::Worker {
        id: view.id().0,
        state: view.state().name().to_owned(),
        state_since_us: view.since().0,
        reason: view.reason().text.clone(),
        host: view.spec().host.clone(),
        address: registration.address,
        slots: view.spec().slots,
        slots_free: view.slots_free(),
        memory_bytes: view.spec().memory_bytes,
        rss_bytes: attached.map(|attached| attached.rss_bytes).unwrap_or_default(),
        rss_peak_bytes: attached.map(|attached| attached.rss_peak_bytes).unwrap_or_default(),
        process_id: registration.process_id,
        build: registration.build,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(name: &str, rows: u64) -> wire::OperatorMetrics {
        wire::OperatorMetrics { name: name.to_owned(), rows, elapsed_ns: 10, ..Default::default() }
    }

    #[test]
    fn metrics_of_a_stage_are_summed_operator_by_operator() {
        let attempts = [vec![operator("Sort", 1), operator("Scan", 5)], vec![operator("Sort", 2), operator("Scan", 7)]];
        let sums = sum_operators(attempts.iter());
        let rows: Vec<(&str, u64, u64)> =
            sums.iter().map(|sum| (sum.name.as_str(), sum.rows, sum.elapsed_ns)).collect();
        assert_eq!(rows, [("Sort", 3, 20), ("Scan", 12, 20)]);
    }

    #[test]
    fn a_stage_without_finished_attempts_has_no_metrics() {
        assert!(sum_operators(std::iter::empty()).is_empty());
    }
}
