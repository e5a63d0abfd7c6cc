//! Writes, commits and reads back on a real local folder.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;

use arrow::array::{Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use datafusion::execution::TaskContext;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use url::Url;
use uuid::Uuid;
use windrow_model::{AttemptId, ErrorKind, ErrorReport, JobId, OutputMode, StageId, TableFormat, TaskId, WrittenFile};

use super::commit::Commit;
use super::folder::Folder;
use super::*;
use crate::stores::{Stores, resolve_location};
use crate::tables::{Declared, open_table};

fn url(folder: &FilePath, name: &str) -> Url {
    resolve_location("file:///", folder.join(name).to_str().unwrap()).unwrap()
}

fn target(location: Url, mode: OutputMode) -> OutputTarget {
    OutputTarget {
        location,
        single_file: false,
        format: TableFormat::Parquet,
        mode,
        partition_by: Vec::new(),
        options: BTreeMap::new(),
        commit_id: Uuid::new_v4(),
        job: 1,
    }
}

fn rows(names: &[Option<&str>], numbers: &[i64]) -> RecordBatch {
    let name: Arc<StringArray> = Arc::new(names.to_vec().into());
    let number: Arc<Int64Array> = Arc::new(numbers.to_vec().into());
    RecordBatch::try_from_iter_with_nullable([("name", name as _, true), ("number", number as _, true)]).unwrap()
}

/// Runs a table write over `batch` as attempt `n` of a task and returns its files.
async fn write(target: &OutputTarget, batch: RecordBatch, n: u64) -> Vec<WrittenFile> {
    let (files, staged) = write_logged(target, batch, n).await.take();
    drop(staged.keep());
    files
}

/// The same, with where the files are.
async fn write_logged(target: &OutputTarget, batch: RecordBatch, n: u64) -> Arc<WriteLog> {
    let context = SessionContext::new();
    let schema = batch.schema();
    let table = datafusion::datasource::MemTable::try_new(schema, vec![vec![batch]]).unwrap();
    let input = context.read_table(Arc::new(table)).unwrap().create_physical_plan().await.unwrap();
    let written = TableWriteExec::new(input, Arc::new(target.clone()));
    let written = TableWriteExec::decode(&written.encode(), Arc::clone(written.input())).unwrap();
    let log = Arc::new(WriteLog::default());
    let task = TaskId { stage: StageId { job: JobId(1), index: 0 }, index: 0 };
    let identity = WriteIdentity { task, attempt: AttemptId { epoch: 1, n } };
    let config = SessionConfig::new().with_extension(Arc::new(identity)).with_extension(Arc::clone(&log));
    let task_context = Arc::new(TaskContext::default().with_session_config(config));
    for partition in 0..written.properties().partitioning.partition_count() {
        let left: Vec<RecordBatch> =
            written.execute(partition, Arc::clone(&task_context)).unwrap().try_collect().await.unwrap();
        assert!(left.is_empty());
    }
    log
}

#[tokio::test]
async fn an_attempt_that_does_not_count_takes_its_files_and_folders_away() {
    let folder = tempfile::tempdir().unwrap();
    let place = url(folder.path(), "out/");
    let target = target(place.clone(), OutputMode::Overwrite);
    let out = folder.path().join("out");
    let staged = |names: &[WrittenFile]| names.iter().filter(|file| out.join(&file.staged).exists()).count();

    // Failed: its log is dropped.
    let failed = write_logged(&target, rows(&[Some("a")], &[1]), 1).await;
    assert!(out.join("_windrow/staging").exists());
    drop(failed);
    assert!(!out.exists(), "nobody else has anything there");

    // Cancelled when it had ended, beside another one that counts.
    let counted = write(&target, rows(&[Some("a")], &[1]), 2).await;
    let (files, cancelled) = write_logged(&target, rows(&[Some("a")], &[1]), 3).await.take();
    assert!(!files.is_empty() && staged(&files) == files.len());
    drop(cancelled);
    assert!(staged(&files) == 0 && staged(&counted) == counted.len());

    // Too late: the commit is over.
    commit(&target, &[counted], Decided::No, &Stores::from_env()).await.unwrap();
    let (_, late) = write_logged(&target, rows(&[Some("a")], &[1]), 4).await.take();
    assert!(out.join("_windrow/staging").exists());
    late.keep().discard();
    assert!(!out.join("_windrow/staging").exists());
    assert_eq!(read(&place, TableFormat::Parquet).await.unwrap(), ["a,1"]);
}

async fn write_and_commit(target: &OutputTarget, batch: RecordBatch) -> Result<Vec<WrittenFile>, ErrorReport> {
    let files = write(target, batch, 1).await;
    commit(target, &[files], Decided::No, &Stores::from_env()).await.map_err(|error| error.report)
}

async fn read(location: &Url, format: TableFormat) -> Result<Vec<String>, ErrorReport> {
    read_sql(location, format, "SELECT * FROM t").await
}

async fn read_sql(location: &Url, format: TableFormat, sql: &str) -> Result<Vec<String>, ErrorReport> {
    let context = SessionContext::new();
    let stores = Stores::from_env();
    let table =
        open_table("t", location, format, &BTreeMap::new(), &Declared::default(), &context.state(), &stores).await?;
    context.register_table("t", table.provider).unwrap();
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let text = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    let mut lines: Vec<String> = text.lines().skip(3).filter(|line| line.starts_with('|')).map(str::to_owned).collect();
    lines.sort();
    Ok(lines
        .iter()
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>().join(",").trim_matches(',').to_owned())
        .collect())
}

