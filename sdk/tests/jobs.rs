//! Jobs in Rust on a cluster inside this process, against the same computed in plain Rust.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use windrow_sdk::*;

#[derive(Default)]
struct Tokenize {
    lines: i64,
}

impl Mapper for Tokenize {
    type Key = String;
    type Value = i64;

    fn map(&mut self, rows: &RecordBatch, out: &mut Emitter<'_, String, i64>) -> Result<(), Error> {
        for line in lines(rows)?.iter().flatten() {
            self.lines += 1;
            line.split_ascii_whitespace().for_each(|word| out.emit(word, 1));
        }
        Ok(())
    }

    fn cleanup(&mut self, out: &mut Emitter<'_, String, i64>) -> Result<(), Error> {
        out.count("lines", self.lines);
        out.log(&format!("read {} lines", self.lines));
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
        key: &str,
        values: &mut Values<'_, String, i64>,
        out: &mut Emitter<'_, (String, i64)>,
    ) -> Result<(), Error> {
        let mut sum = 0;
        while let Some(value) = values.next() {
            sum += value;
        }
        out.emit((key, sum), ());
        Ok(())
    }
}

/// Text of words whose frequencies differ widely, in several files, and how often each word is in it.
fn text(lines: usize) -> (TempDir, BTreeMap<String, i64>) {
    let folder = tempfile::tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(7);
    let mut counts = BTreeMap::new();
    for file in 0..4 {
        let mut text = String::new();
        for _ in 0..lines / 4 {
            for _ in 0..random.random_range(0..12) {
                let most = random.random_range(1..3_000_u32);
                let word = format!("w{}", random.random_range(0..most));
                write!(text, "{word} ").unwrap();
                *counts.entry(word).or_default() += 1;
            }
            text.push('\n');
        }
        fs::write(folder.path().join(format!("{file}.txt")), text).unwrap();
    }
    (folder, counts)
}

fn location(folder: &TempDir) -> String {
    format!("{}/", folder.path().display())
}

fn pairs(rows: &[RecordBatch]) -> Vec<(String, i64)> {
    let of = |batch: &RecordBatch| {
        let words = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).unwrap();
        let (words, counts) = (words.as_string::<i32>().clone(), batch.column(1).as_primitive::<Int64Type>().clone());
        (0..batch.num_rows()).map(|row| (words.value(row).to_owned(), counts.value(row))).collect::<Vec<_>>()
    };
    rows.iter().flat_map(of).collect()
}

