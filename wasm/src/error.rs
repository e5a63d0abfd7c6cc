//! Why a call has ended without a result.

use windrow_model::{ErrorKind, ErrorReport};

/// Every variant names the export that was called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("`{function}` has used up its budget of {budget} instructions for {rows} rows")]
    OutOfFuel { function: String, budget: u64, rows: usize },
    #[error("`{function}` asks for more than its {limit_bytes} bytes of memory")]
    OutOfMemory { function: String, limit_bytes: u64 },
    /// `place` is the function of the module in which it has happened, if that has a name.
    #[error("`{function}` has trapped{}: {trap}", in_place(.place))]
    Trapped { function: String, trap: String, place: Option<String> },
    /// The module called `fail`.
    #[error("`{function}` has failed: {message}")]
    Failed { function: String, message: String },
    /// What the module gave back is not what the contract says.
    #[error("the result of `{function}` cannot be read: {detail}")]
    Malformed { function: String, detail: String },
    /// The module called the host with something that the contract forbids.
    #[error("`{function}` breaks a rule of its host: {detail}")]
    Misused { function: String, detail: String },
    #[error("the module has no export `{function}` of the type `{expected}`")]
    Missing { function: String, expected: &'static str },
    /// The rows have a type that cannot be sent.
    #[error("`{function}` cannot be given these rows: {detail}")]
    Input { function: String, detail: String },
    /// An earlier call has ended the instance.
    #[error("`{function}` is called on an instance that an earlier call has ended")]
    Ended { function: String },
    /// The machine, not the module, is at its end.
    #[error("`{function}` cannot be started: {detail}")]
    Host { function: String, detail: String },
}

fn in_place(place: &Option<String>) -> String {
    place.as_ref().map(|place| format!(" in `{place}`")).unwrap_or_default()
}

impl CallError {
    /// The export that was called.
    pub fn function(&self) -> &str {
        match self {
            CallError::OutOfFuel { function, .. }
            | CallError::OutOfMemory { function, .. }
            | CallError::Trapped { function, .. }
            | CallError::Failed { function, .. }
            | CallError::Malformed { function, .. }
            | CallError::Misused { function, .. }
            | CallError::Missing { function, .. }
            | CallError::Input { function, .. }
            | CallError::Ended { function }
            | CallError::Host { function, .. } => function,
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            CallError::OutOfFuel { .. } | CallError::OutOfMemory { .. } => ErrorKind::Exhausted,
            CallError::Trapped { .. }
            | CallError::Failed { .. }
            | CallError::Malformed { .. }
            | CallError::Misused { .. }
            | CallError::Missing { .. }
            | CallError::Input { .. } => ErrorKind::Invalid,
            CallError::Ended { .. } => ErrorKind::Internal,
            CallError::Host { .. } => ErrorKind::Unavailable,
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            CallError::OutOfFuel { .. } => "look for a loop that does not end, or give the function more fuel per row",
            CallError::OutOfMemory { .. } => "give the function more memory, or make it hold less",
            CallError::Trapped { .. } => "run the function alone over the row that makes it trap",
            CallError::Failed { .. } => "the message is the module's own: mend the data, or the module",
            CallError::Malformed { .. } => "a result is an Arrow IPC stream with its end, in the module's memory",
            CallError::Misused { .. } => "see the imports of the Windrow ABI, version 1",
            CallError::Missing { .. } => "export the function, with this type",
            CallError::Input { .. } => "cast the columns to numbers, strings, bytes, lists or structs",
            CallError::Ended { .. } => "this is a bug in Windrow: start another instance after a failed call",
            CallError::Host { .. } => "the machine may be out of memory or address space; try again elsewhere",
        }
    }
}

impl From<CallError> for ErrorReport {
    fn from(error: CallError) -> ErrorReport {
        ErrorReport::new(error.kind(), error.to_string()).with_hint(error.hint())
    }
}
