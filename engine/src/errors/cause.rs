//! Finds what is behind an error, below `Context`, `Shared`, `External`, Arrow's and Parquet's wrappers.

use std::error::Error;
use std::io;

use arrow::error::ArrowError;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use parquet::errors::ParquetError;
use windrow_model::ErrorReport;

use crate::shuffle::FetchError;
use crate::user_code::UserCodeError;

/// The innermost thing that says what happened.
pub(super) enum Cause<'a> {
    /// Already described for the user by Windrow.
    Reported(&'a ErrorReport),
    Fetch(&'a FetchError),
    /// The user's own code has failed.
    UserCode(&'a ErrorReport),
    OutOfMemory(&'a str),
    Store(&'a object_store::Error),
    Io(&'a io::Error),
    UnknownColumn {
        field: &'a Column,
        valid: &'a [Column],
    },
    Schema(&'a SchemaError),
    Syntax(&'a ParserError),
    Overflow(String),
    DivideByZero,
    Cast(String),
    Csv(String),
    Json(String),
    Parquet(String),
    /// The statement or its data is wrong, in DataFusion's words.
    Invalid(String),
    Unsupported(String),
    Panicked(String),
    Internal(String),
}

/// Walks from the outside in; the last link that is understood wins.
pub(super) fn find(error: &DataFusionError) -> Cause<'_> {
    let mut found = None;
    let mut link: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = link {
        if let Some(cause) = understand(error) {
            found = Some(cause);
        }
        if matches!(found, Some(Cause::Reported(_) | Cause::UserCode(_) | Cause::Fetch(_) | Cause::Store(_))) {
            break;
        }
        link = inner(error);
    }
    found.unwrap_or_else(|| Cause::Internal(error.to_string()))
}

/// The next link. `io::Error` hides the error that it was made from from `source`.
fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(|io| io.get_ref()) {
        Some(inside) => Some(inside),
        None => error.source(),
    }
}

fn understand<'a>(error: &'a (dyn Error + 'static)) -> Option<Cause<'a>> {
    if let Some(report) = error.downcast_ref::<ErrorReport>() {
        return Some(Cause::Reported(report));
    }
    if let Some(UserCodeError(report)) = error.downcast_ref::<UserCodeError>() {
        return Some(Cause::UserCode(report));
    }
    if let Some(fetch) = error.downcast_ref::<FetchError>() {
        return Some(Cause::Fetch(fetch));
    }
    if let Some(store) = error.downcast_ref::<object_store::Error>() {
        return Some(Cause::Store(store));
    }
    if let Some(io) = error.downcast_ref::<io::Error>() {
        // An io::Error of kind Other is an envelope; what is inside says more.
        return (io.get_ref().is_none() || io.kind() != io::ErrorKind::Other).then_some(Cause::Io(io));
    }
    if let Some(arrow) = error.downcast_ref::<ArrowError>() {
        return from_arrow(arrow);
    }
    if let Some(parquet) = error.downcast_ref::<ParquetError>() {
        return from_parquet(parquet);
    }
    error.downcast_ref::<DataFusionError>().and_then(from_datafusion)
}

fn from_arrow(error: &ArrowError) -> Option<Cause<'_>> {
    Some(match error {
        ArrowError::ArithmeticOverflow(text) => Cause::Overflow(text.clone()),
        ArrowError::DivideByZero => Cause::DivideByZero,
        ArrowError::CastError(text) | ArrowError::ParseError(text) => Cause::Cast(text.clone()),
        ArrowError::CsvError(text) => Cause::Csv(text.clone()),
        ArrowError::JsonError(text) => Cause::Json(text.clone()),
        ArrowError::ParquetError(text) => Cause::Parquet(text.clone()),
        ArrowError::IoError(_, io) => Cause::Io(io),
        ArrowError::ExternalError(_) => return None,
        ArrowError::NotYetImplemented(text) => Cause::Unsupported(text.clone()),
        ArrowError::MemoryError(text) => Cause::Invalid(text.clone()),
        other => Cause::Invalid(other.to_string()),
    })
}

fn from_parquet(error: &ParquetError) -> Option<Cause<'_>> {
    Some(match error {
        ParquetError::External(_) => return None,
        ParquetError::NYI(text) => Cause::Unsupported(text.clone()),
        other => Cause::Parquet(other.to_string()),
    })
}

fn from_datafusion(error: &DataFusionError) -> Option<Cause<'_>> {
    Some(match error {
        DataFusionError::ResourcesExhausted(text) => Cause::OutOfMemory(text),
        DataFusionError::SQL(parser, _) => Cause::Syntax(parser),
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => Cause::UnknownColumn { field, valid: valid_fields },
            other => Cause::Schema(other),
        },
        // These carry the real error, which the walk reaches next or here.
        DataFusionError::ArrowError(arrow, _) => return from_arrow(arrow),
        DataFusionError::ParquetError(parquet) => return from_parquet(parquet),
        DataFusionError::ObjectStore(store) => Cause::Store(store),
        DataFusionError::IoError(io) => return understand(io),
        DataFusionError::Plan(text) | DataFusionError::Configuration(text) | DataFusionError::Execution(text) => {
            Cause::Invalid(text.clone())
        }
        DataFusionError::NotImplemented(text) => Cause::Unsupported(text.clone()),
        DataFusionError::ExecutionJoin(join) if join.is_panic() => Cause::Panicked(join.to_string()),
        DataFusionError::Internal(_) | DataFusionError::ExecutionJoin(_) => Cause::Internal(error.strip_backtrace()),
        DataFusionError::Substrait(text) | DataFusionError::Ffi(text) => Cause::Unsupported(text.clone()),
        DataFusionError::External(_)
        | DataFusionError::Context(..)
        | DataFusionError::Diagnostic(..)
        | DataFusionError::Collection(_)
        | DataFusionError::Shared(_) => return None,
    })
}
