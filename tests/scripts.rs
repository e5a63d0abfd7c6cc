//! Scripts whose statements build on each other: what one writes, the next one reads.

#[path = "support/mod.rs"]
mod support;

use std::path::Path;

use support::cluster::TestCluster;
use support::rows;
use windrow_model::ErrorReport;

/// Rows of the script's last result on four workers, sorted.
async fn run(script: &str) -> Result<Vec<String>, ErrorReport> {
    let cluster = TestCluster::start(4, 1).await;
    let batches = cluster.run_sql(script).await;
    cluster.stop().await;
    Ok(rows::sorted_lines(&batches?))
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a new folder");
        std::fs::write(path, text).expect("a new file");
    }
    folder
}

fn table(name: &str, folder: &Path, options: &str) -> String {
    format!("CREATE EXTERNAL TABLE {name} STORED AS CSV LOCATION '{}/{name}/' {options};\n", folder.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn inserted_rows_land_in_the_folders_of_their_partitions() {
    let place = folder(&[("days/day=1/a.csv", "carrier,delay\nAA,5\n"), ("days/day=2/b.csv", "carrier,delay\nBB,7\n")]);
    let script = table("days", place.path(), "")
        + "INSERT INTO days VALUES ('CC', 9, '2'), ('DD', 11, '3');
           SELECT day, count(*), sum(delay) FROM days GROUP BY day";
    assert_eq!(run(&script).await.expect("it runs"), ["1|1|5", "2|2|16", "3|1|11"]);
    for (day, files) in [("day=1", 1), ("day=2", 2), ("day=3", 1)] {
        let found = std::fs::read_dir(place.path().join("days").join(day)).expect("the partition's folder").count();
        assert_eq!(found, files, "{day}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_shows_what_the_same_script_wrote_after_it() {
    let place = folder(&[("flights/a.csv", "carrier,delay\nAA,5\n")]);
    let script = table("flights", place.path(), "")
        + "CREATE VIEW late AS SELECT carrier FROM flights WHERE delay > 4;
           CREATE VIEW names AS SELECT DISTINCT carrier FROM late;
           INSERT INTO flights VALUES ('BB', 9), ('CC', 1);
           SELECT * FROM names";
    assert_eq!(run(&script).await.expect("it runs"), ["AA", "BB"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_stands_for_null_is_null_on_every_worker() {
    let text = "carrier,delay\nAA,5\nNA,7\nBB,NA\n";
    let place = folder(&[("flights/a.csv", text), ("flights/b.csv", text), ("flights/c.csv", text)]);
    let script = table("flights", place.path(), "OPTIONS ('format.null_regex' '^(NA)?$')")
        + "SELECT carrier, sum(delay), count(*) FROM flights GROUP BY carrier";
    assert_eq!(run(&script).await.expect("it runs"), ["AA|15|3", "BB|NULL|3", "NULL|21|3"]);
}

/// Three keys in four are the same, so that one partition of the join would keep its task busy for most of the time.
#[tokio::test(flavor = "multi_thread")]
async fn a_hot_key_of_a_join_is_shared_by_several_tasks() {
    let facts = |file: usize| {
        let row = |n: usize| format!("{},{n}\n", if n.is_multiple_of(4) { n } else { 7 });
        format!("k,v\n{}", (file * 5_000..(file + 1) * 5_000).map(row).collect::<String>())
    };
    let facts: Vec<(String, String)> = (0..8).map(|file| (format!("facts/{file}.csv"), facts(file))).collect();
    let keys = format!("k,g\n{}", (0..40_000).map(|k| format!("{k},{}\n", k % 3)).collect::<String>());
    let mut files: Vec<(&str, &str)> = facts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    files.push(("keys/a.csv", &keys));
    let place = folder(&files);
    let script = |rule: &str| {
        format!("SET windrow.coalesce_bytes = '4KiB'; SET windrow.partition_bytes = '32KiB'; {rule}\n")
            + "SET datafusion.optimizer.hash_join_single_partition_threshold = 0;
               SET datafusion.optimizer.hash_join_single_partition_threshold_rows = 0;\n"
            + &table("facts", place.path(), "")
            + &table("keys", place.path(), "")
            + "SELECT g, count(*), sum(v) FROM facts JOIN keys ON facts.k = keys.k GROUP BY g"
    };
    let mut expected = [[0_u64; 2]; 3];
    for n in 0..40_000 {
        let group = &mut expected[if n % 4 == 0 { n % 3 } else { 1 }];
        (group[0], group[1]) = (group[0] + 1, group[1] + n as u64);
    }
    let expected: Vec<String> = (0..3).map(|g| format!("{g}|{}|{}", expected[g][0], expected[g][1])).collect();

    let cluster = TestCluster::start(4, 1).await;
    for (rule, shares) in [("", true), ("SET windrow.split_skewed = false;", false)] {
        let id = cluster.submit(&script(rule)).await.expect("the job is accepted");
        let job = cluster.client().wait(id).await.expect("the job ends");
        let rows = rows::sorted_lines(&cluster.result(&job).await.expect("the result is there"));
        assert_eq!(rows, expected, "{rule}");
        let join = job.stages.iter().find(|stage| stage.label.contains("join")).expect("a join");
        assert_eq!(join.tasks > join.partitions, shares, "{} tasks for {} partitions", join.tasks, join.partitions);
    }
    cluster.stop().await;
}
