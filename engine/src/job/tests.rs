//! Scripts through a job's session, without running them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use expect_test::{Expect, expect};
use windrow_model::{
    ClusterShape, ErrorKind, ErrorReport, JobId, JobSpec, OutputMode, OutputSpec, Program, StepOutcome, TableFormat,
    TableSpec,
};

use super::{EngineOptions, JobSession, PastStep, PlanEnvironment, PlannedStep, on_big_stack};
use crate::stores::Stores;

const ONE: ClusterShape = ClusterShape { workers: 1, slots: 2, slots_max: 2, memory_bytes_min: 1 << 30 };
const TWO: ClusterShape = ClusterShape { workers: 2, slots: 2, slots_max: 1, memory_bytes_min: 1 << 30 };

/// A folder with a table of flights in two files.
fn flights() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("flights")).unwrap();
    std::fs::write(dir.path().join("flights/a.csv"), "carrier,delay\nAA,5\nBB,7\n").unwrap();
    std::fs::write(dir.path().join("flights/b.csv"), "carrier,delay\nAA,1\nCC,2\n").unwrap();
    dir
}

fn spec(dir: &Path, script: &str, output: Option<OutputSpec>) -> JobSpec {
    let table = TableSpec { location: "flights/".to_owned(), format: TableFormat::Csv, options: BTreeMap::new() };
    let missing = TableSpec { location: "nowhere/".to_owned(), ..table.clone() };
    JobSpec {
        name: "test".to_owned(),
        application: "default".to_owned(),
        queue: "default".to_owned(),
        priority: 50,
        submitted_by: "test".to_owned(),
        timeout: None,
        client_token: None,
        program: Program::Sql {
            script: script.to_owned(),
            base: url::Url::from_directory_path(dir).unwrap().to_string(),
            tables: BTreeMap::from([("flights".to_owned(), table), ("missing".to_owned(), missing)]),
            made: BTreeMap::new(),
            output,
        },
    }
}

/// No statement is small enough to run whole.
fn many_workers() -> Result<Arc<PlanEnvironment>, ErrorReport> {
    let options = EngineOptions { small_job_bytes: 0, ..EngineOptions::default() };
    PlanEnvironment::new(options, Stores::from_env())
}

async fn steps_of(spec: JobSpec, cluster: ClusterShape) -> Result<Vec<PlannedStep>, ErrorReport> {
    on_big_stack(move || async move {
        let mut session = JobSession::open(JobId(7), &spec, chrono::Utc::now(), &many_workers()?).await?;
        let mut steps = Vec::new();
        let mut first_stage = 0;
        for step in 0..session.statements() as u32 {
            let planned = session.plan_step(step, first_stage, cluster).await?;
            first_stage += planned.plan.stages.len() as u32;
            steps.push(planned);
        }
        Ok(steps)
    })
    .await
}

async fn steps(script: &str) -> Result<Vec<PlannedStep>, ErrorReport> {
    let dir = flights();
    steps_of(spec(dir.path(), script, None), TWO).await
}

async fn fails(script: &str, expected: Expect) {
    let report = steps(script).await.err().unwrap();
    expected.assert_eq(&format!("{} | {} | {} | {}", report.kind, report.what, report.detail, report.hint));
}

#[tokio::test]
async fn a_select_is_planned_with_splits_and_a_schema() {
    let steps = steps("SELECT carrier, sum(delay) AS total FROM flights GROUP BY carrier").await.unwrap();
    let [step] = steps.as_slice() else { panic!("one statement") };
    assert!(matches!(step.plan.outcome, StepOutcome::Result { .. }));
    assert!(step.plan.last);
    assert_eq!(step.plan.stages.len(), 2, "{:?}", step.plan.stages);
    assert!(step.plan.stages.iter().all(|stage| step.fragments.contains_key(&stage.fragment)));
    assert!(!step.splits.is_empty());
    let schema = step.schema.as_ref().unwrap();
    assert_eq!(schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), ["carrier", "total"]);
}

#[tokio::test]
async fn one_worker_runs_a_statement_whole() {
    let dir = flights();
    let script = "SELECT carrier, sum(delay) FROM flights GROUP BY carrier ORDER BY 2";
    let steps = steps_of(spec(dir.path(), script, None), ONE).await.unwrap();
    assert_eq!(steps[0].plan.stages.len(), 1);
    assert_eq!(steps[0].plan.stages[0].tasks.len(), 1);
}

