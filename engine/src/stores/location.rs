//! What a user means by a location: a local path, a `file://` URL or an `s3://` URL.

use std::path::PathBuf;

use datafusion::execution::object_store::ObjectStoreUrl;
use object_store::path::Path;
use url::Url;
use windrow_model::ErrorReport;

/// Makes a location absolute. `base` is the URL of the folder that relative locations start from.
///
/// Local paths and `s3://` keys are taken literally (a `%20` in them stays three characters); `file://` URLs are
/// percent-decoded as every URL is. `.` and `..` are resolved. A trailing slash says "folder" and is kept;
/// without one the location may be a file or a folder.
pub fn resolve_location(base: &str, location: &str) -> Result<Url, ErrorReport> {
    if location.trim().is_empty() {
        return Err(ErrorReport::invalid("a location is empty").with_hint("name a file or a folder"));
    }
    match split_scheme(location) {
        Some(("file", _)) => resolve_file_url(location),
        Some(("s3", rest)) => resolve_s3(location, rest),
        Some((scheme, _)) => Err(super::unsupported_scheme(scheme, location)),
        None if location.starts_with('/') => local_url(location, location),
        None => resolve_relative(base, location),
    }
}

/// `scheme://rest`, if the text before `://` is a scheme at all.
fn split_scheme(location: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = location.split_once("://")?;
    let plausible = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    plausible.then_some((scheme, rest))
}

fn resolve_file_url(location: &str) -> Result<Url, ErrorReport> {
    let url = Url::parse(location).map_err(|error| unreadable(location, &error.to_string()))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(unreadable(location, "a file URL has no `?` or `#` part")
            .with_hint("write `%3F` for `?` and `%23` for `#`, or give the plain path"));
    }
    let path = url
        .to_file_path()
        .map_err(|()| unreadable(location, "it names another host").with_hint("write `file:///path`"))?;
    let path = path.to_str().ok_or_else(|| unreadable(location, "the path is not UTF-8"))?;
    local_url(path, location)
}

fn resolve_s3(location: &str, rest: &str) -> Result<Url, ErrorReport> {
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(unreadable(location, "it names no bucket").with_hint("write `s3://bucket/path`"));
    }
    s3_url(bucket, key, location)
}

fn s3_url(bucket: &str, key: &str, location: &str) -> Result<Url, ErrorReport> {
    let mut url = Url::parse(&format!("s3://{bucket}")).map_err(|error| unreadable(location, &error.to_string()))?;
    if url.host_str() != Some(bucket) {
        return Err(unreadable(location, "the bucket's name is not valid"));
    }
    let segments = normalise(key).ok_or_else(|| unreadable(location, "`..` leads out of the bucket"))?;
    set_segments(&mut url, &segments, is_folder(key));
    Ok(url)
}

fn resolve_relative(base: &str, location: &str) -> Result<Url, ErrorReport> {
    let base = Url::parse(base).map_err(|error| unreadable(base, &error.to_string()))?;
    let folder = object_path(&base)?;
    let joined = format!("{folder}/{location}");
    match base.scheme() {
        "file" => local_url(&format!("/{joined}"), location),
        "s3" => s3_url(base.host_str().unwrap_or_default(), &joined, location),
        scheme => Err(super::unsupported_scheme(scheme, base.as_str())),
    }
}

fn local_url(path: &str, location: &str) -> Result<Url, ErrorReport> {
    let segments = normalise(path).unwrap_or_default();
    let mut url = Url::parse("file:///").map_err(|error| unreadable(location, &error.to_string()))?;
    set_segments(&mut url, &segments, is_folder(path));
    Ok(url)
}

/// Path segments without empty ones and `.`, with `..` applied; `None` if `..` goes above the root.
/// A file system stays at its root then, which is what an empty list says.
fn normalise(path: &str) -> Option<Vec<&str>> {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." if path.starts_with('/') => {
                segments.pop();
            }
            ".." => {
                segments.pop()?;
            }
            name => segments.push(name),
        }
    }
    Some(segments)
}

fn is_folder(path: &str) -> bool {
    path.is_empty() || matches!(path.rsplit('/').next(), Some("" | "." | ".."))
}

