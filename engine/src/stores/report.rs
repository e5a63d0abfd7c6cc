//! What an object store's error means to a user.

use object_store::Error;
use url::Url;
use windrow_model::{ErrorKind, ErrorReport};

use super::display_location;

/// Turns a store's error into a report that names the location, and the bucket if there is one.
/// `doing` completes "could not …", for example `list`, `write to`.
pub fn store_report(error: &Error, doing: &str, location: &Url) -> ErrorReport {
    let place = display_location(location);
    let bucket = location.host_str().filter(|_| location.scheme() == "s3");
    let report = |kind| ErrorReport::new(kind, format!("could not {doing} `{place}`")).with_detail(root_text(error));
    match (error, bucket) {
        (Error::NotFound { .. }, Some(bucket)) => {
            let missing = innermost_text(error).contains("NoSuchBucket");
            let what =
                if missing { format!("bucket `{bucket}` does not exist") } else { format!("`{place}` does not exist") };
            ErrorReport::new(ErrorKind::NotFound, what)
                .with_detail(format!("while trying to {doing} `{place}`"))
                .with_hint("check the bucket's name and AWS_ENDPOINT_URL")
        }
        (Error::NotFound { .. }, None) => ErrorReport::new(ErrorKind::NotFound, format!("`{place}` does not exist")),
        (Error::PermissionDenied { .. }, Some(bucket)) => {
            report(ErrorKind::PermissionDenied).with_hint(credentials_hint(bucket))
        }
        (Error::Unauthenticated { .. }, Some(bucket)) => {
            report(ErrorKind::Unauthenticated).with_hint(credentials_hint(bucket))
        }
        (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }, None) => {
            report(ErrorKind::PermissionDenied).with_hint("check the owner and mode of the file and its folders")
        }
        (Error::AlreadyExists { .. }, _) => report(ErrorKind::AlreadyExists),
        (Error::Precondition { .. }, _) => {
            ErrorReport::new(ErrorKind::Conflict, format!("`{place}` changed while it was in use"))
                .with_detail(root_text(error))
                .with_hint("run the job again when nobody is writing there")
        }
        (Error::NotSupported { .. } | Error::NotImplemented { .. }, _) => report(ErrorKind::Unsupported),
        (Error::InvalidPath { .. } | Error::UnknownConfigurationKey { .. }, _) => report(ErrorKind::Invalid),
        (_, Some(bucket)) => generic_s3(error, report(ErrorKind::Unavailable), bucket),
        (_, None) => local_io(error, report(ErrorKind::Internal)),
    }
}

/// What the typed error does not say: servers differ in status codes, and listings report a missing bucket untyped.
fn generic_s3(error: &Error, mut report: ErrorReport, bucket: &str) -> ErrorReport {
    let text = innermost_text(error);
    match element(&text, "Code") {
        Some("NoSuchBucket") => ErrorReport::new(ErrorKind::NotFound, format!("bucket `{bucket}` does not exist"))
            .with_detail(report.what)
            .with_hint("check the bucket's name and AWS_ENDPOINT_URL"),
        Some("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "AccessDenied") => {
            report.kind = ErrorKind::PermissionDenied;
            report.with_hint(credentials_hint(bucket))
        }
        // Without a key the client asks the cloud's metadata service, and reports that it could not.
        None if !CREDENTIALS.iter().any(|variable| std::env::var_os(variable).is_some()) => {
            report.kind = ErrorKind::Unauthenticated;
            report.detail = format!("no credentials are set, and none were given by the machine: {}", report.detail);
            report.with_hint(credentials_hint(bucket))
        }
        _ => report.with_hint("check that AWS_ENDPOINT_URL is right and the server is up, then run the job again"),
    }
}

/// Any of these says where credentials come from.
const CREDENTIALS: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
];

fn local_io(error: &Error, mut report: ErrorReport) -> ErrorReport {
    let Some(io) = find_io(error) else { return report };
    report.kind = io_kind(io);
    report
}

/// The kind of a local input or output error.
pub(crate) fn io_kind(error: &std::io::Error) -> ErrorKind {
    use std::io::ErrorKind as Io;
    match error.kind() {
        Io::NotFound => ErrorKind::NotFound,
        Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
        Io::AlreadyExists => ErrorKind::AlreadyExists,
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::Exhausted,
        Io::NotADirectory | Io::IsADirectory | Io::InvalidFilename => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    }
}

fn find_io<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a std::io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io);
        }
        next = error.source();
    }
    None
}

fn credentials_hint(bucket: &str) -> String {
    format!(
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_ENDPOINT_URL for a server other than AWS) \
         to a key that may use bucket `{bucket}`, for the coordinator and every worker"
    )
}

/// The cause in one line: the code and message of an S3 answer, else the innermost error.
fn root_text(error: &Error) -> String {
    let text = innermost_text(error);
    match (element(&text, "Code"), element(&text, "Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        _ => text,
    }
}

/// The text of the innermost cause: outer ones repeat it.
fn innermost_text(error: &Error) -> String {
    let mut root: &dyn std::error::Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    let text = root.to_string();
    if text.is_empty() { error.to_string() } else { text }
}

/// The text of an XML element without attributes.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(inside, _)| inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(body: &str) -> Error {
        Error::Generic { store: "S3", source: body.to_owned().into() }
    }

    #[test]
    fn an_answer_of_the_server_is_told_by_its_code() {
        let place = Url::parse("s3://logs/day/").unwrap();
        let missing = generic("404: <Error><Code>NoSuchBucket</Code><Message>gone</Message></Error>");
        let report = store_report(&missing, "list", &place);
        assert_eq!(report.kind, ErrorKind::NotFound);
        assert_eq!(report.what, "bucket `logs` does not exist");
        let refused = generic("400: <Error><Code>InvalidAccessKeyId</Code><Message>no such key</Message></Error>");
        let report = store_report(&refused, "list", &place);
        assert_eq!(report.kind, ErrorKind::PermissionDenied);
        assert_eq!(report.detail, "InvalidAccessKeyId: no such key");
        assert!(report.hint.contains("AWS_ACCESS_KEY_ID") && report.hint.contains("`logs`"));
    }
}
