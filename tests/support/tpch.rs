//! TPC-H data for tests, generated once per scale beside the test binaries.

use std::path::{Path, PathBuf};
use std::process::Command;

use datafusion::prelude::{ParquetReadOptions, SessionContext};

use super::processes::windrow;

pub const TABLES: [&str; 8] = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"];

/// The folder of TPC-H data at `scale`; several files per big table, so that scans have several partitions.
pub fn generated(scale: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("tpch-{scale}"));
    // `generate` renames a finished folder into place, so two test programs may race for it.
    if !folder.exists() {
        let output = Command::new(windrow())
            .args(["generate", "tpch", "--scale", scale, "--parts", "4"])
            .arg(&folder)
            .output()
            .expect("windrow runs");
        assert!(folder.exists(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    folder
}

/// The text of a TPC-H query, as the benchmarks run it.
pub fn query(number: u32) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../benches/tpch/q{number:02}.sql"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `CREATE EXTERNAL TABLE` statements for all tables.
pub fn definitions(data: &Path) -> String {
    TABLES
        .iter()
        .map(|table| {
            format!("CREATE EXTERNAL TABLE {table} STORED AS PARQUET LOCATION '{}/{table}/';\n", data.display())
        })
        .collect()
}

pub async fn register(context: &SessionContext, data: &Path) {
    for table in TABLES {
        let location = data.join(table);
        context
            .register_parquet(table, location.to_string_lossy(), ParquetReadOptions::default())
            .await
            .expect("generated tables can be read");
    }
}
