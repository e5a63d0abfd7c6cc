//! Word count in Rust: a program that is the `windrow` command with this job in it.
//!
//! ```sh
//! cargo run --release -p windrow-sdk --example word_count -- count ./text/ ./counts/
//! ```
//!
//! counts on a cluster inside the process. On a cluster of machines the same program is the worker:
//! `word_count worker --coordinator URL`, and `word_count count ./text/ ./counts/ URL` hands the job over.

use std::process::ExitCode;

use windrow_sdk::*;

// Arrow's buffers are large and short-lived, which the system's allocator does slowly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Tokenize;

impl Mapper for Tokenize {
    type Key = String;
    type Value = i64;

    fn map(&mut self, rows: &RecordBatch, out: &mut Emitter<'_, String, i64>) -> Result<(), Error> {
        for line in lines(rows)?.iter().flatten() {
            line.split_ascii_whitespace().for_each(|word| out.emit(word, 1));
        }
        Ok(())
    }
}

struct Sum;

impl Reducer for Sum {
    type Key = String;
    type Value = i64;
    type Out = (String, i64);

    fn reduce(
        &mut self,
        word: &str,
        counts: &mut Values<'_, String, i64>,
        out: &mut Emitter<'_, (String, i64)>,
    ) -> Result<(), Error> {
        let mut sum = 0;
        while let Some(count) = counts.next() {
            sum += count;
        }
        out.emit((word, sum), ());
        Ok(())
    }
}

fn job(input: &str, output: &str) -> Job {
    Job::map("word-count", |_| Tokenize)
        .combine(|sum: &mut i64, count: i64| *sum += count)
        .reduce(|_| Sum)
        .columns(&["word", "n"])
        .deterministic()
        .input(Input::Lines(input.to_owned()))
        .output(output, TableFormat::Text, OutputMode::Overwrite)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "count", input, output] => count(job(input, output), None),
        [_, "count", input, output, coordinator] => count(job(input, output), Some(coordinator)),
        _ => windrow_sdk::main(&[&job("", "")]),
    }
}

#[tokio::main]
async fn count(job: Job, coordinator: Option<&str>) -> ExitCode {
    let counted = async {
        let cluster = match coordinator {
            Some(url) => Cluster::connect(url).await?,
            None => Cluster::embedded(2, 1).await?,
        };
        let outcome = cluster.run(&job).await;
        cluster.shutdown().await;
        outcome
    };
    match counted.await {
        Ok(outcome) => {
            println!("{} has written {} files", outcome.job, outcome.files.len());
            ExitCode::SUCCESS
        }
        Err(report) => {
            eprintln!("{report}");
            ExitCode::FAILURE
        }
    }
}
