//! `windrow coordinator`.

use serde_json::json;
use windrow_client::BUILD;
use windrow_client::rows::RowFormat;
use windrow_coordinator::{Coordinator, CoordinatorOptions};
use windrow_model::{ErrorKind, ErrorReport, Limits};

use super::signals::{end_with_parent, stop_requested};
use crate::cli::CoordinatorArgs;
use crate::follow::print_text;
use crate::outcome::{Outcome, printed};

pub async fn run(args: CoordinatorArgs) -> Outcome {
    end_with_parent(args.child.exit_with_parent)?;
    let stop = stop_requested()?;
    let mut options = CoordinatorOptions {
        listen: args.listen,
        insecure: args.insecure,
        data_dir: Some(args.data_dir),
        limits: Limits::default(),
        engine: Default::default(),
        build: BUILD.to_owned(),
    };
    if let Some(bytes) = args.small_job_bytes {
        options.engine.small_job_bytes = bytes;
    }
    let coordinator = Coordinator::start(options).await?;
    if args.child.announce {
        printed(print_text(&json!({ "coordinator": coordinator.url() }).to_string(), RowFormat::Table))?;
    }
    let outcome = tokio::select! {
        () = stop => Ok(()),
        () = coordinator.stopped() => Err(ErrorReport::new(ErrorKind::Fenced, "the coordinator has stopped leading")
            .with_hint("its log says why")),
    };
    coordinator.shutdown().await;
    outcome
}
