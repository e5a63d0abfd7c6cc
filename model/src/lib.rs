//! The words of Windrow: ids, states, failures, errors, resources and limits.
//!
//! Architecture invariant: this crate does no I/O and knows no wire format.
//! Every other crate speaks these words, so a word here has one meaning everywhere (see `docs/GLOSSARY.md`).

mod error;
mod failure;
mod id;
mod job;
mod limits;
mod plan;
mod size;
mod state;
mod time;
mod user_code;

pub use error::{ErrorKind, ErrorReport};
pub use failure::Failure;
pub use id::{AttemptId, FragmentHash, JobId, MapOutputId, ParseIdError, StageId, TaskId, WorkerId};
pub use job::{JobSpec, OutputFormat, OutputMode, OutputSpec, Program, TableFormat, TableSpec};
pub use limits::{Exclusion, Limits, Speculation};
pub use plan::{
    ClusterShape, Coalescing, Determinism, InputShare, StageInput, StagePlan, StepOutcome, StepPlan, TaskOutput,
    TaskPlan, WrittenFile,
};
pub use size::{ParseSizeError, format_bytes, parse_bytes, parse_duration};
pub use state::{AttemptState, JobState, StageState, WorkerState};
pub use time::Timestamp;
pub use user_code::{
    CodeLimits, Divide, FieldRange, Framing, Keys, MapReduce, MapReduceInput, OnError, Runs, ShippedFile, SortField,
    UserCode,
};
