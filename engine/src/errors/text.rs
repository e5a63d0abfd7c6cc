//! The three parts of a report for each cause.

use datafusion::common::{Column, DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;
use windrow_model::{ErrorKind, ErrorReport};

use super::cause::Cause;
use super::nearest;
use crate::shuffle::FetchError;

const MEMORY_HINT: &str = "give workers more memory (--memory), or more workers so that each holds a smaller part";

pub(super) fn describe(cause: &Cause<'_>) -> ErrorReport {
    match cause {
        Cause::Reported(report) | Cause::UserCode(report) => (*report).clone(),
        Cause::Fetch(fetch) => fetch_failed(fetch),
        Cause::OutOfMemory(text) => out_of_memory(text),
        Cause::Store(error) => store(error),
        Cause::Io(error) => io(error),
        Cause::UnknownColumn { field, valid } => unknown_column(field, valid),
        Cause::Schema(error) => schema(error),
        Cause::Syntax(error) => syntax(error),
        Cause::Overflow(text) => ErrorReport::invalid("arithmetic overflow")
            .with_detail(text)
            .with_hint("cast to a wider type first, for example CAST(x AS DECIMAL(38, 0)) or CAST(x AS DOUBLE)"),
        Cause::DivideByZero => {
            ErrorReport::invalid("division by zero").with_hint("write x / nullif(y, 0) to get NULL where y is zero")
        }
        Cause::Cast(text) => ErrorReport::invalid("a value cannot be converted")
            .with_detail(text)
            .with_hint("TRY_CAST gives NULL for such values"),
        Cause::Csv(text) => csv(text),
        Cause::Json(text) => ErrorReport::invalid("a JSON file cannot be read")
            .with_detail(text)
            .with_hint("each line must be one JSON object"),
        Cause::Parquet(text) => ErrorReport::new(ErrorKind::Corrupt, "a Parquet file cannot be read")
            .with_detail(text)
            .with_hint("the file is truncated or damaged; write it again"),
        Cause::Invalid(text) => invalid(text),
        Cause::Unsupported(text) => {
            ErrorReport::new(ErrorKind::Unsupported, "this is not supported").with_detail(first_paragraph(text))
        }
        Cause::Panicked(text) => ErrorReport::internal("an operator panicked").with_detail(text),
        Cause::Internal(text) => ErrorReport::internal("an internal error").with_detail(first_paragraph(text)),
    }
}

fn fetch_failed(fetch: &FetchError) -> ErrorReport {
    match fetch {
        FetchError::Lost { .. } | FetchError::Unreached { .. } => {
            ErrorReport::new(ErrorKind::Unavailable, fetch.to_string())
        }
        FetchError::Corrupt { .. } => ErrorReport::new(ErrorKind::Corrupt, fetch.to_string()),
    }
}

/// The pool's text holds the operator that asked last and the ones that hold most.
fn out_of_memory(text: &str) -> ErrorReport {
    let operator = between(text, "Failed to allocate additional ", " with ").and_then(|part| part.split_once(" for "));
    let what = match operator {
        Some((bytes, operator)) => format!("out of memory: `{operator}` asked for {bytes} more"),
        None => "out of memory".to_owned(),
    };
    ErrorReport::new(ErrorKind::Exhausted, what).with_detail(text.trim()).with_hint(MEMORY_HINT)
}

fn store(error: &object_store::Error) -> ErrorReport {
    use object_store::Error;
    let report = |kind, what: String| ErrorReport::new(kind, what).with_detail(innermost(error));
    let credentials = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the rights of that key";
    match error {
        Error::NotFound { path, .. } => report(ErrorKind::NotFound, format!("`{path}` does not exist"))
            .with_hint("check the path; the file may have been removed while the job ran"),
        Error::PermissionDenied { path, .. } => {
            report(ErrorKind::PermissionDenied, format!("`{path}` may not be accessed")).with_hint(credentials)
        }
        Error::Unauthenticated { path, .. } => {
            report(ErrorKind::Unauthenticated, format!("the credentials for `{path}` were refused"))
                .with_hint(credentials)
        }
        Error::AlreadyExists { path, .. } => report(ErrorKind::AlreadyExists, format!("`{path}` exists already")),
        Error::Precondition { path, .. } | Error::NotModified { path, .. } => {
            report(ErrorKind::Conflict, format!("`{path}` changed while the job ran"))
                .with_hint("run the job again when nobody is writing there")
        }
        Error::NotSupported { .. } | Error::NotImplemented { .. } => {
            report(ErrorKind::Unsupported, "the object store does not support this".to_owned())
        }
        Error::InvalidPath { .. } | Error::UnknownConfigurationKey { .. } => {
            report(ErrorKind::Invalid, "the location or its options are not valid".to_owned())
        }
        other => report(ErrorKind::Unavailable, "the object store did not answer as expected".to_owned()).with_hint(
            match other.to_string().to_lowercase().contains("credential") {
                true => credentials,
                false => "check AWS_ENDPOINT_URL and that the server is up, then run the job again",
            },
        ),
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

fn io(error: &std::io::Error) -> ErrorReport {
    use std::io::ErrorKind as Io;
    let report = |kind, what: &str| ErrorReport::new(kind, what).with_detail(error.to_string());
    match error.kind() {
        Io::NotFound => report(ErrorKind::NotFound, "a file does not exist"),
        Io::PermissionDenied => report(ErrorKind::PermissionDenied, "a file may not be accessed"),
        Io::StorageFull | Io::QuotaExceeded => report(ErrorKind::Exhausted, "no space left on a disk")
            .with_hint("free space there, or start the worker with another --work-dir"),
        Io::UnexpectedEof | Io::InvalidData => report(ErrorKind::Corrupt, "a file ends too early or is damaged"),
        _ => report(ErrorKind::Unavailable, "reading or writing failed"),
    }
}

fn unknown_column(field: &Column, valid: &[Column]) -> ErrorReport {
    let what = format!("there is no column `{}`", field.flat_name());
    let names: Vec<String> = valid.iter().map(Column::flat_name).collect();
    let short: Vec<&str> = valid.iter().map(|column| column.name.as_str()).collect();
    let hint = match nearest(&field.name, short.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if names.is_empty() => "there are no columns here".to_owned(),
        None => format!("the columns here are {}", listed(&names)),
    };
    ErrorReport::invalid(what).with_hint(hint)
}

/// The first names of a list, in backquotes.
pub(crate) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let rest = names.len().saturating_sub(SHOWN);
    if rest == 0 { shown.join(", ") } else { format!("{} and {rest} more", shown.join(", ")) }
}

fn schema(error: &SchemaError) -> ErrorReport {
    let report = ErrorReport::invalid(first_paragraph(&error.to_string()));
    match error {
        SchemaError::AmbiguousReference { field } => {
            report.with_hint(format!("write the table's name in front, as in `t.{}`", field.name))
        }
        SchemaError::DuplicateQualifiedField { .. } | SchemaError::DuplicateUnqualifiedField { .. } => {
            report.with_hint("give one of them another name with AS")
        }
        SchemaError::FieldNotFound { .. } => report,
    }
}

fn syntax(error: &ParserError) -> ErrorReport {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => {
            return ErrorReport::invalid("the statement is nested too deeply")
                .with_hint("split it with WITH … AS, or create views for its inner parts");
        }
    };
    let Some((problem, place)) = text.rsplit_once(" at Line: ") else {
        return ErrorReport::invalid("syntax error").with_detail(text);
    };
    match place.split_once(", Column: ") {
        Some((line, column)) => {
            ErrorReport::invalid(format!("syntax error at line {line}, column {column}")).with_detail(problem)
        }
        None => ErrorReport::invalid("syntax error").with_detail(text),
    }
}

fn csv(text: &str) -> ErrorReport {
    let text = text.strip_prefix("Csv error: ").unwrap_or(text);
    if text.contains("incorrect number of fields") {
        return ErrorReport::invalid("a row of a CSV file has the wrong number of columns")
            .with_detail(text)
            .with_hint(
                "fix that line, check the delimiter, or allow short rows with OPTIONS ('format.truncated_rows' 'true')",
            );
    }
    ErrorReport::invalid("a CSV file cannot be read")
        .with_detail(text)
        .with_hint("check the options: header, delimiter, quote, compression")
}

/// Texts of the planner that are worth taking apart; the others are shown as they are.
fn invalid(text: &str) -> ErrorReport {
    if let Some(name) = unknown_table(text) {
        return ErrorReport::new(ErrorKind::NotFound, format!("there is no table `{name}`"))
            .with_hint("name it under `tables:` in the job file, or with CREATE EXTERNAL TABLE");
    }
    if let Some((problem, hint)) = text.split_once("\nDid you mean ") {
        return ErrorReport::invalid(first_paragraph(problem))
            .with_hint(format!("did you mean {}", first_paragraph(hint).replace('\'', "`")));
    }
    ErrorReport::invalid(first_paragraph(text))
}

/// The name in the planner's words for a table that is not registered.
pub(super) fn unknown_table(text: &str) -> Option<&str> {
    let table = between(text, "table '", "' not found")?;
    Some(table.strip_prefix("datafusion.public.").unwrap_or(table))
}

/// Without the stack trace that DataFusion appends in some builds, and without its request to report a bug.
fn first_paragraph(text: &str) -> String {
    let text = text.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or(text);
    text.split("\nThis issue was likely caused by a bug").next().unwrap_or(text).trim().trim_end_matches('.').to_owned()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let start = text.find(before)? + before.len();
    let end = text[start..].find(after)? + start;
    Some(&text[start..end])
}