#[tokio::test]
async fn a_table_made_by_a_statement_is_read_by_a_later_one() {
    let script = "CREATE TABLE late AS SELECT * FROM flights WHERE delay > 1;
                  CREATE VIEW names AS SELECT DISTINCT carrier FROM late;
                  SELECT count(*) FROM names";
    let steps = steps(script).await.unwrap();
    let StepOutcome::Table { stage } = steps[0].plan.outcome else { panic!("{:?}", steps[0].plan.outcome) };
    assert_eq!(steps[1].plan.outcome, StepOutcome::Immediate);
    let reads = steps[2].plan.stages.iter().any(|made| made.inputs.iter().any(|input| input.stage == stage));
    assert!(reads, "{:?}", steps[2].plan.stages);
    assert!(steps[2].plan.stages.iter().all(|later| later.index > stage));
}

#[tokio::test]
async fn a_single_file_is_written_by_one_task_and_a_folder_by_many() {
    let written = |steps: &[PlannedStep]| {
        let StepOutcome::Commit { stage } = steps[0].plan.outcome else { panic!("{:?}", steps[0].plan.outcome) };
        steps[0].plan.stages.iter().find(|sink| sink.index == stage).unwrap().tasks.len()
    };
    let file = steps("COPY flights TO 'out/all.csv'").await.unwrap();
    assert!(file[0].target.as_ref().unwrap().single_file);
    assert_eq!(written(&file), 1);
    let folder = steps("COPY (SELECT * FROM flights) TO 'out/' STORED AS PARQUET").await.unwrap();
    assert!(!folder[0].target.as_ref().unwrap().single_file);
    assert_eq!(written(&folder), 2);
    let parts = steps("COPY flights TO 'out/' STORED AS CSV PARTITIONED BY (carrier)").await.unwrap();
    assert_eq!(parts[0].plan.stages.len(), 2, "an exchange by the partition column");
}

#[tokio::test]
async fn the_last_select_goes_to_the_output() {
    let dir = flights();
    let output = OutputSpec {
        location: "out/".to_owned(),
        format: TableFormat::Parquet,
        mode: OutputMode::Overwrite,
        partition_by: Vec::new(),
        options: BTreeMap::new(),
    };
    let script = "SELECT 1; SELECT * FROM flights; SET windrow.partition_bytes = '1MiB'";
    let steps = steps_of(spec(dir.path(), script, Some(output)), TWO).await.unwrap();
    assert!(matches!(steps[0].plan.outcome, StepOutcome::Result { .. }));
    assert!(matches!(steps[1].plan.outcome, StepOutcome::Commit { .. }));
    assert!(steps[1].target.as_ref().unwrap().location.as_str().ends_with("/out/"));
}

#[tokio::test]
async fn inserts_go_to_the_folder_of_an_external_table() {
    let script = "CREATE EXTERNAL TABLE copy (carrier VARCHAR, delay BIGINT) STORED AS CSV LOCATION 'copy/';
                  INSERT INTO copy SELECT * FROM flights;
                  INSERT OVERWRITE copy VALUES ('ZZ', 1)";
    let steps = steps(script).await.unwrap();
    let modes: Vec<OutputMode> = steps.iter().filter_map(|step| Some(step.target.as_ref()?.mode)).collect();
    assert_eq!(modes, [OutputMode::Append, OutputMode::Overwrite]);
}

/// The files that the scans of a step read.
fn files_read(step: &PlannedStep) -> usize {
    let splits = step.splits.values().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    splits.map(|text| text.matches(".csv").count()).sum()
}

#[tokio::test]
async fn a_view_shows_what_was_written_since_it_was_made() {
    let dir = flights();
    let script = "CREATE VIEW inner_view AS SELECT * FROM flights;
                  CREATE VIEW carriers AS SELECT carrier FROM inner_view;
                  SELECT * FROM carriers;
                  INSERT INTO flights VALUES ('DD', 3);
                  SELECT * FROM carriers";
    let (spec, place) = (spec(dir.path(), script, None), dir.path().to_owned());
    let (before, after) = on_big_stack(move || async move {
        let mut session = JobSession::open(JobId(7), &spec, chrono::Utc::now(), &many_workers()?).await?;
        let mut steps = Vec::new();
        for step in 0..5 {
            let first_stage = steps.iter().map(|step: &PlannedStep| step.plan.stages.len() as u32).sum();
            steps.push(session.plan_step(step, first_stage, TWO).await?);
            if step == 3 {
                // What the INSERT would have left behind.
                std::fs::write(place.join("flights/c.csv"), "carrier,delay\nDD,3\n").unwrap();
            }
        }
        Ok((files_read(&steps[2]), files_read(&steps[4])))
    })
    .await
    .unwrap();
    assert_eq!((before, after), (2, 3));
}

