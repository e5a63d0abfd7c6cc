//! Opens tables over hand-made folders.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use windrow_model::{ErrorKind, ErrorReport, TableFormat};

use super::*;
use crate::stores::{Stores, resolve_location};

async fn read(
    folder: &std::path::Path,
    format: TableFormat,
    options: &[(&str, &str)],
    sql: &str,
) -> Result<String, ErrorReport> {
    let context = SessionContext::new();
    let location = resolve_location("file:///", &format!("{}/", folder.display()))?;
    let options: BTreeMap<String, String> =
        options.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    let table =
        open_table("t", &location, format, &options, &Declared::default(), &context.state(), &Stores::from_env())
            .await?;
    context.register_table("t", table.provider).unwrap();
    let batches = context.sql(sql).await.unwrap().collect().await;
    let batches = batches.map_err(|error| crate::errors::report(error, ""))?;
    let mut text = Vec::new();
    let mut writer = arrow::csv::WriterBuilder::new().with_header(false).build(&mut text);
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    drop(writer);
    Ok(String::from_utf8(text).unwrap())
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

#[tokio::test]
async fn every_file_counts_whatever_its_name_but_hidden_ones_do_not() {
    let files =
        [("a.csv", "x\n1\n"), ("sub/b.txt", "x\n2\n"), ("c", "x\n3\n"), ("_d.csv", "x\n4\n"), (".e/f.csv", "x\n5\n")];
    let place = folder(&files);
    assert_eq!(read(place.path(), TableFormat::Csv, &[], "SELECT sum(x) FROM t").await.unwrap(), "6\n");
}

#[tokio::test]
async fn headers_that_differ_are_refused_with_both_files_named() {
    let place = folder(&[("a.csv", "x,y\n1,2\n"), ("b.csv", "y,x\n1,2\n")]);
    let failed = read(place.path(), TableFormat::Csv, &[], "SELECT * FROM t").await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Invalid);
    assert!(
        failed.detail.contains("a.csv") && failed.detail.contains("b.csv") && failed.detail.contains("y, x"),
        "{failed}"
    );
    let headless = read(place.path(), TableFormat::Csv, &[("has_header", "false")], "SELECT count(*) FROM t").await;
    assert_eq!(headless.unwrap(), "4\n");
}

#[tokio::test]
async fn a_text_that_stands_for_null_is_null_in_columns_of_every_type() {
    let text = "n,f,s,d\n1,NA,a,2026-11-25\nNA,2.5,NA,NA\n,,,\n3,4.5,NAB,2026-11-26\n";
    let place = folder(&[("k=NA/a.csv", text)]);
    let nulls = [("null_regex", "^(NA)?$")];
    let sql =
        "SELECT sum(n), sum(f), count(s), min(s), max(d), arrow_typeof(min(n)), arrow_typeof(max(d)), min(k) FROM t";
    let found = read(place.path(), TableFormat::Csv, &nulls, sql).await.unwrap();
    assert_eq!(found, "4,7.0,2,NAB,2026-11-26,Int64,Date32,NA\n");
    let wrong = folder(&[("a.csv", "n\n1\nNA\n"), ("b.csv", "n\nx\n")]);
    let options = [("null_regex", "^(NA)?$"), ("schema_infer_max_rec", "2")];
    let failed = read(wrong.path(), TableFormat::Csv, &options, "SELECT sum(n) FROM t").await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Invalid, "{failed}");
    assert!(failed.detail.contains("'x'"), "{failed}");
}

#[tokio::test]
async fn hive_folders_become_columns_and_plain_ones_do_not() {
    let place =
        folder(&[("day=2026-11-23/p/a.json", "{\"x\":1}\n"), ("day=__HIVE_DEFAULT_PARTITION__/b.json", "{\"x\":2}\n")]);
    let found = read(place.path(), TableFormat::Json, &[], "SELECT x, day FROM t ORDER BY x").await.unwrap();
    assert_eq!(found, "1,2026-11-23\n2,\n");
    let mixed = folder(&[("day=1/a.json", "{\"x\":1}\n"), ("b.json", "{\"x\":2}\n")]);
    let failed = read(mixed.path(), TableFormat::Json, &[], "SELECT * FROM t").await.unwrap_err();
    assert!(failed.detail.contains("b.json") || failed.detail.contains("a.json"), "{failed}");
}

#[tokio::test]
async fn nothing_to_read_names_table_and_location() {
    let place = folder(&[("_hidden", "x")]);
    let failed = read(place.path(), TableFormat::Csv, &[], "SELECT 1").await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::NotFound);
    assert!(failed.what.contains("`t`") && failed.what.contains(place.path().to_str().unwrap()), "{failed}");
    assert!(!failed.hint.is_empty());
    let failed = read(&place.path().join("gone"), TableFormat::Parquet, &[], "SELECT 1").await.unwrap_err();
    assert!(failed.what.contains("does not exist"), "{failed}");
    let failed = read(place.path(), TableFormat::Csv, &[("delimeter", ";")], "SELECT 1").await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn an_input_that_changed_after_planning_is_an_error() {
    let place = folder(&[("a.csv", "x\n1\n2\n")]);
    let stores = Stores::from_env();
    let runtime = RuntimeEnvBuilder::new().with_object_store_registry(stores.clone()).build_arc().unwrap();
    let context = SessionContext::new_with_config_rt(SessionConfig::new(), runtime);
    let location = resolve_location("file:///", place.path().to_str().unwrap()).unwrap();
    let declared = Declared::default();
    let table = open_table("t", &location, TableFormat::Csv, &BTreeMap::new(), &declared, &context.state(), &stores)
        .await
        .unwrap()
        .provider;
    let first = context.read_table(Arc::clone(&table)).unwrap().create_physical_plan().await.unwrap();
    let second = context.read_table(table).unwrap().create_physical_plan().await.unwrap();
    let pinned = pin_inputs(&context.runtime_env(), &first, &Arc::default()).unwrap();
    let pinned = Arc::new(datafusion::execution::TaskContext::default().with_runtime(pinned));
    let rows = datafusion::physical_plan::collect(first, Arc::clone(&pinned)).await.unwrap();
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 2);
    std::fs::write(place.path().join("a.csv"), "x\n1\n2\n3\n").unwrap();
    let failed = datafusion::physical_plan::collect(second, pinned).await.unwrap_err();
    assert!(failed.to_string().contains("a.csv") && failed.to_string().contains("changed"), "{failed}");
}
