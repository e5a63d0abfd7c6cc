//! What a location's name says about its files.

use windrow_model::{ErrorReport, TableFormat};

use crate::nearest;

const EXTENSIONS: [(&str, TableFormat); 7] = [
    ("parquet", TableFormat::Parquet),
    ("csv", TableFormat::Csv),
    ("json", TableFormat::Json),
    ("ndjson", TableFormat::Json),
    ("jsonl", TableFormat::Json),
    ("txt", TableFormat::Text),
    ("text", TableFormat::Text),
];

const COMPRESSIONS: [(&str, &str); 4] = [("gz", "gzip"), ("zst", "zstd"), ("bz2", "bzip2"), ("xz", "xz")];

/// The format that is named, else the one that the extension says without doubt.
///
/// # Errors
/// `Invalid`, naming `place`, if neither says it.
pub(super) fn format(place: &str, location: &str, named: Option<&str>) -> Result<TableFormat, ErrorReport> {
    match named {
        Some("lines") => Ok(TableFormat::Text),
        Some(name) => TableFormat::from_name(name).ok_or_else(|| unknown(place, name)),
        None => by_extension(location).ok_or_else(|| {
            ErrorReport::invalid(format!("{place} has no format"))
                .with_detail(format!("the location `{location}` does not say it by its extension"))
                .with_hint("add `format: parquet`, `format: csv`, `format: json` or `format: text`")
        }),
    }
}

fn unknown(place: &str, name: &str) -> ErrorReport {
    let report = ErrorReport::invalid(format!("{place} has the unknown format `{name}`"));
    match nearest(name, ["parquet", "csv", "json", "text"]) {
        Some(near) => report.with_hint(format!("did you mean `{near}`?")),
        None => report.with_hint("formats are parquet, csv, json (newline-delimited) and text (lines)"),
    }
}

fn by_extension(location: &str) -> Option<TableFormat> {
    let (stem, extension) = location.rsplit_once('.')?;
    let known = |extension: &str| {
        EXTENSIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(extension)).map(|(_, format)| *format)
    };
    known(extension).or_else(|| {
        compression(location)?;
        known(stem.rsplit_once('.')?.1)
    })
}

/// The compression that the extension says, for example `gzip` for `x.csv.gz`.
pub(super) fn compression(location: &str) -> Option<String> {
    let (_, extension) = location.rsplit_once('.')?;
    COMPRESSIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(extension)).map(|(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_says_the_format() {
        assert_eq!(by_extension("./a/b.parquet"), Some(TableFormat::Parquet));
        assert_eq!(by_extension("s3://bucket/x.CSV.gz"), Some(TableFormat::Csv));
        assert_eq!(by_extension("x.jsonl"), Some(TableFormat::Json));
        assert_eq!(by_extension("./folder.d/"), None);
        assert_eq!(by_extension("./x.gz"), None);
        assert_eq!(compression("x.csv.zst").as_deref(), Some("zstd"));
    }

    #[test]
    fn a_folder_needs_a_format() {
        let report = format("the table `t`", "./t/", None).expect_err("ambiguous");
        assert_eq!(report.what, "the table `t` has no format");
        assert_eq!(format("the table `t`", "./t/", Some("parqet")).expect_err("typo").hint, "did you mean `parquet`?");
    }
}
