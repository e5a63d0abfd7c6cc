//! `windrow worker`.

use crate::{BUILD, heap};
use windrow_worker::WorkerOptions;

use super::machine::worker_memory;
use super::signals::{end_with_parent, stop_requested};
use crate::program::cli::WorkerArgs;
use crate::program::follow::print_text;
use crate::program::outcome::{Outcome, printed};
use crate::rows::RowFormat;

/// Serves until it is asked to stop; attempts that run are finished first.
pub async fn run(args: WorkerArgs) -> Outcome {
    if args.check {
        return printed(print_text(&windrow_worker::support().to_string(), RowFormat::Table));
    }
    end_with_parent(args.child.exit_with_parent)?;
    let stop = stop_requested()?;
    windrow_engine::failpoint::arm_from_env()?;
    let mut options = WorkerOptions::new(args.cluster.coordinator, args.slots, worker_memory(args.memory, 1), BUILD);
    options.work_dir = args.work_dir;
    options.listen = args.listen;
    options.advertise = args.advertise;
    options.insecure = args.insecure;
    options.compression = args.shuffle_compression.into();
    options.local_reads = !args.no_local_reads;
    options.give_back_memory = Some(heap::give_back);
    windrow_worker::run(options, stop).await
}