/// Names below `folder` that a listing reader sees.
fn visible(folder: &FilePath) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with(['_', '.'])).collect()
}

#[tokio::test]
async fn files_of_one_attempt_sort_by_name_as_they_were_begun() {
    let folder = tempfile::tempdir().unwrap();
    let mut target = target(url(folder.path(), "out"), OutputMode::Overwrite);
    target.partition_by = vec!["number".to_owned()];
    let numbers: Vec<i64> = (0..12).collect();
    let files = write(&target, rows(&[Some("a"); 12], &numbers), 1).await;
    let mut paths: Vec<(&str, &str)> = files.iter().filter_map(|file| file.path.rsplit_once('/')).collect();
    paths.sort_by_key(|(_, name)| *name);
    let begun: Vec<String> = numbers.iter().map(|number| format!("number={number}")).collect();
    assert_eq!(paths.iter().map(|(folder, _)| *folder).collect::<Vec<_>>(), begun);
}

#[tokio::test]
async fn overwrite_replaces_and_append_adds() {
    let folder = tempfile::tempdir().unwrap();
    let place = url(folder.path(), "out dir/");
    write_and_commit(&target(place.clone(), OutputMode::Overwrite), rows(&[Some("a")], &[1])).await.unwrap();
    write_and_commit(&target(place.clone(), OutputMode::Append), rows(&[Some("b")], &[2])).await.unwrap();
    assert_eq!(read(&place, TableFormat::Parquet).await.unwrap(), ["a,1", "b,2"]);
    write_and_commit(&target(place.clone(), OutputMode::Overwrite), rows(&[Some("c")], &[3])).await.unwrap();
    assert_eq!(read(&place, TableFormat::Parquet).await.unwrap(), ["c,3"]);
    let out = folder.path().join("out dir");
    assert_eq!(visible(&out).len(), 1);
    assert!(out.join("_SUCCESS").exists());
    assert!(!out.join("_windrow/staging").exists() && !out.join("_windrow/intents").exists());
    let failed = check_target(&target(place, OutputMode::Error), &Stores::from_env()).await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn first_append_adopts_a_plain_folder_and_a_stranger_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let plain = url(folder.path(), "plain/");
    write_and_commit(&target(plain.clone(), OutputMode::Overwrite), rows(&[Some("old")], &[1])).await.unwrap();
    let out = folder.path().join("plain");
    std::fs::remove_dir_all(out.join("_windrow")).unwrap();
    write_and_commit(&target(plain.clone(), OutputMode::Append), rows(&[Some("new")], &[2])).await.unwrap();
    assert_eq!(read(&plain, TableFormat::Parquet).await.unwrap(), ["new,2", "old,1"]);
    std::fs::copy(out.join(&visible(&out)[0]), out.join("stranger.parquet")).unwrap();
    std::fs::write(out.join("_note"), "not data").unwrap();
    let failed = read(&plain, TableFormat::Parquet).await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Conflict);
    assert!(failed.what.contains("stranger.parquet"), "{failed}");
}

