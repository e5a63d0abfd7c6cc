//! Reads a trace of spot availability: JSON with `metadata.gap_seconds` and `data`, a list of 1 (there) and 0 (taken).

use std::ops::Range;
use std::time::Duration;

use windrow_model::Timestamp;

use crate::chaos::{Action, Script};

/// The notice that a market gives before it takes a node back.
const NOTICE: Duration = Duration::from_secs(120);

impl Script {
    /// A pool of workers that is taken back and given again as the trace says: nodes of one zone and type go together.
    /// `None` if the text is no such trace.
    pub fn from_spot_trace(text: &str, pool: Range<u32>) -> Option<Script> {
        let gap: u64 = after(text, "\"gap_seconds\":")?.split(['}', ',']).next()?.trim().parse().ok()?;
        let data = after(text, "\"data\":")?.trim_start().strip_prefix('[')?.split(']').next()?;
        let samples: Option<Vec<bool>> = data.split(',').map(sample).collect();
        Some(script(&samples?, Duration::from_secs(gap), pool))
    }
}

fn after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split_once(key).map(|(_, rest)| rest)
}

fn sample(text: &str) -> Option<bool> {
    match text.trim() {
        "1" => Some(true),
        "0" => Some(false),
        _ => None,
    }
}

fn script(samples: &[bool], gap: Duration, pool: Range<u32>) -> Script {
    let mut script = Script::default();
    let mut nth = 0;
    while let Some(taken) = samples[nth..].iter().position(|there| !there) {
        let first = nth + taken;
        let lasts = samples[first..].iter().position(|there| *there);
        let at = Timestamp(0) + gap.saturating_mul(first as u32).saturating_sub(NOTICE);
        let back = lasts.map(|lasts| gap.saturating_mul(lasts as u32));
        let preempt = |worker| (at, Action::PreemptWorker { worker, notice: NOTICE, back });
        script.incidents.extend(pool.clone().map(preempt));
        let Some(lasts) = lasts else { return script };
        nth = first + lasts;
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_in_the_trace_takes_the_pool_away() {
        let text = r#"{"metadata": {"gap_seconds": 100}, "data": [1, 1, 1, 0, 0, 1, 0]}"#;
        let script = Script::from_spot_trace(text, 2..4).expect("it reads");
        let seconds = Duration::from_secs;
        let preempt =
            |at, worker, back| (Timestamp(0) + seconds(at), Action::PreemptWorker { worker, notice: NOTICE, back });
        let twice = Some(seconds(200));
        let expected = [preempt(180, 2, twice), preempt(180, 3, twice), preempt(480, 2, None), preempt(480, 3, None)];
        assert_eq!(script.incidents, expected);
        assert_eq!(Script::from_spot_trace("{}", 0..1), None);
    }
}
