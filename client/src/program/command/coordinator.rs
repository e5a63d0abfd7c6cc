//! `windrow coordinator`.

use std::path::PathBuf;

use crate::BUILD;
use crate::rows::RowFormat;
use serde_json::json;
use windrow_coordinator::{Coordinator, CoordinatorOptions, HistoryOptions, StoreOptions};
use windrow_engine::failpoint;
use windrow_model::{ErrorKind, ErrorReport, Limits};

use super::signals::{end_with_parent, stop_requested};
use crate::program::cli::CoordinatorArgs;
use crate::program::follow::print_text;
use crate::program::outcome::{Outcome, printed};

/// A URL names a store that several coordinators share; a folder keeps the journal of one.
fn store_of(url: Option<String>, data_dir: Option<PathBuf>) -> Outcome<StoreOptions> {
    match (url, data_dir) {
        (Some(url), _) if url.starts_with("etcd://") => Ok(StoreOptions::Etcd { url }),
        (Some(url), _) => Err(ErrorReport::invalid(format!("`{url}` is not a store"))
            .with_hint("write etcd://host:port,host:port/prefix, or keep the journal in a folder with --data-dir")),
        (None, Some(data_dir)) => Ok(StoreOptions::File { data_dir }),
        (None, None) => Err(ErrorReport::invalid("a coordinator needs a place for its journal")
            .with_hint("name a folder with --data-dir, or a shared store with --store")),
    }
}

/// A coordinator with a folder of its own keeps history in it; several that stand by for each other need a place that
/// all of them reach.
fn history_of(args: &CoordinatorArgs) -> Option<HistoryOptions> {
    let location = match (args.history.as_deref(), &args.data_dir) {
        (Some("none"), _) => return None,
        (Some(location), _) => location.to_owned(),
        (None, Some(data_dir)) => data_dir.join("history").to_string_lossy().into_owned(),
        (None, None) => {
            tracing::warn!(
                "no history is kept: with --store, name a place that all coordinators reach with --history, \
                 for example s3://bucket/history/, or say `--history none`"
            );
            return None;
        }
    };
    let (retention, jobs_max) = (args.history_retention, args.history_jobs);
    Some(HistoryOptions { location, retention, jobs_max })
}

pub async fn run(args: CoordinatorArgs) -> Outcome {
    end_with_parent(args.child.exit_with_parent)?;
    let stop = stop_requested()?;
    failpoint::arm_from_env()?;
    let mut limits = Limits::default();
    for assignment in &args.limits {
        limits.set(assignment)?;
    }
    let history = history_of(&args);
    let mut options = CoordinatorOptions {
        listen: args.listen,
        insecure: args.insecure,
        store: Some(store_of(args.store, args.data_dir)?),
        history,
        shuffle_store: args.shuffle_store,
        limits,
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
