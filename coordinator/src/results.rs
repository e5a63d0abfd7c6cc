//! Where the rows of a step are: waits until they are there, then names the parts.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use tokio::sync::watch;
use windrow_model::{ErrorKind, ErrorReport, JobId, JobState};
use windrow_proto as wire;
use windrow_scheduler::{JobView, ResultPart, ResultState};

use crate::artefacts::{Answer, StepArtefacts};
use crate::call::ToDriver;
use crate::snapshot::{self, Detail};
use crate::state::State;
use crate::{analyze, ipc};

/// What the state says about a step's rows.
enum Found {
    Text(String),
    Rows {
        schema: SchemaRef,
        rows: Vec<RecordBatch>,
    },
    Parts {
        schema: SchemaRef,
        parts: Vec<wire::ResultPart>,
    },
    /// Not yet: look again when the job changes.
    Wait(watch::Receiver<bool>),
}

/// Answers when the rows are there or will never be. Every wait ends with the job: it has a timeout, and lost rows
/// are computed again or given up. A caller that goes away, or whose deadline passes, drops the wait.
pub(crate) async fn result(driver: &ToDriver, job: JobId, step: u32) -> Result<wire::ResultResponse, ErrorReport> {
    loop {
        match driver.query(move |state| find(state, job, step)).await?? {
            Found::Text(text) => return Ok(wire::ResultResponse { text, ..Default::default() }),
            Found::Rows { schema, rows } => return immediate(job, &schema, &rows),
            Found::Parts { schema, parts } => {
                let schema = ipc::encode(&schema, &[])?;
                return Ok(wire::ResultResponse { schema, parts, text: String::new() });
            }
            // An error means that the job was forgotten meanwhile; the next look says so.
            Found::Wait(mut changed) => drop(changed.changed().await),
        }
    }
}

fn immediate(job: JobId, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<wire::ResultResponse, ErrorReport> {
    let stream = ipc::encode(schema, batches)?;
    // No task made them and no worker holds them: the id only says whose they are.
    let nobody = wire::MapOutputId {
        task: Some(wire::TaskId { job: job.0, ..Default::default() }),
        attempt: Some(wire::AttemptId::default()),
    };
    let part = wire::ResultPart {
        output: Some(nobody),
        rows: batches.iter().map(|batch| batch.num_rows() as u64).sum(),
        bytes: stream.len() as u64,
        inline: Some(stream),
        ..Default::default()
    };
    Ok(wire::ResultResponse { schema: ipc::encode(schema, &[])?, parts: vec![part], text: String::new() })
}

/// What a caller reads who asks for a job that is not kept.
pub(crate) fn no_such_job(job: JobId) -> ErrorReport {
    ErrorReport::new(ErrorKind::NotFound, format!("there is no {job}"))
        .with_hint("`windrow jobs --all` lists the jobs that are kept")
}

fn find(state: &State, job: JobId, step: u32) -> Result<Found, ErrorReport> {
    let (Some(view), Some(dossier)) = (state.scheduler.job(job), state.dossiers.get(&job)) else {
        return Err(no_such_job(job));
    };
    // Subscribed before looking, so that no change is missed.
    let wait = || Found::Wait(dossier.changed.subscribe());
    let finished = view.steps().nth(step as usize).is_some_and(|step| step.is_finished());
    match (dossier.steps.get(&step), view.result(step)) {
        (Some(artefacts), ResultState::None) if finished => answered(state, view, step, artefacts),
        (Some(artefacts), ResultState::Available) => available(state, view, step, artefacts),
        (_, ResultState::Failed(report)) => Err(report.clone()),
        (_, ResultState::Released) => Err(released(view, step)),
        (_, ResultState::Restoring) => Ok(wait()),
        (_, ResultState::Available) => {
            Err(ErrorReport::internal(format!("the schema of {job} step {step} is not kept")))
        }
        (_, ResultState::None | ResultState::Pending) if view.state().is_final() => Err(unfinished(view, step)),
        (_, ResultState::None | ResultState::Pending) => Ok(wait()),
    }
}

fn answered(state: &State, view: JobView<'_>, step: u32, artefacts: &StepArtefacts) -> Result<Found, ErrorReport> {
    match &artefacts.answer {
        Answer::Text(text) => Ok(Found::Text(text.clone())),
        Answer::Metrics => Ok(Found::Text(analyze::render(&snapshot::job(state, view, Detail::Full), step))),
        Answer::Rows(rows) => {
            let schema = artefacts.schema.clone().or_else(|| rows.first().map(|batch| batch.schema()));
            let schema = schema.unwrap_or_else(|| arrow::datatypes::Schema::empty().into());
            Ok(Found::Rows { schema, rows: rows.clone() })
        }
        Answer::FromStages => Err(no_rows(view, step, &artefacts.statement)),
    }
}

fn available(state: &State, view: JobView<'_>, step: u32, artefacts: &StepArtefacts) -> Result<Found, ErrorReport> {
    let schema = artefacts.schema.clone();
    let schema = schema.ok_or_else(|| ErrorReport::internal(format!("{} step {step} has no schema", view.id())))?;
    let outputs = state.scheduler.result_outputs(view.id(), step).unwrap_or_default();
    Ok(Found::Parts { schema, parts: outputs.into_iter().map(|part| result_part(state, part)).collect() })
}

fn result_part(state: &State, part: ResultPart<'_>) -> wire::ResultPart {
    wire::ResultPart {
        output: Some(part.output.into()),
        worker: part.worker.map(|worker| worker.0).unwrap_or_default(),
        address: part.worker.map(|worker| state.fleet.address(worker)).unwrap_or_default(),
        inline: part.inline.map(|bytes| bytes.to_vec().into()),
        rows: part.rows,
        bytes: part.bytes,
    }
}

fn no_rows(view: JobView<'_>, step: u32, statement: &str) -> ErrorReport {
    let steps: Vec<String> = view.result_steps().map(|step| step.to_string()).collect();
    let report = ErrorReport::invalid(format!("statement {} of {} leaves no rows", step + 1, view.id()));
    let report = report.with_detail(format!("it is `{statement}`"));
    match steps.as_slice() {
        [] => report.with_hint("none of the job's statements leaves rows for its client"),
        steps => report.with_hint(format!("steps with rows, counted from 0: {}", steps.join(", "))),
    }
}

fn released(view: JobView<'_>, step: u32) -> ErrorReport {
    ErrorReport::new(ErrorKind::NotFound, format!("the rows of {} step {step} are not kept any more", view.id()))
        .with_detail("the lifetime of results is over, or the job ended without success")
        .with_hint("submit the job again, or give it an `output:` that stays")
}

fn unfinished(view: JobView<'_>, step: u32) -> ErrorReport {
    match (view.report(), view.state()) {
        (Some(report), _) => report.clone(),
        (None, JobState::Cancelled) => {
            ErrorReport::new(ErrorKind::Cancelled, format!("{} was cancelled before step {step} had rows", view.id()))
        }
        (None, _) => ErrorReport::new(ErrorKind::NotFound, format!("{} has no step {step} with rows", view.id()))
            .with_hint(format!("`windrow job {}` lists its steps and stages", view.id())),
    }
}
