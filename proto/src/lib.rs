//! The wire format and its conversions to and from the words of the model.
//!
//! Architecture invariant: wire types stop at the shells (coordinator, worker, client) and never enter the scheduler.

mod convert;
mod status;

pub use convert::{InvalidMessage, fragment_hash_from_wire, fragment_hash_to_wire, required};
pub use status::{report_from_status, status_from_report};

#[allow(clippy::all, clippy::unwrap_used)]
mod generated {
    tonic::include_proto!("windrow.v1");
}

pub use generated::*;

/// Largest gRPC message on the control plane, in bytes. Blobs are chunked far below it; a job's script must fit.
pub const CONTROL_MESSAGE_BYTES_MAX: usize = 32 << 20;

/// Size of one piece of a [`Blob`], in bytes.
pub const BLOB_PIECE_BYTES: usize = 1 << 20;