async fn run(job: &Job) -> Result<Outcome, ErrorReport> {
    let cluster = Cluster::embedded(2, 2).await.unwrap();
    let outcome = cluster.run(job).await;
    cluster.shutdown().await;
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_counted_with_a_combiner_that_never_sometimes_and_always_runs() {
    let (folder, expected) = text(4_000);
    for (name, table_bytes) in [("never", 0), ("sometimes", 10_000), ("always", 1 << 30)] {
        let mapped = Job::map(name, |_| Tokenize::default());
        let combined = mapped.combine(|sum: &mut i64, one: i64| *sum += one).table_bytes(table_bytes);
        let job = combined.reduce(|_| Sum).input(Input::Lines(location(&folder))).partitions(3);
        let outcome = run(&job).await.unwrap();
        assert_eq!(pairs(&outcome.rows).into_iter().collect::<BTreeMap<_, _>>(), expected, "{name}");
        assert_eq!(outcome.counters, BTreeMap::from([("lines".to_owned(), 4_000)]), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_combiner_sql_reads_what_the_reducer_writes() {
    let (folder, expected) = text(1_000);
    let job = Job::map("counts", |_| Tokenize::default())
        .reduce(|_| Sum)
        .columns(&["word", "n"])
        .input(Input::Lines(location(&folder)))
        .sql("SELECT word, n FROM counts ORDER BY n DESC, word LIMIT 5");
    let mut top: Vec<(String, i64)> = expected.into_iter().collect();
    top.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(&right.0)));
    top.truncate(5);
    assert_eq!(pairs(&run(&job).await.unwrap().rows), top);
}

/// Splits `a,7` into a word and a number.
struct Fields;

impl Mapper for Fields {
    type Key = (String, i64);
    type Value = ();

    fn map(&mut self, rows: &RecordBatch, out: &mut Emitter<'_, (String, i64), ()>) -> Result<(), Error> {
        for line in lines(rows)?.iter().flatten() {
            let (word, number) = line.split_once(',').ok_or_else(|| format!("`{line}` has no comma"))?;
            out.emit((word, number.parse().map_err(|error| format!("`{line}`: {error}"))?), ());
        }
        Ok(())
    }
}

/// The numbers of a word, in the order in which they come.
struct Numbers;

impl Reducer for Numbers {
    type Key = (String, i64);
    type Value = ();
    type Out = (String, String);

    fn reduce(
        &mut self,
        (word, _): (&str, i64),
        values: &mut Values<'_, (String, i64), ()>,
        out: &mut Emitter<'_, (String, String)>,
    ) -> Result<(), Error> {
        let mut numbers = Vec::new();
        while let Some(((_, number), ())) = values.next_with_key() {
            numbers.push(number.to_string());
        }
        out.emit((word, &numbers.join(" ")), ());
        Ok(())
    }
}

fn texts(rows: &[RecordBatch]) -> Vec<Vec<String>> {
    let text = |batch: &RecordBatch, column: usize, row: usize| {
        arrow::util::display::array_value_to_string(batch.column(column), row).unwrap()
    };
    let row =
        |batch: &RecordBatch, row: usize| (0..batch.num_columns()).map(|column| text(batch, column, row)).collect();
    rows.iter().flat_map(|batch| (0..batch.num_rows()).map(|nth| row(batch, nth)).collect::<Vec<_>>()).collect()
}

fn file(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lines.txt"), text).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_sort_gives_a_reducer_its_values_in_order() {
    let folder = file("b,1\na,5\nb,10\na,-3\nb,2\na,5\n");
    let job = Job::map("sorted", |_| Fields)
        .reduce(|_| Numbers)
        .group_by(1)
        .order(&[Order::Ascending, Order::Descending])
        .partitions(2)
        .input(Input::Lines(location(&folder)));
    let mut rows = texts(&run(&job).await.unwrap().rows);
    rows.sort();
    assert_eq!(rows, [["a", "5 5 -3"], ["b", "10 2 1"]]);
}

/// Which reducer read which words.
struct Who {
    reducer: usize,
}

impl Reducer for Who {
    type Key = String;
    type Value = i64;
    type Out = (i64, String);

    fn reduce(
        &mut self,
        key: &str,
        _: &mut Values<'_, String, i64>,
        out: &mut Emitter<'_, (i64, String)>,
    ) -> Result<(), Error> {
        out.emit((self.reducer as i64, key), ());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partitioner_of_the_job_chooses_the_reducer() {
    let (folder, expected) = text(1_000);
    let by_length = || |word: &str, partitions: u32| word.len() as u32 % partitions;
    let job = Job::map("by-length", |_| Tokenize::default())
        .partition_by(4, by_length)
        .combine(|sum: &mut i64, one: i64| *sum += one)
        .reduce(|context| Who { reducer: context.partition })
        .input(Input::Lines(location(&folder)));
    let rows = texts(&run(&job).await.unwrap().rows);
    assert_eq!(rows.len(), expected.len());
    assert!(rows.iter().all(|row| row[0] == (row[1].len() % 4).to_string()), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_order_makes_outputs_that_follow_each_other() {
    let (folder, expected) = text(8_000);
    let out = tempfile::tempdir().unwrap();
    let job = Job::map("ordered", |_| Tokenize::default())
        .combine(|sum: &mut i64, one: i64| *sum += one)
        .reduce(|_| Sum)
        .total_order(4)
        .input(Input::Lines(location(&folder)))
        .output(&format!("{}/out/", out.path().display()), TableFormat::Text, OutputMode::Overwrite);
    let mut files = run(&job).await.unwrap().files;
    files.sort();
    assert!(files.len() > 1, "{files:?}");
    let text: String =
        files.iter().map(|file| fs::read_to_string(out.path().join("out").join(file)).unwrap()).collect();
    let expected: String = expected.iter().map(|(word, n)| format!("{word}\t{n}\n")).collect();
    assert_eq!(text, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapper_that_fails_names_the_row() {
    let folder = file("a,1\nb,2\nc three\nd,4\n");
    let job = || Job::map("parsed", |_| Fields).rows().input(Input::Lines(location(&folder)));
    let report = run(&job()).await.unwrap_err();
    assert!(report.what.contains("`c three` has no comma"), "{report}");
    assert!(report.detail.contains("row 3 of ") && report.detail.contains("lines.txt`: `c three`"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_records_are_skipped_and_counted() {
    let folder = file("a,1\nb two\nc three\nd,4\n");
    let job =
        |most| Job::map("parsed", |_| Fields).rows().skip_bad_records(most).input(Input::Lines(location(&folder)));
    let outcome = run(&job(2)).await.unwrap();
    assert_eq!(texts(&outcome.rows), [["a", "1"], ["d", "4"]]);
    assert_eq!(outcome.counters["windrow.records_skipped"], 2);
    let report = run(&job(1)).await.unwrap_err();
    assert!(report.what.contains("more than 1 records"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_records_are_written_aside_with_the_output() {
    let (folder, out) = (file("a,1\nb two\nc,3\n"), tempfile::tempdir().unwrap());
    let path = |name: &str| format!("{}/{name}/", out.path().display());
    let job = Job::map("parsed", |_| Fields)
        .rows()
        .quarantine(&path("bad"))
        .input(Input::Lines(location(&folder)))
        .output(&path("good"), TableFormat::Csv, OutputMode::Error);
    let outcome = run(&job).await.unwrap();
    assert_eq!(outcome.files.len(), 1, "{:?}", outcome.files);
    let bad: Vec<_> = fs::read_dir(out.path().join("bad")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [line] = &bad
        .iter()
        .filter(|path| path.is_file() && path.extension().is_some())
        .map(|path| fs::read_to_string(path).unwrap())
        .collect::<Vec<_>>()[..]
    else {
        panic!("{bad:?}")
    };
    assert!(
        line.contains("\"record\":{\"line\":\"b two\"}") && line.contains("has no comma") && line.contains("row 2 of"),
        "{line}"
    );
}

struct Panics;

impl Mapper for Panics {
    type Key = String;
    type Value = i64;

    fn map(&mut self, _: &RecordBatch, _: &mut Emitter<'_, String, i64>) -> Result<(), Error> {
        panic!("out of cheese")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_failure_of_the_attempt() {
    let folder = file("a\n");
    let report = run(&Job::map("panics", |_| Panics).rows().input(Input::Lines(location(&folder)))).await.unwrap_err();
    assert!(report.what.contains("it panicked: out of cheese"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_no_worker_has_is_named() {
    let folder = file("a\n");
    let job = Job::map("unknown", |_| Tokenize::default()).rows().input(Input::Lines(location(&folder)));
    let cluster = Cluster::embedded(1, 1).await.unwrap();
    let submitted = cluster.client().submit(job.spec().unwrap()).await.unwrap();
    let ended = cluster.client().wait(submitted.job).await.unwrap();
    assert!(ended.error.unwrap().what.contains("no code named `unknown/map`"));
    cluster.shutdown().await;
}
