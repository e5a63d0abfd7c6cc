//! The command line where no cluster is needed: help, and what is refused before anything starts.

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use expect_test::{Expect, expect};

/// Runs `windrow` in an empty folder, away from the user's own settings.
fn windrow(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::cargo_bin("windrow").expect("the binary is built with its tests");
    command.current_dir(folder).args(args);
    command.env_remove("WINDROW_COORDINATOR").env_remove("WINDROW_LOG").env("COLUMNS", "100");
    command.output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// Runs the command in a folder that holds `files`, and checks exit code and standard error.
fn refused(files: &[(&str, &str)], args: &[&str], code: i32, expected: Expect) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect("written");
    }
    let output = windrow(folder.path(), args);
    expected.assert_eq(&text(&output.stderr));
    assert_eq!(output.status.code(), Some(code));
    assert_eq!(text(&output.stdout), "");
    let left = std::fs::read_dir(folder.path()).expect("the folder").count();
    assert_eq!(left, files.len(), "something was left behind");
}

fn help(args: &[&str], expected: Expect) {
    let output = windrow(Path::new("."), args);
    assert!(output.status.success());
    // Lines that hold only spaces would not survive an editor.
    let lines: Vec<String> = text(&output.stdout).lines().map(|line| format!("{}\n", line.trim_end())).collect();
    expected.assert_eq(&lines.concat());
}

#[test]
fn every_command_has_help_with_an_example() {
    let client = ["submit", "jobs", "job", "why", "result", "cancel", "workers", "drain"];
    let embedded = ["run", "generate tpch", "generate access-log", "up", "coordinator", "worker", "simulate"];
    for command in client.into_iter().chain(embedded.into_iter().filter(|_| cfg!(feature = "embedded"))) {
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let output = windrow(Path::new("."), &args);
        assert!(output.status.success(), "{command}");
        let help = text(&output.stdout);
        assert!(help.contains("Example"), "{command} has no example:\n{help}");
        assert!(help.contains(&format!("windrow {command}")), "{command}: {help}");
    }
}

#[test]
fn the_version_is_the_build() {
    let output = windrow(Path::new("."), &["--version"]);
    assert_eq!(text(&output.stdout), format!("windrow {}\n", windrow_client::BUILD));
}

#[test]
fn exit_codes_are_documented() {
    let help = text(&windrow(Path::new("."), &["--help"]).stdout);
    for kind in windrow_model::ErrorKind::ALL {
        assert!(help.contains(&format!("{:2}  {}:", kind.exit_code(), kind.name())), "{kind} is missing:\n{help}");
    }
}

#[test]
fn help_for_a_job() {
    help(
        &["job", "--help"],
        expect![[r#"
            Show a job: state, error, stages, attempts and workers

            Usage: windrow job [OPTIONS] <ID>

            Arguments:
              <ID>
                      For example job-7, or 7

            Options:
                  --output <OUTPUT>
                      [default: table]
                      [possible values: table, json]

                  --coordinator <URL>
                      URL of the coordinator; several that stand by for each other with commas between

                      [env: WINDROW_COORDINATOR=]
                      [default: http://127.0.0.1:7070]

                  --log-format <FORMAT>
                      How log lines on standard error look. WINDROW_LOG chooses which there are, for example
                      `windrow_worker=debug`

                      Possible values:
                      - text
                      - json: One object a line

                      [default: text]

              -h, --help
                      Print help (see a summary with '-h')

            Example:
              windrow job job-7
        "#]],
    );
}

#[test]
fn a_missing_job_file() {
    refused(
        &[],
        &["submit", "missing.sql"],
        4,
        expect![[r#"
        error: cannot read the job file `missing.sql`
          detail: No such file or directory (os error 2)
          hint: paths are relative to the current folder
    "#]],
    );
}

#[test]
fn an_unknown_key_in_the_job_file() {
    let job = "name: x\nsql: SELECT 1\noutptu:\n  location: ./out/\n";
    refused(
        &[("job.yaml", job)],
        &["submit", "job.yaml"],
        3,
        expect![[r#"
        error: unknown key `outptu` in `job.yaml`
          detail: line 3, column 1
          hint: did you mean `output`?
    "#]],
    );
}

#[test]
fn a_parameter_without_a_value() {
    refused(
        &[("job.sql", "SELECT ${n}")],
        &["submit", "job.sql"],
        3,
        expect![[r#"
        error: the parameter `${n}` in `job.sql` has no value
          hint: give it a value with --param n=…, or write `$${n}` for the text itself
    "#]],
    );
}

#[test]
fn a_parameter_that_nothing_uses() {
    refused(
        &[("job.sql", "SELECT ${n}")],
        &["submit", "job.sql", "--param", "n=1", "--param", "m=2"],
        3,
        expect![[r#"
        error: the job does not use the parameter `m`
          hint: it uses: n
    "#]],
    );
}

#[test]
fn a_table_without_a_format() {
    let job = "sql: SELECT 1\ntables: { t: ./t/ }\n";
    refused(
        &[("job.yaml", job)],
        &["submit", "job.yaml"],
        3,
        expect![[r#"
        error: the table `t` has no format
          detail: the location `./t/` does not say it by its extension
          hint: add `format: parquet`, `format: csv`, `format: json` or `format: text`
    "#]],
    );
}

#[test]
fn no_coordinator_at_the_address() {
    // Port 1 is reserved and nobody listens there.
    refused(
        &[],
        &["jobs", "--coordinator", "http://127.0.0.1:1"],
        8,
        expect![[r#"
        error: cannot reach the coordinator at http://127.0.0.1:1
          detail: Connection refused (os error 111)
          hint: start one with `windrow up`, or name another with --coordinator or WINDROW_COORDINATOR
    "#]],
    );
}

#[test]
fn an_error_is_json_where_rows_would_be() {
    refused(
        &[],
        &["workers", "--output", "json", "--coordinator", "here"],
        3,
        expect![[r#"
        {"error":{"detail":"","hint":"write it like http://127.0.0.1:7070","kind":"invalid","what":"`here` is not the address of a coordinator"}}
    "#]],
    );
}

#[test]
fn wrong_flags_end_with_code_two() {
    assert_eq!(windrow(Path::new("."), &["submit"]).status.code(), Some(2));
    assert_eq!(windrow(Path::new("."), &["submit", "x.sql", "-e", "SELECT 1"]).status.code(), Some(2));
    assert_eq!(windrow(Path::new("."), &["why", "seven"]).status.code(), Some(2));
}

#[cfg(feature = "embedded")]
#[test]
fn generated_data_is_not_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = ["generate", "access-log", "--rows", "10", "--parts", "1", "log"];
    assert!(windrow(folder.path(), &log).status.success());
    let again = windrow(folder.path(), &log);
    assert_eq!(again.status.code(), Some(5));
    assert!(text(&again.stderr).contains("exists already"));
}

#[test]
fn a_log_filter_that_cannot_be_read_is_refused() {
    let mut command = Command::cargo_bin("windrow").expect("the binary is built with its tests");
    let output = command.args(["jobs"]).env("WINDROW_LOG", "a=b=c").output().expect("it runs");
    assert_eq!(output.status.code(), Some(3));
}
