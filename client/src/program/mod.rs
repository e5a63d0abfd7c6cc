//! The `windrow` command, which other programs can be, too: one with mappers and reducers of its own runs workers that know
//! them.

mod cli;
mod command;
mod follow;
mod logging;
mod outcome;
mod progress;
mod summary;
mod view;

use std::process::ExitCode;

use clap::Parser;

use cli::Cli;

/// Reads the command line, runs the command and says how it ended. To be called once, from `main`.
pub fn main() -> ExitCode {
    crate::heap::keep_warm();
    let cli = Cli::parse();
    let json_errors = cli.command.prints_json();
    let outcome = logging::start(cli.log_format, cli.command.default_log())
        .and_then(|()| command::run(cli.command, cli.log_format));
    outcome::exit_code(outcome, json_errors)
}
