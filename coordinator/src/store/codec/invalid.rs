//! What can be wrong with a decoded message.

use std::fmt;

/// A message that decodes as protobuf and still is no record. `pub` like the generated messages, whose conversions
/// name it; the module keeps it inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// Every build writes this field.
    Missing { field: &'static str },
    /// A value that this build has no word for: a later build wrote it.
    Unknown { field: &'static str, value: String },
    /// A number or length that no build writes.
    OutOfRange { field: &'static str, value: u64 },
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Invalid::Missing { field } => write!(f, "`{field}` is missing"),
            Invalid::Unknown { field, value } => write!(f, "`{field}` is the unknown `{value}`"),
            Invalid::OutOfRange { field, value } => write!(f, "`{field}` is {value}, which is out of range"),
        }
    }
}

/// The value of a field that proto3 calls optional and every build writes.
pub(super) fn required<T>(field: Option<T>, name: &'static str) -> Result<T, Invalid> {
    field.ok_or(Invalid::Missing { field: name })
}

/// The value that a stored name stands for.
pub(super) fn named<T>(value: Option<T>, field: &'static str, name: &str) -> Result<T, Invalid> {
    value.ok_or_else(|| Invalid::Unknown { field, value: name.to_owned() })
}

/// Decodes a list, and fails with its first error.
pub(super) fn all<P, T: TryFrom<P, Error = Invalid>>(messages: Vec<P>) -> Result<Vec<T>, Invalid> {
    messages.into_iter().map(T::try_from).collect()
}

/// Encodes a list.
pub(super) fn each<'a, T, P: From<&'a T>>(values: &'a [T]) -> Vec<P> {
    values.iter().map(P::from).collect()
}
