//! One module per group of commands.

#[cfg(feature = "embedded")]
mod coordinator;
#[cfg(feature = "embedded")]
mod generate;
mod jobs;
mod load;
mod logs;
#[cfg(feature = "embedded")]
mod machine;
mod mapreduce;
#[cfg(feature = "embedded")]
mod run;
mod show;
#[cfg(feature = "embedded")]
mod signals;
#[cfg(feature = "embedded")]
mod simulate;
mod submit;
#[cfg(feature = "embedded")]
mod up;
#[cfg(feature = "embedded")]
mod worker;

use std::future::Future;

use windrow_model::ErrorReport;

use crate::program::cli::{Command, RowOutput, TextOutput};
use crate::program::logging::LogFormat;
use crate::program::outcome::Outcome;

/// Runs the command to its end. Processes that it starts log in the same format.
#[cfg_attr(not(feature = "embedded"), allow(unused_variables))]
pub fn run(command: Command, log_format: LogFormat) -> Outcome {
    match command {
        #[cfg(feature = "embedded")]
        Command::Run(args) => block_on(run::run(args)),
        #[cfg(feature = "embedded")]
        Command::Generate(command) => block_on(generate::run(command)),
        #[cfg(feature = "embedded")]
        Command::Up(args) => block_on(up::run(args, log_format)),
        #[cfg(feature = "embedded")]
        Command::Coordinator(args) => block_on(coordinator::run(args)),
        #[cfg(feature = "embedded")]
        Command::Worker(args) => block_on(worker::run(args)),
        #[cfg(feature = "embedded")]
        Command::Simulate(args) => simulate::run(args),
        Command::MapReduce(args) => block_on(mapreduce::run(args)),
        Command::Submit(args) => block_on(submit::run(args)),
        Command::Jobs(args) => block_on(jobs::list(args)),
        Command::Job(args) => block_on(show::job(args)),
        Command::Why(args) => block_on(jobs::why(args)),
        Command::Logs(args) => block_on(logs::run(args)),
        Command::Result(args) => block_on(jobs::result(args)),
        Command::Cancel(args) => block_on(jobs::cancel(args)),
        Command::Workers(args) => block_on(jobs::workers(args)),
        Command::Drain(args) => block_on(jobs::drain(args)),
    }
}

fn block_on(command: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| ErrorReport::internal("cannot start threads").with_detail(error.to_string()))?;
    let outcome = runtime.block_on(command);
    // A read of standard input or of a file that hangs must not keep the process.
    runtime.shutdown_background();
    outcome
}

impl Command {
    /// Whether errors are to be JSON as well.
    pub fn prints_json(&self) -> bool {
        let rows = |output: &RowOutput| matches!(output, RowOutput::Json);
        let text = |output: &TextOutput| matches!(output, TextOutput::Json);
        match self {
            #[cfg(feature = "embedded")]
            Command::Run(args) => rows(&args.text.output),
            #[cfg(feature = "embedded")]
            Command::Generate(_) | Command::Coordinator(_) | Command::Worker(_) => false,
            #[cfg(feature = "embedded")]
            Command::Up(args) => text(&args.output),
            #[cfg(feature = "embedded")]
            Command::Simulate(args) => args.prints_json(),
            Command::MapReduce(_) => false,
            Command::Submit(args) => rows(&args.text.output),
            Command::Jobs(args) => rows(&args.output),
            Command::Job(args) => text(&args.output),
            Command::Why(args) => text(&args.output),
            Command::Logs(args) => text(&args.output),
            Command::Result(args) => rows(&args.output),
            Command::Cancel(args) => text(&args.output),
            Command::Workers(args) => rows(&args.output),
            Command::Drain(args) => text(&args.output),
        }
    }

    /// What is logged unless WINDROW_LOG says otherwise: commands that people type are quiet, services are not.
    pub fn default_log(&self) -> &'static str {
        match self {
            #[cfg(feature = "embedded")]
            Command::Coordinator(_) | Command::Worker(_) | Command::Up(_) => "info",
            _ => "off",
        }
    }
}