#[tokio::test]
async fn a_commit_cut_off_after_any_step_is_rolled_forward() {
    for mode in [OutputMode::Overwrite, OutputMode::Append, OutputMode::Error] {
        for cut in 1..12 {
            let folder = tempfile::tempdir().unwrap();
            let place = url(folder.path(), "out");
            let expected: &[&str] = if mode == OutputMode::Append { &["a,1", "b,2"] } else { &["b,2"] };
            if mode != OutputMode::Error {
                write_and_commit(&target(place.clone(), OutputMode::Overwrite), rows(&[Some("a")], &[1]))
                    .await
                    .unwrap();
            }
            let stores = Stores::from_env();
            let second = target(place.clone(), mode);
            let files = write(&second, rows(&[Some("b")], &[2]), 2).await;
            let opened = Folder::open(&second, &stores).unwrap();
            let mut cut_off = Commit::new(&second, &opened, files.clone());
            for _ in 0..cut {
                cut_off.step().await.unwrap();
            }
            commit(&second, std::slice::from_ref(&files), Decided::No, &stores).await.unwrap();
            commit(&second, &[files], Decided::No, &stores).await.unwrap();
            assert_eq!(read(&place, TableFormat::Parquet).await.unwrap(), expected, "{mode:?} cut at {cut}");
            let out = folder.path().join("out");
            assert!(out.join("_SUCCESS").exists() && !out.join("_windrow/staging").exists());
        }
    }
}

#[tokio::test]
async fn an_error_after_the_decision_says_that_the_commit_must_be_finished() {
    let folder = tempfile::tempdir().unwrap();
    let place = url(folder.path(), "out");
    let stores = Stores::from_env();
    write_and_commit(&target(place.clone(), OutputMode::Overwrite), rows(&[Some("a")], &[1])).await.unwrap();
    let second = target(place.clone(), OutputMode::Append);
    let files = [write(&second, rows(&[Some("b")], &[2]), 2).await];
    // A folder where the file belongs: the manifest can be created and the file cannot be published.
    let obstacle = folder.path().join("out").join(&files[0][0].path);
    std::fs::create_dir_all(obstacle.join("inside")).unwrap();
    let failed = commit(&second, &files, Decided::No, &stores).await.unwrap_err();
    assert_eq!(failed.decided, Decided::Yes, "{}", failed.report);
    abort(&second, &stores).await.unwrap();
    std::fs::remove_dir_all(obstacle).unwrap();
    commit(&second, &files, failed.decided, &stores).await.unwrap();
    assert_eq!(read(&place, TableFormat::Parquet).await.unwrap(), ["a,1", "b,2"]);
}

#[tokio::test]
async fn an_error_before_the_decision_leaves_the_commit_undecided() {
    let folder = tempfile::tempdir().unwrap();
    let place = url(folder.path(), "out");
    let stores = Stores::from_env();
    let first = target(place.clone(), OutputMode::Append);
    let files = [write(&first, rows(&[Some("a")], &[1]), 1).await];
    // A folder where the intent belongs.
    let obstacle = folder.path().join("out").join(manifest::intent_path(first.commit_id));
    std::fs::create_dir_all(obstacle.join("inside")).unwrap();
    let failed = commit(&first, &files, Decided::No, &stores).await.unwrap_err();
    assert_eq!(failed.decided, Decided::No, "{}", failed.report);
    std::fs::remove_dir_all(obstacle).unwrap();
    commit(&first, &files, failed.decided, &stores).await.unwrap();
    assert_eq!(read(&place, TableFormat::Parquet).await.unwrap(), ["a,1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_racing_jobs_in_mode_error_wins() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let place = url(folder.path(), "out");
        let racers = ["x", "y"].map(|name| {
            let target = target(place.clone(), OutputMode::Error);
            tokio::spawn(async move { write_and_commit(&target, rows(&[Some(name)], &[1])).await })
        });
        let mut wins = 0;
        for racer in racers {
            match racer.await.unwrap() {
                Ok(_) => wins += 1,
                Err(report) => assert_eq!(report.kind, ErrorKind::AlreadyExists, "{report}"),
            }
        }
        assert_eq!(wins, 1);
        assert_eq!(read(&place, TableFormat::Parquet).await.unwrap().len(), 1);
        assert_eq!(visible(&folder.path().join("out")).len(), 1);
    }
}

#[tokio::test]
async fn an_aborted_write_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ours = target(url(folder.path(), "new"), OutputMode::Error);
    write(&ours, rows(&[Some("a")], &[1]), 1).await;
    abort(&ours, &Stores::from_env()).await.unwrap();
    assert!(!folder.path().join("new").exists());
    std::fs::create_dir(folder.path().join("theirs")).unwrap();
    let theirs = target(url(folder.path(), "theirs"), OutputMode::Error);
    write(&theirs, rows(&[Some("a")], &[1]), 1).await;
    abort(&theirs, &Stores::from_env()).await.unwrap();
    assert_eq!(std::fs::read_dir(folder.path().join("theirs")).unwrap().count(), 0);
}

