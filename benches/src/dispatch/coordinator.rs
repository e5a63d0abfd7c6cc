//! The coordinator's process.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use windrow_coordinator::{Coordinator, CoordinatorOptions, StoreOptions};
use windrow_engine::job::{EngineOptions, PlanHook, PlannedStep};
use windrow_model::Limits;

use super::workers::BUILD;

#[derive(Args)]
pub struct ServeArgs {
    /// Tasks of every stage.
    #[arg(long)]
    tasks: u32,
    /// The journal's folder; none: it is kept nowhere.
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

/// Prints its address and serves until it is killed.
pub async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let tasks = args.tasks as usize;
    let multiply = move |planned: &mut PlannedStep| {
        for stage in &mut planned.plan.stages {
            let task = stage.tasks[0].clone();
            stage.tasks = vec![task; tasks];
        }
    };
    let limits = Limits { running_jobs_max: 10_000, ..Limits::default() };
    let options = CoordinatorOptions {
        listen: "127.0.0.1:0".parse()?,
        insecure: false,
        store: args.data_dir.map(|data_dir| StoreOptions::File { data_dir }),
        history: None,
        shuffle_store: None,
        limits,
        engine: EngineOptions { plan_hook: Some(PlanHook(Arc::new(multiply))), ..EngineOptions::default() },
        build: BUILD.to_owned(),
    };
    let coordinator = Coordinator::start(options).await.map_err(anyhow::Error::from)?;
    println!("{}", coordinator.url());
    coordinator.stopped().await;
    anyhow::bail!("the coordinator has stopped leading")
}
