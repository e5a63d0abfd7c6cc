//! How long the successful attempts of a stage took: constant memory, and a median that is right to about 3 %.

use std::time::Duration;

/// Buckets of each power of two.
const BUCKETS: u64 = 32;
const BUCKETS_LOG2: u32 = BUCKETS.trailing_zeros();

/// A histogram of milliseconds with buckets that grow with the value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Durations {
    counts: Vec<u32>,
    total: u32,
}

impl Durations {
    pub fn add(&mut self, duration: Duration) {
        let bucket = bucket_of(duration.as_millis() as u64);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
    }

    pub fn len(&self) -> u32 {
        self.total
    }

    /// `None` while nothing is known.
    pub fn median(&self) -> Option<Duration> {
        let half = self.total.div_ceil(2);
        let mut seen = 0;
        let reaches_half = |count: &u32| {
            seen += count;
            seen >= half
        };
        let bucket = self.counts.iter().position(reaches_half).filter(|_| self.total > 0)?;
        Some(Duration::from_millis(start_of(bucket)))
    }
}

/// Values below `BUCKETS` have a bucket each; above, a power of two is cut into `BUCKETS` equal ones.
fn bucket_of(value: u64) -> usize {
    if value < BUCKETS {
        return value as usize;
    }
    let shift = value.ilog2() - BUCKETS_LOG2;
    (u64::from(shift) * BUCKETS + (value >> shift)) as usize
}

fn start_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * BUCKETS {
        return bucket;
    }
    let shift = bucket / BUCKETS - 1;
    (bucket - shift * BUCKETS) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_starts_at_most_a_thirty_second_below_its_values() {
        for value in (0..100_000).chain([1 << 40, (1 << 40) + 12_345, u64::MAX >> 1]) {
            let start = start_of(bucket_of(value));
            assert!(start <= value && value - start <= value / BUCKETS, "{value} is in the bucket of {start}");
        }
    }

    #[test]
    fn the_median_is_the_middle_of_what_was_added() {
        let mut durations = Durations::default();
        assert_eq!(durations.median(), None);
        for millis in [5, 1, 31, 2, 4] {
            durations.add(Duration::from_millis(millis));
        }
        assert_eq!(durations.median(), Some(Duration::from_millis(4)));
    }
}
