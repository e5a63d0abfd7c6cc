//! Identities. Ids are integers, so that no path or query is ever built from a caller's string.

use std::fmt;
use std::str::FromStr;

/// One submitted unit of work. Printed as `job-7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// A maximal part of a job's plan between exchanges; `index` counts through the whole job. Printed as `job-7.2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageId {
    pub job: JobId,
    pub index: u32,
}

/// A set of partitions of one stage. Printed as `job-7.2.14`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    pub stage: StageId,
    pub index: u32,
}

/// One try at a task on one worker. `epoch` is the leader's fencing epoch, so a new leader never reuses a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    pub epoch: u64,
    pub n: u64,
}

/// What one attempt of one task wrote for its readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MapOutputId {
    pub task: TaskId,
    pub attempt: AttemptId,
}

/// A process that runs attempts. A worker that comes back after it was lost gets a new id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u64);

/// Content hash of a stage's serialised plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FragmentHash(pub [u8; 16]);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job-{}", self.0)
    }
}

impl fmt::Display for StageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.job, self.index)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.stage, self.index)
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.epoch, self.n)
    }
}

impl fmt::Display for MapOutputId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "output of {} attempt {}", self.task, self.attempt)
    }
}

impl WorkerId {
    /// Not a worker: the object store that takes outputs over from workers that leave. Workers count from 1.
    pub const SHUFFLE_STORE: WorkerId = WorkerId(0);
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == WorkerId::SHUFFLE_STORE {
            return f.write_str("shuffle-store");
        }
        write!(f, "worker-{}", self.0)
    }
}

impl fmt::Display for FragmentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for FragmentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FragmentHash({self})")
    }
}

/// The text is not an id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseIdError {
    text: String,
    wanted: &'static str,
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a {} id; it looks like `{}-7`", self.text, self.wanted, self.wanted)
    }
}

impl std::error::Error for ParseIdError {}

fn parse_numbered(text: &str, wanted: &'static str) -> Result<u64, ParseIdError> {
    let digits = text.strip_prefix(wanted).and_then(|rest| rest.strip_prefix('-')).unwrap_or(text);
    digits.parse().map_err(|_| ParseIdError { text: text.to_owned(), wanted })
}

impl FromStr for JobId {
    type Err = ParseIdError;

    /// Accepts `job-7` and `7`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_numbered(text, "job").map(JobId)
    }
}

impl FromStr for WorkerId {
    type Err = ParseIdError;

    /// Accepts `worker-7` and `7`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_numbered(text, "worker").map(WorkerId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_prints() {
        assert_eq!("job-7".parse(), Ok(JobId(7)));
        assert_eq!("7".parse(), Ok(JobId(7)));
        assert_eq!(WorkerId(3).to_string().parse(), Ok(WorkerId(3)));
        assert!("job-".parse::<JobId>().is_err());
        assert!("worker-1".parse::<JobId>().is_err());
    }
}
