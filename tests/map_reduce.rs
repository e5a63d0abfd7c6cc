//! The user's own programs as mapper, combiner and reducer: what Hadoop's documentation says comes out, and what programs
//! do that misbehave.

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::process::Command;

use support::place::{Place, running};
use support::processes::windrow;

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

const TEXT: &str = "the quick brown fox\nthe lazy dog\n\nthe end\n";

const TOKENIZE: &str = "#!/bin/sh\ntr -s ' ' '\\n' | grep . | sed 's/$/\\t1/'\n";

const SUM: &str = "#!/usr/bin/awk -f
BEGIN { FS = OFS = \"\\t\" }
$1 != key && NR > 1 { print key, sum; sum = 0 }
{ key = $1; sum += $2 }
END { if (NR > 0) print key, sum }
";

fn word_count(place: &Place) {
    place.write("text/a.txt", TEXT).write("text/b.txt", "dog and fox\n");
    place.program("tokenize.sh", TOKENIZE).program("sum.awk", SUM);
}

const COUNTS: [&str; 8] = ["and\t1", "brown\t1", "dog\t2", "end\t1", "fox\t2", "lazy\t1", "quick\t1", "the\t3"];

#[test]
fn a_job_file_counts_words() {
    let place = Place::new();
    word_count(&place);
    let job = |combine: &str| {
        format!(
            "name: word-count
map:    {{ process: [./tokenize.sh], framing: lines, files: [./tokenize.sh] }}
{combine}
reduce: {{ process: [./sum.awk], framing: lines, files: [./sum.awk], partitions: 4 }}
input:  {{ location: ./text/, format: lines }}
output: {{ location: ./counts/, format: text, mode: overwrite }}
"
        )
    };
    // The same whether a combiner runs or not.
    for combine in ["", "combine: { process: [./sum.awk], files: [./sum.awk] }"] {
        place.write("job.yaml", &job(combine));
        for cluster in
            [["--workers", "1", "--slots", "2"], ["--workers", "2", "--slots", "1"], ["--workers", "4", "--slots", "1"]]
        {
            place.succeeds(&[&["run", "job.yaml"], &cluster[..]].concat());
            assert_eq!(place.sorted("counts"), lines(&COUNTS), "{combine} {cluster:?}");
            assert!(place.path().join("counts/_SUCCESS").exists());
        }
    }
    place.is_swept();
}

#[test]
fn steps_read_sql_and_sql_reads_steps() {
    let place = Place::new();
    word_count(&place);
    place.write(
        "job.yaml",
        "name: chain
tables: { text: { location: ./text/, format: lines } }
steps:
  words:   { input: { sql: \"SELECT upper(line) AS line FROM text\" }, map: { process: [./tokenize.sh] } }
  counts:  { input: words, reduce: { process: [./sum.awk] } }
sql: |
  SELECT key AS word, CAST(value AS BIGINT) AS n FROM counts WHERE CAST(value AS BIGINT) > 1 ORDER BY n DESC, word
",
    );
    let output = place.windrow(&["run", "job.yaml", "--output", "csv"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "word,n\nTHE,3\nDOG,2\nFOX,2\n");
}

/// The identity job of Hadoop's streaming page: a line without a tab is a key without a value.
#[test]
fn identity_programs_keep_every_line() {
    let place = Place::new();
    place.write("in.txt", "b\t2\nc\na\t1\t1\n\nb\t1\n");
    place.succeeds(&["mapreduce", "--mapper", "/bin/cat", "--input", "in.txt", "--output", "mapped"]);
    assert_eq!(place.files("mapped").concat(), lines(&["b\t2", "c\t", "a\t1\t1", "\t", "b\t1"]));
    place.succeeds(&[
        "mapreduce",
        "--mapper",
        "/bin/cat",
        "--reducer",
        "/bin/cat",
        "--input",
        "in.txt",
        "--output",
        "reduced",
        "--reducers",
        "1",
    ]);
    place.succeeds(&[
        "mapreduce",
        "--reducer",
        "/bin/cat",
        "--input",
        "in.txt",
        "--output",
        "unmapped",
        "--reducers",
        "1",
    ]);
    assert_eq!(place.files("unmapped"), place.files("reduced"));
    // The whole line decides where the key is the same: the order is always the same one.
    let reduced = place.files("reduced").concat();
    let keys: Vec<&str> = reduced.iter().map(|line| line.split('\t').next().expect("a key")).collect();
    assert_eq!(keys, ["", "a", "b", "b", "c"]);
    place.succeeds(&[
        "mapreduce",
        "--mapper",
        "/bin/cat",
        "--reducer",
        "/usr/bin/wc -l",
        "--input",
        "in.txt",
        "--output",
        "counted",
        "--reducers",
        "1",
    ]);
    assert_eq!(place.sorted("counted"), lines(&["5\t"]));
}

/// "Hadoop Aggregate Package" of Hadoop's streaming page, whose mapper writes `LongValueSum:` and a key.
#[test]
fn the_aggregate_reducer_adds_and_compares() {
    let place = Place::new();
    place.write("in.txt", "apple 3 x\npear 5 y\napple 4 x\npear -1 z\n");
    let mapper = "awk '{ print \"LongValueSum:\" $1 \"\\t\" $2; print \"LongValueMax:max \" $1 \"\\t\" $2; \
                  print \"UniqValueCount:kinds \" $1 \"\\t\" $3 }'";
    place.succeeds(&[
        "mapreduce",
        "--mapper",
        mapper,
        "--reducer",
        "aggregate",
        "--input",
        "in.txt",
        "--output",
        "out",
    ]);
    let wanted = ["apple\t7", "kinds apple\t1", "kinds pear\t2", "max apple\t4", "max pear\t5", "pear\t4"];
    assert_eq!(place.sorted("out"), lines(&wanted));
    let error = place.fails(&[
        "mapreduce",
        "--mapper",
        "sed s/^/Nonsense:/",
        "--reducer",
        "aggregate",
        "--input",
        "in.txt",
        "--output",
        "no",
    ]);
    assert!(error.contains("no such aggregator: Nonsense"), "{error}");
}

const HADOOP_KEYS: &str = "11.12.1.2\n11.14.2.3\n11.11.4.1\n11.12.1.1\n11.14.2.2\n";

/// "Hadoop Partitioner Class" of Hadoop's streaming page: its five keys of four fields, divided by the first two.
#[test]
fn keys_are_divided_by_their_first_fields_and_sorted_by_all() {
    let place = Place::new();
    place.write("in.txt", HADOOP_KEYS);
    place.succeeds(&[
        "mapreduce",
        "--mapper",
        "/bin/cat",
        "--reducer",
        "/bin/cat",
        "--input",
        "in.txt",
        "--output",
        "out",
        "--separator",
        ".",
        "--key-fields",
        "4",
        "--partition",
        "-k1,2",
        "--reducers",
        "3",
    ]);
    let files = place.files("out");
    assert_eq!(place.sorted("out").len(), 5);
    let mut file_of = BTreeMap::new();
    for (nth, file) in files.iter().enumerate() {
        let mut sorted = file.clone();
        sorted.sort();
        assert_eq!(*file, sorted, "sorted within a partition for the reducer");
        for line in file {
            let fields: Vec<&str> = line.split('.').take(2).collect();
            assert_eq!(*file_of.entry(fields.join(".")).or_insert(nth), nth, "{line} is apart from its like");
        }
    }
    assert_eq!(file_of.keys().map(String::as_str).collect::<Vec<_>>(), ["11.11", "11.12", "11.14"]);
}

/// "Hadoop Comparator Class": the same keys, by the second field backwards as a number, and by the third and fourth as one.
#[test]
fn keys_are_sorted_by_fields_as_numbers_and_backwards() {
    let place = Place::new();
    place.write("in.txt", HADOOP_KEYS);
    place.succeeds(&[
        "mapreduce",
        "--mapper",
        "/bin/cat",
        "--reducer",
        "/bin/cat",
        "--input",
        "in.txt",
        "--output",
        "out",
        "--separator",
        ".",
        "--key-fields",
        "4",
        "--sort",
        "-k2,2nr -k3,3n -k4,4n",
        "--reducers",
        "1",
    ]);
    let keys: Vec<String> =
        place.files("out").concat().iter().map(|line| line.trim_end_matches('\t').to_owned()).collect();
    assert_eq!(keys, ["11.14.2.2", "11.14.2.3", "11.12.1.1", "11.12.1.2", "11.11.4.1"]);
}

/// `cat` is a mapper and a reducer of Arrow streams, too.
#[test]
fn arrow_streams_carry_typed_rows() {
    let place = Place::new();
    place.write("in.csv", &format!("word,n\n{}", (0..30_000).map(|n| format!("w{},{n}\n", n % 7)).collect::<String>()));
    let job = |map: &str, columns: &str| {
        format!(
            "tables: {{ rows: ./in.csv }}
steps:
  copy: {{
    input: rows,
    map: {{ process: {map}, framing: arrow, columns: 'word VARCHAR, n INT' }},
    reduce: {{ process: [cat], framing: arrow, columns: '{columns}', partitions: 3 }},
    keys: {{ fields: 2, partition: '-k1,1', sort: '-k2,2nr' }} }}
sql: SELECT word, count(*) AS c, sum(n) AS s, max(n) AS m FROM copy GROUP BY word ORDER BY word LIMIT 2
"
        )
    };
    place.write("job.yaml", &job("[cat]", "word VARCHAR, n BIGINT"));
    let output = place.windrow(&["run", "job.yaml", "--output", "csv"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "word,c,s,m\nw0,4286,64279285,29995\nw1,4286,64283571,29996\n");

    place.write("job.yaml", &job("[sh, -c, 'head -c 1000; cat > /dev/null']", "word VARCHAR, n BIGINT"));
    let error = place.fails(&["run", "job.yaml"]);
    assert!(error.contains("its output cannot be read"), "{error}");
    place.write("job.yaml", &job("[cat]", "word VARCHAR, n BIGINT, x INT"));
    let error = place.fails(&["run", "job.yaml"]);
    assert!(error.contains("it has 2 columns, not 3"), "{error}");
    place.write("job.yaml", &job("[cat]", "word WORDS"));
    let error = place.fails(&["run", "job.yaml"]);
    assert!(error.contains("`word WORDS` are no columns"), "{error}");
    place.is_swept();
}

fn mapper_fails(place: &Place, mapper: &str) -> String {
    place.write("in.txt", &"some line of a file\n".repeat(200_000));
    place.fails(&["mapreduce", "--mapper", mapper, "--input", "in.txt", "--output", "out", "--name", "job"])
}

#[test]
fn a_program_that_fails_is_named_with_its_last_words() {
    let place = Place::new();
    let error = mapper_fails(&place, "cat > /dev/null; echo first >&2; echo 'cannot go on: no such thing' >&2; exit 7");
    for wanted in
        ["the map `cat", "`job`", "exit status: 7", "cannot go on: no such thing", "task job-1.0.0", "attempt 4"]
    {
        assert!(error.contains(wanted), "{wanted:?} is not in: {error}");
    }
    assert!(!place.path().join("out/_SUCCESS").exists());
    place.is_swept();
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let place = Place::new();
    place.write("in.txt", "a\n").write(
        "job.yaml",
        "map: { process: [no-such-program-anywhere] }\ninput: { location: in.txt }\noutput: { location: ./out/, format: text }\n",
    );
    let error = place.fails(&["run", "job.yaml"]);
    assert!(error.contains("`no-such-program-anywhere` cannot be started") && error.contains("files:"), "{error}");
}

#[test]
fn a_program_that_ends_well_without_reading_its_input_fails() {
    let place = Place::new();
    for mapper in ["true", "head -c 100000", "read line; echo $line"] {
        let error = mapper_fails(&place, mapper);
        assert!(error.contains("before it had read all of its input"), "{mapper}: {error}");
    }
    place.is_swept();
}

#[test]
fn a_program_that_writes_no_text_fails() {
    let place = Place::new();
    let error = mapper_fails(&place, "cat > /dev/null; printf 'fine\\n\\377\\376\\n'");
    assert!(error.contains("lines 1 to 2 are not UTF-8"), "{error}");
}

#[test]
fn what_a_program_has_started_ends_with_it() {
    let place = Place::new();
    place.write("in.txt", "a\nb\n");
    // A child that ignores signals, one in a session of its own, and one that holds the output open.
    let stubborn = "trap '' TERM HUP INT; (trap '' TERM; exec sleep 4711.1) >/dev/null 2>&1 & setsid sleep 4711.2 >/dev/null 2>&1 & cat";
    place.succeeds(&["mapreduce", "--mapper", stubborn, "--input", "in.txt", "--output", "out"]);
    assert_eq!(place.sorted("out"), lines(&["a\t", "b\t"]));
    let error = place.fails(&["mapreduce", "--mapper", "sleep 4711.3 & cat", "--input", "in.txt", "--output", "other"]);
    assert!(error.contains("holds its output open"), "{error}");
    assert_eq!(running("sleep 4711."), Vec::<String>::new());
    place.is_swept();
}

#[test]
fn a_job_that_times_out_leaves_no_process() {
    let place = Place::new();
    place.write("in.txt", "a\n");
    let mapper = "trap '' TERM; cat; sleep 4712.1";
    let error =
        place.fails(&["mapreduce", "--mapper", mapper, "--input", "in.txt", "--output", "out", "--timeout", "1s"]);
    assert!(error.contains("1 s") || error.contains("1s"), "{error}");
    assert_eq!(running("sleep 4712."), Vec::<String>::new());
    place.is_swept();
}

#[test]
fn programs_see_their_task_and_nothing_of_the_workers_environment() {
    let place = Place::new();
    place.write("in.txt", "a\n").write("side.txt", "beside\n");
    let mut command = Command::new(windrow());
    let mapper = "cat > /dev/null; cat side.txt; echo \"$GIVEN $mapreduce_task_ismap ${AWS_SECRET_ACCESS_KEY-none} $WINDROW_TASK\"";
    let output = command
        .args([
            "mapreduce",
            "--mapper",
            mapper,
            "--file",
            "side.txt",
            "--env",
            "GIVEN=7",
            "--input",
            "in.txt",
            "--output",
            "out",
        ])
        .env("AWS_SECRET_ACCESS_KEY", "hidden")
        .current_dir(place.path())
        .output()
        .expect("windrow runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(place.sorted("out"), lines(&["7 true none 0\t", "beside\t"]));
}

/// One step that maps `in.txt` by this program, with these keys beside it.
fn map_job(program: &str, keys: &str) -> String {
    format!(
        "map: {{ process: [./map.sh], {keys} }}\ninput: {{ location: in.txt }}\n\
         output: {{ location: ./out/, format: text, mode: overwrite }}\n# {program}\n"
    )
}

/// The error of a mapper that does this, with these limits.
fn limited(place: &Place, program: &str, keys: &str) -> String {
    place.write("in.txt", "a\nb\n");
    place.program("map.sh", &format!("#!/bin/sh\n{program}\n"));
    place.write("job.yaml", &map_job(program, keys));
    let error = place.fails(&["run", "job.yaml"]);
    place.is_swept();
    error
}

#[test]
fn a_program_that_fills_its_disk_is_ended() {
    let place = Place::new();
    let many = "n=0; while true; do n=$((n + 1)); head -c 1000000 /dev/zero > file$n; done";
    let error = limited(&place, many, "limits: { disk: 50MiB }");
    assert!(error.contains("may use") || error.contains("File too large"), "{error}");
    let one = limited(&place, "cat /dev/zero > one", "limits: { disk: 50MiB }");
    assert!(one.contains("map.sh"), "{one}");
}

#[test]
fn a_program_that_takes_too_much_memory_or_time_is_ended() {
    let place = Place::new();
    // A child of the program holds the memory.
    let error = limited(
        &place,
        "(head -c 400000000 /dev/zero | tail -c 399999999 > /dev/null; true); cat",
        "limits: { memory: 100MiB }",
    );
    assert!(error.contains("memory") && error.contains("100"), "{error}");
    let error = limited(&place, "while true; do :; done", "limits: { cpu: 1s }");
    assert!(error.contains("map.sh"), "{error}");
}

#[test]
fn a_program_has_no_network_and_writes_to_its_own_folder_only() {
    let place = Place::new();
    let outside = place.path().join("outside.txt");
    let python = "#!/usr/bin/env python3
import socket, sys
for line in sys.stdin: pass
try:
    socket.socket(socket.AF_INET)
    print('network')
except OSError as error:
    print('none', error.errno)
";
    place.write("in.txt", "a\n").program("map.py", python);
    let job = |keys: &str| {
        format!(
            "map: {{ process: [./map.py], {keys} }}\ninput: {{ location: in.txt }}\noutput: {{ location: ./out/, format: text, mode: overwrite }}\n"
        )
    };
    place.write("job.yaml", &job("network: false"));
    place.succeeds(&["run", "job.yaml"]);
    assert_eq!(place.sorted("out"), lines(&["none 13\t"]));
    place.write("job.yaml", &job("network: true"));
    place.succeeds(&["run", "job.yaml"]);
    assert_eq!(place.sorted("out"), lines(&["network\t"]));
    let writes = format!("cat > /dev/null; echo x > '{}' && echo wrote; echo y > mine && cat mine", outside.display());
    place.succeeds(&["mapreduce", "--mapper", &writes, "--input", "in.txt", "--output", "other"]);
    let check = place.windrow(&["worker", "--check"]);
    let check = String::from_utf8_lossy(&check.stdout).into_owned();
    let files = check.lines().find(|line| line.starts_with("files")).expect("the check speaks of files");
    // A kernel without Landlock lets programs write; the worker says so.
    let is_confined = files.split_whitespace().nth(1) == Some("yes");
    assert_eq!(outside.exists(), !is_confined, "{check}");
    let wrote = if is_confined { lines(&["y\t"]) } else { lines(&["wrote\t", "y\t"]) };
    assert_eq!(place.sorted("other"), wrote, "{check}");
}

const PICKY: &str = "#!/usr/bin/awk -f
/poison/ { print \"cannot digest \" $0 > \"/dev/stderr\"; exit 3 }
{ print $1 \"\\t1\" }
";

fn poisoned(place: &Place) {
    let text: String = (1..=30_000)
        .map(|n| if n == 12_345 || n == 20_001 { format!("poison {n}\n") } else { format!("w{n}\n") })
        .collect();
    place.write("in/a.txt", &text).program("map.awk", PICKY);
}

fn picky_job(on_error: &str) -> String {
    format!(
        "map: {{ process: [./map.awk], on_error: {on_error} }}\ninput: {{ location: ./in/, format: lines }}\n\
         output: {{ location: ./out/, format: text, mode: overwrite }}\n"
    )
}

#[test]
fn the_record_at_which_a_program_fails_is_named() {
    let place = Place::new();
    poisoned(&place);
    place.write("job.yaml", &picky_job("fail"));
    let error = place.fails(&["run", "job.yaml"]);
    for wanted in ["in/a.txt", "`poison 12345`", "cannot digest poison 12345", "exit status: 3"] {
        assert!(error.contains(wanted), "{wanted:?} is not in: {error}");
    }
}

#[test]
fn bad_records_are_skipped_up_to_a_number() {
    let place = Place::new();
    poisoned(&place);
    place.write("job.yaml", &picky_job("skip 10"));
    place.succeeds(&["run", "job.yaml"]);
    let kept = place.sorted("out");
    assert_eq!(kept.len(), 29_998);
    assert!(kept.iter().all(|line| line.starts_with('w')));
    place.write("job.yaml", &picky_job("skip 1"));
    let error = place.fails(&["run", "job.yaml", "--workers", "1"]);
    assert!(error.contains("at more than 1 records"), "{error}");
    place.is_swept();
}

#[test]
fn bad_records_are_put_aside_with_the_reason() {
    let place = Place::new();
    poisoned(&place);
    place.write("job.yaml", &picky_job("quarantine ./bad/"));
    place.succeeds(&["run", "job.yaml"]);
    assert_eq!(place.sorted("out").len(), 29_998);
    let sql = "CREATE EXTERNAL TABLE bad STORED AS JSON LOCATION './bad/'; SELECT record['line'] AS line, detail FROM bad ORDER BY 1";
    let rows = place.windrow(&["run", "-e", sql, "--output", "csv"]);
    let rows = String::from_utf8_lossy(&rows.stdout).into_owned();
    assert_eq!(rows, "line,detail\npoison 12345,cannot digest poison 12345\npoison 20001,cannot digest poison 20001\n");
    // The same if the map is a stage of its own, whose outputs are released long before the commit.
    place.write(
        "stages.yaml",
        "tables: { t: { location: ./in/, format: lines } }
steps: { good: { input: t, map: { process: [./map.awk], on_error: quarantine ./aside/ }, reduce: { process: [cat], partitions: 3 } } }
sql: \"SET windrow.small_job_bytes = '0'; SELECT * FROM good\"
output: { location: ./reduced/, format: text, mode: overwrite }
",
    );
    place.succeeds(&["run", "stages.yaml"]);
    assert_eq!(place.sorted("reduced").len(), 29_998);
    let rows = place.windrow(&["run", "-e", &sql.replace("./bad/", "./aside/"), "--output", "csv"]);
    assert_eq!(String::from_utf8_lossy(&rows.stdout).lines().count(), 3, "{}", String::from_utf8_lossy(&rows.stderr));
    place.write("into.yaml", &picky_job("quarantine ./in/bad/"));
    let error = place.fails(&["run", "into.yaml"]);
    assert!(error.contains("would go where the job reads or writes rows"), "{error}");
    // Nothing is published with which they could be committed.
    place.write(
        "rows.yaml",
        "tables: { t: { location: ./in/, format: lines } }
steps: { good: { input: t, map: { process: [./map.awk], on_error: quarantine ./other/ } } }
sql: SELECT count(*) FROM good
",
    );
    let error = place.fails(&["run", "rows.yaml"]);
    assert!(error.contains("no output with which bad records are committed"), "{error}");
}

#[test]
fn keys_are_divided_at_given_points() {
    let place = Place::new();
    place.write("in.txt", "pear\nfig\nmango\napple\nzucchini\nlemon\n").write(
        "job.yaml",
        "reduce: { process: [cat] }\nkeys: { points: [fig, n] }\ninput: { location: in.txt }\n\
         output: { location: ./out/, format: text }\n",
    );
    place.succeeds(&["run", "job.yaml"]);
    let files: Vec<String> = place.files("out").concat().iter().map(|line| line.trim_end().to_owned()).collect();
    assert_eq!(files, ["apple", "fig", "lemon", "mango", "pear", "zucchini"]);
}

/// A gigabyte goes from a mapper to one that does not read for two seconds, in one process with everything else.
#[test]
fn a_slow_reader_holds_back_what_feeds_it() {
    let place = Place::new();
    place.write("in.txt", "a\n");
    place.program(
        "much.sh",
        "#!/bin/sh\ncat > /dev/null\nyes 0123456789012345678901234567890123456789 | head -c 1025000000\n",
    );
    place.program("slow.sh", "#!/bin/sh\nsleep 2\nwc -l\n");
    place.write(
        "job.yaml",
        "tables: { t: { location: in.txt, format: lines } }
steps:
  much: { input: t, map: { process: [./much.sh] } }
  slow: { input: much, map: { process: [./slow.sh] } }
sql: SELECT sum(CAST(trim(key) AS BIGINT)) AS lines FROM slow
",
    );
    let output = place.windrow(&["run", "job.yaml", "--output", "csv"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "lines\n25000000\n", "{told}");
    let peak = told.split("peak memory ").nth(1).and_then(|rest| rest.split(" MiB").next());
    let peak: f64 = peak.and_then(|text| text.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("{told}"));
    assert!(peak < 400.0, "{told}");
}

/// Ten thousand keys over several tasks, sorted with little memory.
#[test]
fn many_keys_are_sorted_and_reduced_once_each() {
    let place = Place::new();
    let text: String = (0..200_000).map(|n| format!("key-{} {n}\n", n * 7919 % 10_007)).collect();
    place.write("in/a.txt", &text[..text.len() / 3]);
    place.write("in/b.txt", &text[text.len() / 3..]);
    place.program("sum.awk", SUM);
    place.succeeds(&[
        "mapreduce",
        "--mapper",
        "awk '{ print $1 \"\\t\" 1 }'",
        "--combiner",
        "./sum.awk",
        "--reducer",
        "./sum.awk",
        "--file",
        "sum.awk",
        "--input",
        "in/",
        "--output",
        "out",
        "--reducers",
        "5",
        "--workers",
        "3",
        "--memory",
        "256MiB",
        "--deterministic",
    ]);
    let counted = place.sorted("out");
    let mut expected = BTreeMap::<String, u32>::new();
    for line in [&text[..text.len() / 3], &text[text.len() / 3..]].iter().flat_map(|part| part.lines()) {
        *expected.entry(line.split(' ').next().expect("a word").to_owned()).or_default() += 1;
    }
    let expected: Vec<String> = expected.into_iter().map(|(key, n)| format!("{key}\t{n}")).collect();
    assert!(counted == expected, "{} of {} lines", counted.len(), expected.len());
    assert_eq!(place.files("out").len(), 5);
}