#[tokio::test]
async fn partition_columns_come_back_from_their_folders() {
    let folder = tempfile::tempdir().unwrap();
    let place = url(folder.path(), "hive");
    let mut by_name = target(place.clone(), OutputMode::Overwrite);
    by_name.partition_by = vec!["name".into()];
    let names = [Some("a b/c"), None, Some("50%"), Some("a b/c")];
    write_and_commit(&by_name, rows(&names, &[1, 2, 3, 4])).await.unwrap();
    let found = read_sql(&place, TableFormat::Parquet, "SELECT name, number FROM t").await.unwrap();
    assert_eq!(found, ["2", "50%,3", "a b/c,1", "a b/c,4"]);
    let one = read_sql(&place, TableFormat::Parquet, "SELECT number FROM t WHERE name = 'a b/c'").await.unwrap();
    assert_eq!(one, ["1", "4"]);
    let null = read_sql(&place, TableFormat::Parquet, "SELECT number FROM t WHERE name IS NULL").await.unwrap();
    assert_eq!(null, ["2"]);
}

#[tokio::test]
async fn text_formats_come_back_compressed_and_empty() {
    for (format, compression) in
        [(TableFormat::Csv, "gzip"), (TableFormat::Csv, "zstd"), (TableFormat::Json, "gzip"), (TableFormat::Json, "")]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut text = target(url(folder.path(), "out"), OutputMode::Overwrite);
        text.format = format;
        if !compression.is_empty() {
            text.options.insert("format.compression".into(), compression.into());
        }
        write_and_commit(&text, rows(&[Some("a"), Some("b,\"c")], &[1, 2])).await.unwrap();
        assert_eq!(read(&text.location, format).await.unwrap(), ["a,1", "b,\"c,2"]);
    }
    let folder = tempfile::tempdir().unwrap();
    let empty = target(url(folder.path(), "out"), OutputMode::Overwrite);
    write_and_commit(&empty, rows(&[], &[])).await.unwrap();
    assert!(read(&empty.location, TableFormat::Parquet).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_single_file_is_published_whole_and_only_once_in_mode_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut single = target(url(folder.path(), "one.parquet"), OutputMode::Error);
    single.single_file = true;
    write_and_commit(&single, rows(&[Some("a")], &[1])).await.unwrap();
    assert_eq!(read(&single.location, TableFormat::Parquet).await.unwrap(), ["a,1"]);
    let mut second = single.clone();
    second.commit_id = Uuid::new_v4();
    assert_eq!(check_target(&second, &Stores::from_env()).await.unwrap_err().kind, ErrorKind::AlreadyExists);
    let failed = write_and_commit(&second, rows(&[Some("b")], &[2])).await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::AlreadyExists);
    abort(&second, &Stores::from_env()).await.unwrap();
    second.mode = OutputMode::Overwrite;
    write_and_commit(&second, rows(&[Some("b")], &[2])).await.unwrap();
    assert_eq!(read(&second.location, TableFormat::Parquet).await.unwrap(), ["b,2"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
