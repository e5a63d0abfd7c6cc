//! Job files as users write them, right and wrong.

use super::*;
use windrow_model::{OutputMode, TableFormat};

fn read_yaml(text: &str, given: &Given) -> Result<Job, ErrorReport> {
    yaml::load(Path::new("job.yaml"), text, "job", Path::new("/jobs"), given)
}

fn accepted(text: &str) -> Job {
    read_yaml(text, &Given::default()).expect("a valid job file")
}

fn refused(text: &str) -> ErrorReport {
    read_yaml(text, &Given::default()).expect_err("an invalid job file")
}

const LATE_FLIGHTS: &str = r#"
name: late-flights
tables:
  flights: { location: ./flights/, format: parquet }
  carriers: ./carriers.csv.gz
  airports:
    location: s3://bucket/airports/
    format: csv
    header: true
    delimiter: ";"
params: { min_delay: "30", share: 0.10 }
sql: SELECT carrier FROM flights WHERE arr_delay > ${min_delay} * ${share}
output: { location: ./out/, format: parquet, mode: overwrite, partition_by: [carrier] }
timeout: 90s
priority: 70
queue: nightly
setup:
  - { generate: tpch, into: ./tpch, scale: 0.1, parts: 2 }
"#;

#[test]
fn every_key_of_a_job_file_reaches_the_specification() {
    let job = accepted(LATE_FLIGHTS);
    assert_eq!(job.spec.name, "late-flights");
    assert_eq!(job.spec.queue, "nightly");
    assert_eq!(job.spec.priority, 70);
    assert_eq!(job.spec.timeout, Some(Duration::from_secs(90)));
    let Program::Sql { script, base, tables, output, .. } = job.spec.program;
    assert_eq!(script, "SELECT carrier FROM flights WHERE arr_delay > 30 * 0.10");
    assert_eq!(base, "file:///jobs/");
    assert_eq!(tables["flights"].format, TableFormat::Parquet);
    assert_eq!(tables["carriers"].format, TableFormat::Csv);
    assert_eq!(tables["carriers"].options["format.compression"], "gzip");
    assert_eq!(tables["airports"].options["format.delimiter"], ";");
    let output = output.expect("an output");
    assert_eq!((output.mode, output.partition_by), (OutputMode::Overwrite, vec!["carrier".to_owned()]));
    let tpch = Generator::Tpch { scale: 0.1, parts: 2 };
    assert_eq!(job.setup, [SetupStep { generator: tpch, into: PathBuf::from("/jobs/./tpch") }]);
}

#[test]
fn the_command_line_wins_over_the_file() {
    let params = vec![("min_delay".to_owned(), "5".to_owned())];
    let given = Given { params, priority: Some(1), timeout: Some(Duration::from_secs(1)), ..Given::default() };
    let spec = read_yaml(LATE_FLIGHTS, &given).expect("valid").spec;
    assert_eq!((spec.priority, spec.timeout), (1, Some(Duration::from_secs(1))));
    let Program::Sql { script, .. } = spec.program;
    assert!(script.contains("> 5 *"), "{script}");
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_key() {
    let report = refused("name: x\ntabels:\n  t: t.csv\nsql: SELECT 1\n");
    assert_eq!(report.what, "unknown key `tabels` in `job.yaml`");
    assert_eq!(report.detail, "line 2, column 1");
    assert_eq!(report.hint, "did you mean `tables`?");
}

#[test]
fn an_unknown_key_of_a_table_is_located_too() {
    let report = refused("sql: SELECT 1\ntables:\n  t:\n    location: t.csv\n    delimeter: ';'\n");
    assert_eq!(report.what, "unknown key `delimeter` in `job.yaml`");
    assert_eq!(report.detail, "line 5, column 5");
    assert_eq!(report.hint, "did you mean `delimiter`?");
}

#[test]
fn an_unknown_key_of_the_output_and_of_the_setup_is_refused() {
    let report = refused("sql: SELECT 1\noutput: { location: o.csv, partitionby: [a] }\n");
    assert_eq!(report.hint, "did you mean `partition_by`?");
    let report = refused("sql: SELECT 1\nsetup: [{ generate: tpch, into: x, scal: 1 }]\n");
    assert_eq!(report.hint, "did you mean `scale`?");
}

#[test]
fn a_key_like_no_other_gets_the_list() {
    let report = refused("sql: SELECT 1\nzzz: 1\n");
    assert!(report.hint.starts_with("valid keys here: name, "), "{}", report.hint);
}

#[test]
fn a_value_of_the_wrong_type_is_located() {
    let report = refused("sql: SELECT 1\npriority: high\n");
    assert_eq!(report.what, "`job.yaml` is not a job file");
    assert!(report.detail.contains("line 2"), "{}", report.detail);
}

#[test]
fn a_job_needs_exactly_one_text() {
    assert!(refused("name: x\n").what.contains("says nothing to run"));
    assert!(refused("sql: SELECT 1\nsql_file: x.sql\n").what.contains("both"));
    assert_eq!(refused("sql: ' '\n").what, "the job has no SQL");
}

#[test]
fn modes_priorities_and_timeouts_are_checked() {
    let report = refused("sql: SELECT 1\noutput: { location: o.csv, mode: overwrit }\n");
    assert_eq!(report.hint, "did you mean `overwrite`?");
    assert!(refused("sql: SELECT 1\npriority: 101\n").what.contains("from 0 to 100"));
    assert!(refused("sql: SELECT 1\ntimeout: soon\n").what.contains("timeout"));
}

#[test]
fn a_missing_job_file_is_not_found() {
    let source = JobSource::File(PathBuf::from("no/such/job.sql"));
    let report = load(&source, &Given::default()).expect_err("nothing there");
    assert_eq!(report.kind, ErrorKind::NotFound);
    assert!(report.what.contains("no/such/job.sql"), "{}", report.what);
}

#[test]
fn sql_in_the_place_of_a_file_gets_a_hint() {
    let source = JobSource::File(PathBuf::from("SELECT 1"));
    assert!(load(&source, &Given::default()).expect_err("no file").hint.contains("-e"));
}