#[tokio::test]
async fn inserts_into_folders_of_partitions_follow_their_layout() {
    let dir = flights();
    std::fs::create_dir_all(dir.path().join("days/day=1")).unwrap();
    std::fs::write(dir.path().join("days/day=1/a.csv"), "carrier,delay\nAA,5\n").unwrap();
    let script = "CREATE EXTERNAL TABLE days STORED AS CSV LOCATION 'days/';
                  INSERT INTO days SELECT carrier, delay, '2' FROM flights";
    let steps = steps_of(spec(dir.path(), script, None), TWO).await.unwrap();
    assert_eq!(steps[1].target.as_ref().unwrap().partition_by, ["day"]);
    std::fs::write(dir.path().join("days/day=1/a.csv"), "carrier,delay,day\nAA,5,1\n").unwrap();
    let report = steps_of(spec(dir.path(), script, None), TWO).await.unwrap_err();
    assert_eq!(report.kind, ErrorKind::Unsupported);
    assert!(report.detail.contains("`day`"), "{report}");
}

#[tokio::test]
async fn a_session_that_catches_up_plans_what_the_first_one_would_have() {
    let dir = flights();
    let script = "SET datafusion.execution.batch_size = 100;
                  CREATE VIEW late AS SELECT * FROM flights WHERE delay > 1;
                  CREATE TABLE Made AS SELECT carrier, delay FROM late;
                  COPY flights TO 'copy/' STORED AS CSV;
                  SELECT now(), carrier FROM late JOIN made USING (carrier)";
    let (spec, started) = (spec(dir.path(), script, None), chrono::Utc::now());
    let (first, second) = on_big_stack(move || async move {
        let env = many_workers()?;
        let mut session = JobSession::open(JobId(7), &spec, started, &env).await?;
        let (mut steps, mut past): (Vec<PlannedStep>, Vec<PastStep>) = Default::default();
        for step in 0..5 {
            let first_stage = steps.iter().map(|step| step.plan.stages.len() as u32).sum();
            let planned = session.plan_step(step, first_stage, TWO).await?;
            past.push(match planned.plan.outcome {
                StepOutcome::Immediate => PastStep::Immediate,
                StepOutcome::Table { stage } => PastStep::Table {
                    schema: planned.schema.clone().unwrap(),
                    stage,
                    tasks: planned.plan.stages.last().unwrap().tasks.len(),
                },
                StepOutcome::Commit { .. } => {
                    PastStep::Written { location: planned.target.as_ref().unwrap().location.clone() }
                }
                StepOutcome::Result { .. } | StepOutcome::Discard { .. } => PastStep::Rows,
            });
            steps.push(planned);
        }
        let first_stage = steps[..4].iter().map(|step| step.plan.stages.len() as u32).sum();
        let mut other = JobSession::open(JobId(7), &spec, started, &env).await?;
        other.catch_up(&past[..4]).await?;
        Ok((steps.pop().unwrap(), other.plan_step(4, first_stage, TWO).await?))
    })
    .await
    .unwrap();
    assert_eq!(first.plan, second.plan);
    assert_eq!(first.fragments, second.fragments);
}

#[tokio::test]
async fn the_catalog_and_settings_answer_at_once() {
    let steps = steps("SHOW TABLES; DESCRIBE flights; SHOW datafusion.execution.batch_size").await;
    // The table without files makes the list of tables fail, which names it.
    assert!(steps.err().unwrap().what.contains("`missing`"));
    let steps = self::steps("DESCRIBE flights; EXPLAIN SELECT * FROM flights; EXPLAIN ANALYZE SELECT 1").await;
    let steps = steps.unwrap();
    assert_eq!(steps[0].rows.as_ref().unwrap().iter().map(|batch| batch.num_rows()).sum::<usize>(), 2);
    assert!(steps[1].text.as_ref().unwrap().contains("stage 0"));
    assert!(steps[2].analyze);
    assert!(matches!(steps[2].plan.outcome, StepOutcome::Discard { .. }));
}

#[tokio::test]
async fn now_is_the_same_in_all_statements() {
    let steps = steps("EXPLAIN SELECT now(); EXPLAIN SELECT now()").await.unwrap();
    let times: Vec<String> = steps
        .iter()
        .map(|step| step.text.as_ref().unwrap().lines().find(|line| line.contains("Timestamp")).unwrap().to_owned())
        .collect();
    assert_eq!(times[0], times[1]);
}

