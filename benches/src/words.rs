//! Word count of generated text: Windrow's Rust API beside a program written by hand, Spark's RDDs, and Python programs
//! beside a bare pipeline.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use hashbrown::HashMap;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::report::median;

/// Different words of the text.
const WORDS: usize = 200_000;
/// Words of a line, at most.
const LINE_WORDS_MAX: usize = 24;
/// Files that the text is divided into.
const FILES: u64 = 8;

/// What counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Counter {
    /// `examples/rust-job` on a coordinator and two workers of one slot.
    Windrow,
    /// Two threads of a program without Windrow.
    ByHand,
    /// Spark's RDDs on two local cores.
    Spark,
    /// A mapper and a reducer in Python on the same cluster.
    Python,
    /// The same two programs around `sort`.
    Pipeline,
}

#[derive(Args)]
pub struct WordsArgs {
    /// Bytes of text, for example `5GB`.
    #[arg(long, default_value = "1GB", value_parser = bytes)]
    size: u64,
    /// Who counts; the answers must be the same.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["windrow", "by-hand"])]
    counter: Vec<Counter>,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Spark's shell, which comes with `pyspark` from PyPI.
    #[arg(long, default_value = "spark-shell")]
    spark_shell: PathBuf,
    /// Where text is generated and kept.
    #[arg(long, default_value = "target/release/bench-data")]
    data: PathBuf,
}

#[derive(Args)]
pub struct ByHandArgs {
    input: PathBuf,
    output: PathBuf,
}

fn bytes(text: &str) -> Result<u64, String> {
    windrow_model::parse_bytes(text).map_err(|error| error.to_string())
}

pub fn run(args: &WordsArgs) -> anyhow::Result<()> {
    let text = fs::canonicalize(generated(&args.data, args.size)?)?;
    let scratch = tempfile::tempdir_in(&args.data)?;
    let mut seconds: BTreeMap<usize, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for round in 0..=args.rounds {
        let mut answers = Vec::new();
        for (nth, counter) in args.counter.iter().enumerate() {
            let out = scratch.path().join(format!("out-{round}-{nth}"));
            let before = children_cpu_seconds()?;
            let wall = count(*counter, &text, &out, args).with_context(|| format!("{counter:?}"))?;
            answers.push(sum_of(&out).with_context(|| format!("{counter:?}"))?);
            if round > 0 {
                let (walls, cpus) = seconds.entry(nth).or_default();
                walls.push(wall);
                cpus.push(children_cpu_seconds()? - before);
            }
            fs::remove_dir_all(&out)?;
        }
        if answers.iter().any(|answer| *answer != answers[0]) {
            bail!("the answers differ: {answers:?}");
        }
        eprintln!("round {round} of {} done{}", args.rounds, if round == 0 { " (warm-up, not counted)" } else { "" });
    }
    let megabytes = args.size as f64 / 1e6;
    println!(
        "Word count of {megabytes:.0} MB, medians of {} rounds, processes started and ended in each.\n",
        args.rounds
    );
    println!("| counter | s | CPU s | MB/s | MB a CPU second |\n|---|---:|---:|---:|---:|");
    for (nth, (walls, cpus)) in seconds {
        let (wall, cpu) = (median(&walls), median(&cpus));
        let counter =
            args.counter[nth].to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        println!("| {counter} | {wall:.2} | {cpu:.2} | {:.0} | {:.0} |", megabytes / wall, megabytes / cpu);
    }
    Ok(())
}

/// Wall seconds of a count, from the start of its processes to their end; `out` is then a folder of lines `word TAB n`.
fn count(counter: Counter, text: &Path, out: &Path, args: &WordsArgs) -> anyhow::Result<f64> {
    let beside = |name: &str| Ok::<_, anyhow::Error>(std::env::current_exe()?.with_file_name(name));
    let began = Instant::now();
    match counter {
        Counter::Windrow => on_cluster(&beside("rust-job")?, Path::new("examples/rust-job/job.yaml"), text, out)?,
        Counter::Python => on_cluster(&beside("windrow")?, Path::new("benches/words/job.yaml"), text, out)?,
        Counter::ByHand => {
            succeeds(Command::new(std::env::current_exe()?).arg("words-by-hand").arg(text).arg(out))?;
        }
        Counter::Spark => {
            let mut shell = Command::new(&args.spark_shell);
            shell.args(["--master", "local[2]", "--driver-memory", "4g", "-i", "benches/words/spark.scala"]);
            succeeds(shell.env("WORDS_IN", text).env("WORDS_OUT", out))?;
        }
        Counter::Pipeline => {
            fs::create_dir(out)?;
            let script = "cat \"$0\"/*.txt | python3 benches/words/tokenize.py | LC_ALL=C sort --parallel=2 | \
                          python3 benches/words/sum.py > \"$1\"/counts.txt";
            succeeds(Command::new("sh").arg("-c").arg(script).arg(text).arg(out))?;
        }
    }
    Ok(began.elapsed().as_secs_f64())
}

