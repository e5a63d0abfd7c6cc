//! End-to-end benchmarks: Windrow's separate processes beside single-process DataFusion, in one run.

mod datafusion_server;
mod engines;
mod process;
mod report;
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
    /// Runs queries named on standard input in this process with plain DataFusion.
    #[command(hide = true)]
    DatafusionServer(datafusion_server::ServerArgs),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Tpch(args) => tpch::run(args).await,
        Command::DatafusionServer(args) => datafusion_server::serve(args).await,
    }
}
