//! Reads a SWIM trace of Hadoop jobs (Chen et al. 2011): one job a line, separated by tabs:
//! name, submit time and gap in seconds, bytes of map input, of shuffle and of reduce output.

use std::time::Duration;

use crate::workload::text::ParseJobsError;
use crate::workload::{JobShape, OutcomeShape, StageShape, StepShape, Workload};

/// Input of one map task, and shuffle bytes of one reduce task.
const SPLIT_BYTES: u64 = 256 << 20;
/// What one slot reads, computes and writes in a second.
const BYTES_PER_SECOND: u64 = 50 << 20;
/// Larger jobs are cut to so many maps: the trace's cluster had 600 machines.
const MAPS_MAX: u64 = 5_000;
/// Partitions of one exchange.
const REDUCES_MAX: u64 = 256;
/// Starting a task costs this much.
const TASK_TIME_MIN: Duration = Duration::from_millis(100);

impl Workload {
    /// Jobs submitted within the first `within` of the trace.
    pub fn from_swim(text: &str, within: Duration) -> Result<Workload, ParseJobsError> {
        let mut workload = Workload::default();
        for (number, line) in (1..).zip(text.lines()) {
            let wanted = "a name and five whole numbers, separated by tabs";
            let job = read_job(line).ok_or_else(|| ParseJobsError { line: number, text: line.to_owned(), wanted })?;
            if job.submit_at <= within {
                workload.jobs.push(job);
            }
        }
        Ok(workload)
    }
}

fn read_job(line: &str) -> Option<JobShape> {
    let mut columns = line.split('\t').skip(1).map(|column| column.trim().parse::<u64>().ok());
    let mut next = || columns.next().flatten();
    let (submit, _gap, input, shuffle, output) = (next()?, next()?, next()?, next()?, next()?);
    let maps = tasks(input, MAPS_MAX);
    let mut stages = vec![stage(maps, input.max(shuffle))];
    if shuffle > 0 {
        stages.push(stage(tasks(shuffle, REDUCES_MAX), shuffle.max(output)).reading(&[0]));
    }
    let submit_at = Duration::from_secs(submit);
    let job = JobShape::single(StepShape { stages, outcome: OutcomeShape::Files });
    Some(JobShape { submit_at, ..job })
}

fn tasks(bytes: u64, max: u64) -> u64 {
    bytes.div_ceil(SPLIT_BYTES).clamp(1, max)
}

fn stage(tasks: u64, bytes: u64) -> StageShape {
    let micros = (bytes / tasks).saturating_mul(1_000_000) / BYTES_PER_SECOND;
    StageShape::new(tasks as u32, Duration::from_micros(micros).max(TASK_TIME_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_as_wide_as_its_bytes() {
        let text = "job0\t9\t9\t1762\t0\t14347\njob2\t20\t2\t53088744165\t1510005522\t5759777\njob3\t99\t79\t1\t0\t1\n";
        let workload = Workload::from_swim(text, Duration::from_secs(60)).expect("it reads");
        let tasks: Vec<Vec<u32>> =
            workload.jobs.iter().map(|job| job.steps[0].stages.iter().map(|stage| stage.tasks).collect()).collect();
        assert_eq!(tasks, [vec![1], vec![198, 6]]);
        assert!(Workload::from_swim("job0\t9\tsoon", Duration::MAX).is_err());
    }
}