/// A coordinator and two workers as processes, for one job.
fn on_cluster(binary: &Path, job: &Path, text: &Path, out: &Path) -> anyhow::Result<()> {
    let mut up = Command::new(binary)
        .args(["up", "--workers", "2", "--slots", "1", "--listen", "127.0.0.1:0", "--output", "json"])
        .env("WINDROW_LOG", "warn")
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{}` cannot be started", binary.display()))?;
    let mut line = String::new();
    BufReader::new(up.stdout.take().context("piped above")?).read_line(&mut line)?;
    let ready: serde_json::Value = serde_json::from_str(&line)?;
    let coordinator = ready["coordinator"].as_str().context("no coordinator in the ready line")?.to_owned();
    let mut submit = Command::new(binary);
    submit.args(["submit", "--wait", "--coordinator", &coordinator]).arg(job);
    for (name, path) in [("text", text), ("counts", out)] {
        submit.arg("--param").arg(format!("{name}={}/", path.display()));
    }
    let submitted = succeeds(&mut submit);
    let pid = rustix::process::Pid::from_raw(up.id() as i32).context("no pid")?;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    up.wait()?;
    submitted
}

fn succeeds(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Words, and the sum of what they were counted.
fn sum_of(out: &Path) -> anyhow::Result<(u64, u64)> {
    let (mut words, mut sum) = (0, 0);
    for entry in fs::read_dir(out)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_file() || name.starts_with(['_', '.']) {
            continue;
        }
        for line in BufReader::new(File::open(path)?).lines() {
            let line = line?;
            words += 1;
            sum += line.rsplit_once('\t').context("a line without a tab")?.1.parse::<u64>()?;
        }
    }
    Ok((words, sum))
}

/// Of processes that this one has started and waited for.
fn children_cpu_seconds() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after = stat.rsplit_once(')').map(|(_, rest)| rest).context("malformed stat")?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    Ok((fields[13].parse::<u64>()? + fields[14].parse::<u64>()?) as f64 / 100.0)
}

/// Text of words whose frequencies fall as those of a language do (Zipf's law); made once.
fn generated(data: &Path, size: u64) -> anyhow::Result<PathBuf> {
    let folder = data.join(format!("words-{size}"));
    if folder.exists() {
        return Ok(folder);
    }
    let fresh = data.join(format!("words-{size}.new"));
    fs::create_dir_all(&fresh)?;
    let mut random = StdRng::seed_from_u64(1);
    let vocabulary: Vec<String> = (0..WORDS).map(|_| word(&mut random)).collect();
    for file in 0..FILES {
        let mut out = BufWriter::new(File::create(fresh.join(format!("{file}.txt")))?);
        let mut written = 0;
        let mut line = String::new();
        while written < size / FILES {
            line.clear();
            for _ in 0..random.random_range(1..=LINE_WORDS_MAX) {
                // The inverse of the harmonic numbers' growth: rank r comes with a frequency of about 1/r.
                let rank = (WORDS as f64).powf(random.random::<f64>()) as usize - 1;
                let _ = write!(line, "{} ", vocabulary[rank.min(WORDS - 1)]);
            }
            line.pop();
            line.push('\n');
            out.write_all(line.as_bytes())?;
            written += line.len() as u64;
        }
        out.flush()?;
    }
    fs::rename(&fresh, &folder)?;
    Ok(folder)
}

fn word(random: &mut StdRng) -> String {
    (0..random.random_range(2..10)).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect()
}

/// What somebody would write who needs nothing but this count: two threads that take files in turn, each with a table of
/// its own.
pub fn by_hand(args: &ByHandArgs) -> anyhow::Result<()> {
    let files: Vec<PathBuf> =
        fs::read_dir(&args.input)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    let (next, tables) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut table = Table::default();
                    while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                        count_file(file, &mut table)?;
                    }
                    tables.lock().map_err(|_| anyhow::anyhow!("a thread has panicked"))?.push(table);
                    Ok::<_, anyhow::Error>(())
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| anyhow::anyhow!("a thread has panicked"))?)
    })?;
    let mut all = Table::default();
    for (word, n) in tables.into_inner().map_err(|_| anyhow::anyhow!("a thread has panicked"))?.into_iter().flatten() {
        *all.entry(word).or_default() += n;
    }
    fs::create_dir(&args.output)?;
    let mut out = BufWriter::new(File::create(args.output.join("counts.txt"))?);
    for (word, n) in all {
        writeln!(out, "{word}\t{n}")?;
    }
    Ok(out.flush()?)
}

type Table = HashMap<Box<str>, u64, foldhash::fast::FixedState>;

fn count_file(file: &Path, table: &mut Table) -> anyhow::Result<()> {
    let mut lines = BufReader::with_capacity(1 << 20, File::open(file)?);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        for word in line.split_ascii_whitespace() {
            match table.get_mut(word) {
                Some(n) => *n += 1,
                None => drop(table.insert(word.into(), 1)),
            }
        }
        line.clear();
    }
    Ok(())
}