fn set_segments(url: &mut Url, segments: &[&str], folder: bool) {
    let mut path: String = segments.iter().map(|segment| format!("/{}", encode_segment(segment))).collect();
    if folder || path.is_empty() {
        path.push('/');
    }
    url.set_path(&path);
}

/// Percent-encodes what means something in a URL; everything else, other alphabets included, is left to the parser.
fn encode_segment(segment: &str) -> String {
    let mut text = String::with_capacity(segment.len());
    for c in segment.chars() {
        match c {
            '%' | '?' | '#' | '\\' | ' ' | '"' | '<' | '>' | '`' | '{' | '}' | '^' | '|' => {
                text.push_str(&format!("%{:02X}", u32::from(c)));
            }
            c => text.push(c),
        }
    }
    text
}

/// The location as a key in its store. Never starts with a slash; a trailing slash is gone.
pub fn object_path(location: &Url) -> Result<Path, ErrorReport> {
    Path::from_url_path(location.path()).map_err(|error| unreadable(location.as_str(), &error.to_string()))
}

/// The location on the local file system, if it is there.
pub fn local_path(location: &Url) -> Option<PathBuf> {
    (location.scheme() == "file").then(|| location.to_file_path().ok()).flatten()
}

/// The store's own URL, as DataFusion's scans name it: `file:///` or `s3://bucket/`.
pub fn store_url(location: &Url) -> Result<ObjectStoreUrl, ErrorReport> {
    ObjectStoreUrl::parse(format!("{}://{}", location.scheme(), location.authority()))
        .map_err(|error| unreadable(location.as_str(), &error.to_string()))
}

/// The location as people write it: a plain path for local files, decoded.
pub fn display_location(location: &Url) -> String {
    let Ok(path) = Path::from_url_path(location.path()) else {
        return location.to_string();
    };
    let slash = if location.path().ends_with('/') && !path.as_ref().is_empty() { "/" } else { "" };
    match location.scheme() {
        "file" => format!("/{path}{slash}"),
        scheme => format!("{scheme}://{}/{path}{slash}", location.authority()),
    }
}

fn unreadable(location: &str, detail: &str) -> ErrorReport {
    ErrorReport::invalid(format!("the location `{location}` cannot be read")).with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_resolve_as_people_mean_them() {
        let base = "file:///home/ann/jobs/";
        let cases = [
            ("data/", "file:///home/ann/jobs/data/"),
            ("./a b.csv", "file:///home/ann/jobs/a%20b.csv"),
            ("../up/x", "file:///home/ann/up/x"),
            ("..", "file:///home/ann/"),
            (".", "file:///home/ann/jobs/"),
            ("50%/a?b#c", "file:///home/ann/jobs/50%25/a%3Fb%23c"),
            ("/abs//x/./y/", "file:///abs/x/y/"),
            ("/../..", "file:///"),
            ("file:///a%20b/../c", "file:///c"),
            ("file:///a b", "file:///a%20b"),
            ("s3://bucket", "s3://bucket/"),
            ("s3://bucket/k%20/x=a b/", "s3://bucket/k%2520/x=a%20b/"),
            ("s3://bucket/a/../b", "s3://bucket/b"),
        ];
        for (location, wanted) in cases {
            assert_eq!(resolve_location(base, location).unwrap().as_str(), wanted, "{location}");
        }
        assert_eq!(resolve_location("s3://b/jobs/", "data").unwrap().as_str(), "s3://b/jobs/data");
        let key = object_path(&resolve_location(base, "s3://bucket/k%20/a b").unwrap()).unwrap();
        assert_eq!(key.as_ref(), "k%20/a b");
        for wrong in ["", "s3://", "s3:///x", "gs://b/x", "http://h/x", "s3://b/../x", "file://host/x", "file:///a?b"] {
            assert!(resolve_location(base, wrong).is_err(), "{wrong}");
        }
        let shown = resolve_location(base, "a b/").unwrap();
        assert_eq!(display_location(&shown), "/home/ann/jobs/a b/");
    }
}
