//! Errors on the wire: the gRPC code says what to do, the details carry the whole report.

use prost::Message;
use tonic::{Code, Status};
use windrow_model::{ErrorKind, ErrorReport};

/// A gRPC status whose details hold the report.
pub fn status_from_report(report: &ErrorReport) -> Status {
    let details = crate::ErrorReport::from(report.clone()).encode_to_vec();
    Status::with_details(Code::from_i32(report.kind.grpc_code()), report.to_string(), details.into())
}

/// The report inside a status; a status of another origin becomes a report of its code and message.
pub fn report_from_status(status: &Status) -> ErrorReport {
    let carried = crate::ErrorReport::decode(status.details()).ok().filter(|report| !report.what.is_empty());
    match carried {
        Some(report) => report.into(),
        None => ErrorReport::new(ErrorKind::from_grpc_code(status.code() as i32), status.message()),
    }
}
