//! A job of one's own: this program is the `windrow` command, and its workers know the code below.
//!
//! ```sh
//! rust-job run job.yaml                                       # a cluster inside this process
//! rust-job coordinator &                                      # or one of several processes
//! rust-job worker --coordinator http://127.0.0.1:7070 &
//! rust-job submit job.yaml --coordinator http://127.0.0.1:7070 --wait
//! ```

use std::process::ExitCode;
use std::time::Duration;

use windrow_sdk::*;

// Arrow's buffers are large and short-lived, which the system's allocator does slowly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The words of the lines that it reads.
struct Tokenize {
    /// The parameter `pause_ms`: a moment for each batch, in which one can look at a running job.
    pause: Duration,
}

impl Mapper for Tokenize {
    type Key = String;
    type Value = i64;

    fn map(&mut self, rows: &RecordBatch, out: &mut Emitter<'_, String, i64>) -> Result<(), Error> {
        std::thread::sleep(self.pause);
        for line in lines(rows)?.iter().flatten() {
            line.split_ascii_whitespace().for_each(|word| out.emit(word, 1));
        }
        out.count("lines", rows.num_rows() as i64);
        Ok(())
    }
}

/// How often each word came.
struct Sum {
    pause: Duration,
}

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

    fn cleanup(&mut self, _: &mut Emitter<'_, (String, i64)>) -> Result<(), Error> {
        std::thread::sleep(self.pause);
        Ok(())
    }
}

fn pause(context: &Context<'_>) -> Duration {
    let text = context.parameters.get("pause_ms").map(String::as_str).unwrap_or_default();
    Duration::from_millis(text.parse().unwrap_or_default())
}

fn main() -> ExitCode {
    let word_count = Job::map("word-count", |context| Tokenize { pause: pause(context) })
        .combine(|sum: &mut i64, count: i64| *sum += count)
        .reduce(|context| Sum { pause: pause(context) });
    windrow_sdk::main(&[&word_count])
}
