//! How many inputs the core takes in a second, how long the longest step is, and how much memory a task costs it.
//!
//! `cargo run --release -p windrow-scheduler --example throughput` prints a table of all shapes of work;
//! names of shapes choose some, and `--json` prints one object a line instead.
//!
//! The core is driven alone, on one thread: records and messages are built and dropped, as a shell does after it has
//! sent them. Each shape runs in a process of its own, so that none is given memory that another one has left.

mod report;
mod shapes;
mod shell;

use std::process::{Command, ExitCode};

use report::{Format, Report};
use shapes::Shape;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let format = if words.iter().any(|word| word == "--json") { Format::Json } else { Format::Table };
    let names: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.starts_with("--")).collect();
    let known = Shape::all();
    if let Some(unknown) = names.iter().find(|name| !known.iter().any(|shape| shape.name == **name)) {
        let known: Vec<&str> = known.iter().map(|shape| shape.name).collect();
        eprintln!("there is no shape `{unknown}`; there are {}", known.join(", "));
        return ExitCode::from(2);
    }
    let mut chosen = known.into_iter().filter(|shape| names.is_empty() || names.contains(&shape.name));
    if words.iter().any(|word| word == "--alone") {
        let Some(shape) = chosen.next() else { return ExitCode::from(2) };
        println!("{}", Report::of(shape).line(format));
        return ExitCode::SUCCESS;
    }
    if let Some(header) = Report::header(format) {
        println!("{header}");
    }
    let ended_well = chosen.map(|shape| run_alone(&shape, format)).filter(|ended_well| !ended_well).count() == 0;
    if ended_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures one shape in a process of its own, which prints the line.
fn run_alone(shape: &Shape, format: Format) -> bool {
    let Ok(program) = std::env::current_exe() else { return false };
    let mut command = Command::new(program);
    command.args(["--alone", shape.name]);
    if format == Format::Json {
        command.arg("--json");
    }
    command.status().is_ok_and(|status| status.success())
}
