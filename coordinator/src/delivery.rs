//! From the core's messages to the commands of a worker's stream.

use std::collections::BTreeMap;

use windrow_model::{ErrorReport, MapOutputId, WorkerId};
use windrow_proto as wire;
use windrow_proto::to_worker::Kind;
use windrow_scheduler::{InputRef, Message, RunTask, StageSize};

use crate::dossier::TaskBlobs;
use crate::fleet::{Fleet, Running};
use crate::outgoing::Command;
use crate::state::State;

/// Why a message did not go out.
#[derive(Debug)]
pub(crate) enum Undelivered {
    /// The worker is gone or does not read.
    LinkBroken,
    /// The task's fragment is not kept: a bug, which fails the attempt and not the coordinator.
    NoFragment(ErrorReport),
}

/// Queues one message for one worker and notes what follows from it for the shell. Waits for nothing.
pub(crate) fn deliver(state: &mut State, worker: WorkerId, message: Message) -> Result<(), Undelivered> {
    match message {
        Message::RunTask(run) => deliver_task(state, worker, run),
        Message::CancelAttempt { attempt } => {
            if let Some(attached) = state.fleet.get_mut(worker) {
                attached.cancelled(attempt);
            }
            send(&mut state.fleet, worker, Command::plain(Kind::Cancel(attempt.into())))
        }
        Message::ReleaseStages { stages } => {
            let mut by_job: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
            for stage in stages {
                by_job.entry(stage.job.0).or_default().push(stage.index);
            }
            by_job.into_iter().try_for_each(|(job, stages)| {
                let release = Kind::ReleaseStages(wire::ReleaseStages { job, stages });
                send(&mut state.fleet, worker, Command::plain(release))
            })
        }
        Message::ReleaseJob { job } => {
            if let Some(dossier) = state.dossiers.get_mut(&job) {
                dossier.forget_blobs();
            }
            // Rows that are kept inline need no worker, but their columns.
            if state.scheduler.job(job).is_none_or(|job| job.result_expires_at().is_none()) {
                state.forgotten.blobs.insert(job);
            }
            send(&mut state.fleet, worker, Command::plain(Kind::ReleaseJob(job.0)))
        }
        Message::CopyOutputs { outputs, from } => {
            let copy = wire::CopyOutputs {
                from: from.0,
                address: state.fleet.address(from),
                outputs: outputs.iter().filter_map(|output| kept_output(state, *output)).collect(),
            };
            send(&mut state.fleet, worker, Command::plain(Kind::CopyOutputs(copy)))
        }
        Message::RepointInputs { attempt, inputs } => {
            let repoint = wire::RepointInputs {
                attempt: Some(attempt.into()),
                job: inputs.first().map(|input| input.output.task.stage.job.0),
                inputs: stage_outputs(&state.fleet, &inputs, &[]),
            };
            send(&mut state.fleet, worker, Command::plain(Kind::RepointInputs(repoint)))
        }
        Message::Shutdown => send(&mut state.fleet, worker, Command::plain(Kind::Shutdown(wire::Shutdown {}))),
    }
}

/// An output with its figures, which its new holder answers for from then on.
fn kept_output(state: &State, output: MapOutputId) -> Option<wire::KeptOutput> {
    let job = state.scheduler.job(output.task.stage.job)?;
    let stage = job.stages().nth(output.task.stage.index as usize)?;
    let task = stage.tasks().nth(output.task.index as usize)?;
    let attempt = task.attempts().find(|attempt| attempt.id() == output.attempt)?;
    let named = wire::TaskAttempt { task: Some(output.task.into()), attempt: Some(output.attempt.into()) };
    let mut figures = attempt.output().clone();
    // The core keeps no bytes by partition; the receiver reads from them only how many partitions there are.
    figures.partition_bytes = vec![0; stage.output_partitions() as usize];
    Some(wire::KeptOutput { attempt: Some(named), output: Some(figures.into()) })
}

fn send(fleet: &mut Fleet, worker: WorkerId, command: Command) -> Result<(), Undelivered> {
    fleet.send(worker, command).map_err(|_| Undelivered::LinkBroken)
}

fn deliver_task(state: &mut State, worker: WorkerId, run: RunTask) -> Result<(), Undelivered> {
    let job = run.task.stage.job;
    let blobs = state.dossiers.get(&job).and_then(|dossier| dossier.blobs(run.task, run.fragment));
    let Some(TaskBlobs { fragment, splits }) = blobs else {
        return Err(Undelivered::NoFragment(ErrorReport::internal(format!(
            "the fragment of {} is not kept",
            run.task
        ))));
    };
    let mut sent_before = vec![(job, run.fragment, fragment)];
    let splits_hash = splits.as_ref().map(|(hash, _)| wire::fragment_hash_to_wire(*hash)).unwrap_or_default();
    sent_before.extend(splits.map(|(hash, bytes)| (job, hash, bytes)));
    if let Some(attached) = state.fleet.get_mut(worker) {
        attached.running.insert(run.attempt, Running { task: run.task, rows: 0, bytes: 0 });
    }
    let message = Kind::Run(wire::RunTask {
        task: Some(run.task.into()),
        attempt: Some(run.attempt.into()),
        try_number: run.try_number,
        fragment: wire::fragment_hash_to_wire(run.fragment),
        splits: splits_hash,
        inputs: stage_outputs(&state.fleet, &run.inputs, &run.input_sizes),
        partitions: run.partitions,
        share: run.share.map(Into::into),
        slots: run.slots,
        output_partitions: run.output_partitions,
        is_result: run.is_result,
    });
    send(&mut state.fleet, worker, Command { message, blobs: sent_before })
}

/// Groups inputs, which come ordered by (stage, task), by stage and adds where their workers serve them. Sizes may be
/// left out.
fn stage_outputs(fleet: &Fleet, inputs: &[InputRef], sizes: &[StageSize]) -> Vec<wire::StageOutputs> {
    let by_stage = inputs.chunk_by(|a, b| a.output.task.stage == b.output.task.stage);
    by_stage
        .map(|inputs| {
            let stage = inputs[0].output.task.stage;
            let size = sizes.iter().find(|size| size.stage == stage);
            wire::StageOutputs {
                stage: stage.index,
                outputs: inputs.iter().map(|input| output_location(fleet, input)).collect(),
                rows: size.map_or(0, |size| size.rows),
                bytes: size.map_or(0, |size| size.bytes),
            }
        })
        .collect()
}

fn output_location(fleet: &Fleet, input: &InputRef) -> wire::OutputLocation {
    wire::OutputLocation {
        task: input.output.task.index,
        attempt: Some(input.output.attempt.into()),
        worker: input.worker.0,
        address: fleet.address(input.worker),
    }
}
