//! Format options under DataFusion's names, for reading and writing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::common::config::{ConfigFileType, TableOptions};
use datafusion::common::parsers::CompressionTypeVariant;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use object_store::ObjectMeta;
use windrow_model::{ErrorReport, TableFormat};

use super::text::TextFormat;

/// Suffixes that say how a text file is compressed.
const SUFFIXES: [(&str, CompressionTypeVariant); 5] = [
    (".gz", CompressionTypeVariant::GZIP),
    (".zst", CompressionTypeVariant::ZSTD),
    (".zstd", CompressionTypeVariant::ZSTD),
    (".bz2", CompressionTypeVariant::BZIP2),
    (".xz", CompressionTypeVariant::XZ),
];

/// `defaults` with the user's options on top. Names may be written with or without `format.`.
pub fn table_options(
    mut defaults: TableOptions,
    format: TableFormat,
    options: &BTreeMap<String, String>,
) -> Result<TableOptions, ErrorReport> {
    defaults.set_config_format(match format {
        TableFormat::Parquet => ConfigFileType::PARQUET,
        TableFormat::Csv => ConfigFileType::CSV,
        TableFormat::Json => ConfigFileType::JSON,
        // It has one option, its compression, which DataFusion knows of CSV.
        TableFormat::Text => ConfigFileType::CSV,
    });
    for (key, value) in options {
        if format == TableFormat::Text && key.trim_start_matches("format.") != "compression" {
            return Err(ErrorReport::invalid(format!("text files have no option `{key}`"))
                .with_hint("their only option is `compression`"));
        }
        let name = if key.starts_with("format.") { key.clone() } else { format!("format.{key}") };
        defaults.alter_with_string_hash_map(&HashMap::from([(name, value.clone())])).map_err(|error| {
            ErrorReport::invalid(format!("`{value}` is not a value of the {} option `{key}`", format.name()))
                .with_detail(error.strip_backtrace())
                .with_hint("options have DataFusion's names, for example `has_header`, `delimiter`, `compression`")
        })?;
    }
    Ok(defaults)
}

/// The reader of `format`. Text files whose names all end in the same compression suffix need no option for it.
pub fn reader(
    defaults: TableOptions,
    format: TableFormat,
    options: &BTreeMap<String, String>,
    files: &[ObjectMeta],
) -> Result<(Arc<dyn FileFormat>, TableOptions), ErrorReport> {
    let named = options.keys().any(|key| key.trim_start_matches("format.") == "compression");
    let mut parsed = table_options(defaults, format, options)?;
    if !named && format != TableFormat::Parquet {
        let compression = compression_of(files)?;
        parsed.csv.compression = compression;
        parsed.json.compression = compression;
    }
    let format: Arc<dyn FileFormat> = match format {
        TableFormat::Parquet => Arc::new(ParquetFormat::default().with_options(parsed.parquet.clone())),
        TableFormat::Csv => Arc::new(CsvFormat::default().with_options(parsed.csv.clone())),
        TableFormat::Json => Arc::new(JsonFormat::default().with_options(parsed.json.clone())),
        TableFormat::Text => Arc::new(TextFormat::new(parsed.csv.compression.into())),
    };
    Ok((format, parsed))
}

fn compression_of(files: &[ObjectMeta]) -> Result<CompressionTypeVariant, ErrorReport> {
    let suffix = |file: &ObjectMeta| {
        let name = file.location.as_ref().to_ascii_lowercase();
        SUFFIXES.iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, variant)| *variant)
    };
    let Some(first) = files.first() else { return Ok(CompressionTypeVariant::UNCOMPRESSED) };
    let found = suffix(first);
    match files.iter().find(|file| suffix(file) != found) {
        None => Ok(found.unwrap_or(CompressionTypeVariant::UNCOMPRESSED)),
        Some(other) => Err(ErrorReport::invalid("the files of one table are compressed in different ways")
            .with_detail(format!("`{}` and `{}`", first.location, other.location))
            .with_hint("put them into tables of their own, or say `compression` if their names mislead")),
    }
}