#[tokio::test]
async fn wrong_statements_are_explained() {
    fails(
        "SELECT 1;\nSELECT * FROM flihgts",
        expect!["not-found | statement 2 of 2 (line 2): there is no table `flihgts` | line 2, column 15 | did you mean `flights`?"],
    )
    .await;
    fails(
        "SELECT carrier,\n  carier FROM flights",
        expect!["invalid | line 1: there is no column `carier` | line 2, column 3 | did you mean `carrier`?"],
    )
    .await;
    fails(
        "DELETE FROM flights",
        expect!["unsupported | line 1: DELETE is not supported |  | write the rows to keep with COPY or INSERT OVERWRITE into another location"],
    )
    .await;
    fails(
        "CREATE TABLE t AS SELECT 1 AS a; INSERT INTO t VALUES (2)",
        expect!["unsupported | statement 2 of 2 (line 1): rows cannot be inserted into `t` |  | it was made by CREATE TABLE AS; INSERT writes into external tables, and UNION ALL joins rows in a query"],
    )
    .await;
    fails(
        "SET datafusion.runtime.memory_limit = '1G'",
        expect!["unsupported | line 1: the setting `datafusion.runtime.memory_limit` cannot be changed in a job |  | a job may set datafusion.execution.*, datafusion.optimizer.*, datafusion.sql_parser.*, datafusion.format.*, datafusion.explain.*, and windrow.small_job_bytes, windrow.partition_bytes, windrow.partitions_max, windrow.order_joins, windrow.sort_ranges, windrow.coalesce_bytes, windrow.split_skewed"],
    )
    .await;
    fails(
        "SELECT 9223372036854775807 + 1",
        expect!["invalid | line 1: arithmetic overflow | Overflow happened on: 9223372036854775807 + 1 | cast to a wider type first, for example CAST(x AS DECIMAL(38, 0)) or CAST(x AS DOUBLE)"],
    )
    .await;
    let report = steps("COPY flights TO 'out/' STORED AS CSV PARTITIONED BY (carier)").await.err().unwrap();
    assert_eq!(report.kind, ErrorKind::Invalid);
    assert!(report.to_string().contains("carier") && report.hint.contains("carrier"), "{report:?}");
}

#[tokio::test]
async fn a_missing_file_is_an_error_that_names_table_and_location() {
    let report = steps("SELECT * FROM missing").await.err().unwrap();
    assert_eq!(report.kind, ErrorKind::NotFound);
    assert!(report.to_string().contains("`missing`") && report.to_string().contains("nowhere"), "{report:?}");
}

#[tokio::test]
async fn long_chains_end_neither_the_process_nor_the_session() {
    let longest = crate::guards::OPERATORS_MAX as usize;
    for length in [longest / 2, 20_000] {
        // Without an operator between `=` and `OR`, each link of the chain counts twice.
        let ors = (0..length / 2).map(|n| format!("delay = {n} * delay")).collect::<Vec<_>>().join(" OR ");
        let sums = vec!["delay"; length].join(" + ");
        for script in [format!("SELECT * FROM flights WHERE {ors}"), format!("SELECT {sums} FROM flights")] {
            if let Err(report) = steps(&script).await {
                assert_eq!(report.kind, ErrorKind::Invalid, "{report:?}");
                assert!(length > longest / 2, "{report:?}");
            }
        }
    }
}

/// A worker runs an attempt on a thread of ordinary size, and drops its plan there.
#[tokio::test]
async fn the_longest_chain_runs_on_half_of_a_default_stack() {
    const HALF_OF_DEFAULT_BYTES: usize = 1 << 20;
    let chain = vec!["value"; crate::guards::OPERATORS_MAX as usize].join(" + ");
    let sql = format!("SELECT max({chain}) FROM generate_series(1, 3)");
    let (context, plan) = on_big_stack(move || async move {
        let context = crate::oracle::oracle_context(1);
        let planned = async { context.sql(&sql).await?.create_physical_plan().await }.await;
        let plan = planned.map_err(|error| crate::errors::report(error, "planning"))?;
        Ok((context.task_ctx(), plan))
    })
    .await
    .unwrap();
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(datafusion::physical_plan::collect(plan, context)).unwrap()
    };
    let rows = std::thread::Builder::new().stack_size(HALF_OF_DEFAULT_BYTES).spawn(run).unwrap().join().unwrap();
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 1);
}

#[tokio::test]
async fn a_script_is_explained_without_a_trace() {
    let dir = flights();
    let script = "CREATE TABLE late AS SELECT * FROM flights WHERE delay > 1; SELECT carrier FROM late";
    let spec = spec(dir.path(), script, None);
    let (first, second) = on_big_stack(move || async move {
        let mut session = JobSession::open(JobId(7), &spec, chrono::Utc::now(), &many_workers()?).await?;
        Ok((session.explain(TWO).await?, session.explain(TWO).await?))
    })
    .await
    .unwrap();
    assert_eq!(first, second);
    assert!(first.contains("-- statement 1 of 2 (line 1): CREATE TABLE late AS"), "{first}");
    assert!(first.contains("stage 1"), "{first}");
}

#[tokio::test]
async fn a_panic_becomes_an_error() {
    let report = on_big_stack(|| async { if true { panic!("boom") } else { Ok(()) } }).await.unwrap_err();
    assert_eq!((report.kind, report.detail.as_str()), (ErrorKind::Internal, "boom"));
}
