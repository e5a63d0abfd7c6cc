//! The `windrow` command.

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

// Operators allocate and free large buffers on many threads, which the system's allocator does slowly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    windrow_client::heap::keep_warm();
    let cli = Cli::parse();
    let json_errors = cli.command.prints_json();
    let outcome = logging::start(cli.log_format, cli.command.default_log())
        .and_then(|()| command::run(cli.command, cli.log_format));
    outcome::exit_code(outcome, json_errors)
}
