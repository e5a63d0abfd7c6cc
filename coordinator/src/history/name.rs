//! Names of logs: a job, when it was submitted, the leader that wrote, and for an object which piece it is.

use windrow_model::{JobId, Timestamp};

/// One leader's log of one job. Two jobs of one number, from two journals, differ in when they were submitted.
///
/// The order is that of a reader: of one job, later leaders come later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogName {
    pub(crate) job: JobId,
    pub(crate) submitted_at: Timestamp,
    pub(crate) epoch: u64,
}

/// One file or object of a log. A file grows and is number 0; objects are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PieceName {
    pub(crate) log: LogName,
    pub(crate) number: u32,
}

impl PieceName {
    pub(crate) fn file_name(self) -> String {
        let LogName { job, submitted_at, epoch } = self.log;
        let piece = if self.number == 0 { String::new() } else { format!("-p{:06}", self.number) };
        format!("job-{:08}-{:016}-e{epoch:08}{piece}.jsonl", job.0, submitted_at.0)
    }

    /// `None` for a file that is none of ours.
    pub(crate) fn parse(file_name: &str) -> Option<PieceName> {
        let mut words = file_name.strip_prefix("job-")?.strip_suffix(".jsonl")?.split('-');
        let (job, submitted_us) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let epoch = words.next()?.strip_prefix('e')?.parse().ok()?;
        let number = match words.next() {
            Some(piece) => piece.strip_prefix('p')?.parse().ok().filter(|number| *number > 0)?,
            None => 0,
        };
        let log = LogName { job: JobId(job), submitted_at: Timestamp(submitted_us), epoch };
        words.next().is_none().then_some(PieceName { log, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_other_files_are_left_alone() {
        let log = LogName { job: JobId(7), submitted_at: Timestamp(1_764_200_000_000_000), epoch: 3 };
        for number in [0, 12] {
            let piece = PieceName { log, number };
            assert_eq!(PieceName::parse(&piece.file_name()), Some(piece));
        }
        assert_eq!(PieceName { log, number: 0 }.file_name(), "job-00000007-1764200000000000-e00000003.jsonl");
        for other in ["job-7.jsonl", "notes.txt", "job-1-2-e3-p0.jsonl", "job-1-2-e3-p1-x.jsonl", "job-1-2-3.jsonl"] {
            assert_eq!(PieceName::parse(other), None, "{other}");
        }
    }
}
