//! End-to-end benchmarks: Windrow's separate processes beside single-process DataFusion, and what its coordinator bears.

mod datafusion_server;
mod dispatch;
mod engines;
mod latency;
mod made;
mod output;
mod plot;
mod process;
mod profile;
mod report;
mod rounds;
mod shuffle;
mod tpch;
mod words;

use clap::{Parser, Subcommand};

// The same as Windrow's, so that single-process DataFusion, which runs in this program, has no other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    Stars(made::StarArgs),
    /// A join whose hottest key holds three rows in ten, beside the same join without it.
    Skew(made::SkewArgs),
    /// A global sort of records with ten-byte keys, written as Parquet.
    Records(made::RecordArgs),
    /// Word count of generated text: Rust, Python, and what there is without Windrow.
    Words(words::WordsArgs),
    /// The program of `words` that is written by hand.
    #[command(hide = true)]
    WordsByHand(words::ByHandArgs),
    /// How long small things take: a trivial job on a running cluster, a cold start, an idle worker's memory.
    Latency(latency::LatencyArgs),
    /// The shuffle alone, between two processes, beside loopback TCP.
    Shuffle(shuffle::ShuffleArgs),
    /// The writing process of `shuffle`.
    #[command(hide = true)]
    ShuffleWriter(shuffle::WriterArgs),
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
    windrow_client::heap::keep_warm();
    match Cli::parse().command {
        Command::Tpch(args) => tpch::run(args).await,
        Command::Profile(args) => profile::run(args).await,
        Command::Workload(args) => tpch::run_workloads(args).await,
        Command::Stars(args) => made::stars(args).await,
        Command::Skew(args) => made::skew(args).await,
        Command::Records(args) => made::records(args).await,
        Command::Words(args) => words::run(&args),
        Command::WordsByHand(args) => words::by_hand(&args),
        Command::Latency(args) => latency::run(args).await,
        Command::Shuffle(args) => shuffle::run(args).await,
        Command::ShuffleWriter(args) => shuffle::write(args).await,
        Command::Dispatch(args) => dispatch::run(args).await,
        Command::DispatchCoordinator(args) => dispatch::serve(args).await,
        Command::DatafusionServer(args) => datafusion_server::serve(args).await,
    }
}
