//! Compares the header lines of a table's CSV files: a column that moved would be read as another.

use datafusion::common::config::CsvOptions;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use url::Url;
use windrow_model::ErrorReport;

use crate::stores::store_report;

/// A header line is looked for in this many bytes of a file.
const HEADER_BYTES_MAX: u64 = 16 << 10;
/// Headers are fetched this many at a time: enough to hide a store's latency, few enough for its rate limits.
const FETCHES_MAX: usize = 16;

/// Fails if two files have other columns or the same columns in another order.
pub async fn compare(
    files: &[ObjectMeta],
    options: &CsvOptions,
    store: &dyn ObjectStore,
    location: &Url,
) -> Result<(), ErrorReport> {
    let headers: Vec<Option<Vec<String>>> = stream::iter(files)
        .map(|file| header(file, options, store, location))
        .buffered(FETCHES_MAX)
        .try_collect()
        .await?;
    let mut known = files.iter().zip(&headers).filter_map(|(file, header)| Some((file, header.as_ref()?)));
    let Some((first, wanted)) = known.next() else { return Ok(()) };
    match known.find(|(_, header)| *header != wanted) {
        None => Ok(()),
        Some((other, found)) => Err(ErrorReport::invalid("the CSV files of one table have different headers")
            .with_detail(format!(
                "`{}` has [{}], `{}` has [{}]",
                first.location,
                wanted.join(", "),
                other.location,
                found.join(", ")
            ))
            .with_hint("give each kind of file a table of its own and combine them with SELECT … UNION ALL")),
    }
}

/// The header's column names; `None` if it does not end within the first kilobytes.
async fn header(
    file: &ObjectMeta,
    options: &CsvOptions,
    store: &dyn ObjectStore,
    location: &Url,
) -> Result<Option<Vec<String>>, ErrorReport> {
    let range = GetRange::Bounded(0..file.size.min(HEADER_BYTES_MAX));
    let get = GetOptions { range: Some(range), ..GetOptions::default() };
    let report = |error| store_report(&error, "read", location);
    let bytes = store.get_opts(&file.location, get).await.map_err(report)?.bytes().await.map_err(report)?;
    let plain = decompress_start(bytes, options).await;
    Ok(first_record(&plain, options))
}

/// The start of the file, decompressed as far as it goes: the end is cut off, so the last error means nothing.
async fn decompress_start(bytes: bytes::Bytes, options: &CsvOptions) -> Vec<u8> {
    let raw = stream::once(async move { Ok(bytes) }).boxed();
    let Ok(mut plain) = FileCompressionType::from(options.compression).convert_stream(raw) else { return Vec::new() };
    let mut start = Vec::new();
    while let Some(Ok(chunk)) = plain.next().await {
        start.extend_from_slice(&chunk);
        if start.len() as u64 >= HEADER_BYTES_MAX {
            break;
        }
    }
    start
}

fn first_record(start: &[u8], options: &CsvOptions) -> Option<Vec<String>> {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let mut fields = vec![Vec::new()];
    let mut quoted = false;
    for line_byte in start {
        match *line_byte {
            byte if byte == options.quote => quoted = !quoted,
            byte if byte == options.delimiter && !quoted => fields.push(Vec::new()),
            b'\n' if !quoted => {
                let text = |field: Vec<u8>| String::from_utf8_lossy(&field).trim_end_matches('\r').to_owned();
                return Some(fields.into_iter().map(text).collect());
            }
            byte => fields.last_mut()?.push(byte),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_split_like_csv() {
        let options = CsvOptions::default();
        let names = |text: &str| first_record(text.as_bytes(), &options);
        assert_eq!(names("a,b\r\n1,2\n"), Some(vec!["a".into(), "b".into()]));
        assert_eq!(names("\u{feff}\"x,y\",z\n"), Some(vec!["x,y".into(), "z".into()]));
        assert_eq!(names("no end of line"), None);
    }
}
