//! The binary against a real S3 server (SeaweedFS): reads, commits, a race for one output, and clear refusals.

#[path = "support/mod.rs"]
mod support;

use std::process::{Child, Command, Output, Stdio};

use support::processes::windrow;
use support::s3_server::{S3Server, weed};
use support::tpch;
use tempfile::TempDir;
use windrow_model::ErrorKind;

impl S3Server {
    fn windrow(&self) -> Command {
        let mut command = Command::new(windrow());
        command.envs(self.env());
        command
    }

    fn run(&self, sql: &str) -> Output {
        self.windrow()
            .args(["run", "--small-job-bytes", "0", "--output", "csv", "-e", sql])
            .output()
            .expect("windrow runs")
    }

    fn run_well(&self, sql: &str) -> String {
        let output = self.run(sql);
        assert!(output.status.success(), "{sql}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn sorted_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().skip(1).collect();
    lines.sort_unstable();
    lines
}

/// One server for all of it: starting one is the slow part.
#[test]
fn a_bucket_is_read_written_and_raced_for() {
    let Some(weed) = weed() else { return };
    let server = S3Server::start(&weed);
    copies_of_tables_give_the_same_answers(&server);
    of_two_racing_jobs_exactly_one_wins(&server);
    a_wrong_key_and_a_missing_bucket_are_refused_clearly(&server);
}

fn copies_of_tables_give_the_same_answers(server: &S3Server) {
    let data = tpch::generated("0.01");
    for table in tpch::TABLES {
        server.run_well(&format!(
            "{}COPY {table} TO 's3://lake/tpch/{table}/' STORED AS PARQUET",
            tpch::definitions(&data)
        ));
    }
    let in_bucket: String = tpch::TABLES
        .iter()
        .map(|table| format!("CREATE EXTERNAL TABLE {table} STORED AS PARQUET LOCATION 's3://lake/tpch/{table}/';\n"))
        .collect();
    for number in [1, 9] {
        let local = server.run_well(&format!("{}{}", tpch::definitions(&data), tpch::query(number)));
        let remote = server.run_well(&format!("{in_bucket}{}", tpch::query(number)));
        assert!(sorted_lines(&local).len() > 3);
        assert_eq!(sorted_lines(&local), sorted_lines(&remote), "q{number:02}");
    }
}

fn of_two_racing_jobs_exactly_one_wins(server: &S3Server) {
    let folder = TempDir::new().expect("a temporary folder");
    let racers: Vec<Child> = ["1", "2"]
        .iter()
        .map(|value| {
            let job = format!(
                "name: racer-{value}\nsql: SELECT {value} AS winner\noutput: {{ location: 's3://lake/race/', format: parquet, mode: error }}\n"
            );
            let file = folder.path().join(format!("{value}.yaml"));
            std::fs::write(&file, job).expect("a file can be written");
            server.windrow().arg("run").arg(file).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("windrow runs")
        })
        .collect();
    let ended: Vec<Output> = racers.into_iter().map(|racer| racer.wait_with_output().expect("windrow ends")).collect();
    let winners = ended.iter().filter(|output| output.status.success()).count();
    let said: Vec<_> = ended.iter().map(|output| String::from_utf8_lossy(&output.stderr)).collect();
    assert_eq!(winners, 1, "{said:?}");
    let loser = ended.iter().find(|output| !output.status.success()).expect("one lost");
    assert_eq!(loser.status.code(), Some(i32::from(ErrorKind::AlreadyExists.exit_code())), "{said:?}");
    let rows = server
        .run_well("CREATE EXTERNAL TABLE race STORED AS PARQUET LOCATION 's3://lake/race/'; SELECT count(*) FROM race");
    assert_eq!(rows.lines().nth(1), Some("1"));
}

fn a_wrong_key_and_a_missing_bucket_are_refused_clearly(server: &S3Server) {
    let sql = "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 's3://no-such-bucket/t/'; SELECT * FROM t";
    let output = server.run(sql);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(i32::from(ErrorKind::NotFound.exit_code())), "{message}");
    assert!(message.contains("no-such-bucket"), "{message}");

    let sql = "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 's3://lake/tpch/nation/'; SELECT * FROM t";
    let mut command = server.windrow();
    command.env("AWS_SECRET_ACCESS_KEY", "wrong").args(["run", "-e", sql]);
    let output = command.output().expect("windrow runs");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    let kinds = [ErrorKind::PermissionDenied, ErrorKind::Unauthenticated].map(|kind| Some(i32::from(kind.exit_code())));
    assert!(kinds.contains(&output.status.code()), "{message}");
    assert!(message.contains("AWS_SECRET_ACCESS_KEY"), "{message}");
}
