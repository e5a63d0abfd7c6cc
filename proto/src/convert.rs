//! Conversions between generated wire types and the words of the model.
//!
//! From model to wire never fails. From wire to model fails with [`InvalidMessage`] wherever a peer could leave
//! something out or write something that the model has no word for.

mod failure;
mod id;
mod output;
mod spec;
mod user_code;

use std::fmt;

use windrow_model::ErrorReport;

pub use id::{fragment_hash_from_wire, fragment_hash_to_wire};

/// A message from a peer that lacks a field or holds a value without meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidMessage {
    /// Message and field, for example `RunTask.task`.
    pub field: &'static str,
    pub problem: String,
}

impl InvalidMessage {
    /// `field` names message and field, `problem` says what is wrong with the value.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        InvalidMessage { field, problem: problem.into() }
    }
}

impl fmt::Display for InvalidMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid message: `{}` {}", self.field, self.problem)
    }
}

impl std::error::Error for InvalidMessage {}

impl From<InvalidMessage> for ErrorReport {
    fn from(invalid: InvalidMessage) -> Self {
        ErrorReport::invalid("the peer sent a message that cannot be understood")
            .with_detail(format!("`{}` {}", invalid.field, invalid.problem))
            .with_hint("both sides must be of the same build: compare `windrow --version`")
    }
}

impl From<InvalidMessage> for tonic::Status {
    fn from(invalid: InvalidMessage) -> Self {
        crate::status_from_report(&ErrorReport::from(invalid))
    }
}

/// The value of a field that proto3 calls optional and the protocol does not.
/// `name` is `Message.field`.
pub fn required<T>(field: Option<T>, name: &'static str) -> Result<T, InvalidMessage> {
    field.ok_or_else(|| InvalidMessage::new(name, "is missing"))
}
