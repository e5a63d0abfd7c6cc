//! End-to-end benchmarks: Windrow's separate processes beside single-process DataFusion, and what its coordinator bears.

mod datafusion_server;
mod dispatch;
mod engines;
mod latency;
mod output;
mod process;
mod profile;
mod report;
mod rounds;
mod stars;
mod tpch;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "windrow-benches", about = "End-to-end benchmarks of Windrow beside single-process DataFusion")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The 22 TPC-H queries, in alternating rounds.
    Tpch(tpch::TpchArgs),
    /// Where the time of each TPC-H query goes.
    Profile(tpch::TpchArgs),
    /// Group-by with many groups, a global sort, a word count.
    #[command(name = "workload")]
    Workload(tpch::WorkloadArgs),
    /// Star and snowflake joins of up to ten tables.
    Stars(stars::StarArgs),
    /// How long small things take: a trivial job on a running cluster, a cold start, an idle worker's memory.
    Latency(latency::LatencyArgs),
    /// Hands out a million no-op tasks: throughput, latency, memory.
    Dispatch(dispatch::DispatchArgs),
    /// The coordinator of `dispatch`.
    #[command(hide = true)]
    DispatchCoordinator(dispatch::ServeArgs),
    /// Runs queries named on standard input in this process with plain DataFusion.
    #[command(hide = true)]
    DatafusionServer(datafusion_server::ServerArgs),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Tpch(args) => tpch::run(args).await,
        Command::Profile(args) => profile::run(args).await,
        Command::Workload(args) => tpch::run_workloads(args).await,
        Command::Stars(args) => stars::run(args).await,
        Command::Latency(args) => latency::run(args).await,
        Command::Dispatch(args) => dispatch::run(args).await,
        Command::DispatchCoordinator(args) => dispatch::serve(args).await,
        Command::DatafusionServer(args) => datafusion_server::serve(args).await,
    }
}
